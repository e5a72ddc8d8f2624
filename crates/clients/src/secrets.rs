//! The secrets of confidential clients: RFC 6749 §2.3.1. Digests are stored, and the secret itself, sealed, only where
//! something is signed by it: then a database without its keys still tells nobody anything.
//!
//! Two may be active at once, so that a client can change its secret without a moment in which neither the
//! old nor the new one works.

mod readable;
pub(crate) mod stored;

use db::{Conn, run};
use events::{Context, Event};
use protocol::opaque::{self, Kind};
use protocol::{ClientId, Error, Secret, Timestamp};

use crate::{Client, Vault, records};
use readable::keep_sealed;
use stored::{Table, table};

pub(crate) use readable::{all_sealed, sealed};
pub use readable::{ensure_readable, forget_sealed};
pub use stored::{Added, MAX_ACTIVE, Stored};

const TABLE: Table = table!("client_secrets", "client_id");

/// Gives the client a new random secret. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when there is no such client, when it is public, or when two are active already.
pub async fn add(
    client_id: &ClientId,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Added, Error> {
    let client = confidential(client_id, conn).await?;
    let secret = match client.metadata.needs_readable_secret() {
        true => opaque::random_long(Kind::ClientSecret),
        false => opaque::random(Kind::ClientSecret),
    };
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    let stored = store((&client, &secret), &active, vault, by, conn, now).await?;
    Ok(Added { stored, secret })
}

/// Gives the client a secret that was made elsewhere. One that it has already is left as it is. Expects a
/// connection inside a transaction.
///
/// # Errors
/// As [`add`]; `invalid_client_metadata` when it is not 16 to 256 printable ASCII characters, or fewer than 64 for a
/// client that signs with it or is signed for by it.
pub async fn adopt(
    client_id: &ClientId,
    secret: &Secret,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    let text = secret.expose();
    if !(16..=256).contains(&text.len()) || !text.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        return Err(Error::invalid_client_metadata(
            "client_secret: expected 16 to 256 printable ASCII characters",
        ));
    }
    let client = confidential(client_id, conn).await?;
    if client.metadata.needs_readable_secret() && text.len() < READABLE_LEN {
        return Err(Error::invalid_client_metadata(
            "client_secret: client_secret_jwt and HS256 need one of at least 64 characters",
        ));
    }
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    let digest = seal::digest(text);
    match active.iter().find(|own| own.digest == digest) {
        Some(own) => keep_sealed((&client, secret), &own.secret_id, vault, conn).await,
        None => store((&client, secret), &active, vault, by, conn, now)
            .await
            .map(drop),
    }
}

/// Bytes of a secret that serves as the key of a MAC: RFC 7518 §3.2 asks for 32, and what people choose is not random.
const READABLE_LEN: usize = 64;

/// The client, held until the transaction ends, so that two who count its secrets do not both add the second.
async fn confidential(client_id: &ClientId, conn: &mut Conn) -> Result<Client, Error> {
    match records::for_change(client_id, conn).await? {
        None => Err(Error::invalid_request("there is no client with this client_id")),
        Some(client) if !client.has_secret() => Err(Error::invalid_request(
            "a client that is public or signs its assertions has no secret; change its token_endpoint_auth_method first",
        )),
        Some(client) => Ok(client),
    }
}

async fn store(
    (client, secret): (&Client, &Secret),
    active: &[stored::Row],
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Stored, Error> {
    let stored = TABLE.store(client.id.as_str(), secret, active, conn, now).await?;
    keep_sealed((client, secret), &stored.secret_id, vault, conn).await?;
    let added = Event::ClientSecretAdded {
        client_id: &client.id,
        secret_id: &stored.secret_id,
    };
    records::changed(&added, by, conn, now).await?;
    Ok(stored)
}

/// Ends one secret. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when there is no such secret, or when it is the last one, or the last that can be read where that
/// is needed: the client could not authenticate any more, or would not be told anything.
pub async fn delete(
    client_id: &ClientId,
    secret_id: &str,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(), Error> {
    let client = confidential(client_id, conn).await?;
    let active = TABLE.rows(client.id.as_str(), conn).await?;
    if !active.iter().any(|own| own.secret_id == secret_id) {
        return Err(Error::invalid_request("this client has no secret with this id"));
    }
    if active.len() == 1 {
        return Err(Error::invalid_request(
            "this is the client's last secret; add another one first",
        ));
    }
    let readable = sealed(client_id, conn).await?;
    if client.metadata.needs_readable_secret() && readable.iter().all(|own| own.secret_id == secret_id) {
        return Err(Error::invalid_request(
            "this is the client's last secret for client_secret_jwt or HS256; delete the other one and add a new one",
        ));
    }
    Ok(end(client_id, secret_id, by, conn, now).await?)
}

async fn end(
    client_id: &ClientId,
    secret_id: &str,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    TABLE.delete(client_id.as_str(), secret_id, conn).await?;
    let deleted = Event::ClientSecretDeleted { client_id, secret_id };
    records::changed(&deleted, by, conn, now).await
}

const DELETE_ALL: &str = "DELETE FROM client_secrets WHERE client_id = $1 RETURNING secret_id";

/// Ends every secret of a client that authenticates without one by now.
///
/// # Errors
/// The database's failures.
pub async fn delete_all(
    client_id: &ClientId,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let ended: Vec<(String,)> = run!(conn, |c| sqlx::query_as(DELETE_ALL)
        .bind(client_id.as_str())
        .fetch_all(c))?;
    for (secret_id,) in &ended {
        let deleted = Event::ClientSecretDeleted { client_id, secret_id };
        records::changed(&deleted, by, conn, now).await?;
    }
    Ok(())
}

/// The active secrets of a client, oldest first.
///
/// # Errors
/// The database's failures.
pub async fn list(client_id: &ClientId, conn: &mut Conn) -> db::Result<Vec<Stored>> {
    TABLE.list(client_id.as_str(), conn).await
}

/// Whether this is one of the client's secrets.
///
/// # Errors
/// The database's failures.
pub async fn is_active(client_id: &ClientId, secret: &Secret, conn: &mut Conn) -> db::Result<bool> {
    let digest = seal::digest(secret.expose());
    let active = digests(client_id, conn).await?;
    let same = |own: &String| seal::same(own.as_bytes(), digest.as_bytes());
    Ok(active.iter().fold(false, |found, own| found | same(own)))
}

const ALL_DIGESTS: &str =
    "SELECT client_id, digest FROM client_secrets ORDER BY client_id, created_at, secret_id";

/// The digests of all clients, with whose they are.
pub(crate) async fn all_digests(conn: &mut Conn) -> db::Result<Vec<(String, String)>> {
    Ok(run!(conn, |c| sqlx::query_as(ALL_DIGESTS).fetch_all(c))?)
}

/// The digests to compare a presented secret with.
pub(crate) async fn digests(client_id: &ClientId, conn: &mut Conn) -> db::Result<Vec<String>> {
    TABLE.digests(client_id.as_str(), conn).await
}

#[cfg(test)]
mod tests;
