//! Sign-ins that failed, counted in rows that strangers cannot multiply.
//!
//! One row for each window, network and account; all names that nobody has share one. A try at a name that exists
//! and a try at one that does not cost the same single statement, so its time tells nothing (C069). When a window
//! is over, each of its rows becomes one event of the trail.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{Subject, Timestamp};
use serde_json::{Value, json};

use crate::audit::{self, Context, Event};

/// Failures of so long are one event.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);

/// The failures of one window, from one network, at one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// None: at names that nobody has.
    pub sub: Option<Subject>,
    /// As in 198.51.100.0/24; empty where no address is known.
    pub network: String,
    pub count: i64,
    pub began_at: Timestamp,
    pub last_at: Timestamp,
}

impl Failures {
    pub(crate) fn details(&self) -> Value {
        json!({
            "failures": self.count,
            "network": self.network,
            "from": self.began_at,
            "last_at": self.last_at,
        })
    }
}

const COUNT: &str = "INSERT INTO sign_in_failures (began_at, network, sub, failures, last_at) \
    VALUES ($1, $2, $3, 1, $4) ON CONFLICT (began_at, network, sub) DO UPDATE SET \
    failures = sign_in_failures.failures + 1, last_at = excluded.last_at";

/// Counts a failure: at an account, or at a name that nobody has.
///
/// # Errors
/// When the database fails.
pub async fn failed(sub: Option<&Subject>, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(COUNT)
            .bind(window(now))
            .bind(by.network())
            .bind(sub.map_or("", Subject::as_str))
            .bind(now.as_secs())
    )?;
    Ok(())
}

const OF_USER: &str =
    "SELECT last_at, failures FROM sign_in_failures WHERE sub = $1 ORDER BY last_at, network";

/// What was counted at this account and is no event yet: when the last of each lot was, and how many those were.
///
/// # Errors
/// When the database fails.
pub async fn of_user(sub: &Subject, conn: &mut Conn) -> db::Result<Vec<(Timestamp, i64)>> {
    let rows: Vec<(i64, i64)> = run!(conn, |c| sqlx::query_as(OF_USER).bind(sub.as_str()).fetch_all(c))?;
    Ok(rows
        .into_iter()
        .map(|(at, failures)| (Timestamp::from_secs(at), failures))
        .collect())
}

/// When the window of this instant began.
fn window(now: Timestamp) -> i64 {
    let length = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
    now.as_secs().div_euclid(length).saturating_mul(length)
}

// The deletion names its winner: of two replicas, one writes the event.
const SETTLE: &str = "DELETE FROM sign_in_failures WHERE (began_at, network, sub) IN \
    (SELECT began_at, network, sub FROM sign_in_failures WHERE began_at < $1 ORDER BY began_at LIMIT $2) \
    RETURNING began_at, network, sub, failures, last_at";

/// Turns what was counted in windows that are over into events, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails: then the counts are still there.
pub async fn settle(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<usize> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(SETTLE)
        .bind(window(now))
        .bind(i64::from(limit))
        .fetch_all(c))?;
    for row in &rows {
        let failures = Failures::from(row);
        let event = Event::SignInFailed(&failures);
        audit::record(&event, &Context::server(), conn, now).await?;
    }
    Ok(rows.len())
}

#[derive(sqlx::FromRow)]
struct Row {
    began_at: i64,
    network: String,
    sub: String,
    failures: i64,
    last_at: i64,
}

impl From<&Row> for Failures {
    fn from(row: &Row) -> Self {
        Self {
            sub: (!row.sub.is_empty()).then(|| row.sub.as_str().into()),
            network: row.network.clone(),
            count: row.failures,
            began_at: Timestamp::from_secs(row.began_at),
            last_at: Timestamp::from_secs(row.last_at),
        }
    }
}
