//! Whether an account was signed in to in this browser before: what its person is told of depends on it.
//!
//! A browser keeps a cookie of 256 random bits for that, of which a digest is stored for each account that was signed in
//! to with it. It outlives sign-out, and signs nobody in. A value that we have never stored is replaced, so nobody can
//! choose one for somebody else's browser.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::opaque::{self, Kind};
use protocol::{FlowId, Secret, Timestamp};

use super::{SignIn, current};

/// For so long a browser that is not used is known again.
const REMEMBERED: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Of one account: whoever signs in all the time and keeps no cookies fills the table with no more.
const MOST: i64 = 100;
/// Any more that there are by an accident go the next time.
const FORGET_OLDEST: &str = "DELETE FROM devices WHERE device_id IN \
    (SELECT device_id FROM devices WHERE sub = $1 ORDER BY last_used_at DESC, device_id LIMIT 100 OFFSET $2)";

/// The browser of a sign-in.
pub(super) struct Recognised {
    pub(super) device_id: String,
    /// The value of its cookie from now on.
    pub(super) cookie: Secret,
    /// The account was signed in to before, and not in this browser.
    pub(super) is_new: bool,
}

const TOUCH: &str = "UPDATE devices SET last_used_at = $3 WHERE sub = $1 AND digest = $2 RETURNING device_id";
const IS_STORED: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM devices WHERE digest = $1 LIMIT 1) AS found";
/// Also before browsers were remembered.
const BEFORE: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM devices WHERE sub = $1 \
    UNION ALL SELECT 1 FROM sessions WHERE sub = $1 LIMIT 1) AS found";
const INSERT: &str = "INSERT INTO devices (device_id, sub, digest, first_used_at, last_used_at) \
    VALUES ($1, $2, $3, $4, $4) \
    ON CONFLICT (sub, digest) DO UPDATE SET last_used_at = $4 RETURNING device_id";

/// Expects the proof not to be recorded yet.
pub(super) async fn recognise(sign_in: &SignIn, conn: &mut Conn, now: Timestamp) -> db::Result<Recognised> {
    let sub = sign_in.sub.as_str();
    let mut cookie = None;
    if let Some(presented) = &sign_in.device {
        let digest = seal::digest(presented.expose());
        let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(TOUCH)
            .bind(sub)
            .bind(&digest)
            .bind(now.as_secs())
            .fetch_optional(c))?;
        if let Some((device_id,)) = row {
            return Ok(Recognised {
                device_id,
                cookie: presented.clone(),
                is_new: false,
            });
        }
        // Somebody else uses this browser too.
        let (stored,): (i64,) = run!(conn, |c| sqlx::query_as(IS_STORED).bind(&digest).fetch_one(c))?;
        cookie = (stored > 0).then(|| presented.clone());
    }
    let cookie = cookie.unwrap_or_else(|| opaque::random(Kind::Device));
    let (before,): (i64,) = run!(conn, |c| sqlx::query_as(BEFORE).bind(sub).fetch_one(c))?;
    let is_new = before > 0
        && !is_second_click(sign_in, conn).await?
        && !is_signed_in_here(sign_in, conn, now).await?;
    let (device_id,): (String,) = run!(conn, |c| sqlx::query_as(INSERT)
        .bind(protocol::random::id())
        .bind(sub)
        .bind(seal::digest(cookie.expose()))
        .bind(now.as_secs())
        .fetch_one(c))?;
    execute!(conn, sqlx::query(FORGET_OLDEST).bind(sub).bind(MOST))?;
    Ok(Recognised {
        device_id,
        cookie,
        is_new,
    })
}

/// A session of before browsers were remembered.
async fn is_signed_in_here(sign_in: &SignIn, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let Some(presented) = &sign_in.presented else {
        return Ok(false);
    };
    let sessions = current(presented, conn, now).await?;
    Ok(sessions.is_some_and(|sessions| sessions.iter().any(|session| session.sub == sign_in.sub)))
}

const OF_FLOW: &str = "SELECT COUNT(*) FROM authentications a JOIN sessions s ON s.session_id = a.session_id \
    WHERE s.sub = $1 AND a.flow_id = $2";

/// The form was sent twice: a flow belongs to one browser, which had no cookie yet at either click.
async fn is_second_click(sign_in: &SignIn, conn: &mut Conn) -> db::Result<bool> {
    let Some(flow_id) = sign_in.flow_id.as_ref().map(FlowId::as_str) else {
        return Ok(false);
    };
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(OF_FLOW)
        .bind(sign_in.sub.as_str())
        .bind(flow_id)
        .fetch_one(c))?;
    Ok(count > 0)
}

const SWEEP: &str = "DELETE FROM devices WHERE device_id IN \
    (SELECT device_id FROM devices WHERE last_used_at <= $1 ORDER BY last_used_at LIMIT $2)";

/// Forgets browsers that nobody used for long, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails.
pub async fn forget(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP)
            .bind((now - REMEMBERED).as_secs())
            .bind(i64::from(limit))
    )?)
}
