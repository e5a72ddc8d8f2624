//! Clients that registered themselves and that nobody used in time: C059.
//!
//! A client is used when a person allowed it something, or when it got an approval of its own. Nothing is written at
//! that moment: whether it was used shows in what it left, so the hot path pays nothing.

use db::{Conn, Database, execute, run};
use events::Context;
use protocol::{ClientId, Timestamp};

use crate::{Act, Outcome, perform_in};

const SETTLE: &str = "UPDATE registrations SET unused_until = NULL WHERE unused_until IS NOT NULL AND \
    (EXISTS (SELECT 1 FROM consents WHERE consents.client_id = registrations.client_id) OR \
    EXISTS (SELECT 1 FROM approvals WHERE approvals.client_id = registrations.client_id))";
const OVERDUE: &str =
    "SELECT client_id FROM registrations WHERE unused_until <= $1 ORDER BY unused_until, client_id LIMIT $2";
/// Whoever allows it something holds the client, or refers to it: it comes wholly before or wholly after.
const HOLD: &str = "SELECT 1 FROM clients WHERE client_id = $1 FOR UPDATE";
const IS_UNUSED: &str = "SELECT 1 FROM registrations WHERE client_id = $1 AND unused_until <= $2 AND \
    NOT EXISTS (SELECT 1 FROM consents WHERE consents.client_id = registrations.client_id) AND \
    NOT EXISTS (SELECT 1 FROM approvals WHERE approvals.client_id = registrations.client_id)";

/// Deletes clients whose time for a first use is over, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails; what was deleted before stays deleted.
pub async fn expire_unused(limit: u32, db: &Database, now: Timestamp) -> db::Result<usize> {
    let overdue = db.transact(move |conn| {
        Box::pin(async move {
            execute!(conn, sqlx::query(SETTLE))?;
            let overdue: Vec<(String,)> = run!(conn, |c| sqlx::query_as(OVERDUE)
                .bind(now.as_secs())
                .bind(i64::from(limit))
                .fetch_all(c))?;
            Ok::<_, db::Error>(overdue)
        })
    });
    let mut expired = 0;
    for (id,) in overdue.await? {
        let id = ClientId::from(id);
        let done = db.transact(move |conn| Box::pin(async move { expire(&id, conn, now).await }));
        expired += usize::from(done.await?);
    }
    Ok(expired)
}

async fn expire(id: &ClientId, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    if let Conn::Postgres(inner) = conn {
        sqlx::query(HOLD).bind(id.as_str()).execute(&mut **inner).await?;
    }
    let unused: Option<(i32,)> = run!(conn, |c| sqlx::query_as(IS_UNUSED)
        .bind(id.as_str())
        .bind(now.as_secs())
        .fetch_optional(c))?;
    if unused.is_none() {
        return Ok(false);
    }
    let act = Act::DeleteClient(id.clone());
    let outcome = perform_in(&act, &Context::server(), conn, now).await?;
    Ok(outcome != Outcome::Unknown)
}
