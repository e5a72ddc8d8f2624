//! What of an event goes into which column: its word, whom it is about, and the rest as JSON.

use protocol::{ClientId, SessionId, Subject};
use serde_json::{Value, json};

use super::{Changed, Credentials, Event, Kind};

/// What goes into the columns of an event.
#[derive(Debug, Default)]
pub(in crate::audit) struct Told<'e> {
    pub(in crate::audit) sub: Option<&'e Subject>,
    pub(in crate::audit) client_id: Option<&'e ClientId>,
    pub(in crate::audit) session_id: Option<&'e SessionId>,
    pub(in crate::audit) details: Value,
}

impl<'e> Told<'e> {
    fn of(details: Value) -> Self {
        Self {
            details,
            ..Self::default()
        }
    }

    fn user(self, sub: impl Into<Option<&'e Subject>>) -> Self {
        Self {
            sub: sub.into(),
            ..self
        }
    }

    fn client(self, client_id: impl Into<Option<&'e ClientId>>) -> Self {
        Self {
            client_id: client_id.into(),
            ..self
        }
    }

    fn session(self, session_id: &'e SessionId) -> Self {
        Self {
            session_id: Some(session_id),
            ..self
        }
    }
}

impl<'e> Event<'e> {
    pub fn kind(&self) -> Kind {
        match self {
            Self::SignInSucceeded { .. } => Kind::SignInSucceeded,
            Self::SignInFailed(_) => Kind::SignInFailed,
            Self::SessionEnded { .. } => Kind::SessionEnded,
            Self::ConsentGiven { .. } => Kind::ConsentGiven,
            Self::ConsentWithdrawn { .. } => Kind::ConsentWithdrawn,
            Self::ApprovalEnded { .. } => Kind::ApprovalEnded,
            Self::TokenRevoked { .. } => Kind::TokenRevoked,
            Self::UserCreated { .. } => Kind::UserCreated,
            Self::UserUpdated { .. } => Kind::UserUpdated,
            Self::UserDisabled { .. } => Kind::UserDisabled,
            Self::UserEnabled { .. } => Kind::UserEnabled,
            Self::UserRevoked { .. } => Kind::UserRevoked,
            Self::LinkMailed { .. } => Kind::LinkMailed,
            Self::PasswordRecovered { .. } => Kind::PasswordRecovered,
            Self::EmailRestored { .. } => Kind::EmailRestored,
            Self::EmailVerified { .. } => Kind::EmailVerified,
            Self::OtherSessionsEnded { .. } => Kind::OtherSessionsEnded,
            Self::CredentialsChanged {
                what: Changed::Password,
                ..
            } => Kind::PasswordChanged,
            Self::CredentialsChanged {
                what: Changed::Email, ..
            } => Kind::EmailChanged,
            Self::ProfileChanged { .. } => Kind::ProfileChanged,
            Self::DataExported { .. } => Kind::DataExported,
            Self::DeletionAsked { .. } => Kind::DeletionAsked,
            Self::DeletionUndone { .. } => Kind::DeletionUndone,
            Self::UserDeleted { .. } => Kind::UserDeleted,
            Self::UserInvited { .. } => Kind::UserInvited,
            Self::InvitationAccepted { .. } => Kind::InvitationAccepted,
            Self::InvitationWithdrawn { .. } => Kind::InvitationWithdrawn,
            Self::ClientCreated { .. } => Kind::ClientCreated,
            Self::ClientUpdated { .. } => Kind::ClientUpdated,
            Self::ClientTrustSet { .. } => Kind::ClientTrustSet,
            Self::ClientSecretAdded { .. } => Kind::ClientSecretAdded,
            Self::ClientSecretDeleted { .. } => Kind::ClientSecretDeleted,
            Self::ClientDeleted { .. } => Kind::ClientDeleted,
            Self::InitialTokenMade { .. } => Kind::InitialTokenMade,
            Self::InitialTokenDeleted { .. } => Kind::InitialTokenDeleted,
            Self::ResourceCreated { .. } => Kind::ResourceCreated,
            Self::ResourceUpdated { .. } => Kind::ResourceUpdated,
            Self::ResourceSecretAdded { .. } => Kind::ResourceSecretAdded,
            Self::ResourceSecretDeleted { .. } => Kind::ResourceSecretDeleted,
            Self::ResourceDeleted { .. } => Kind::ResourceDeleted,
            Self::MasterKeyMade { .. } => Kind::MasterKeyMade,
            Self::MasterKeyRetired { .. } => Kind::MasterKeyRetired,
            Self::SigningKeyPublished { .. } => Kind::SigningKeyPublished,
            Self::SigningKeyWithdrawn { .. } => Kind::SigningKeyWithdrawn,
            Self::SigningKeyImported { .. } => Kind::SigningKeyImported,
            Self::SigningKeyCompromised { .. } => Kind::SigningKeyCompromised,
            Self::DecryptionKeyMade { .. } => Kind::DecryptionKeyMade,
            Self::DecryptionKeyWithdrawn { .. } => Kind::DecryptionKeyWithdrawn,
            Self::DecryptionKeyCompromised { .. } => Kind::DecryptionKeyCompromised,
            Self::PurposeSecretMade { .. } => Kind::PurposeSecretMade,
            Self::DatabaseRestored { .. } => Kind::DatabaseRestored,
        }
    }

