//! The statements of each act.

use db::{Conn, execute, run};
use protocol::{ApprovalId, ClientId, Timestamp, access_token};

use crate::{Act, Outcome, Reason};

const END_ONE: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE approval_id = $1 AND ended_at IS NULL RETURNING approval_id, access_until";
const END_OF_SESSION: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE session_id = $1 AND NOT offline AND ended_at IS NULL RETURNING approval_id, access_until";
const END_OF_CONSENT: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE consent_id = $1 AND ended_at IS NULL RETURNING approval_id, access_until";
const END_OF_USER: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE sub = $1 AND ended_at IS NULL RETURNING approval_id, access_until";
/// No record for each: one of the client says it all.
const END_OF_CLIENT: &str = "UPDATE approvals SET ended_at = $2, ended_reason = $3 \
    WHERE client_id = $1 AND sub IS NOT NULL AND ended_at IS NULL";
/// It has no end at which it would be forgotten.
const DELETE_STANDING: &str = "DELETE FROM approvals WHERE client_id = $1 AND sub IS NULL";

const CLOSE_SESSION: &str = "UPDATE sessions SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL";
const CLOSE_SESSIONS: &str = "UPDATE sessions SET ended_at = $2 WHERE sub = $1 AND ended_at IS NULL";
const CLOSE_CONSENT: &str = "UPDATE consents SET ended_at = $2 WHERE consent_id = $1 AND ended_at IS NULL";
const DISABLE: &str = "UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE sub = $1";
/// Takes the user's lock, so that no approval is written in between.
const TOUCH: &str = "UPDATE users SET epoch = epoch WHERE sub = $1 AND $2 > 0";
/// With its consents, before the approvals: locks are taken in one order everywhere.
const DELETE_CLIENT: &str = "DELETE FROM clients WHERE client_id = $1 RETURNING generation";

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
        Act::RevokeToken { jti, exp } => {
            events::revocations::token_ended(jti, *exp, conn).await?;
            tracing::info!(%jti, "an access token was revoked");
            Ok(Outcome::Ended(0))
        }
        Act::DeleteClient(id) => delete_client(id, conn, now).await,
    }
}

async fn delete_client(id: &ClientId, conn: &mut Conn, now: Timestamp) -> db::Result<Outcome> {
    let deleted: Option<(i64,)> = run!(conn, |c| sqlx::query_as(DELETE_CLIENT)
        .bind(id.as_str())
        .fetch_optional(c))?;
    let Some((generation,)) = deleted else {
        return Ok(Outcome::Unknown);
    };
    let of_users = execute!(
        conn,
        sqlx::query(END_OF_CLIENT)
            .bind(id.as_str())
            .bind(now.as_secs())
            .bind(Reason::ClientDeleted.as_str())
    )?;
    let standing = execute!(conn, sqlx::query(DELETE_STANDING).bind(id.as_str()))?;
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
