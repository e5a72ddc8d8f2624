//! The statements of each act.

use db::{Conn, Database, execute, run};
use events::changes::{self, Topic};
use protocol::{ApprovalId, ClientId, SessionId, Subject, Timestamp, access_token};

use crate::{Act, Apps, Outcome, Reason, audience};

/// The live approvals that an act ends.
struct Covered {
    /// Locks them in the order of their ids, as the batches of the gate do: otherwise the two could wait for each
    /// other, and a revocation be the one that gives way.
    lock: &'static str,
    end: &'static str,
}

macro_rules! covered {
    ($which:literal) => {
        Covered {
            lock: concat!(
                "SELECT COUNT(*) FROM (SELECT approval_id FROM approvals WHERE ",
                $which,
                " AND ended_at IS NULL ORDER BY approval_id FOR UPDATE) AS held"
            ),
            end: concat!(
                "UPDATE approvals SET ended_at = $2, ended_reason = $3 WHERE ",
                $which,
                " AND ended_at IS NULL RETURNING approval_id, access_until"
            ),
        }
    };
}

const ONE: Covered = covered!("approval_id = $1");
const OF_SESSION: Covered = covered!("session_id = $1 AND NOT offline");
/// Of sessions of this user that have ended: what does not outlive them, and codes that nobody has redeemed yet. An app
/// that is only now being signed in to is not one that is to stay.
const OF_ENDED_SESSIONS: Covered = covered!(
    "sub = $1 AND EXISTS (SELECT 1 FROM sessions s WHERE s.session_id = approvals.session_id \
     AND s.ended_at IS NOT NULL) AND (NOT offline OR EXISTS (SELECT 1 FROM codes k \
     WHERE k.approval_id = approvals.approval_id AND k.claimed_at IS NULL))"
);
const OF_CONSENT: Covered = covered!("consent_id = $1");
const OF_USER: Covered = covered!("sub = $1");
const OF_CLIENT: Covered = covered!("client_id = $1 AND sub IS NOT NULL");
/// It has no end at which it would be forgotten.
const DELETE_STANDING: &str = "DELETE FROM approvals WHERE client_id = $1 AND sub IS NULL";

const CLOSE_SESSION: &str = "UPDATE sessions SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL";
const CLOSE_SESSIONS: &str =
    "UPDATE sessions SET ended_at = $2 WHERE sub = $1 AND ended_at IS NULL RETURNING session_id";
const CLOSE_SESSION_OF: &str =
    "UPDATE sessions SET ended_at = $2 WHERE session_id = $1 AND sub = $3 AND ended_at IS NULL";
const CLOSE_OTHER_SESSIONS: &str = "UPDATE sessions SET ended_at = $2 \
    WHERE sub = $1 AND session_id <> $3 AND ended_at IS NULL RETURNING session_id";
const CLOSE_CONSENT_OF: &str =
    "UPDATE consents SET ended_at = $2 WHERE consent_id = $1 AND sub = $3 AND ended_at IS NULL";
const CLOSE_CONSENT: &str = "UPDATE consents SET ended_at = $2 WHERE consent_id = $1 AND ended_at IS NULL";
const DISABLE: &str = "UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE sub = $1";
/// Takes the user's lock, so that no approval is written in between.
const TOUCH: &str = "UPDATE users SET epoch = epoch WHERE sub = $1 AND $2 > 0";
/// With its consents, before the approvals: locks are taken in one order everywhere.
const DELETE_CLIENT: &str = "DELETE FROM clients WHERE client_id = $1 RETURNING generation";

const HAS_ENDED: &str = "SELECT COUNT(*) FROM approvals WHERE approval_id = $1 AND ended_at IS NOT NULL";

/// What has ended stays ended. Asked before a transaction is begun: of a thousand who send the same used code, all
/// would wait in line for the same row.
pub(crate) async fn has_ended(id: &ApprovalId, db: &Database) -> db::Result<bool> {
    let mut conn = db.reader().await?;
    let (count,): (i64,) = run!(&mut conn, |c| sqlx::query_as(HAS_ENDED)
        .bind(id.as_str())
        .fetch_one(c))?;
    Ok(count > 0)
}

