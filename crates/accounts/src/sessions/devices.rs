//! Where a person is signed in: their live sessions on all browsers.

use db::{Conn, execute, run};
use protocol::{SessionId, Subject, Timestamp};

/// One session as its person may see it: nothing of the browser's cookie, nor of others who use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub session_id: SessionId,
    /// What the browser says of itself.
    pub user_agent: String,
    /// What its person calls it.
    pub name: Option<String>,
    /// Whether it is known again, so that it can have a name. It is from the next sign-in on.
    pub is_known: bool,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
}

const WAS_OF: &str = "SELECT COUNT(*) FROM sessions WHERE session_id = $1 AND sub = $2";

/// Whether this is a session of that user, live or not.
///
/// # Errors
/// When the database fails.
pub async fn was_of(session: &SessionId, sub: &Subject, conn: &mut Conn) -> db::Result<bool> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(WAS_OF)
        .bind(session.as_str())
        .bind(sub.as_str())
        .fetch_one(c))?;
    Ok(count > 0)
}

const OF_USER: &str = "SELECT s.session_id, s.user_agent, d.name, d.device_id, s.created_at, s.last_seen_at \
    FROM sessions s JOIN browsers b ON b.browser_id = s.browser_id JOIN users u ON u.sub = s.sub \
        LEFT JOIN devices d ON d.device_id = s.device_id \
    WHERE s.sub = $1 AND b.expires_at > $2 \
        AND s.ended_at IS NULL AND s.idle_until > $2 AND s.expires_at > $2 \
        AND s.created_at > (SELECT f.epoch FROM revocation_feed f WHERE f.one = 1) \
        AND u.disabled_at IS NULL AND u.epoch = s.epoch \
    ORDER BY CASE WHEN s.session_id = $3 THEN 0 ELSE 1 END, s.last_seen_at DESC, s.session_id LIMIT $4";

type Row = (String, String, Option<String>, Option<String>, i64, i64);

/// The live sessions of this user, at most so many: the one in which they look first, however many others there are, then
/// the one seen last.
///
/// # Errors
/// When the database fails.
pub async fn of_user(
    sub: &Subject,
    here: &SessionId,
    most: u32,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Vec<Device>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(OF_USER)
        .bind(sub.as_str())
        .bind(now.as_secs())
        .bind(here.as_str())
        .bind(i64::from(most))
        .fetch_all(c))?;
    let devices = rows.into_iter().map(
        |(session_id, user_agent, name, device_id, created_at, last_seen_at)| Device {
            session_id: session_id.into(),
            user_agent,
            name,
            is_known: device_id.is_some(),
            created_at: Timestamp::from_secs(created_at),
            last_seen_at: Timestamp::from_secs(last_seen_at),
        },
    );
    Ok(devices.collect())
}

const RENAME: &str = "UPDATE devices SET name = $3 WHERE sub = $2 AND device_id = \
    (SELECT s.device_id FROM sessions s WHERE s.session_id = $1 AND s.sub = $2 AND s.ended_at IS NULL)";

/// Gives the device of this session another name, or none; `false` when this user has no such session (C086).
///
/// # Errors
/// When the database fails.
pub async fn rename(
    session: &SessionId,
    sub: &Subject,
    name: Option<&str>,
    conn: &mut Conn,
) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(RENAME)
            .bind(session.as_str())
            .bind(sub.as_str())
            .bind(name)
    )?;
    Ok(touched == 1)
}
