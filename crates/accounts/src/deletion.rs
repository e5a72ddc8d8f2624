//! Accounts that their people want deleted: when, and how they think better of it. C093.

use std::collections::BTreeMap;
use std::time::Duration;

use db::{Conn, execute, run};
use events::{Context, Event, audit};
use protocol::{SessionId, Subject, Timestamp};

/// For so long the account can be had back.
pub const GRACE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

const ASK: &str = "UPDATE users SET delete_at = $3 WHERE sub = $1 AND epoch = $2 AND delete_at IS NULL AND disabled_at IS NULL";

/// Notes from when on the account of the user of this epoch is to be deleted; `false` when that was noted before, it is
/// disabled, or its password or address is another by now: the attack is a stolen password, given a moment before its
/// owner set a new one. Whoever asks ends what hangs from it.
///
/// # Errors
/// When the database fails.
pub async fn ask(sub: &Subject, epoch: i64, at: Timestamp, conn: &mut Conn) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(ASK).bind(sub.as_str()).bind(epoch).bind(at.as_secs())
    )?;
    Ok(touched == 1)
}

const WAS_ASKED_IN: &str = "SELECT COUNT(*) FROM sessions s JOIN users u ON u.sub = s.sub \
    WHERE s.session_id = $1 AND s.ended_at IS NOT NULL AND u.delete_at IS NOT NULL";

/// Whether the person of this session, which has ended, wants their account deleted.
///
/// # Errors
/// When the database fails.
pub async fn was_asked_in(session: &SessionId, conn: &mut Conn) -> db::Result<bool> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(WAS_ASKED_IN)
        .bind(session.as_str())
        .fetch_one(c))?;
    Ok(count > 0)
}

const UNDO: &str = "UPDATE users SET delete_at = NULL \
    WHERE sub = $1 AND epoch = $2 AND delete_at > $3 AND disabled_at IS NULL";

/// Whoever of this epoch proves who they are in time, by signing in or by a new password, wants their account back;
/// `false` where it was not to be deleted.
///
/// # Errors
/// When the database fails.
pub async fn undo(
    sub: &Subject,
    epoch: i64,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(UNDO)
            .bind(sub.as_str())
            .bind(epoch)
            .bind(now.as_secs())
    )?;
    if touched == 1 {
        audit::record(&Event::DeletionUndone { sub }, by, conn, now).await?;
    }
    Ok(touched == 1)
}

const IS_OVER: &str = "SELECT COUNT(*) FROM users WHERE sub = $1 AND delete_at <= $2";

/// Whether the time to think better of it is over: then the account is as good as gone, whenever its row goes (C066).
///
/// # Errors
/// When the database fails.
pub async fn is_over(sub: &Subject, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(IS_OVER)
        .bind(sub.as_str())
        .bind(now.as_secs())
        .fetch_one(c))?;
    Ok(count > 0)
}

// What an operator has disabled is kept: perhaps as evidence.
const OVERDUE: &str = "SELECT sub FROM users WHERE delete_at <= $1 AND disabled_at IS NULL \
    ORDER BY delete_at, sub LIMIT $2";

/// Accounts whose time was over by then, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn overdue(limit: u32, conn: &mut Conn, by_then: Timestamp) -> db::Result<Vec<Subject>> {
    let rows: Vec<(String,)> = run!(conn, |c| sqlx::query_as(OVERDUE)
        .bind(by_then.as_secs())
        .bind(i64::from(limit))
        .fetch_all(c))?;
    Ok(rows.into_iter().map(|(sub,)| sub.into()).collect())
}

const DELETE: &str = "DELETE FROM users WHERE sub = $1 AND delete_at <= $2 AND disabled_at IS NULL";
const REMEMBER: &str = "INSERT INTO former_users (sub, deleted_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Deletes the record of a user, with all that refers to it, and remembers its name alone; `false` when they came back
/// in time.
///
/// # Errors
/// When the database fails.
pub async fn carry_out(sub: &Subject, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let gone = execute!(conn, sqlx::query(DELETE).bind(sub.as_str()).bind(now.as_secs()))?;
    if gone == 0 {
        return Ok(false);
    }
    execute!(conn, sqlx::query(REMEMBER).bind(sub.as_str()).bind(now.as_secs()))?;
    audit::record(&Event::UserDeleted { sub }, &Context::server(), conn, now).await?;
    Ok(true)
}

const WAITING: &str =
    "SELECT sub, delete_at FROM users WHERE sub >= $1 AND sub <= $2 AND delete_at IS NOT NULL";

/// From when on accounts are to be deleted, of those whose `sub` is one of these or between them.
///
/// # Errors
/// When the database fails.
pub async fn waiting(
    first: &Subject,
    last: &Subject,
    conn: &mut Conn,
) -> db::Result<BTreeMap<Subject, Timestamp>> {
    let rows: Vec<(String, i64)> = run!(conn, |c| sqlx::query_as(WAITING)
        .bind(first.as_str())
        .bind(last.as_str())
        .fetch_all(c))?;
    let waiting = rows.into_iter();
    Ok(waiting
        .map(|(sub, at)| (sub.into(), Timestamp::from_secs(at)))
        .collect())
}

const IS_FORMER: &str = "SELECT COUNT(*) FROM former_users WHERE sub = $1";

/// Whether this was somebody's name, which is nobody's again.
///
/// # Errors
/// When the database fails.
pub async fn is_former(sub: &Subject, conn: &mut Conn) -> db::Result<bool> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(IS_FORMER)
        .bind(sub.as_str())
        .fetch_one(c))?;
    Ok(count > 0)
}
