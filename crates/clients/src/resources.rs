//! Resource servers: whom an access token is for (RFC 8707), and what their scopes mean to people.

pub mod secrets;

use std::collections::BTreeMap;

use db::{Conn, execute, run};
use events::changes::{self, Topic};
use events::{Context, Event, audit};
use protocol::{ClientAuthMethod, Error, GrantType, SigningAlg, Timestamp, scope};
use serde_json::Value;
use url::Url;

use crate::{Client, Metadata, Trust, shown};

/// A resource server. Made by [`ResourceServer::define`], so that one that exists is a valid one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceServer {
    /// The audience: `resource` of a request names it to the byte.
    pub identifier: String,
    pub name: String,
    /// Signs the access tokens meant for it.
    pub alg: SigningAlg,
    /// Scope token → what it allows, in words for people.
    pub scopes: BTreeMap<String, String>,
    /// Of its own, to prove who it is: RFC 7523.
    pub keys: Option<PublicKeys>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The public keys of a resource server. Judged by whoever registers it, as those of a client are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeys {
    Set(Value),
    Behind(String),
}

impl PublicKeys {
    fn set(&self) -> Option<&Value> {
        match self {
            Self::Set(jwks) => Some(jwks),
            Self::Behind(_) => None,
        }
    }

    fn url(&self) -> Option<&str> {
        match self {
            Self::Set(_) => None,
            Self::Behind(url) => Some(url),
        }
    }
}

const MAX_IDENTIFIER: usize = 512;
const MAX_SCOPES: usize = 100;
const MAX_SCOPE: usize = 128;
/// Longest text about a scope, in characters.
const MAX_SCOPE_TEXT: usize = 200;

impl ResourceServer {
    /// # Errors
    /// `invalid_request`, naming what is wrong.
    pub fn define(
        identifier: &str,
        name: &str,
        alg: SigningAlg,
        scopes: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        if let Some(fault) = identifier_fault(identifier) {
            return Err(Error::invalid_request(format!("identifier: {fault}")));
        }
        let name = shown::line(name, shown::MAX_NAME)
            .map_err(|fault| Error::invalid_request(format!("name: {fault}")))?;
        if scopes.len() > MAX_SCOPES {
            return Err(Error::invalid_request("scopes: more than 100 scopes"));
        }
        Ok(Self {
            identifier: identifier.to_owned(),
            name,
            alg,
            scopes: scopes.into_iter().map(valid_scope).collect::<Result<_, _>>()?,
            keys: None,
            created_at: now,
            updated_at: now,
        })
    }

    /// The same with keys of its own.
    #[must_use]
    pub fn with_keys(self, keys: Option<PublicKeys>) -> Self {
        Self { keys, ..self }
    }

    /// As whom its assertions are judged: they are what a client's are (RFC 7523 §3).
    pub(crate) fn signer(&self) -> Client {
        let metadata = Metadata {
            token_endpoint_auth_method: match self.keys {
                Some(_) => ClientAuthMethod::PrivateKeyJwt,
                None => ClientAuthMethod::ClientSecretBasic,
            },
            grant_types: vec![GrantType::ClientCredentials],
            response_types: Vec::new(),
            jwks: self.keys.as_ref().and_then(PublicKeys::set).cloned(),
            jwks_uri: self.keys.as_ref().and_then(PublicKeys::url).map(str::to_owned),
            ..Metadata::default()
        };
        Client::new(
            self.identifier.as_str().into(),
            Trust::Trusted,
            metadata,
            self.created_at,
        )
    }
}

