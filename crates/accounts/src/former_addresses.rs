//! Addresses that an account had before: C067, C073.
//!
//! The attack: somebody who knows the password, or sits at an open browser with it, moves the account to an address of
//! their own, and from then on every new password is mailed to them. So whoever reads the mail of the former address has
//! the account back, for [`KEPT`]. Nothing of that is in the mail that tells of the change: it may be read late, and no
//! mailed link works for longer than half an hour. They ask where everybody asks who forgot their password.
//!
//! Of two former addresses the older is the stronger: taking one back forgets it and all that were left after it, so
//! that a thief undoes no undoing. An address that belongs to another account by now is that account's alone: nobody
//! can have come by it without reading its mail, or without the operator. What an operator decides of an address is
//! taken back by nobody.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::{Subject, Timestamp};

use crate::email::Email;
use crate::links;
use crate::passwords::StoredHash;
use crate::users::{Moved, User, is_taken};

/// For so long after it was left, a link is mailed to an address.
pub const KEPT: Duration = Duration::from_secs(72 * 60 * 60);
/// Of one account. Those above are not kept, and none is pushed out: the first is the one that matters.
const MOST: i64 = 20;

/// What becomes of an address that an account leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Until then the account can be had back by it.
    Until(Timestamp),
    /// It is not kept.
    ForGood,
}

/// An address that an account has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    pub sub: Subject,
    /// As they wrote it.
    pub email: Email,
    /// Of the user from when on it was not theirs: it tells this leaving of it from any other.
    pub epoch: i64,
}

const EPOCH_OF: &str =
    "SELECT epoch FROM former_addresses WHERE sub = $1 AND email_canonical = $2 AND left_at > $3";
const FORGET: &str = "DELETE FROM former_addresses WHERE sub = $1 AND email_canonical = $2";
const FORGET_SINCE: &str = "DELETE FROM former_addresses WHERE sub = $1 AND epoch >= $2";
const FORGET_ALL: &str = "DELETE FROM former_addresses WHERE sub = $1";
const COUNT: &str = "SELECT COUNT(*) FROM former_addresses WHERE sub = $1 AND left_at > $2";
const KEEP: &str = "INSERT INTO former_addresses (sub, email, email_canonical, epoch, left_at) \
    VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (sub, email_canonical) DO UPDATE SET \
    email = excluded.email, epoch = excluded.epoch, left_at = excluded.left_at";

/// Notes that the user, who was as given, has moved to another address. Moving to a former one is taking it back: what
/// was left since is not kept then, this one neither. Expects the user to be locked, by the change of the address.
///
/// # Errors
/// When the database fails.
pub async fn leave(before: &User, to: &Email, conn: &mut Conn, now: Timestamp) -> db::Result<Left> {
    let sub = before.sub.as_str();
    let since = (now - KEPT).as_secs();
    let own: Option<(i64,)> = run!(conn, |c| sqlx::query_as(EPOCH_OF)
        .bind(sub)
        .bind(to.canonical())
        .bind(since)
        .fetch_optional(c))?;
    if let Some((epoch,)) = own {
        execute!(conn, sqlx::query(FORGET_SINCE).bind(sub).bind(epoch))?;
        return Ok(Left::ForGood);
    }
    execute!(conn, sqlx::query(FORGET).bind(sub).bind(to.canonical()))?;
    // Nobody has shown that they read its mail: it may have been mistyped, and be a stranger's.
    if !before.email_verified {
        return Ok(Left::ForGood);
    }
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(COUNT).bind(sub).bind(since).fetch_one(c))?;
    if count >= MOST {
        return Ok(Left::ForGood);
    }
    execute!(
        conn,
        sqlx::query(KEEP)
            .bind(sub)
            .bind(before.email.shown())
            .bind(before.email.canonical())
            .bind(before.epoch + 1)
            .bind(now.as_secs())
    )?;
    Ok(Left::Until(now + KEPT))
}

const FIND: &str = "SELECT sub, email, email_canonical, epoch FROM former_addresses \
    WHERE email_canonical = $1 AND left_at > $2 ORDER BY left_at DESC, sub LIMIT 1";

/// Who had this address last, and how they wrote it. Says nothing of who has it by now.
///
/// # Errors
/// When the database fails.
pub async fn find(email: &Email, conn: &mut Conn, now: Timestamp) -> db::Result<Option<Former>> {
    let row: Option<(String, String, String, i64)> = run!(conn, |c| sqlx::query_as(FIND)
        .bind(email.canonical())
        .bind((now - KEPT).as_secs())
        .fetch_optional(c))?;
    Ok(row.map(|(sub, shown, canonical, epoch)| Former {
        sub: sub.into(),
        email: Email::stored(shown, canonical),
        epoch,
    }))
}

