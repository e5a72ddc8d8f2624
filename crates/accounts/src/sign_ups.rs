//! Links by which an account can be made: whoever holds one was sent it at its address, or was invited. C073.
//!
//! A link is 256 random bits, of which only a digest is kept; the address in its row is sealed under the link itself. It
//! makes one account, once. That no two accounts have one address is not decided here but by the table of users, so a
//! link says nothing of accounts until somebody who holds it looks.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::opaque::{self, Kind};
use protocol::{Secret, Timestamp, wire_enum};
use seal::Key;

use crate::email::Email;
use crate::users;

/// For so long an invitation is remembered when it works no more, to tell a person why.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// For so long a link is that strangers asked for: with the flow that it carries it takes kilobytes, and anybody may have
/// thousands made.
const ASKED_REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
const PURPOSE: &str = "sign up";

wire_enum! {
    /// How somebody came by a link.
    pub enum Way {
        /// They asked for it, and it was mailed to the address that they gave.
        Asked => "asked",
        /// An operator had it mailed to them.
        Invited => "invited",
        /// An operator handed it to them in some other way.
        Handed => "handed",
    }
}

impl Way {
    /// For so long a link works. Invitations wait for somebody who did not ask for them.
    pub const fn life(self) -> Duration {
        match self {
            Self::Asked => Duration::from_secs(30 * 60),
            Self::Invited | Self::Handed => Duration::from_secs(7 * 24 * 60 * 60),
        }
    }

    /// Whether an operator wants this person here.
    pub const fn is_invitation(self) -> bool {
        match self {
            Self::Asked => false,
            Self::Invited | Self::Handed => true,
        }
    }

    /// Whether who uses the link reads the mail of the address.
    pub const fn proves_address(self) -> bool {
        match self {
            Self::Asked | Self::Invited => true,
            Self::Handed => false,
        }
    }
}

/// A link that somebody followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    digest: String,
    pub way: Way,
    /// What the account will have.
    pub email: Email,
    /// The sealed flow of whoever asked for it.
    pub flow: Option<String>,
}

/// What a link is by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Live(Ticket),
    /// It works, but its address has an account.
    Known(Ticket),
    /// Its time has passed.
    Expired(Ticket),
    /// It made an account.
    Used(Ticket),
    /// None of ours, or forgotten.
    Foreign,
}

const MAKE: &str = "INSERT INTO sign_ups (digest, way, sealed, flow, expires_at) VALUES ($1, $2, $3, $4, $5)";

/// Makes a link for this address. It is told once, here.
pub async fn make(
    way: Way,
    email: &Email,
    flow: Option<&str>,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    let link = opaque::random(Kind::MailedLink);
    let digest = seal::digest(link.expose());
    let sealed = seal::seal(&key(link.expose()), PURPOSE, &digest, email.shown().as_bytes());
    execute!(
        conn,
        sqlx::query(MAKE)
            .bind(&digest)
            .bind(way.as_str())
            .bind(&sealed)
            .bind(flow)
            .bind((now + way.life()).as_secs())
    )?;
    Ok(link)
}

/// The link has 256 random bits, so a digest of it is a key.
fn key(link: &str) -> Key {
    Key::from_bytes(seal::sha256(format!("{PURPOSE} {link}").as_bytes()))
}

#[derive(sqlx::FromRow)]
struct Row {
    way: String,
    sealed: String,
    flow: Option<String>,
    expires_at: i64,
    used_at: Option<i64>,
}

const FIND: &str = "SELECT way, sealed, flow, expires_at, used_at FROM sign_ups WHERE digest = $1";

/// What is known of a link. Changes nothing.
pub async fn find(given: &str, conn: &mut Conn, now: Timestamp) -> db::Result<Found> {
    if opaque::decode(Kind::MailedLink, given).is_none() {
        return Ok(Found::Foreign);
    }
    let digest = seal::digest(given);
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(FIND).bind(&digest).fetch_optional(c))?;
    let Some(row) = row else {
        return Ok(Found::Foreign);
    };
    let ticket = Ticket {
        way: row.way.parse().map_err(db::Error::corrupt)?,
        email: address(given, &digest, &row.sealed)?,
        digest,
        flow: row.flow,
    };
    if row.used_at.is_some() {
        return Ok(Found::Used(ticket));
    }
    if now >= Timestamp::from_secs(row.expires_at) {
        return Ok(Found::Expired(ticket));
    }
    Ok(match users::by_email(&ticket.email, conn).await? {
        Some(_) => Found::Known(ticket),
        None => Found::Live(ticket),
    })
}

fn address(link: &str, digest: &str, sealed: &str) -> db::Result<Email> {
    let shown = seal::open(&key(link), PURPOSE, digest, sealed).map_err(db::Error::corrupt)?;
    let shown = std::str::from_utf8(&shown).map_err(db::Error::corrupt)?;
    Email::parse(shown).map_err(db::Error::corrupt)
}

const CLAIM: &str =
    "UPDATE sign_ups SET used_at = $2 WHERE digest = $1 AND used_at IS NULL AND expires_at > $2";

/// Uses a link up; `false` when somebody else has, or its time has passed.
pub async fn claim(ticket: &Ticket, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let touched = execute!(conn, sqlx::query(CLAIM).bind(&ticket.digest).bind(now.as_secs()))?;
    Ok(touched == 1)
}

const SWEEP: &str = "DELETE FROM sign_ups WHERE digest IN \
    (SELECT digest FROM sign_ups WHERE expires_at <= $1 AND (way = $3 OR expires_at <= $2) \
        ORDER BY expires_at LIMIT $4)";

/// Deletes links that nobody will ask about any more, at most `limit`; says how many those were.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP)
            .bind((now - ASKED_REMEMBERED).as_secs())
            .bind((now - REMEMBERED).as_secs())
            .bind(Way::Asked.as_str())
            .bind(i64::from(limit))
    )?)
}

#[cfg(test)]
mod tests;
