//! Accounts whose people wanted them deleted, and did not come back in time.
//!
//! Everything of theirs ended when they asked; what is left are records. What our tokens mean elsewhere is told by the
//! feed, which keeps its own.

use accounts::deletion;
use db::{Database, execute};
use protocol::{Subject, Timestamp};

const FORGET_APPROVALS: &str = "DELETE FROM approvals WHERE sub = $1";

/// Deletes accounts whose time was over by then, at most `limit`; says how many those were. One that cannot be deleted
/// keeps no other.
///
/// # Errors
/// When the database cannot be asked which those are.
pub async fn delete_overdue(
    limit: u32,
    db: &Database,
    by_then: Timestamp,
    now: Timestamp,
) -> db::Result<usize> {
    let overdue = {
        let mut conn = db.reader().await?;
        deletion::overdue(limit, &mut conn, by_then).await?
    };
    let mut deleted = 0;
    for sub in overdue {
        let done = db.transact(move |conn| Box::pin(async move { delete(&sub, conn, now).await }));
        match done.await {
            Ok(done) => deleted += usize::from(done),
            Err(error) => tracing::warn!(%error, "an account that its person wants deleted could not be"),
        }
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
