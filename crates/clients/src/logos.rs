//! Pictures of apps: OpenID Connect Dynamic Client Registration §2, `logo_uri`.
//!
//! A picture is fetched once for each URL that is registered, in the background, and made anew; what people see comes
//! from us. No page waits for an app's server, and no person's browser tells that server that they are here. Once
//! fetched it stays: the attack is an app that earns trust under one picture and changes it. Apps that nobody vouches
//! for have none: it would be somebody else's.

mod fetcher;
mod picture;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::{Conn, execute, run};
use protocol::{ClientId, Timestamp};

use crate::{Client, Trust};

pub use fetcher::Fetcher;

/// For so long nobody else fetches what one is fetching.
const LEASE: Duration = Duration::from_secs(60);

/// Names a picture by what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

/// Characters of a digest: 128 bits.
const DIGEST: usize = 32;

impl Digest {
    /// One that a picture could have.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == DIGEST && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    fn of(picture: &[u8]) -> Self {
        let digest = seal::sha256(picture);
        let halves = digest.iter().take(DIGEST / 2);
        Self(halves.map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const FORGET: &str = "DELETE FROM client_logos WHERE client_id = $1";
const NOTE: &str = "INSERT INTO client_logos (client_id, logo_uri, due_at) VALUES ($1, $2, $3) \
    ON CONFLICT (client_id) DO UPDATE SET logo_uri = excluded.logo_uri, digest = NULL, picture = NULL, tries = 0, \
    due_at = excluded.due_at WHERE client_logos.logo_uri <> excluded.logo_uri";

/// Notes what there is to fetch, with the record of the client.
pub(crate) async fn note(client: &Client, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    let id = client.id.as_str();
    match &client.metadata.logo_uri {
        None => execute!(conn, sqlx::query(FORGET).bind(id))?,
        Some(uri) => {
            let due = (client.trust == Trust::Trusted).then_some(now.as_secs());
            execute!(conn, sqlx::query(NOTE).bind(id).bind(uri.as_str()).bind(due))?
        }
    };
    Ok(())
}

const WANT: &str = "UPDATE client_logos SET tries = 0, due_at = $2 WHERE client_id = $1 AND picture IS NULL";
const LEAVE: &str = "UPDATE client_logos SET due_at = NULL WHERE client_id = $1";

/// Somebody vouches for the client from now on, or nobody does.
pub(crate) async fn trusted(id: &ClientId, trust: Trust, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
    match trust {
        Trust::Trusted => execute!(conn, sqlx::query(WANT).bind(id.as_str()).bind(now.as_secs()))?,
        Trust::Unverified => execute!(conn, sqlx::query(LEAVE).bind(id.as_str()))?,
    };
    Ok(())
}

const OF: &str =
    "SELECT digest FROM client_logos WHERE client_id = $1 AND logo_uri = $2 AND digest IS NOT NULL";

/// The picture to show for a client, where there is one by now.
///
/// # Errors
/// The database's failures.
pub async fn of(client: &Client, conn: &mut Conn) -> db::Result<Option<Digest>> {
    let (Some(uri), Trust::Trusted) = (&client.metadata.logo_uri, client.trust) else {
        return Ok(None);
    };
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(OF)
        .bind(client.id.as_str())
        .bind(uri.as_str())
        .fetch_optional(c))?;
    Ok(row.map(|(digest,)| Digest(digest)))
}

macro_rules! of_all {
    ($ids:literal) => {
        concat!(
            "SELECT client_id, logo_uri, digest FROM client_logos WHERE digest IS NOT NULL AND client_id IN (",
            $ids,
            ")"
        )
    };
}

const OF_ALL_SQLITE: &str = of_all!("SELECT value FROM json_each($1)");
const OF_ALL_POSTGRES: &str = of_all!("SELECT json_array_elements_text(CAST($1 AS json))");

/// The same for each of these clients, by one statement.
///
/// # Errors
/// The database's failures.
pub async fn of_all<'c>(
    clients: impl Iterator<Item = &'c Client>,
    conn: &mut Conn,
) -> db::Result<HashMap<ClientId, Digest>> {
    let named = clients.filter(|client| client.trust == Trust::Trusted);
    let named =
        named.filter_map(|client| Some((client.id.as_str(), client.metadata.logo_uri.as_ref()?.as_str())));
    let named: HashMap<&str, &str> = named.collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<&str> = named.keys().copied().collect();
    let ids = serde_json::to_string(&ids).map_err(db::Error::corrupt)?;
    let statement = conn.either(OF_ALL_SQLITE, OF_ALL_POSTGRES);
    let rows: Vec<(String, String, String)> =
        run!(conn, |c| sqlx::query_as(statement).bind(&ids).fetch_all(c))?;
    let held = rows
        .into_iter()
        .filter(|(id, uri, _)| named.get(id.as_str()) == Some(&uri.as_str()));
    Ok(held
        .map(|(id, _, digest)| (id.as_str().into(), Digest(digest)))
        .collect())
}