/// RFC 8707 §2: an absolute URI without fragment.
fn identifier_fault(text: &str) -> Option<&'static str> {
    if text.len() > MAX_IDENTIFIER || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("expected at most 512 printable ASCII characters");
    }
    if text.contains(['#', '"', '<', '>', '\\']) {
        return Some("a resource identifier has no fragment and no character that needs encoding");
    }
    let Ok(url) = Url::parse(text) else {
        return Some("expected an absolute URI, as in https://api.example.com");
    };
    if matches!(url.scheme(), "http" | "https") {
        let after = text
            .strip_prefix(url.scheme())
            .and_then(|after| after.strip_prefix("://"));
        let authority = after
            .and_then(|after| after.split(['/', '?']).next())
            .unwrap_or_default();
        if authority.is_empty() || authority.contains('@') {
            return Some("expected scheme://host in lower case and no user name");
        }
    }
    None
}

fn valid_scope((token, text): (String, String)) -> Result<(String, String), Error> {
    if !scope::is_token(&token) || token.len() > MAX_SCOPE {
        return Err(Error::invalid_request(
            "scopes: a scope is a token of at most 128 characters (RFC 6749 section 3.3)",
        ));
    }
    if scope::STANDARD.contains(&token.as_str()) || token == scope::REVOCATIONS {
        return Err(Error::invalid_request(format!(
            "scopes: {token} means something already"
        )));
    }
    match shown::line(&text, MAX_SCOPE_TEXT) {
        Ok(text) => Ok((token, text)),
        Err(fault) => Err(Error::invalid_request(format!(
            "scopes: the text about {token}: {fault}"
        ))),
    }
}

const INSERT: &str = "INSERT INTO resource_servers (identifier, name, alg, created_at, updated_at, jwks, jwks_uri) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
const INSERT_SCOPE: &str = "INSERT INTO resource_scopes (scope, identifier, description) \
    VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// Expects a connection inside a transaction.
///
/// # Errors
/// `invalid_request` when the identifier is taken, or a scope belongs to another resource server: a token is
/// asked for by its scopes alone, so each of them has to mean one thing.
pub async fn insert(resource: &ResourceServer, by: &Context, conn: &mut Conn) -> Result<(), Error> {
    let inserted = execute!(
        conn,
        sqlx::query(INSERT)
            .bind(resource.identifier.as_str())
            .bind(resource.name.as_str())
            .bind(resource.alg.as_str())
            .bind(resource.created_at.as_secs())
            .bind(resource.updated_at.as_secs())
            .bind(
                resource
                    .keys
                    .as_ref()
                    .and_then(PublicKeys::set)
                    .map(Value::to_string)
            )
            .bind(resource.keys.as_ref().and_then(PublicKeys::url))
    );
    if inserted.map_err(db::Error::from)? == 0 {
        return Err(Error::invalid_request(
            "there is a resource server with this identifier already",
        ));
    }
    for (scope, text) in &resource.scopes {
        let inserted = execute!(
            conn,
            sqlx::query(INSERT_SCOPE)
                .bind(scope.as_str())
                .bind(resource.identifier.as_str())
                .bind(text.as_str())
        );
        if inserted.map_err(db::Error::from)? == 0 {
            return Err(Error::invalid_request(format!(
                "the scope {scope} belongs to another resource server"
            )));
        }
    }
    let created = Event::ResourceCreated {
        identifier: &resource.identifier,
    };
    audit::record(&created, by, conn, resource.created_at).await?;
    Ok(changes::bump(Topic::Resources, conn).await?)
}

/// One scope of a resource server, or the server alone when it has none.
#[derive(sqlx::FromRow)]
struct Row {
    identifier: String,
    name: String,
    alg: String,
    created_at: i64,
    updated_at: i64,
    jwks: Option<String>,
    jwks_uri: Option<String>,
    scope: Option<String>,
    description: Option<String>,
}

impl Row {
    fn keys(&self) -> db::Result<Option<PublicKeys>> {
        if let Some(text) = &self.jwks {
            let jwks = serde_json::from_str(text).map_err(db::Error::corrupt)?;
            return Ok(Some(PublicKeys::Set(jwks)));
        }
        Ok(self.jwks_uri.clone().map(PublicKeys::Behind))
    }
}

