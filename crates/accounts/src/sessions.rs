//! Browsers, the sessions in them, and the proofs in those: OpenID Connect Core §2 (`auth_time`, `acr`,
//! `amr`).
//!
//! Decides who is signed in. A browser is a cookie of 256 random bits, stored as a digest; it may hold a
//! session for each of several users. Everything that ends a session is looked at when it is used, in one
//! statement.

mod current;
mod devices;
mod known;
mod sign_in;
mod sign_out;

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{FlowId, SessionId, Subject, Timestamp, wire_enum};

pub use current::{BrowserSessions, current};
pub use devices::{Device, of_user, rename, was_of};
pub use known::{Acquaintance, forget as forget_devices, forget_acquaintances, meet};
pub use sign_in::{SignIn, SignedIn, sign_in};
pub use sign_out::{Left, hold, leave};

/// A session that is not seen for this long has ended.
pub const IDLE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// A session ends this long after its user last proved who they are.
pub const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// That a session was seen is written down at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

wire_enum! {
    /// How strong a proof is, `acr`: what it guards against, not how it is done.
    pub enum Acr {
        /// Something the user knows.
        Pwd => "urn:countersign:pwd",
    }
}

wire_enum! {
    /// How a proof was given, `amr`: RFC 8176 §2.
    pub enum Amr {
        Pwd => "pwd",
    }
}

/// A live session, with what pages and tokens say about its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub session_id: SessionId,
    pub sub: Subject,
    /// As the person wrote it.
    pub email: String,
    pub name: Option<String>,
    /// "Keep me signed in".
    pub persistent: bool,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// The newest proof.
    pub proof: Authentication,
    /// Earlier ones, as far as an authorization request still on its way may have asked for them.
    pub earlier: Vec<Authentication>,
}

/// One proof inside a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    pub auth_time: Timestamp,
    pub acr: Acr,
    pub amr: Vec<Amr>,
    /// The flow that asked for it.
    pub flow_id: Option<FlowId>,
}

impl Session {
    /// The proof that this flow asked for. `prompt=login` is met by no other: the attack is a session that
    /// somebody else left open.
    pub fn authenticated_for(&self, flow_id: &FlowId) -> Option<&Authentication> {
        std::iter::once(&self.proof)
            .chain(&self.earlier)
            .find(|proof| proof.flow_id.as_ref() == Some(flow_id))
    }

    /// Whether [`touch`] would write anything: asked first, so that reading pages opens no transaction.
    pub fn is_to_be_touched(&self, now: Timestamp) -> bool {
        now.since(self.last_seen_at) >= TOUCH_EVERY
    }
}

const TOUCH: &str = "UPDATE sessions SET last_seen_at = $2, idle_until = $3 \
    WHERE session_id = $1 AND last_seen_at <= $4 \
    AND ended_at IS NULL AND idle_until > $2 AND expires_at > $2";

/// Notes that the session was seen; `false` when that was noted within the last minute, or it has ended.
pub async fn touch(session_id: &SessionId, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(TOUCH)
            .bind(session_id.as_str())
            .bind(now.as_secs())
            .bind((now + IDLE).as_secs())
            .bind((now - TOUCH_EVERY).as_secs())
    )?;
    Ok(touched == 1)
}

macro_rules! live {
    ($lock:literal) => {
        concat!(
            "SELECT s.session_id FROM users u JOIN sessions s ON s.sub = u.sub \
             WHERE s.session_id = $1 AND s.ended_at IS NULL AND s.idle_until > $2 AND s.expires_at > $2 \
             AND s.created_at > (SELECT f.epoch FROM revocation_feed f WHERE f.one = 1) \
             AND u.disabled_at IS NULL AND u.epoch = s.epoch",
            $lock
        )
    };
}

/// SQLite has one writer, so nothing can change under a reader in its transaction.
const LIVE: &str = live!("");
// The rows are locked in the order given, the user first, as everywhere.
const LIVE_LOCKED: &str = live!(" FOR SHARE OF u, s");

/// Whether the session and its user are live, and stay so until this transaction ends: whoever ends one of
/// them waits, and then finds what the transaction wrote.
pub async fn lock_live(session_id: &SessionId, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let statement = conn.either(LIVE, LIVE_LOCKED);
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(statement)
        .bind(session_id.as_str())
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(row.is_some())
}

const END: &str = "UPDATE sessions SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL";

/// Ends a session; `false` when it had been ended before, or never was.
pub async fn end(session_id: &SessionId, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(END).bind(session_id.as_str()).bind(now.as_secs())
    )?;
    Ok(touched == 1)
}

const TAKE_OVER: &str =
    "UPDATE sessions SET epoch = $3 WHERE session_id = $1 AND epoch = $2 AND ended_at IS NULL";

/// Lets a session of the first epoch of its user live on in the second, when that user changed a credential in it;
/// `false` when it has ended, or is of another. Expects the user to be locked by that change.
pub async fn take_over(session_id: &SessionId, (from, to): (i64, i64), conn: &mut Conn) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(TAKE_OVER)
            .bind(session_id.as_str())
            .bind(from)
            .bind(to)
    )?;
    Ok(touched == 1)
}

const SWEEP: &str = "DELETE FROM browsers WHERE browser_id IN \
    (SELECT browser_id FROM browsers WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Deletes browsers in which nothing can be live any more, at most `limit`; says how many those were. Nothing
/// depends on this: what has expired is dead before it is deleted.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP).bind(now.as_secs()).bind(i64::from(limit))
    )?)
}

#[cfg(test)]
mod tests;
