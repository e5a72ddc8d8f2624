//! Whether an account was signed in to in this browser before: what its person is told of depends on it.
//!
//! A browser keeps a cookie of 256 random bits for that, of which a digest is stored for each account that was signed in
//! to with it. It outlives sign-out, and signs nobody in. A value that we have never stored is replaced. All who use one
//! browser share its value, so that alone does not make a browser one that an account knows: whoever signs in to their
//! own account on a shared machine can take the value along. Whether the cookie says so of this account is handed in.
//! Without that nobody is told who is signed in to the account in this browser at that moment, nor who clicks twice.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::opaque::{self, Kind};
use protocol::{Secret, Subject, Timestamp};

use super::{SignIn, current};

/// For so long a browser that is not used is known again.
const REMEMBERED: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Of one account: whoever signs in all the time and keeps no cookies fills the table with no more.
const MOST: i64 = 100;
/// Any more that there are by an accident go the next time.
const FORGET_OLDEST: &str = "DELETE FROM devices WHERE device_id IN \
    (SELECT device_id FROM devices WHERE sub = $1 ORDER BY last_used_at DESC, device_id LIMIT 100 OFFSET $2)";

/// What the cookie says by which a browser is known again.
#[derive(Clone, Debug)]
pub struct Acquaintance {
    /// Its value, as far as all who use the browser share it.
    pub browser: Secret,
    /// We have written into it that this account was its person's there.
    pub has_met: bool,
}

/// The browser of a sign-in.
pub(super) struct Recognised {
    pub(super) device_id: String,
    /// The value of its cookie from now on.
    pub(super) cookie: Secret,
    /// The account was signed in to before, and not in this browser.
    pub(super) is_new: bool,
}

const TOUCH: &str =
    "UPDATE devices SET last_used_at = $3, met_in = $4 WHERE sub = $1 AND digest = $2 RETURNING device_id";
const IS_STORED: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM devices WHERE digest = $1 LIMIT 1) AS found";
/// Also before browsers were remembered.
const BEFORE: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM devices WHERE sub = $1 \
    UNION ALL SELECT 1 FROM sessions WHERE sub = $1 LIMIT 1) AS found";
const INSERT: &str = "INSERT INTO devices (device_id, sub, digest, first_used_at, last_used_at, met_in) \
    VALUES ($1, $2, $3, $4, $4, $5) \
    ON CONFLICT (sub, digest) DO UPDATE SET last_used_at = $4, met_in = $5 RETURNING device_id";

/// Expects the proof not to be recorded yet.
pub(super) async fn recognise(sign_in: &SignIn, conn: &mut Conn, now: Timestamp) -> db::Result<Recognised> {
    // Asked before this sign-in is noted.
    let is_unheard_of = is_unheard_of(sign_in, conn, now).await?;
    let (device, met_in) = (sign_in.device.as_ref(), met_in(sign_in));
    if let Some(device) = device {
        let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(TOUCH)
            .bind(sign_in.sub.as_str())
            .bind(seal::digest(device.browser.expose()))
            .bind(now.as_secs())
            .bind(&met_in)
            .fetch_optional(c))?;
        if let Some((device_id,)) = row {
            return Ok(Recognised {
                device_id,
                cookie: device.browser.clone(),
                is_new: !device.has_met && is_unheard_of,
            });
        }
    }
    let cookie = named(device.map(|device| &device.browser), conn).await?;
    let (before,): (i64,) = run!(conn, |c| sqlx::query_as(BEFORE)
        .bind(sign_in.sub.as_str())
        .fetch_one(c))?;
    let device_id = remember(&sign_in.sub, &cookie, met_in.as_deref(), conn, now).await?;
    Ok(Recognised {
        device_id,
        cookie,
        is_new: before > 0 && is_unheard_of,
    })
}

/// Notes that an account became its person's in this browser, or that they showed it to be theirs there, without a
/// sign-in; says what the browser is called from now on. Whoever else signs in there goes on with that name.
///
/// # Errors
/// When the database fails.
pub async fn meet(
    sub: &Subject,
    presented: Option<&Secret>,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    let cookie = named(presented, conn).await?;
    remember(sub, &cookie, None, conn, now).await?;
    Ok(cookie)
}

const FORGET_OF: &str = "DELETE FROM devices WHERE sub = $1";

/// Makes every browser new to this account. Whoever sets a password by a mailed link may have lost the one before to
/// somebody: if those come by the new one as well, their next sign-in is mailed, whatever their cookie says.
///
/// # Errors
/// When the database fails.
pub async fn forget_acquaintances(sub: &Subject, conn: &mut Conn) -> db::Result<()> {
    execute!(conn, sqlx::query(FORGET_OF).bind(sub.as_str()))?;
    Ok(())
}

/// What was presented, if it is of ours: somebody was signed in there.
async fn named(presented: Option<&Secret>, conn: &mut Conn) -> db::Result<Secret> {
    if let Some(presented) = presented {
        let digest = seal::digest(presented.expose());
        let (stored,): (i64,) = run!(conn, |c| sqlx::query_as(IS_STORED).bind(&digest).fetch_one(c))?;
        if stored > 0 {
            return Ok(presented.clone());
        }
    }
    Ok(opaque::random(Kind::Device))
}

async fn remember(
    sub: &Subject,
    cookie: &Secret,
    met_in: Option<&str>,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<String> {
    let (device_id,): (String,) = run!(conn, |c| sqlx::query_as(INSERT)
        .bind(protocol::random::id())
        .bind(sub.as_str())
        .bind(seal::digest(cookie.expose()))
        .bind(now.as_secs())
        .bind(met_in)
        .fetch_one(c))?;
    execute!(conn, sqlx::query(FORGET_OLDEST).bind(sub.as_str()).bind(MOST))?;
    Ok(device_id)
}

/// Nothing else shows that the account is in use there.
async fn is_unheard_of(sign_in: &SignIn, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    Ok(!is_second_click(sign_in, conn, now).await? && !is_signed_in_here(sign_in, conn, now).await?)
}

/// By a session of before browsers were remembered, or of before others signed in there.
async fn is_signed_in_here(sign_in: &SignIn, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let Some(presented) = &sign_in.presented else {
        return Ok(false);
    };
    let sessions = current(presented, conn, now).await?;
    Ok(sessions.is_some_and(|sessions| sessions.iter().any(|session| session.sub == sign_in.sub)))
}

const IN_FLOW: &str = "SELECT COUNT(*) FROM devices WHERE sub = $1 AND met_in = $2 AND last_used_at > $3";
/// Two clicks are closer together.
const BETWEEN_CLICKS: Duration = Duration::from_secs(60);

/// The form was sent twice, by a browser that had no cookie of ours yet at either click but that of its flows. The identifier
/// of the flow says nothing: whoever sends somebody the link that they opened themselves has one in both browsers, and would
/// sign in with a stolen password while nobody is told. Nor does the cookie for long: all who use a browser share it. Of two
/// clicks that PostgreSQL serves at the very same time neither sees the other, and two mails go out.
async fn is_second_click(sign_in: &SignIn, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let Some(met_in) = met_in(sign_in) else {
        return Ok(false);
    };
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(IN_FLOW)
        .bind(sign_in.sub.as_str())
        .bind(&met_in)
        .bind((now - BETWEEN_CLICKS).as_secs())
        .fetch_one(c))?;
    Ok(count > 0)
}

fn met_in(sign_in: &SignIn) -> Option<String> {
    sign_in
        .flow_cookie
        .as_ref()
        .map(|cookie| seal::digest(cookie.expose()))
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