pub(crate) async fn perform(act: &Act, conn: &mut Conn, now: Timestamp) -> db::Result<Outcome> {
    match act {
        Act::EndApproval(id, reason) => end(&ONE, id.as_str(), *reason, conn, now).await,
        Act::EndSession(id) => {
            if !change(CLOSE_SESSION, id.as_str(), conn, now).await? {
                return Ok(Outcome::Unknown);
            }
            let ended = end(&OF_SESSION, id.as_str(), Reason::SignedOut, conn, now).await?;
            audience::notify(id.as_str(), conn, now).await?;
            Ok(ended)
        }
        Act::WithdrawConsent(id) => {
            if !change(CLOSE_CONSENT, id.as_str(), conn, now).await? {
                return Ok(Outcome::Unknown);
            }
            end(&OF_CONSENT, id.as_str(), Reason::ConsentWithdrawn, conn, now).await
        }
        Act::DisableUser(sub) => end_user(DISABLE, sub.as_str(), Reason::UserDisabled, conn, now).await,
        Act::RevokeUser(sub) => end_user(TOUCH, sub.as_str(), Reason::UserRevoked, conn, now).await,
        Act::PasswordRecovered(sub) => {
            end_user(TOUCH, sub.as_str(), Reason::PasswordRecovered, conn, now).await
        }
        Act::RevokeToken { jti, exp, .. } => {
            events::revocations::token_ended(jti, *exp, conn).await?;
            tracing::info!(%jti, "an access token was revoked");
            Ok(Outcome::Ended(0))
        }
        Act::DeleteClient(id) => delete_client(id, conn, now).await,
        Act::EndSessionOf(id, sub) => {
            if !change_of(CLOSE_SESSION_OF, id.as_str(), sub, conn, now).await? {
                return Ok(Outcome::Unknown);
            }
            let ended = end(&OF_SESSION, id.as_str(), Reason::SignedOut, conn, now).await?;
            audience::notify(id.as_str(), conn, now).await?;
            Ok(ended)
        }
        Act::EndOtherSessions { sub, kept } => {
            let (closed, outcome) =
                end_others(sub, kept, (&OF_ENDED_SESSIONS, Reason::SignedOut), conn, now).await?;
            // There was no other: nothing happened that anybody should be told of.
            Ok(match (closed, outcome) {
                (0, Outcome::Ended(0)) => Outcome::Unknown,
                _ => outcome,
            })
        }
        Act::RemoveApp(id, sub) => {
            if !change_of(CLOSE_CONSENT_OF, id.as_str(), sub, conn, now).await? {
                return Ok(Outcome::Unknown);
            }
            let ended = end(&OF_CONSENT, id.as_str(), Reason::ConsentWithdrawn, conn, now).await?;
            audience::notify_app(id.as_str(), conn, now).await?;
            Ok(ended)
        }
        Act::CredentialsChanged { sub, kept, apps, .. } => {
            let covered = match apps {
                Apps::Disconnected => &OF_USER,
                Apps::Kept => &OF_ENDED_SESSIONS,
            };
            let (_, outcome) =
                end_others(sub, kept, (covered, Reason::CredentialsChanged), conn, now).await?;
            Ok(outcome)
        }
        Act::DeletionAsked(sub) => end_user(TOUCH, sub.as_str(), Reason::DeletionAsked, conn, now).await,
    }
}