    pub(in crate::audit) fn told(&self) -> Told<'e> {
        match *self {
            Self::SignInSucceeded { sub, session_id, acr } => {
                Told::of(json!({ "acr": acr })).user(sub).session(session_id)
            }
            Self::SignInFailed(failures) => Told::of(failures.details()).user(failures.sub.as_ref()),
            Self::SessionEnded {
                sub,
                session_id,
                approvals_ended,
            } => ended(approvals_ended).user(sub).session(session_id),
            Self::ConsentGiven {
                sub,
                client_id,
                session_id,
                scope,
                resources,
                claims,
            } => Told::of(json!({ "scope": scope, "resources": resources, "claims": claims }))
                .user(sub)
                .client(client_id)
                .session(session_id),
            Self::ConsentWithdrawn {
                sub,
                client_id,
                consent_id,
                approvals_ended,
            } => Told::of(json!({ "consent_id": consent_id, "approvals_ended": approvals_ended }))
                .user(sub)
                .client(client_id),
            Self::ApprovalEnded {
                sub,
                client_id,
                approval_id,
                reason,
            } => Told::of(json!({ "approval_id": approval_id, "reason": reason }))
                .user(sub)
                .client(client_id),
            Self::TokenRevoked { sub, client_id, jti } => {
                Told::of(json!({ "jti": jti })).user(sub).client(client_id)
            }
            Self::UserCreated { sub }
            | Self::UserEnabled { sub }
            | Self::EmailRestored { sub }
            | Self::EmailVerified { sub }
            | Self::DeletionUndone { sub }
            | Self::UserDeleted { sub } => Told::of(json!({})).user(sub),
            Self::OtherSessionsEnded {
                sub,
                session_id,
                approvals_ended,
            } => ended(approvals_ended).user(sub).session(session_id),
            Self::CredentialsChanged {
                sub,
                session_id,
                what: _,
                apps_disconnected,
                approvals_ended,
            } => {
                let details =
                    json!({ "apps_disconnected": apps_disconnected, "approvals_ended": approvals_ended });
                Told::of(details).user(sub).session(session_id)
            }
            Self::ProfileChanged {
                sub,
                session_id,
                claims,
            } => Told::of(json!({ "claims": claims }))
                .user(sub)
                .session(session_id),
            Self::DataExported { sub, session_id } => Told::of(json!({})).user(sub).session(session_id),
            Self::UserInvited { invitation_id, way } => {
                Told::of(json!({ "invitation_id": invitation_id, "way": way }))
            }
            Self::InvitationAccepted { sub, invitation_id } => {
                Told::of(json!({ "invitation_id": invitation_id })).user(sub)
            }
            Self::InvitationWithdrawn { invitation_id } => {
                Told::of(json!({ "invitation_id": invitation_id }))
            }
            Self::LinkMailed { sub, purpose } => Told::of(json!({ "purpose": purpose })).user(sub),
            Self::UserUpdated { sub, credentials } => {
                Told::of(json!({ "credentials_changed": credentials == Credentials::Changed })).user(sub)
            }
            Self::UserDisabled { sub, approvals_ended }
            | Self::UserRevoked { sub, approvals_ended }
            | Self::PasswordRecovered { sub, approvals_ended }
            | Self::DeletionAsked { sub, approvals_ended } => ended(approvals_ended).user(sub),
            Self::ClientCreated { client_id, trust } | Self::ClientTrustSet { client_id, trust } => {
                Told::of(json!({ "trust": trust })).client(client_id)
            }
            Self::ClientUpdated { client_id, version } => {
                Told::of(json!({ "version": version })).client(client_id)
            }
            Self::ClientSecretAdded { client_id, secret_id }
            | Self::ClientSecretDeleted { client_id, secret_id } => {
                Told::of(json!({ "secret_id": secret_id })).client(client_id)
            }
            Self::ClientDeleted {
                client_id,
                approvals_ended,
            } => ended(approvals_ended).client(client_id),
            Self::InitialTokenMade {
                token_id,
                uses,
                expires_at,
            } => Told::of(json!({ "token_id": token_id, "uses": uses, "expires_at": expires_at })),
            Self::InitialTokenDeleted { token_id } => Told::of(json!({ "token_id": token_id })),
            Self::ResourceCreated { identifier }
            | Self::ResourceUpdated { identifier }
            | Self::ResourceDeleted { identifier } => Told::of(json!({ "identifier": identifier })),
            Self::ResourceSecretAdded {
                identifier,
                secret_id,
            }
            | Self::ResourceSecretDeleted {
                identifier,
                secret_id,
            } => Told::of(json!({ "identifier": identifier, "secret_id": secret_id })),
            Self::MasterKeyMade { master_key_id } | Self::MasterKeyRetired { master_key_id } => {
                Told::of(json!({ "master_key_id": master_key_id }))
            }
            Self::SigningKeyPublished { kid, alg, signs_at }
            | Self::SigningKeyImported { kid, alg, signs_at } => {
                Told::of(json!({ "kid": kid, "alg": alg, "signs_at": signs_at }))
            }
            Self::SigningKeyWithdrawn { kid, alg } | Self::SigningKeyCompromised { kid, alg } => {
                Told::of(json!({ "kid": kid, "alg": alg }))
            }
            Self::DecryptionKeyWithdrawn { kid, alg } | Self::DecryptionKeyCompromised { kid, alg } => {
                Told::of(json!({ "kid": kid, "alg": alg }))
            }
            Self::DecryptionKeyMade { kid, alg, used_from } => {
                Told::of(json!({ "kid": kid, "alg": alg, "used_from": used_from }))
            }
            Self::PurposeSecretMade { secret_id, purpose } => {
                Told::of(json!({ "secret_id": secret_id, "purpose": purpose }))
            }
            Self::DatabaseRestored {
                feed,
                evidence,
                codes_ended,
            } => Told::of(json!({ "feed": feed, "evidence": evidence, "codes_ended": codes_ended })),
        }
    }
}

fn ended<'e>(approvals_ended: usize) -> Told<'e> {
    Told::of(json!({ "approvals_ended": approvals_ended }))
}
