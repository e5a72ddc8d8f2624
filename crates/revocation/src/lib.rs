//! Acts that end things across records, one transaction each, with what others must hear of them.
//!
//! Every act ends its approvals in one statement, and each whose access tokens may still be valid leaves a
//! revocation record in the same transaction: there is no moment at which one is true without the other. Locks
//! are taken in the order client, user, browser, session, consent, approval, counter.

mod acts;
mod audience;
mod deleted;
mod imported;
mod restored;
mod trail;
mod unused;

use accounts::sessions::{self, Left};
use db::{Conn, Database};
use events::Context;
use protocol::{ApprovalId, ClientId, ConsentId, Jti, Secret, SessionId, Subject, Timestamp, wire_enum};

pub use audience::{clients_by_session, clients_of, remember_clients, remember_use};
pub use deleted::delete_overdue;
pub use imported::import_user;
pub use restored::{Evidence, begin_feed, restored};
pub use unused::expire_unused;

wire_enum! {
    /// Why an approval ended.
    pub enum Reason {
        /// An authorization code came a second time.
        CodeReplayed => "code_replayed",
        /// A refresh token came back that a lost answer cannot explain.
        RefreshReused => "refresh_reused",
        /// The client gave its refresh token back: RFC 7009.
        TokenRevoked => "token_revoked",
        UserDisabled => "user_disabled",
        UserRevoked => "user_revoked",
        ClientDeleted => "client_deleted",
        ConsentWithdrawn => "consent_withdrawn",
        SignedOut => "signed_out",
        PasswordRecovered => "password_recovered",
        CredentialsChanged => "credentials_changed",
        DeletionAsked => "deletion_asked",
    }
}

/// What an act covers.
#[derive(Clone, Debug)]
pub enum Act {
    /// One approval, with all its tokens.
    EndApproval(ApprovalId, Reason),
    /// One access token, which would live until `exp`: RFC 7009.
    RevokeToken {
        jti: Jti,
        exp: Timestamp,
        client_id: ClientId,
        /// What it came of.
        approval: ApprovalId,
    },
    /// Sign-out: the session, and what does not outlive it.
    EndSession(SessionId),
    WithdrawConsent(ConsentId),
    /// The person cannot sign in, and nothing of theirs works.
    DisableUser(Subject),
    /// Everything of the person ends; signing in anew is possible.
    RevokeUser(Subject),
    /// The same, because they had forgotten their password: whoever knew the old one is out.
    PasswordRecovered(Subject),
    DeleteClient(ClientId),
    /// Sign-out of a session by its own person; another's is unknown to them (C086).
    EndSessionOf(SessionId, Subject),
    /// Every session of the person but this one, with what does not outlive them.
    EndOtherSessions {
        sub: Subject,
        kept: SessionId,
    },
    /// The person takes back what they allowed an app, which is told to sign them out as well; another's consent is
    /// unknown to them.
    RemoveApp(ConsentId, Subject),
    /// Another password or address: every session but this one ends, and on wish everything that apps have (C067).
    CredentialsChanged {
        sub: Subject,
        kept: SessionId,
        change: Change,
        apps: Apps,
    },
    /// The person wants their account deleted: everything of it ends now.
    DeletionAsked(Subject),
}

/// What a person changed about how they sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Password,
    Email,
}

/// What becomes of apps when a credential changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apps {
    /// Their access ends as well.
    Disconnected,
    /// What was allowed to outlive a session stays.
    Kept,
}

/// What an act did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// How many approvals ended.
    Ended(usize),
    /// There is no such user, client, session or consent; of other sessions, none.
    Unknown,
}

/// Carries out an act.
///
/// # Errors
/// When the database fails: then nothing was changed.
pub async fn perform(act: Act, by: &Context, db: &Database, now: Timestamp) -> db::Result<Outcome> {
    if let Act::EndApproval(id, _) = &act
        && acts::has_ended(id, db).await?
    {
        return Ok(Outcome::Ended(0));
    }
    let by = by.clone();
    db.transact(move |conn| Box::pin(async move { perform_in(&act, &by, conn, now).await }))
        .await
}

/// The same as a part of a transaction.
///
/// # Errors
/// When the database fails: then the transaction has to fail as well.
pub async fn perform_in(act: &Act, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<Outcome> {
    let whom = trail::Whom::of(act, conn).await?;
    let outcome = acts::perform(act, conn, now).await?;
    trail::record(act, outcome, &whom, by, conn, now).await?;
    Ok(outcome)
}

/// Ends a session of this browser by its own person, and renews the cookie that was presented: a copy of it would still be
/// good for the others (C062). What ended, and what becomes of the cookie. A part of a transaction.
///
/// # Errors
/// When the database fails: then the transaction has to fail as well.
pub async fn end_here(
    (session, sub): (SessionId, Subject),
    presented: Option<&Secret>,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<(Outcome, Left)> {
    sessions::hold(presented, conn).await?;
    let outcome = perform_in(&Act::EndSessionOf(session, sub), by, conn, now).await?;
    let left = match (outcome, presented) {
        (Outcome::Ended(_), Some(presented)) => sessions::leave(presented, conn, now).await?,
        _ => Left::Unknown,
    };
    Ok((outcome, left))
}

#[cfg(test)]
mod tests;
