//! Recording a proof: a new session, or a new proof in the one that the user has in this browser.
//!
//! The cookie changes at every sign-in, and the old value is dead in the same transaction: the attack is a
//! cookie that somebody knew, or planted, before the victim signed in.

use std::time::Duration;

use db::{Conn, execute, run};
use events::{Context, Event, audit};
use protocol::opaque::{self, Kind};
use protocol::{BrowserId, FlowId, Secret, SessionId, Subject, Timestamp};

use crate::deletion;

use super::known::Acquaintance;
use super::{ABSOLUTE, Acr, Amr, BrowserSessions, IDLE, Session, current, known};

/// What was proven, by whom, where.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The cookie that came with the request.
    pub presented: Option<Secret>,
    /// By what the browser is known again.
    pub device: Option<Acquaintance>,
    pub sub: Subject,
    /// The user's epoch as read together with the credential that was checked.
    pub epoch: i64,
    /// "Keep me signed in".
    pub persistent: bool,
    pub user_agent: String,
    pub flow_id: Option<FlowId>,
    /// By which the flow is bound to the browser.
    pub flow_cookie: Option<Secret>,
    pub acr: Acr,
    pub amr: Vec<Amr>,
}

#[derive(Clone, Debug)]
pub struct SignedIn {
    pub session: Session,
    /// The new value of the cookie.
    pub cookie: Secret,
    /// `Max-Age` of the cookie; without one it ends with the browser. One cookie carries all sessions of a
    /// browser, so it is kept only when every one of their users wanted that.
    pub max_age: Option<Duration>,
    /// The account was to be deleted, and stays.
    pub came_back: bool,
    /// Of the user.
    pub epoch: i64,
    /// The value of the cookie by which the browser is known again.
    pub device: Secret,
    /// The account was signed in to before, and not in this browser: its person is to be told.
    pub is_new_browser: bool,
}

/// Records the proof; `None` when the user has been disabled, or the credential changed, since it was
/// checked.
pub async fn sign_in(
    sign_in: SignIn,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<SignedIn>> {
    // Before the lock that is shared: two sign-ins that hold that, and both write then, would wait for each other.
    let came_back = deletion::undo(&sign_in.sub, sign_in.epoch, by, conn, now).await?;
    if !lock_user(&sign_in, conn).await? {
        return Ok(None);
    }
    let known = known::recognise(&sign_in, conn, now).await?;
    let cookie = opaque::random(Kind::Browser);
    let (browser_id, ordinal) = enter_browser(sign_in.presented.as_ref(), &cookie, conn, now).await?;
    let at = (&browser_id, known.device_id.as_str());
    let session_id = match renew_session(at, &sign_in, conn, now).await? {
        Some(session_id) => session_id,
        None => begin_session(at, &sign_in, conn, now).await?,
    };
    record_proof(&session_id, ordinal, &sign_in, conn, now).await?;
    let succeeded = Event::SignInSucceeded {
        sub: &sign_in.sub,
        session_id: &session_id,
        acr: sign_in.acr.as_str(),
    };
    audit::record(&succeeded, by, conn, now).await?;

    let sessions = current(&cookie, conn, now)
        .await?
        .ok_or_else(|| db::Error::corrupt("a session that just began is not live"))?;
    Ok(Some(SignedIn {
        max_age: max_age(&sessions),
        session: sessions.active,
        cookie,
        came_back,
        epoch: sign_in.epoch,
        device: known.cookie,
        is_new_browser: known.is_new,
    }))
}

pub(super) fn max_age(sessions: &BrowserSessions) -> Option<Duration> {
    sessions
        .iter()
        .all(|session| session.persistent)
        .then_some(ABSOLUTE)
}

macro_rules! user {
    ($lock:literal) => {
        concat!(
            "SELECT sub FROM users WHERE sub = $1 AND disabled_at IS NULL AND epoch = $2 AND delete_at IS NULL",
            $lock
        )
    };
}

const USER: &str = user!("");
const USER_LOCKED: &str = user!(" FOR SHARE");

/// The password was checked outside of any transaction; what was read with it may have changed meanwhile.
async fn lock_user(sign_in: &SignIn, conn: &mut Conn) -> db::Result<bool> {
    let statement = conn.either(USER, USER_LOCKED);
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(statement)
        .bind(sign_in.sub.as_str())
        .bind(sign_in.epoch)
        .fetch_optional(c))?;
    Ok(row.is_some())
}

const ROTATE: &str = "UPDATE browsers SET token_digest = $2, sign_ins = sign_ins + 1, expires_at = $3 \
    WHERE token_digest = $1 AND expires_at > $4 RETURNING browser_id, sign_ins";
