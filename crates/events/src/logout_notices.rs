//! The outbox of logout notices: OpenID Connect Back-Channel Logout 1.0 §2.5.
//!
//! A row is written in the transaction that ends the session, and deleted when its client has heard: no crash loses
//! one in between. Whoever takes a row moves it on in the same statement, so two replicas do not send it at once, and
//! one that dies with it leaves it to the others when the lease ends. A client may still hear twice, when the process
//! dies between the answer and the deletion.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{ClientId, SessionId, Subject, Timestamp};

/// For so long nobody else takes what one has taken. Longer than an attempt can last.
pub const LEASE: Duration = Duration::from_secs(60);

/// One session that ended, and one client that is to hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub session_id: SessionId,
    pub client_id: ClientId,
    pub sub: Subject,
    pub ended_at: Timestamp,
    /// How often it was taken, this time included. Names whoever holds it.
    pub tries: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    session_id: String,
    client_id: String,
    sub: String,
    ended_at: i64,
    tries: i64,
}

impl From<Row> for Notice {
    fn from(row: Row) -> Self {
        Self {
            session_id: row.session_id.into(),
            client_id: row.client_id.into(),
            sub: row.sub.into(),
            ended_at: Timestamp::from_secs(row.ended_at),
            tries: row.tries,
        }
    }
}

const TAKE: &str = "UPDATE logout_notices SET due_at = $1, tries = tries + 1 WHERE (session_id, client_id) IN \
    (SELECT session_id, client_id FROM logout_notices WHERE due_at <= $2 \
    AND client_id NOT IN (SELECT value FROM json_each($3)) ORDER BY tries, due_at LIMIT $4) \
    RETURNING session_id, client_id, sub, ended_at, tries";
/// What another replica is taking is left to it: nobody waits, and no two wait for each other.
const TAKE_UNLOCKED: &str = "WITH due AS MATERIALIZED (SELECT session_id, client_id FROM logout_notices \
    WHERE due_at <= $2 AND client_id NOT IN (SELECT jsonb_array_elements_text($3::jsonb)) \
    ORDER BY tries, due_at LIMIT $4 FOR UPDATE SKIP LOCKED) \
    UPDATE logout_notices n SET due_at = $1, tries = n.tries + 1 FROM due \
    WHERE n.session_id = due.session_id AND n.client_id = due.client_id AND n.due_at <= $2 \
    RETURNING n.session_id, n.client_id, n.sub, n.ended_at, n.tries";

/// Takes notices that are due, at most `limit`, for clients other than these. What was never tried comes first: a
/// client that does not answer delays its own notices, not those of others.
///
/// # Errors
/// When the database fails.
pub async fn take(
    limit: usize,
    but: &[ClientId],
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Vec<Notice>> {
    let statement = conn.either(TAKE, TAKE_UNLOCKED);
    let but = serde_json::to_string(but).map_err(db::Error::corrupt)?;
    let limit = i64::try_from(limit).map_err(db::Error::corrupt)?;
    let rows = run!(conn, |c| sqlx::query_as::<_, Row>(statement)
        .bind((now + LEASE).as_secs())
        .bind(now.as_secs())
        .bind(&but)
        .bind(limit)
        .fetch_all(c))?;
    Ok(rows.into_iter().map(Notice::from).collect())
}

const IS_DUE: &str = "SELECT 1 FROM logout_notices WHERE due_at <= $1 LIMIT 1";

/// Whether any is due. Looking keeps no writer busy.
///
/// # Errors
/// When the database fails.
pub async fn is_due(conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let found: Option<(i32,)> = run!(conn, |c| sqlx::query_as(IS_DUE)
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(found.is_some())
}

const DONE: &str = "DELETE FROM logout_notices WHERE session_id = $1 AND client_id = $2";

/// The client has heard, or never will.
///
/// # Errors
/// When the database fails: then it hears again.
pub async fn done(notice: &Notice, conn: &mut Conn) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(DONE)
            .bind(notice.session_id.as_str())
            .bind(notice.client_id.as_str())
    )?;
    Ok(())
}

const AGAIN: &str =
    "UPDATE logout_notices SET due_at = $4 WHERE session_id = $1 AND client_id = $2 AND tries = $3";

/// To be tried again then. Nothing happens where somebody else has taken it since.
///
/// # Errors
/// When the database fails: then it is tried when the lease ends.
pub async fn again(notice: &Notice, due_at: Timestamp, conn: &mut Conn) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(AGAIN)
            .bind(notice.session_id.as_str())
            .bind(notice.client_id.as_str())
            .bind(notice.tries)
            .bind(due_at.as_secs())
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
