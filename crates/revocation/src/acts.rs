//! The statements of each act.

use db::{Conn, execute, run};
use protocol::{ApprovalId, Timestamp};

use crate::{Act, Outcome, Reason};

const END_ONE: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE approval_id = $1 AND ended_at IS NULL RETURNING approval_id, access_until";
const END_OF_SESSION: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE session_id = $1 AND NOT offline AND ended_at IS NULL RETURNING approval_id, access_until";
const END_OF_CONSENT: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE consent_id = $1 AND ended_at IS NULL RETURNING approval_id, access_until";
const END_OF_USER: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE sub = $1 AND ended_at IS NULL RETURNING approval_id, access_until";
const END_OF_CLIENT: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE client_id = $1 AND ended_at IS NULL RETURNING approval_id, access_until";

const CLOSE_SESSION: &str = "UPDATE sessions SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL";
const CLOSE_SESSIONS: &str = "UPDATE sessions SET ended_at = $2 WHERE sub = $1 AND ended_at IS NULL";
const CLOSE_CONSENT: &str = "UPDATE consents SET ended_at = $2 WHERE consent_id = $1 AND ended_at IS NULL";
const DISABLE: &str = "UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE sub = $1";
/// Takes the user's lock, so that no approval is written in between.
const TOUCH: &str = "UPDATE users SET epoch = epoch WHERE sub = $1 AND $2 > 0";
const CLIENT_GENERATION: &str = "UPDATE clients SET generation = generation + 1, updated_at = $2 WHERE client_id = $1 RETURNING generation";
const DELETE_CLIENT: &str = "DELETE FROM clients WHERE client_id = $1";

pub(crate) async fn perform(act: &Act, conn: &mut Conn, now: Timestamp) -> db::Result<Outcome> {
    match act {
        Act::EndApproval(id, reason) => end(END_ONE, id.as_str(), *reason, conn, now).await,
        Act::EndSession(id) => {
            if !change(CLOSE_SESSION, id.as_str(), conn, now).await? {
                return Ok(Outcome::Unknown);
            }
            end(END_OF_SESSION, id.as_str(), Reason::SignedOut, conn, now).await
        }
        Act::WithdrawConsent(id) => {
            if !change(CLOSE_CONSENT, id.as_str(), conn, now).await? {
                return Ok(Outcome::Unknown);
            }
            end(END_OF_CONSENT, id.as_str(), Reason::ConsentWithdrawn, conn, now).await
        }
        Act::DisableUser(sub) => end_user(DISABLE, sub.as_str(), Reason::UserDisabled, conn, now).await,
        Act::RevokeUser(sub) => end_user(TOUCH, sub.as_str(), Reason::UserRevoked, conn, now).await,
        Act::DeleteClient(id) => {
            let raised: Option<(i64,)> = run!(conn, |c| sqlx::query_as(CLIENT_GENERATION)
                .bind(id.as_str())
                .bind(now.as_secs())
                .fetch_optional(c))?;
            let Some((generation,)) = raised else {
                return Ok(Outcome::Unknown);
            };
            let outcome = end(END_OF_CLIENT, id.as_str(), Reason::ClientDeleted, conn, now).await?;
            execute!(conn, sqlx::query(DELETE_CLIENT).bind(id.as_str()))?;
            events::revocations::client_ended(id, generation, now + LONGEST_ACCESS, conn).await?;
            Ok(outcome)
        }
    }
}

/// Access tokens live at most this long.
const LONGEST_ACCESS: std::time::Duration = std::time::Duration::from_secs(15 * 60);

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
    change(CLOSE_SESSIONS, sub, conn, now).await?;
    end(END_OF_USER, sub, reason, conn, now).await
}

async fn change(statement: &'static str, id: &str, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    Ok(execute!(conn, sqlx::query(statement).bind(id).bind(now.as_secs()))? > 0)
}

/// Ends the approvals that a statement selects and records those whose access tokens may still be valid.
async fn end(
    statement: &'static str,
    id: &str,
    reason: Reason,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Outcome> {
    let rows: Vec<(String, i64)> = run!(conn, |c| sqlx::query_as(statement)
        .bind(id)
        .bind(now.as_secs())
        .bind(reason.as_str())
        .fetch_all(c))?;
    let ended: Vec<(ApprovalId, Timestamp)> = rows
        .into_iter()
        .map(|(id, until)| (id.into(), Timestamp::from_secs(until)))
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
