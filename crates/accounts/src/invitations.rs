//! Invitations that an operator gave: listed until somebody makes an account by one, withdrawn by deleting the row.
//!
//! The link of an invitation works only as long as its row is there, so of a withdrawal and an account that is made at the
//! same moment one comes first, and the other finds nothing. An invitation waits longer than the half hour of the links
//! that people ask for themselves (C073): who is invited did not ask, and does not sit before their mailbox. What makes up
//! for that is that an operator sees it and can take it back.

use std::time::Duration;

use db::{Conn, execute, run};
use events::{Context, Event, audit};
use protocol::Timestamp;

use crate::email::Email;
use crate::sign_ups::Way;

/// For so long an invitation waits.
pub const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// One that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub id: String,
    pub email: Email,
    pub way: Way,
    pub invited_at: Timestamp,
    pub expires_at: Timestamp,
}

const INSERT: &str = "INSERT INTO invitations (invitation_id, email, email_canonical, way, invited_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";

/// Notes that somebody is invited. Expects a connection inside a transaction.
///
/// # Errors
/// When the database fails.
pub async fn add(
    email: &Email,
    way: Way,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Invitation> {
    let invitation = Invitation {
        id: protocol::random::id(),
        email: email.clone(),
        way,
        invited_at: now,
        expires_at: now + LIFE,
    };
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(invitation.id.as_str())
            .bind(email.shown())
            .bind(email.canonical())
            .bind(way.as_str())
            .bind(now.as_secs())
            .bind(invitation.expires_at.as_secs())
    )?;
    let event = Event::UserInvited {
        invitation_id: &invitation.id,
        way: way.as_str(),
    };
    audit::record(&event, by, conn, now).await?;
    Ok(invitation)
}

type Row = (String, String, String, String, i64, i64);

macro_rules! waiting {
    ($rest:literal) => {
        concat!(
            "SELECT invitation_id, email, email_canonical, way, invited_at, expires_at FROM invitations \
             WHERE expires_at > $1 ",
            $rest
        )
    };
}

// Where somebody has the address by now, nobody can use the invitation.
const LIST: &str = waiting!(
    "AND NOT EXISTS (SELECT 1 FROM users u WHERE u.email_canonical = invitations.email_canonical) \
     ORDER BY invited_at, invitation_id"
);
const ONE: &str = waiting!("AND invitation_id = $2");

/// Those that still work, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, now: Timestamp) -> db::Result<Vec<Invitation>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(LIST).bind(now.as_secs()).fetch_all(c))?;
    rows.into_iter().map(invitation).collect()
}

/// The invitation of this id, if it waits.
///
/// # Errors
/// When the database fails.
pub async fn one(id: &str, conn: &mut Conn, now: Timestamp) -> db::Result<Option<Invitation>> {
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(ONE)
        .bind(now.as_secs())
        .bind(id)
        .fetch_optional(c))?;
    row.map(invitation).transpose()
}

fn invitation((id, shown, canonical, way, invited_at, expires_at): Row) -> db::Result<Invitation> {
    Ok(Invitation {
        id,
        email: Email::stored(shown, canonical),
        way: way.parse().map_err(db::Error::corrupt)?,
        invited_at: Timestamp::from_secs(invited_at),
        expires_at: Timestamp::from_secs(expires_at),
    })
}

const END: &str = "DELETE FROM invitations WHERE invitation_id = $1";

/// Takes an invitation back; `false` when none of that id waits. Expects a connection inside a transaction.
///
/// # Errors
/// When the database fails.
pub async fn withdraw(id: &str, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let is_withdrawn = end(id, conn).await?;
    if is_withdrawn {
        let event = Event::InvitationWithdrawn { invitation_id: id };
        audit::record(&event, by, conn, now).await?;
    }
    Ok(is_withdrawn)
}

/// Uses an invitation up, or takes it back: whichever comes first finds it.
pub(crate) async fn end(id: &str, conn: &mut Conn) -> db::Result<bool> {
    Ok(execute!(conn, sqlx::query(END).bind(id))? == 1)
}

const SWEEP: &str = "DELETE FROM invitations WHERE invitation_id IN \
    (SELECT invitation_id FROM invitations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Deletes invitations whose time has passed, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP).bind(now.as_secs()).bind(i64::from(limit))
    )?)
}
