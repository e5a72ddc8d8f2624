//! What becomes of a browser's cookie when sessions in it have ended.
//!
//! It changes at sign-out as it does at sign-in: the attack is a copy of the old value, which would otherwise
//! still open the sessions of the other users.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::opaque::{self, Kind};
use protocol::{Secret, Timestamp};

use super::current;
use super::sign_in::max_age;

const RENEW: &str = "UPDATE browsers SET token_digest = $2 WHERE token_digest = $1 AND expires_at > $3 \
    RETURNING browser_id";
const END: &str = "UPDATE browsers SET expires_at = $2 WHERE token_digest = $1";

const HOLD: &str = "SELECT browser_id FROM browsers WHERE token_digest = $1 FOR UPDATE";

/// Locks the browser, before a session in it is ended and the browser [left](leave): a sign-in takes the two in this order,
/// and of the two acts one would otherwise be refused for waiting for the other.
///
/// # Errors
/// When the database fails.
pub async fn hold(presented: Option<&Secret>, conn: &mut Conn) -> db::Result<()> {
    let Some(digest) = presented.and_then(super::current::digest) else {
        return Ok(());
    };
    // SQLite has one writer, and this is it.
    if let Conn::Postgres(inner) = conn {
        sqlx::query(HOLD).bind(&digest).execute(&mut **inner).await?;
    }
    Ok(())
}

/// What the browser is to do with its cookie.
#[derive(Clone, Debug)]
pub enum Left {
    /// Others are still signed in. `max_age` is as at sign-in.
    Renewed {
        cookie: Secret,
        max_age: Option<Duration>,
    },
    /// Nobody is: it may forget the cookie, which is worth nothing any more.
    Empty,
    /// Nothing: the value presented had been replaced before, perhaps by a sign-in in another tab.
    Unknown,
}

/// Replaces the cookie that was presented, after sessions of its browser ended.
pub async fn leave(presented: &Secret, conn: &mut Conn, now: Timestamp) -> db::Result<Left> {
    let Some(digest) = super::current::digest(presented) else {
        return Ok(Left::Unknown);
    };
    let cookie = opaque::random(Kind::Browser);
    let renewed = seal::digest(cookie.expose());
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(RENEW)
        .bind(&digest)
        .bind(&renewed)
        .bind(now.as_secs())
        .fetch_optional(c))?;
    if row.is_none() {
        return Ok(Left::Unknown);
    }
    if let Some(sessions) = current(&cookie, conn, now).await? {
        let max_age = max_age(&sessions);
        return Ok(Left::Renewed { cookie, max_age });
    }
    execute!(conn, sqlx::query(END).bind(&renewed).bind(now.as_secs()))?;
    Ok(Left::Empty)
}