const PICTURE: &str = "SELECT picture FROM client_logos l JOIN clients c ON c.client_id = l.client_id \
    WHERE l.digest = $1 AND c.trust = 'trusted' LIMIT 1";

/// The picture of this name, as PNG.
///
/// # Errors
/// The database's failures.
pub async fn picture(digest: &Digest, conn: &mut Conn) -> db::Result<Option<Vec<u8>>> {
    let row: Option<(String,)> = run!(conn, |c| sqlx::query_as(PICTURE)
        .bind(&digest.0)
        .fetch_optional(c))?;
    row.map(|(text,)| STANDARD.decode(text).map_err(db::Error::corrupt))
        .transpose()
}

/// One that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
struct Wanted {
    client_id: String,
    logo_uri: String,
    /// How often it was taken, this time included.
    tries: i64,
}

const IS_DUE: &str = "SELECT 1 FROM client_logos WHERE due_at <= $1 LIMIT 1";
const TAKE: &str = "UPDATE client_logos SET due_at = $1, tries = tries + 1 WHERE client_id = \
    (SELECT client_id FROM client_logos WHERE due_at <= $2 ORDER BY due_at LIMIT 1) AND due_at <= $2 \
    RETURNING client_id, logo_uri, tries";
const SETTLE: &str = "UPDATE client_logos SET digest = $3, picture = $4, due_at = NULL \
    WHERE client_id = $1 AND logo_uri = $2";
const AGAIN: &str =
    "UPDATE client_logos SET due_at = $4 WHERE client_id = $1 AND logo_uri = $2 AND tries = $3";

/// Looking keeps no writer busy.
async fn is_due(conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let found: Option<(i32,)> = run!(conn, |c| sqlx::query_as(IS_DUE)
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(found.is_some())
}

/// One at a time: two replicas that take the same wait for each other, and one finds it gone.
async fn take(conn: &mut Conn, now: Timestamp) -> db::Result<Option<Wanted>> {
    Ok(run!(conn, |c| sqlx::query_as::<_, Wanted>(TAKE)
        .bind((now + LEASE).as_secs())
        .bind(now.as_secs())
        .fetch_optional(c))?)
}

/// Keeps a picture; without one, none will be looked for any more. Nothing happens where another URL was registered
/// meanwhile.
async fn settle(wanted: &Wanted, picture: Option<&[u8]>, conn: &mut Conn) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(SETTLE)
            .bind(&wanted.client_id)
            .bind(&wanted.logo_uri)
            .bind(picture.map(|picture| Digest::of(picture).0))
            .bind(picture.map(|picture| STANDARD.encode(picture)))
    )?;
    Ok(())
}

async fn again(wanted: &Wanted, due_at: Timestamp, conn: &mut Conn) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(AGAIN)
            .bind(&wanted.client_id)
            .bind(&wanted.logo_uri)
            .bind(wanted.tries)
            .bind(due_at.as_secs())
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
