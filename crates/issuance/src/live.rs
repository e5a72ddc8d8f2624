//! Whether an approval is live: the one condition under which a token is minted, and one is believed.
//!
//! Approval, client, user, consent and session are asked at this very moment, whatever was read before. A
//! service has no user: its client's generation speaks for it.

use db::{Conn, run};
use protocol::{ApprovalId, ClientId, Timestamp};

/// The condition on a row of `approvals`, at an instant of SQL. The session counts unless the approval
/// outlives it, and then with the user's epoch: what was proven before a credential changed is void. So is a
/// session from before the database was restored, or from that second: nobody can say which came first.
macro_rules! live {
    ($now:literal) => {
        concat!(
            "approvals.ended_at IS NULL AND approvals.live_until > ",
            $now,
            " AND EXISTS (SELECT 1 FROM clients c WHERE c.client_id = approvals.client_id \
                AND c.generation = approvals.client_generation) \
             AND (approvals.sub IS NULL OR (EXISTS (SELECT 1 FROM consents k \
                WHERE k.consent_id = approvals.consent_id AND k.ended_at IS NULL) \
             AND EXISTS (SELECT 1 FROM users u WHERE u.sub = approvals.sub AND u.disabled_at IS NULL \
                AND (approvals.offline OR EXISTS (SELECT 1 FROM sessions l \
                    WHERE l.session_id = approvals.session_id AND l.epoch = u.epoch AND l.ended_at IS NULL \
                    AND l.created_at > (SELECT f.epoch FROM revocation_feed f WHERE f.one = 1) AND l.idle_until > ",
            $now,
            " AND l.expires_at > ",
            $now,
            ")))))"
        )
    };
}
pub(crate) use live;

/// With the first moment at which it can end by itself: its own end, or that of the session it does not outlive.
const IS_LIVE: &str = concat!(
    "SELECT approvals.live_until, s.idle_until, s.expires_at FROM approvals \
     LEFT JOIN sessions s ON s.session_id = approvals.session_id AND NOT approvals.offline \
     WHERE approvals.approval_id = $1 AND ",
    live!("$2")
);
const STANDING: &str = concat!(
    "SELECT approvals.approval_id, approvals.created_at FROM approvals WHERE approvals.client_id = $1 \
     AND approvals.client_generation = $2 AND approvals.sub IS NULL AND ",
    live!("$3")
);

/// # Errors
/// When the database fails: then nobody may assume that it is.
pub(crate) async fn is_live(id: &ApprovalId, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    Ok(live_until(id, conn, now).await?.is_some())
}

/// Until when an approval is live if nobody ends it; `None` when it is not.
///
/// # Errors
/// When the database fails: then nobody may assume that it is.
pub(crate) async fn live_until(
    id: &ApprovalId,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<Timestamp>> {
    let found: Option<(i64, Option<i64>, Option<i64>)> = run!(conn, |c| sqlx::query_as(IS_LIVE)
        .bind(id.as_str())
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(found.map(|(own, idle, absolute)| {
        let ends = [Some(own), idle, absolute];
        Timestamp::from_secs(ends.into_iter().flatten().min().unwrap_or(own))
    }))
}

/// The live standing approval of a client at this generation, and since when it stands.
///
/// # Errors
/// When the database fails.
pub(crate) async fn standing(
    client_id: &ClientId,
    generation: i64,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<(ApprovalId, Timestamp)>> {
    let found: Option<(String, i64)> = run!(conn, |c| sqlx::query_as(STANDING)
        .bind(client_id.as_str())
        .bind(generation)
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(found.map(|(id, created_at)| (id.into(), Timestamp::from_secs(created_at))))
}
