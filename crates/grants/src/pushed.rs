//! Authorization requests that a client pushed: RFC 9126 §2.2. Kept by the digest of their reference for a minute.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{ClientId, Timestamp};

use crate::Flow;

/// How long a reference may be brought here. What came of it then has the life of any flow.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// Of a client that proves nothing anybody can push: they do not fill the table.
const MOST_OF_PUBLIC: i64 = 200;

const ALIVE: &str = "SELECT COUNT(*) FROM pushed_requests WHERE client_id = $1 AND expires_at > $2";
const KEEP: &str =
    "INSERT INTO pushed_requests (digest, client_id, flow, expires_at) VALUES ($1, $2, $3, $4)";

/// Keeps the flow that will come of a request, and returns the reference to it: 256 random bits. None when a public
/// client has too many. Expects a connection inside a transaction.
///
/// # Errors
/// The database's failures.
pub async fn keep(flow: &Flow, public: bool, conn: &mut Conn, now: Timestamp) -> db::Result<Option<String>> {
    let client_id = flow.request().client_id.as_str();
    if public {
        let (alive,): (i64,) = run!(conn, |c| sqlx::query_as(ALIVE)
            .bind(client_id)
            .bind(now.as_secs())
            .fetch_one(c))?;
        if alive >= MOST_OF_PUBLIC {
            return Ok(None);
        }
    }
    let reference = protocol::random::token();
    let json = serde_json::to_string(flow).map_err(db::Error::corrupt)?;
    execute!(
        conn,
        sqlx::query(KEEP)
            .bind(seal::digest(&reference))
            .bind(client_id)
            .bind(json)
            .bind((now + LIFETIME).as_secs())
    )?;
    Ok(Some(reference))
}

const FIND: &str =
    "SELECT flow FROM pushed_requests WHERE digest = $1 AND client_id = $2 AND expires_at > $3";

/// # Errors
/// The database's failures.
pub async fn find(
    reference: &str,
    client_id: &ClientId,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<Flow>> {
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(FIND)
        .bind(seal::digest(reference))
        .bind(client_id.as_str())
        .bind(now.as_secs())
        .fetch_optional(c))?;
    row.map(|(json,)| serde_json::from_str(&json).map_err(db::Error::corrupt))
        .transpose()
}

const FORGET: &str = "DELETE FROM pushed_requests WHERE digest IN \
    (SELECT digest FROM pushed_requests WHERE expires_at <= $1 LIMIT $2)";

/// Deletes what has expired, at most so many. How many there were.
///
/// # Errors
/// The database's failures.
pub async fn forget(most: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(FORGET).bind(now.as_secs()).bind(i64::from(most))
    )?)
}