/// Ends every session of a user but one, and the approvals that are covered; says how many sessions those were.
async fn end_others(
    sub: &Subject,
    kept: &SessionId,
    (covered, reason): (&Covered, Reason),
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<(usize, Outcome)> {
    if !change(TOUCH, sub.as_str(), conn, now).await? {
        return Ok((0, Outcome::Unknown));
    }
    let closed: Vec<(String,)> = run!(conn, |c| sqlx::query_as(CLOSE_OTHER_SESSIONS)
        .bind(sub.as_str())
        .bind(now.as_secs())
        .bind(kept.as_str())
        .fetch_all(c))?;
    let ended = end(covered, sub.as_str(), reason, conn, now).await?;
    let count = closed.len();
    for (session,) in closed {
        audience::notify(&session, conn, now).await?;
    }
    Ok((count, ended))
}

async fn delete_client(id: &ClientId, conn: &mut Conn, now: Timestamp) -> db::Result<Outcome> {
    let deleted: Option<(i64,)> = run!(conn, |c| sqlx::query_as(DELETE_CLIENT)
        .bind(id.as_str())
        .fetch_optional(c))?;
    let Some((generation,)) = deleted else {
        return Ok(Outcome::Unknown);
    };
    // No record for each: one of the client says it all.
    OF_CLIENT.hold(id.as_str(), conn).await?;
    let of_users = execute!(
        conn,
        sqlx::query(OF_CLIENT.end)
            .bind(id.as_str())
            .bind(now.as_secs())
            .bind(Reason::ClientDeleted.as_str())
    )?;
    let standing = execute!(conn, sqlx::query(DELETE_STANDING).bind(id.as_str()))?;
    changes::bump(Topic::Clients, conn).await?;
    let until = now + access_token::LIFE;
    events::revocations::client_ended(id, generation.saturating_add(1), until, conn).await?;
    let ended = usize::try_from(of_users + standing).map_err(db::Error::corrupt)?;
    tracing::info!(
        reason = Reason::ClientDeleted.as_str(),
        approvals = ended,
        "access was ended"
    );
    Ok(Outcome::Ended(ended))
}

async fn end_user(
    first: &'static str,
    sub: &str,
    reason: Reason,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Outcome> {
    if !change(first, sub, conn, now).await? {
        return Ok(Outcome::Unknown);
    }
    let closed: Vec<(String,)> = run!(conn, |c| sqlx::query_as(CLOSE_SESSIONS)
        .bind(sub)
        .bind(now.as_secs())
        .fetch_all(c))?;
    let ended = end(&OF_USER, sub, reason, conn, now).await?;
    for (session,) in closed {
        audience::notify(&session, conn, now).await?;
    }
    Ok(ended)
}

/// Ends the sessions of a user whose row this transaction has changed, with what does not outlive them.
pub(crate) async fn end_sessions(sub: &Subject, conn: &mut Conn, now: Timestamp) -> db::Result<Outcome> {
    let closed: Vec<(String,)> = run!(conn, |c| sqlx::query_as(CLOSE_SESSIONS)
        .bind(sub.as_str())
        .bind(now.as_secs())
        .fetch_all(c))?;
    let reason = Reason::CredentialsChanged;
    let ended = end(&OF_ENDED_SESSIONS, sub.as_str(), reason, conn, now).await?;
    for (session,) in closed {
        audience::notify(&session, conn, now).await?;
    }
    Ok(ended)
}

async fn change(statement: &'static str, id: &str, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    Ok(execute!(conn, sqlx::query(statement).bind(id).bind(now.as_secs()))? > 0)
}

/// The same for what belongs to this user only: whose it is stands in the statement (C086).
async fn change_of(
    statement: &'static str,
    id: &str,
    sub: &Subject,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<bool> {
    let changed = execute!(
        conn,
        sqlx::query(statement)
            .bind(id)
            .bind(now.as_secs())
            .bind(sub.as_str())
    )?;
    Ok(changed > 0)
}

impl Covered {
    async fn hold(&self, id: &str, conn: &mut Conn) -> db::Result<()> {
        // SQLite has one writer, and this is it.
        if let Conn::Postgres(inner) = conn {
            sqlx::query(self.lock).bind(id).execute(&mut **inner).await?;
        }
        Ok(())
    }
}

/// Ends the approvals that are covered and records those whose access tokens may still be valid.
async fn end(
    covered: &Covered,
    id: &str,
    reason: Reason,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Outcome> {
    covered.hold(id, conn).await?;
    let rows: Vec<(String, i64)> = run!(conn, |c| sqlx::query_as(covered.end)
        .bind(id)
        .bind(now.as_secs())
        .bind(reason.as_str())
        .fetch_all(c))?;
    // A standing approval does not know its tokens; no token lives longer than this.
    let latest = now + access_token::LIFE;
    let ended: Vec<(ApprovalId, Timestamp)> = rows
        .into_iter()
        .map(|(id, until)| (id.into(), latest.min(Timestamp::from_secs(until))))
        .collect();
    events::revocations::approvals_ended(&ended, conn, now).await?;
    if !ended.is_empty() {
        tracing::info!(
            reason = reason.as_str(),
            approvals = ended.len(),
            "access was ended"
        );
    }
    Ok(Outcome::Ended(ended.len()))
}
