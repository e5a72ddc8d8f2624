//! Registrations over HTTP: the token by which a client that registered itself manages its record (RFC 7592), and
//! until when it has to be used for the first time.
//!
//! A registration access token is worth one client and one change: a change replaces it, in the statement that
//! compares it, so of two who present the same one wins.

pub mod quota;

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::opaque::{self, Kind};
use protocol::{ClientId, Secret, Timestamp};

/// A client that registered itself and that nobody used until then is deleted.
pub const UNUSED_LIFE: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// What is counted is counted for so long.
pub const HOUR: Duration = Duration::from_secs(60 * 60);
/// Every change is an event of the trail, and is read by every process.
const CHANGES_PER_HOUR: i64 = 30;

/// Who answers for a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// Anybody may have made it.
    ByNobody,
    /// Whoever was given this initial access token.
    ByToken(String),
}

const INSERT: &str = "INSERT INTO registrations \
    (client_id, token_digest, initial_token_id, counted_from, changes, unused_until) \
    VALUES ($1, $2, $3, $4, 0, $5)";

/// Notes that a client registered itself; the token is shown in no other moment.
///
/// # Errors
/// The database's failures.
pub async fn insert(
    client_id: &ClientId,
    vouched: &Vouched,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    let token = opaque::random(Kind::RegistrationAccess);
    let (initial_token_id, unused_until) = match vouched {
        Vouched::ByNobody => (None, Some((now + UNUSED_LIFE).as_secs())),
        Vouched::ByToken(id) => (Some(id.as_str()), None),
    };
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(client_id.as_str())
            .bind(seal::digest(token.expose()))
            .bind(initial_token_id)
            .bind(now.as_secs())
            .bind(unused_until)
    )?;
    Ok(token)
}

const BY_CLIENT: &str = "SELECT token_digest, initial_token_id FROM registrations WHERE client_id = $1";

/// What is compared where there is nothing to compare with: as long as a digest, and equal to none.
const NO_DIGEST: &str = "*******************************************";

/// Who vouched for the registration, when the token is the one it has now. `None` is the same for a client that is
/// unknown, one that an operator registered, and a token that is wrong or was replaced.
///
/// # Errors
/// The database's failures.
pub async fn held_by(client_id: &ClientId, token: &str, conn: &mut Conn) -> db::Result<Option<Vouched>> {
    let row: Option<(String, Option<String>)> = run!(conn, |c| sqlx::query_as(BY_CLIENT)
        .bind(client_id.as_str())
        .fetch_optional(c))?;
    let digest = row.as_ref().map_or(NO_DIGEST, |(digest, _)| digest);
    let same = seal::same(seal::digest(token).as_bytes(), digest.as_bytes());
    Ok(row.filter(|_| same).map(|(_, token_id)| match token_id {
        None => Vouched::ByNobody,
        Some(id) => Vouched::ByToken(id),
    }))
}

/// What became of a token presented for a change.
#[derive(Clone, Debug)]
pub enum Renewal {
    /// The new token, shown in no other moment.
    Renewed(Secret),
    /// It is not, or no longer, the token of this client.
    Refused,
    /// It is, and there were too many changes in the last hour.
    TooMany,
}

/// The interval ends an hour after its first change, not at a full hour: nobody gets twice as many at its turn.
const RENEW: &str = "UPDATE registrations SET token_digest = $3, \
    changes = CASE WHEN counted_from > $4 THEN changes + 1 ELSE 1 END, \
    counted_from = CASE WHEN counted_from > $4 THEN counted_from ELSE $5 END \
    WHERE client_id = $1 AND token_digest = $2 AND (counted_from <= $4 OR changes < $6)";

/// Replaces the token, as part of the change it is presented for.
///
/// # Errors
/// The database's failures.
pub async fn renew(
    client_id: &ClientId,
    presented: &str,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Renewal> {
    let token = opaque::random(Kind::RegistrationAccess);
    let renewed = execute!(
        conn,
        sqlx::query(RENEW)
            .bind(client_id.as_str())
            .bind(seal::digest(presented))
            .bind(seal::digest(token.expose()))
            .bind((now - HOUR).as_secs())
            .bind(now.as_secs())
            .bind(CHANGES_PER_HOUR)
    )?;
    if renewed == 1 {
        return Ok(Renewal::Renewed(token));
    }
    Ok(match held_by(client_id, presented, conn).await? {
        Some(_) => Renewal::TooMany,
        None => Renewal::Refused,
    })
}

#[cfg(test)]
mod tests;
