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
use crate::invitations::{self, Invitation};
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
            Self::Invited | Self::Handed => invitations::LIFE,
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
    /// The id of the invitation that it is of.
    pub invitation: Option<String>,
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
    /// It was an invitation, and was taken back.
    Withdrawn(Ticket),
    /// None of ours, or forgotten.
    Foreign,
}

const MAKE: &str = "INSERT INTO sign_ups (digest, way, sealed, flow, expires_at, invitation_id) \
    VALUES ($1, $2, $3, $4, $5, $6)";

/// Makes a link for this address. It is told once, here.
pub async fn make(
    way: Way,
    email: &Email,
    flow: Option<&str>,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    write(email, (way, now + way.life()), (flow, None), conn).await
}

/// Makes the link of an invitation, which works as long as that waits. It is told once, here.
pub async fn make_invited(invitation: &Invitation, conn: &mut Conn) -> db::Result<Secret> {
    let until = (invitation.way, invitation.expires_at);
    write(&invitation.email, until, (None, Some(&invitation.id)), conn).await
}

async fn write(
    email: &Email,
    (way, expires_at): (Way, Timestamp),
    (flow, invitation): (Option<&str>, Option<&str>),
    conn: &mut Conn,
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
            .bind(expires_at.as_secs())
            .bind(invitation)
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
    invitation_id: Option<String>,
    waiting: Option<String>,
}

const FIND: &str = "SELECT s.way, s.sealed, s.flow, s.expires_at, s.used_at, s.invitation_id, \
        i.invitation_id AS waiting \
    FROM sign_ups s LEFT JOIN invitations i ON i.invitation_id = s.invitation_id WHERE s.digest = $1";

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
        invitation: row.invitation_id,
    };
    if row.used_at.is_some() {
        return Ok(Found::Used(ticket));
    }
    if now >= Timestamp::from_secs(row.expires_at) {
        return Ok(Found::Expired(ticket));
    }
    if ticket.invitation.is_some() && row.waiting.is_none() {
        return Ok(Found::Withdrawn(ticket));
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

/// Uses a link up; `false` when somebody else has, its time has passed, or its invitation was withdrawn: whoever asks
/// rolls back then.
pub async fn claim(ticket: &Ticket, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let touched = execute!(conn, sqlx::query(CLAIM).bind(&ticket.digest).bind(now.as_secs()))?;
    match &ticket.invitation {
        Some(id) if touched == 1 => invitations::end(id, conn).await,
        Some(_) | None => Ok(touched == 1),
    }
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