impl TryFrom<&Row> for ResourceServer {
    type Error = db::Error;

    fn try_from(row: &Row) -> db::Result<Self> {
        let wrong_alg = |_| db::Error::corrupt(format!("alg of resource server {}", row.identifier));
        Ok(Self {
            identifier: row.identifier.clone(),
            name: row.name.clone(),
            alg: row.alg.parse().map_err(wrong_alg)?,
            scopes: BTreeMap::new(),
            keys: row.keys()?,
            created_at: Timestamp::from_secs(row.created_at),
            updated_at: Timestamp::from_secs(row.updated_at),
        })
    }
}

/// Gathers the rows of each server, which stand together.
fn gathered(rows: Vec<Row>) -> db::Result<Vec<ResourceServer>> {
    let mut all: Vec<ResourceServer> = Vec::new();
    for row in rows {
        let mut server = match all.pop() {
            Some(last) if last.identifier == row.identifier => last,
            other => {
                all.extend(other);
                ResourceServer::try_from(&row)?
            }
        };
        server.scopes.extend(row.scope.zip(row.description));
        all.push(server);
    }
    Ok(all)
}

const BY_IDENTIFIER: &str = "SELECT r.identifier, r.name, r.alg, r.created_at, r.updated_at, r.jwks, \
    r.jwks_uri, s.scope, s.description FROM resource_servers r \
    LEFT JOIN resource_scopes s ON s.identifier = r.identifier \
    WHERE r.identifier = $1";

/// # Errors
/// The database's failures.
pub async fn by_identifier(identifier: &str, conn: &mut Conn) -> db::Result<Option<ResourceServer>> {
    let rows = run!(conn, |c| sqlx::query_as::<_, Row>(BY_IDENTIFIER)
        .bind(identifier)
        .fetch_all(c))?;
    Ok(gathered(rows)?.pop())
}

const LIST: &str = "SELECT r.identifier, r.name, r.alg, r.created_at, r.updated_at, r.jwks, \
    r.jwks_uri, s.scope, s.description FROM resource_servers r \
    LEFT JOIN resource_scopes s ON s.identifier = r.identifier \
    ORDER BY r.created_at, r.identifier";

/// Every resource server, oldest first.
///
/// # Errors
/// The database's failures.
pub async fn list(conn: &mut Conn) -> db::Result<Vec<ResourceServer>> {
    gathered(run!(conn, |c| sqlx::query_as::<_, Row>(LIST).fetch_all(c))?)
}

const SET_KEYS: &str =
    "UPDATE resource_servers SET jwks = $2, jwks_uri = $3, updated_at = $4 WHERE identifier = $1";

/// Replaces the keys of a resource server; whether there is one.
///
/// # Errors
/// The database's failures.
pub async fn set_keys(
    identifier: &str,
    keys: Option<&PublicKeys>,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<bool> {
    let updated = execute!(
        conn,
        sqlx::query(SET_KEYS)
            .bind(identifier)
            .bind(keys.and_then(PublicKeys::set).map(Value::to_string))
            .bind(keys.and_then(PublicKeys::url))
            .bind(now.as_secs())
    )?;
    if updated == 0 {
        return Ok(false);
    }
    audit::record(&Event::ResourceUpdated { identifier }, by, conn, now).await?;
    changes::bump(Topic::Resources, conn).await?;
    Ok(true)
}

const DELETE: &str = "DELETE FROM resource_servers WHERE identifier = $1";

/// Deletes the resource server with its scopes; whether there was one.
///
/// # Errors
/// The database's failures.
pub async fn delete(identifier: &str, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    if execute!(conn, sqlx::query(DELETE).bind(identifier))? == 0 {
        return Ok(false);
    }
    audit::record(&Event::ResourceDeleted { identifier }, by, conn, now).await?;
    changes::bump(Topic::Resources, conn).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
