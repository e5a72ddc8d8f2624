//! The audit trail: what a security officer asks for after the fact. C092.
//!
//! An event is written in the transaction of the act it tells of, so neither is there without the other: when it
//! cannot be written, the act fails. Rows are only ever added; what is older than [`KEEP`] is deleted in small
//! batches. Tokens issued are not in it: there are too many, and the approval they came of is. Neither is
//! anything secret, nor anything made from it.

mod context;
mod event;

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use db::{Conn, execute, run};
use protocol::{ClientId, SessionId, Subject, Timestamp};
use serde::Serialize;
use serde_json::Value;

pub use context::{Context, Origin};
pub use event::{Changed, Credentials, Event, Kind};

/// A little more than a year, so that the same month of last year can be looked at.
pub const KEEP: Duration = Duration::from_secs(400 * 24 * 60 * 60);

const INSERT: &str = "INSERT INTO audit_events \
    (event_id, at, kind, origin, sub, client_id, session_id, request_id, address, details) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Writes an event. Expects the connection to be inside the transaction of the act.
///
/// # Errors
/// When the database fails: then the act has to fail as well.
pub async fn record(event: &Event<'_>, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    let told = event.told();
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(event_id(now))
            .bind(now.as_secs())
            .bind(event.kind().as_str())
            .bind(by.origin().as_str())
            .bind(told.sub.map(Subject::as_str))
            .bind(told.client_id.map(ClientId::as_str))
            .bind(told.session_id.map(SessionId::as_str))
            .bind(by.request_id())
            .bind(by.address())
            .bind(told.details.to_string())
    )?;
    Ok(())
}

/// The instant, what has passed since then, a count, and chance: lower-case hexadecimal, which every collation sorts
/// alike, so that people read what happened within a second in its order.
fn event_id(now: Timestamp) -> String {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let (since, count) = (microseconds_since(now), COUNT.fetch_add(1, Ordering::Relaxed));
    let random = u64::from_be_bytes(protocol::random::bytes()) >> 16;
    format!("{}{since:08x}{count:04x}{random:012x}", time_part(now))
}

/// For the order only: no decision reads the time here. Zero when the instant is not of this machine's clock.
fn microseconds_since(now: Timestamp) -> u32 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let instant = Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or(0));
    let since = real.saturating_sub(instant).as_micros();
    u32::try_from(since).unwrap_or(0)
}

fn time_part(at: Timestamp) -> String {
    format!("{:010x}", at.as_secs().max(0))
}

/// An event as it was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recorded {
    pub event_id: String,
    pub at: Timestamp,
    /// A word of [`Kind`], or one that a newer version wrote.
    pub kind: String,
    pub origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub details: Value,
}

#[derive(sqlx::FromRow)]
struct Row {
    event_id: String,
    at: i64,
    kind: String,
    origin: String,
    sub: Option<String>,
    client_id: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    address: Option<String>,
    details: String,
}

impl TryFrom<Row> for Recorded {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        Ok(Self {
            event_id: row.event_id,
            at: Timestamp::from_secs(row.at),
            kind: row.kind,
            origin: row.origin,
            sub: row.sub,
            client_id: row.client_id,
            session_id: row.session_id,
            request_id: row.request_id,
            address: row.address,
            details: serde_json::from_str(&row.details).map_err(db::Error::corrupt)?,
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT event_id, at, kind, origin, sub, client_id, session_id, request_id, address, details \
             FROM audit_events ",
            $rest
        )
    };
}
const AFTER: &str = select!("WHERE event_id > $1 ORDER BY event_id LIMIT $2");
const OF_USER: &str =
    select!("WHERE sub = $1 AND event_id > $2 AND event_id < $3 ORDER BY event_id DESC LIMIT $4");
/// Behind the id of every event, in every collation.
const END: &str = "g";
const NEWEST: &str = select!("ORDER BY event_id DESC LIMIT $1");

/// The events behind this one, at most `limit`, in the order of time. Transactions end in another order than they
/// begin: who follows the trail asks again from a minute back.
///
/// # Errors
/// When the database fails.
pub async fn after(event_id: &str, limit: u32, conn: &mut Conn) -> db::Result<Vec<Recorded>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(AFTER)
        .bind(event_id)
        .bind(i64::from(limit))
        .fetch_all(c))?;
    rows.into_iter().map(Recorded::try_from).collect()
}

/// The newest events, at most `limit`, in the order of time.
///
/// # Errors
/// When the database fails.
pub async fn newest(limit: u32, conn: &mut Conn) -> db::Result<Vec<Recorded>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(NEWEST)
        .bind(i64::from(limit))
        .fetch_all(c))?;
    rows.into_iter().rev().map(Recorded::try_from).collect()
}

/// Which events of a user are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Span<'s> {
    pub since: Timestamp,
    /// Those before this one, by its id; with none, from the newest on. An id of another user's is no harm: it is a
    /// time.
    pub before: Option<&'s str>,
    pub limit: u32,
}

/// What happened with this user, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn of_user(sub: &Subject, span: Span<'_>, conn: &mut Conn) -> db::Result<Vec<Recorded>> {
    let is_id = |id: &&str| id.len() <= 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(OF_USER)
        .bind(sub.as_str())
        .bind(time_part(span.since))
        .bind(span.before.filter(is_id).unwrap_or(END))
        .bind(i64::from(span.limit))
        .fetch_all(c))?;
    rows.into_iter().map(Recorded::try_from).collect()
}

const SWEEP: &str = "DELETE FROM audit_events WHERE event_id IN \
    (SELECT event_id FROM audit_events WHERE event_id < $1 ORDER BY event_id LIMIT $2)";

/// Deletes events older than [`KEEP`], at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP)
            .bind(time_part(now - KEEP))
            .bind(i64::from(limit))
    )?)
}

#[cfg(test)]
mod tests;