/// For so long after it was left an address is good: who asked in time has their half hour.
fn still_good(now: Timestamp) -> i64 {
    (now - KEPT - links::LIFE).as_secs()
}

const IS_OPEN: &str = "SELECT COUNT(*) FROM former_addresses f WHERE f.sub = $1 AND f.email_canonical = $2 \
    AND f.left_at > $3 AND f.epoch = $4 AND NOT EXISTS (SELECT 1 FROM users u WHERE u.email_canonical = f.email_canonical)";

/// Whether this address can still be given back to its user.
///
/// # Errors
/// When the database fails.
pub async fn is_open(former: &Former, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(IS_OPEN)
        .bind(former.sub.as_str())
        .bind(former.email.canonical())
        .bind(still_good(now))
        .bind(former.epoch)
        .fetch_one(c))?;
    Ok(count > 0)
}

const EPOCH_NOW: &str = "SELECT epoch FROM users WHERE sub = $1";
const EPOCH_NOW_LOCKED: &str = "SELECT epoch FROM users WHERE sub = $1 FOR UPDATE";
const TAKE_BACK: &str = "UPDATE users SET email = $3, email_canonical = $4, email_verified = TRUE, password_hash = $5, \
    epoch = epoch + 1, updated_at = $6 WHERE sub = $1 AND epoch = $2 AND disabled_at IS NULL \
    AND EXISTS (SELECT 1 FROM former_addresses f WHERE f.sub = users.sub AND f.email_canonical = $4 \
    AND f.left_at > $7 AND f.epoch = $8)";
const FORGET_TAKEN: &str = "DELETE FROM former_addresses WHERE sub = $1 \
    AND epoch >= (SELECT f.epoch FROM former_addresses f WHERE f.sub = $1 AND f.email_canonical = $2)";

/// Gives a former address back to its user, who has shown that they read its mail, with a new password and a new epoch; and
/// forgets the addresses that were left since. Locks the user: what is done with the account meanwhile comes before or after,
/// and is in the way of nobody. Whoever asks ends what is void by it.
///
/// # Errors
/// When the database fails, or another account was given that address at the same moment.
pub async fn take_back(
    former: &Former,
    password: &StoredHash,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Moved> {
    let Former {
        sub,
        email,
        epoch: left_with,
    } = former;
    let statement = conn.either(EPOCH_NOW, EPOCH_NOW_LOCKED);
    let row: Option<(i64,)> = run!(conn, |c| sqlx::query_as(statement)
        .bind(sub.as_str())
        .fetch_optional(c))?;
    let Some((epoch,)) = row else {
        return Ok(Moved::Changed);
    };
    if is_taken(email, sub, conn).await? {
        return Ok(Moved::Taken);
    }
    let touched = execute!(
        conn,
        sqlx::query(TAKE_BACK)
            .bind(sub.as_str())
            .bind(epoch)
            .bind(email.shown())
            .bind(email.canonical())
            .bind(password.as_str())
            .bind(now.as_secs())
            .bind(still_good(now))
            .bind(left_with)
    )?;
    if touched != 1 {
        return Ok(Moved::Changed);
    }
    execute!(
        conn,
        sqlx::query(FORGET_TAKEN)
            .bind(sub.as_str())
            .bind(email.canonical())
    )?;
    Ok(Moved::Done)
}

/// Forgets all of this user: an operator said which address is theirs.
pub(crate) async fn forget_all(sub: &Subject, conn: &mut Conn) -> db::Result<()> {
    execute!(conn, sqlx::query(FORGET_ALL).bind(sub.as_str()))?;
    Ok(())
}

const OF_USER: &str =
    "SELECT email, left_at FROM former_addresses WHERE sub = $1 AND left_at > $2 ORDER BY left_at, epoch";

/// The former addresses of this user that are still good, each with the end of that.
///
/// # Errors
/// When the database fails.
pub async fn of_user(sub: &Subject, conn: &mut Conn, now: Timestamp) -> db::Result<Vec<(String, Timestamp)>> {
    let rows: Vec<(String, i64)> = run!(conn, |c| sqlx::query_as(OF_USER)
        .bind(sub.as_str())
        .bind((now - KEPT).as_secs())
        .fetch_all(c))?;
    let until = |at| Timestamp::from_secs(at) + KEPT;
    Ok(rows.into_iter().map(|(email, at)| (email, until(at))).collect())
}

const SWEEP: &str = "DELETE FROM former_addresses WHERE (sub, email_canonical) IN \
    (SELECT sub, email_canonical FROM former_addresses WHERE left_at <= $1 ORDER BY left_at LIMIT $2)";

/// Deletes what is good for nothing any more, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP).bind(still_good(now)).bind(i64::from(limit))
    )?)
}

#[cfg(test)]
mod tests;
