//! What the trail knows of, with what belongs to each.

mod told;

use crate::sign_ins::Failures;
use protocol::{
    ApprovalId, ClientId, ConsentId, Jti, Scope, SessionId, SigningAlg, Subject, Timestamp, wire_enum,
};

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
