//! Client registration and management: RFC 7591 documents become client records, over HTTP and at the command line.
//!
//! A document is read member by member, completed with defaults, and judged as the whole that will be in
//! force; only then is anything written. A registrant chooses neither its id nor its secret nor its trust: an
//! operator's import may bring id and secret along.

mod answers;
mod certificates;
mod document;
mod endpoint;
mod keys;
mod manage;
mod metadata;
mod sector;
mod terms;

use crate::document::Document;
use accounts::users;
use clients::resources::PublicKeys;
use clients::{Client, Metadata, Trust, Vault, records, secrets};
use db::Conn;
use events::Context;
use protocol::{ClientId, Error, Secret, SigningAlgs, Timestamp};
use serde_json::{Value, json};

pub use endpoint::{Registry, router};
pub use metadata::metadata;
pub use terms::{Admission, Terms};

/// Whether the client of this document needs a secret that is sealed, so that whoever registers it has to have the keys
/// of the installation.
///
/// # Errors
/// As [`register`].
pub fn needs_vault(document: &Value) -> Result<bool, Error> {
    Ok(metadata(document)?.needs_readable_secret())
}

/// The keys by which a resource server proves who it is: what would be good for a client.
///
/// # Errors
/// `invalid_client_metadata`, naming `jwks` or `jwks_uri`.
pub fn public_keys(jwks: Option<&Value>, jwks_uri: Option<&str>) -> Result<PublicKeys, Error> {
    let as_a_client = metadata(&json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"], "response_types": [],
        "jwks": jwks, "jwks_uri": jwks_uri,
    }))?;
    match (as_a_client.jwks, as_a_client.jwks_uri) {
        (Some(jwks), _) => Ok(PublicKeys::Set(jwks)),
        (None, Some(url)) => Ok(PublicKeys::Behind(url)),
        (None, None) => Err(document::invalid("jwks", "give jwks or jwks_uri")),
    }
}

/// Whether a server that signs by these algorithms can tell the client of this document what it asks for.
///
/// # Errors
/// As [`register`]; `invalid_client_metadata` naming the member and the setting.
pub fn signable(document: &Value, own: SigningAlgs) -> Result<(), Error> {
    answers::signable(&metadata(document)?, own)
}

/// What came of a document.
#[derive(Clone, Debug)]
pub struct Registered {
    pub client: Client,
    /// The secret that was made for the client just now, in the only moment in which it can be shown.
    pub secret: Option<Secret>,
}

