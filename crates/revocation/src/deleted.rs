//! Accounts whose people wanted them deleted, and did not come back in time.
//!
//! Everything of theirs ended when they asked; what is left are records. What our tokens mean elsewhere is told by the
//! feed, which keeps its own.

use accounts::deletion;
use db::{Database, execute};
use protocol::{Subject, Timestamp};

const FORGET_APPROVALS: &str = "DELETE FROM approvals WHERE sub = $1";

/// Deletes accounts whose time is over, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails; what was deleted before stays deleted.
pub async fn delete_overdue(limit: u32, db: &Database, now: Timestamp) -> db::Result<usize> {
    let overdue = {
        let mut conn = db.reader().await?;
        deletion::overdue(limit, &mut conn, now).await?
    };
    let mut deleted = 0;
    for sub in overdue {
        let done = db.transact(move |conn| Box::pin(async move { delete(&sub, conn, now).await }));
        deleted += usize::from(done.await?);
    }
    Ok(deleted)
}

async fn delete(sub: &Subject, conn: &mut db::Conn, now: Timestamp) -> db::Result<bool> {
    if !deletion::carry_out(sub, conn, now).await? {
        return Ok(false);
    }
    execute!(conn, sqlx::query(FORGET_APPROVALS).bind(sub.as_str()))?;
    tracing::info!(%sub, "an account was deleted");
    Ok(true)
}
