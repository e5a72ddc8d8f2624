//! What people change of their own record. Each statement is guarded by what the person saw.

use db::{Conn, execute, run};
use events::{Context, Event, audit};
use protocol::{SessionId, Subject, Timestamp};

use super::{User, json};
use crate::claims::{Claim, Claims};
use crate::email::Email;

/// What a person may say about themselves. Nothing that anybody vouches for is among it, nor what finds an account.
pub const EDITABLE: [Claim; 9] = [
    Claim::Name,
    Claim::GivenName,
    Claim::FamilyName,
    Claim::Nickname,
    Claim::Birthdate,
    Claim::PhoneNumber,
    Claim::Website,
    Claim::Zoneinfo,
    Claim::Locale,
];

const SET_CLAIMS: &str = "UPDATE users SET claims = $3, updated_at = $4 \
    WHERE sub = $1 AND claims = $2 AND epoch = $5 AND disabled_at IS NULL";

/// Replaces the claims of a user that are editable by these; `false` when another change came first, be it of the
/// password: then the session in which this was typed may be over. A number that is another one is not verified any
/// more.
///
/// # Errors
/// When the database fails.
pub async fn set_claims(
    user: &User,
    wanted: &Claims,
    session: &SessionId,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<bool> {
    let mut claims = user.claims.clone();
    let mut changed = Vec::new();
    for claim in EDITABLE {
        if user.claims.of(claim) == wanted.of(claim) {
            continue;
        }
        changed.push(claim.as_str());
        match wanted.of(claim) {
            Some(value) => claims.set(claim, value.clone()).map_err(db::Error::corrupt)?,
            None => claims.forget(claim),
        }
    }
    if changed.is_empty() {
        return Ok(true);
    }
    if changed.contains(&Claim::PhoneNumber.as_str()) {
        claims.forget(Claim::PhoneNumberVerified);
    }
    let touched = execute!(
        conn,
        sqlx::query(SET_CLAIMS)
            .bind(user.sub.as_str())
            .bind(json(&user.claims)?)
            .bind(json(&claims)?)
            .bind(now.as_secs())
            .bind(user.epoch)
    )?;
    if touched == 1 {
        let event = Event::ProfileChanged {
            sub: &user.sub,
            session_id: session,
            claims: &changed,
        };
        audit::record(&event, by, conn, now).await?;
    }
    Ok(touched == 1)
}

/// What became of another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Done,
    /// Another account has that address.
    Taken,
    /// Another change came first, or the user is disabled.
    Changed,
}

// No error where somebody has it: on PostgreSQL one would end the transaction before it can be explained.
const IS_TAKEN: &str = "SELECT COUNT(*) FROM users WHERE email_canonical = $1 AND sub <> $2";
const MOVE: &str = "UPDATE users SET email = $3, email_canonical = $4, email_verified = TRUE, epoch = epoch + 1, \
    updated_at = $5 WHERE sub = $1 AND epoch = $2 AND disabled_at IS NULL";

/// Gives the user of this epoch another address, whose mail they have shown that they read; and a new epoch: what was
/// proven before is void. Whoever asks ends the sessions that are void by it.
///
/// # Errors
/// When the database fails, or another account was given that address at the same moment.
pub async fn change_email(
    sub: &Subject,
    epoch: i64,
    email: &Email,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Moved> {
    if is_taken(email, sub, conn).await? {
        return Ok(Moved::Taken);
    }
    let touched = execute!(
        conn,
        sqlx::query(MOVE)
            .bind(sub.as_str())
            .bind(epoch)
            .bind(email.shown())
            .bind(email.canonical())
            .bind(now.as_secs())
    )?;
    Ok(match touched {
        1 => Moved::Done,
        _ => Moved::Changed,
    })
}

/// Whether another account has that address.
pub(crate) async fn is_taken(email: &Email, sub: &Subject, conn: &mut Conn) -> db::Result<bool> {
    let (taken,): (i64,) = run!(conn, |c| sqlx::query_as(IS_TAKEN)
        .bind(email.canonical())
        .bind(sub.as_str())
        .fetch_one(c))?;
    Ok(taken > 0)
}