/// Registers a new client under a random id. Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2), naming the member.
pub async fn register(
    document: &Value,
    trust: Trust,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Registered, Error> {
    create(metadata(document)?, trust, vault, by, conn, now).await
}

async fn create(
    metadata: Metadata,
    trust: Trust,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Registered, Error> {
    let client = Client::new(ClientId::random(), trust, metadata, now);
    records::insert(&client, by, conn).await?;
    settle(client, None, vault, by, conn, now).await
}

/// Replaces what a client has registered with what the document says (RFC 7592 §2.2: what it leaves out is
/// back at its default). Its secrets stay, unless it becomes public; it gets one when it becomes
/// confidential. Expects a connection inside a transaction.
///
/// # Errors
/// As [`register`]; `invalid_request` when there is no such client.
pub async fn update(
    client_id: &ClientId,
    document: &Value,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Registered, Error> {
    let named = Document::new(document)?.text("client_id")?;
    if named.is_some_and(|named| named != client_id.as_str()) {
        return Err(Error::invalid_client_metadata(
            "client_id: a client keeps the id it has",
        ));
    }
    replace(client_id, metadata(document)?, vault, by, conn, now).await
}

async fn replace(
    client_id: &ClientId,
    metadata: Metadata,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Registered, Error> {
    let client = records::update(client_id, metadata, by, conn, now).await?;
    let client = client.ok_or_else(|| Error::invalid_request("there is no client with this client_id"))?;
    settle(client, None, vault, by, conn, now).await
}

/// Registers or updates the client that the document names by `client_id`; one without it is registered under
/// a random id. `trust` is for a new client; one that exists keeps its own. Expects a connection inside a
/// transaction.
///
/// A `client_secret` made elsewhere becomes one of the client's secrets. Only its digest is stored, and that
/// protects it only if it was random: 16 characters are the least, 22 are right. Where it signs, it has 64 and is kept
/// sealed.
///
/// # Errors
/// As [`register`]; `invalid_client_metadata` for an id that a user has, and for a secret that is too short
/// or belongs to a public client; `invalid_request` for a third secret.
pub async fn import(
    document: &Value,
    trust: Trust,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Registered, Error> {
    let metadata = metadata(document)?;
    let document = Document::new(document)?;
    let secret = document.text("client_secret")?.map(Secret::from);
    let client_id = match document.text("client_id")? {
        Some(text) => importable(text, conn).await?,
        None => ClientId::random(),
    };
    let existing = records::update(&client_id, metadata.clone(), by, conn, now).await?;
    let client = match existing {
        Some(client) => client,
        None => {
            let generation = events::revocations::first_generation(&client_id, conn).await?;
            let client = Client {
                generation,
                ..Client::new(client_id, trust, metadata, now)
            };
            records::insert(&client, by, conn).await?;
            client
        }
    };
    settle(client, secret, vault, by, conn, now).await
}

/// Brings the client's secrets in line with what it registered: at least one for a client that authenticates by them,
/// none for others; one that can be read again where it signs, and none such elsewhere.
async fn settle(
    client: Client,
    given: Option<Secret>,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Registered, Error> {
    let mut secret = None;
    match given {
        Some(_) if !client.has_secret() => {
            return Err(Error::invalid_client_metadata(
                "client_secret: a client with this token_endpoint_auth_method has no secret",
            ));
        }
        Some(given) => secrets::adopt(&client.id, &given, vault, by, conn, now).await?,
        None if !client.has_secret() => secrets::delete_all(&client.id, by, conn, now).await?,
        None if client.metadata.needs_readable_secret() => {
            secret = secrets::ensure_readable(&client, vault, by, conn, now).await?;
        }
        None if secrets::list(&client.id, conn).await?.is_empty() => {
            secret = Some(secrets::add(&client.id, vault, by, conn, now).await?.secret);
        }
        None => {}
    }
    if !client.metadata.needs_readable_secret() {
        secrets::forget_sealed(&client.id, conn).await?;
    }
    Ok(Registered { client, secret })
}

const MAX_CLIENT_ID: usize = 255;

/// An id made elsewhere. Unreserved characters only: clients that encode them in a Basic header and clients
/// that do not send the same, and none looks like a URL, which names clients of another kind.
async fn importable(text: &str, conn: &mut Conn) -> Result<ClientId, Error> {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if text.is_empty() || text.len() > MAX_CLIENT_ID || !text.bytes().all(unreserved) {
        return Err(Error::invalid_client_metadata(
            "client_id: expected 1 to 255 letters, digits, and - . _ ~",
        ));
    }
    // RFC 9700 §4.15: a client that had a user's id would be that user at a resource server which looks at
    // sub alone.
    match users::by_sub(&text.into(), conn).await? {
        None => Ok(text.into()),
        Some(_) => Err(Error::invalid_client_metadata("client_id: a user has this id")),
    }
}

/// The client information response: RFC 7591 §3.2.1.
pub fn response(client: &Client, secret: Option<&Secret>) -> Value {
    let secret = secret.map(Secret::expose);
    serde_json::json!(Response {
        client_id: &client.id,
        client_secret: secret,
        client_secret_expires_at: secret.map(|_| 0),
        client_id_issued_at: client.created_at,
        metadata: &client.metadata,
    })
}

#[derive(serde::Serialize)]
struct Response<'c> {
    client_id: &'c ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'c str>,
    /// Zero: it does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    client_id_issued_at: Timestamp,
    #[serde(flatten)]
    metadata: &'c clients::Metadata,
}

#[cfg(test)]
mod tests;