const NEW_BROWSER: &str = "INSERT INTO browsers (browser_id, token_digest, sign_ins, created_at, expires_at) \
    VALUES ($1, $2, 1, $3, $4)";

/// The live browser of the presented cookie, under its new value, or a new one; and the ordinal of this
/// sign-in in it. Of two sign-ins that present one value, one finds it gone and makes a new browser.
async fn enter_browser(
    presented: Option<&Secret>,
    cookie: &Secret,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<(BrowserId, i64)> {
    let digest = seal::digest(cookie.expose());
    if let Some(presented) = presented.and_then(super::current::digest) {
        let row: Option<(String, i64)> = run!(conn, |c| sqlx::query_as(ROTATE)
            .bind(&presented)
            .bind(&digest)
            .bind((now + ABSOLUTE).as_secs())
            .bind(now.as_secs())
            .fetch_optional(c))?;
        if let Some((browser_id, ordinal)) = row {
            return Ok((browser_id.into(), ordinal));
        }
    }
    let browser_id = BrowserId::random();
    execute!(
        conn,
        sqlx::query(NEW_BROWSER)
            .bind(browser_id.as_str())
            .bind(&digest)
            .bind(now.as_secs())
            .bind((now + ABSOLUTE).as_secs())
    )?;
    Ok((browser_id, 1))
}

const RENEW: &str = "UPDATE sessions SET persistent = $3, user_agent = $4, last_seen_at = $5, \
    idle_until = $6, expires_at = $7, device_id = $9 \
    WHERE browser_id = $1 AND sub = $2 AND epoch = $8 \
    AND ended_at IS NULL AND idle_until > $5 AND expires_at > $5 \
    AND created_at > (SELECT f.epoch FROM revocation_feed f WHERE f.one = 1) RETURNING session_id";

/// The user's live session in this browser, from now on again for its full time.
///
/// It keeps its id: approvals hang from it, and to end it would disconnect every app at each new proof. What
/// an attacker could know of it is the cookie, which has changed.
async fn renew_session(
    (browser_id, device_id): (&BrowserId, &str),
    sign_in: &SignIn,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Option<SessionId>> {
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(RENEW)
        .bind(browser_id.as_str())
        .bind(sign_in.sub.as_str())
        .bind(sign_in.persistent)
        .bind(shortened(&sign_in.user_agent))
        .bind(now.as_secs())
        .bind((now + IDLE).as_secs())
        .bind((now + ABSOLUTE).as_secs())
        .bind(sign_in.epoch)
        .bind(device_id)
        .fetch_optional(c))?;
    Ok(row.map(|(session_id,)| session_id.into()))
}

const BEGIN: &str = "INSERT INTO sessions (session_id, browser_id, sub, epoch, persistent, user_agent, \
    created_at, last_seen_at, idle_until, expires_at, device_id) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)";

async fn begin_session(
    (browser_id, device_id): (&BrowserId, &str),
    sign_in: &SignIn,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<SessionId> {
    let session_id = SessionId::random();
    execute!(
        conn,
        sqlx::query(BEGIN)
            .bind(session_id.as_str())
            .bind(browser_id.as_str())
            .bind(sign_in.sub.as_str())
            .bind(sign_in.epoch)
            .bind(sign_in.persistent)
            .bind(shortened(&sign_in.user_agent))
            .bind(now.as_secs())
            .bind((now + IDLE).as_secs())
            .bind((now + ABSOLUTE).as_secs())
            .bind(device_id)
    )?;
    Ok(session_id)
}

const PROOF: &str = "INSERT INTO authentications (authentication_id, session_id, ordinal, flow_id, amr, acr, \
    auth_time) VALUES ($1, $2, $3, $4, $5, $6, $7)";

async fn record_proof(
    session_id: &SessionId,
    ordinal: i64,
    sign_in: &SignIn,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let amr = serde_json::to_string(&sign_in.amr).map_err(db::Error::corrupt)?;
    execute!(
        conn,
        sqlx::query(PROOF)
            .bind(protocol::random::id())
            .bind(session_id.as_str())
            .bind(ordinal)
            .bind(sign_in.flow_id.as_ref().map(FlowId::as_str))
            .bind(&amr)
            .bind(sign_in.acr.as_str())
            .bind(now.as_secs())
    )?;
    Ok(())
}

/// Enough to recognise one's own browser by; the header is the client's to choose.
fn shortened(user_agent: &str) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(256).collect()
}
