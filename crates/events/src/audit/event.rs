//! What the trail knows of, with what belongs to each.

use protocol::{
    ApprovalId, ClientId, ConsentId, Jti, Scope, SessionId, SigningAlg, Subject, Timestamp, wire_enum,
};
use serde_json::{Value, json};

use crate::sign_ins::Failures;

wire_enum! {
    /// The word for what happened. Once written it keeps its meaning.
    pub enum Kind {
        SignInSucceeded => "sign_in.succeeded",
        SignInFailed => "sign_in.failed",
        SessionEnded => "session.ended",
        ConsentGiven => "consent.given",
        ConsentWithdrawn => "consent.withdrawn",
        ApprovalEnded => "approval.ended",
        TokenRevoked => "token.revoked",
        UserCreated => "user.created",
        UserUpdated => "user.updated",
        UserDisabled => "user.disabled",
        UserEnabled => "user.enabled",
        UserRevoked => "user.revoked",
        LinkMailed => "link.mailed",
        PasswordRecovered => "password.recovered",
        EmailVerified => "email.verified",
        OtherSessionsEnded => "session.others_ended",
        PasswordChanged => "password.changed",
        EmailChanged => "email.changed",
        EmailRestored => "email.restored",
        ProfileChanged => "profile.changed",
        DataExported => "data.exported",
        DeletionAsked => "deletion.asked",
        DeletionUndone => "deletion.undone",
        UserDeleted => "user.deleted",
        UserInvited => "user.invited",
        InvitationAccepted => "invitation.accepted",
        InvitationWithdrawn => "invitation.withdrawn",
        ClientCreated => "client.created",
        ClientUpdated => "client.updated",
        ClientTrustSet => "client.trust_set",
        ClientSecretAdded => "client.secret_added",
        ClientSecretDeleted => "client.secret_deleted",
        ClientDeleted => "client.deleted",
        InitialTokenMade => "initial_token.made",
        InitialTokenDeleted => "initial_token.deleted",
        ResourceCreated => "resource.created",
        ResourceUpdated => "resource.updated",
        ResourceSecretAdded => "resource.secret_added",
        ResourceSecretDeleted => "resource.secret_deleted",
        ResourceDeleted => "resource.deleted",
        MasterKeyMade => "master_key.made",
        MasterKeyRetired => "master_key.retired",
        SigningKeyPublished => "signing_key.published",
        SigningKeyWithdrawn => "signing_key.withdrawn",
        SigningKeyImported => "signing_key.imported",
        SigningKeyCompromised => "signing_key.compromised",
        DecryptionKeyMade => "decryption_key.made",
        DecryptionKeyWithdrawn => "decryption_key.withdrawn",
        DecryptionKeyCompromised => "decryption_key.compromised",
        PurposeSecretMade => "purpose_secret.made",
        DatabaseRestored => "database.restored",
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event<'e> {
    SignInSucceeded {
        sub: &'e Subject,
        session_id: &'e SessionId,
        acr: &'e str,
    },
    /// All failures of one window together.
    SignInFailed(&'e Failures),
    SessionEnded {
        sub: Option<&'e Subject>,
        session_id: &'e SessionId,
        approvals_ended: usize,
    },
    ConsentGiven {
        sub: &'e Subject,
        client_id: &'e ClientId,
        session_id: &'e SessionId,
        scope: &'e Scope,
        resources: &'e [String],
        /// By name, beyond the scope.
        claims: &'e [String],
    },
    ConsentWithdrawn {
        sub: Option<&'e Subject>,
        client_id: Option<&'e ClientId>,
        consent_id: &'e ConsentId,
        approvals_ended: usize,
    },
    /// One approval, for a reason of its own: a code or refresh token that came twice, a token given back.
    ApprovalEnded {
        sub: Option<&'e Subject>,
        client_id: Option<&'e ClientId>,
        approval_id: &'e ApprovalId,
        reason: &'e str,
    },
    /// One access token that its client gave back.
    TokenRevoked {
        /// None where the client acted for itself.
        sub: Option<&'e Subject>,
        client_id: &'e ClientId,
        jti: &'e Jti,
    },
    UserCreated {
        sub: &'e Subject,
    },
    UserUpdated {
        sub: &'e Subject,
        credentials: Credentials,
    },
    UserDisabled {
        sub: &'e Subject,
        approvals_ended: usize,
    },
    UserEnabled {
        sub: &'e Subject,
    },
    UserRevoked {
        sub: &'e Subject,
        approvals_ended: usize,
    },
    /// A link that lets whoever reads the person's mail act for them.
    LinkMailed {
        sub: &'e Subject,
        purpose: &'e str,
    },
    /// Another password, by such a link.
    PasswordRecovered {
        sub: &'e Subject,
        approvals_ended: usize,
    },
    /// The address is a former one again, whose mail the person reads.
    EmailRestored {
        sub: &'e Subject,
    },
    EmailVerified {
        sub: &'e Subject,
    },
    /// By the person, who stays signed in here.
    OtherSessionsEnded {
        sub: &'e Subject,
        session_id: &'e SessionId,
        approvals_ended: usize,
    },
    /// By the person, who is signed in.
    CredentialsChanged {
        sub: &'e Subject,
        session_id: &'e SessionId,
        what: Changed,
        apps_disconnected: bool,
        approvals_ended: usize,
    },
    ProfileChanged {
        sub: &'e Subject,
        session_id: &'e SessionId,
        /// Names of claims, without their values.
        claims: &'e [&'static str],
    },
    DataExported {
        sub: &'e Subject,
        session_id: &'e SessionId,
    },
    /// The person wants their account deleted.
    DeletionAsked {
        sub: &'e Subject,
        approvals_ended: usize,
    },
    /// They came back in time.
    DeletionUndone {
        sub: &'e Subject,
    },
    /// With all that was kept of them but this trail.
    UserDeleted {
        sub: &'e Subject,
    },
    /// A link by which somebody can make an account was mailed to them, or handed over.
    UserInvited {
        invitation_id: &'e str,
        way: &'e str,
    },
    /// Whom it made an account for.
    InvitationAccepted {
        sub: &'e Subject,
        invitation_id: &'e str,
    },
    InvitationWithdrawn {
        invitation_id: &'e str,
    },
    ClientCreated {
        client_id: &'e ClientId,
        trust: &'e str,
    },
    ClientUpdated {
        client_id: &'e ClientId,
        version: i64,
    },
    ClientTrustSet {
        client_id: &'e ClientId,
        trust: &'e str,
    },
    ClientSecretAdded {
        client_id: &'e ClientId,
        secret_id: &'e str,
    },
    ClientSecretDeleted {
        client_id: &'e ClientId,
        secret_id: &'e str,
    },
    ClientDeleted {
        client_id: &'e ClientId,
        approvals_ended: usize,
    },
    InitialTokenMade {
        token_id: &'e str,
        uses: u32,
        expires_at: Timestamp,
    },
    InitialTokenDeleted {
        token_id: &'e str,
    },
    ResourceCreated {
        identifier: &'e str,
    },
    ResourceUpdated {
        identifier: &'e str,
    },
    ResourceSecretAdded {
        identifier: &'e str,
        secret_id: &'e str,
    },
    ResourceSecretDeleted {
        identifier: &'e str,
        secret_id: &'e str,
    },
    ResourceDeleted {
        identifier: &'e str,
    },
    MasterKeyMade {
        master_key_id: &'e str,
    },
    /// Nothing is sealed under it any more.
    MasterKeyRetired {
        master_key_id: &'e str,
    },
    SigningKeyPublished {
        kid: &'e str,
        alg: SigningAlg,
        signs_at: Timestamp,
    },
    /// An operator brought it along.
    SigningKeyImported {
        kid: &'e str,
        alg: SigningAlg,
        signs_at: Timestamp,
    },
    /// Announced, and replaced before it signed.
    SigningKeyWithdrawn {
        kid: &'e str,
        alg: SigningAlg,
    },
    /// Taken out in an emergency: nothing that it signed is believed.
    SigningKeyCompromised {
        kid: &'e str,
        alg: SigningAlg,
    },
    DecryptionKeyMade {
        kid: &'e str,
        alg: &'e str,
        used_from: Timestamp,
    },
    /// Made, and replaced before it was used.
    DecryptionKeyWithdrawn {
        kid: &'e str,
        alg: &'e str,
    },
    /// Taken out in an emergency: it reads nothing any more.
    DecryptionKeyCompromised {
        kid: &'e str,
        alg: &'e str,
    },
    PurposeSecretMade {
        secret_id: &'e str,
        purpose: &'e str,
    },
    /// To an older state: what ended since may live again, so everybody signs in anew.
    DatabaseRestored {
        /// The name of the history of revocations that begins with it.
        feed: &'e str,
        evidence: &'e str,
        codes_ended: u64,
    },
}

/// Whether a change made void what was proven before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    Changed,
    Kept,
}

/// How a person signs in, changed by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Password,
    Email,
}

/// What goes into the columns of an event.
#[derive(Debug, Default)]
pub(super) struct Told<'e> {
    pub(super) sub: Option<&'e Subject>,
    pub(super) client_id: Option<&'e ClientId>,
    pub(super) session_id: Option<&'e SessionId>,
    pub(super) details: Value,
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

    pub(super) fn told(&self) -> Told<'e> {
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
