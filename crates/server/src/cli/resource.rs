//! `countersign resource`: resource servers, whom access tokens are for (RFC 8707).

mod secret;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use clients::resources::PublicKeys;
use clients::{ResourceServer, resources};
use events::Context;
use protocol::SigningAlg;
use serde_json::{Value, json};
use url::Url;

use super::client::members::jwk_set;
use super::client::secret::SHOWN_ONCE;
use super::failure::Failure;
use super::installation::Installation;
use super::print::{Answer, Printer};
use super::word;

#[derive(Debug, Subcommand)]
pub(super) enum Resource {
    /// Register an API
    Create(Create),
    /// Change the keys by which an API proves who it is
    Update(Update),
    /// All APIs, oldest first
    List,
    /// Secrets with which an API asks about tokens (RFC 7662)
    #[command(subcommand)]
    Secret(secret::Secret),
    /// One API
    Show { identifier: String },
    /// End an API; access tokens for it that are out live on for their minutes
    Delete { identifier: String },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Names it in requests (resource) and tokens (aud), to the byte
    #[arg(long, value_name = "URI")]
    identifier: String,
    /// Signs the access tokens meant for it
    #[arg(long, default_value = "ES256", value_parser = word(SigningAlg::ALL, SigningAlg::as_str))]
    alg: SigningAlg,
    /// What people see [default: its host]
    #[arg(long)]
    name: Option<String>,
    /// A scope with its text for people, as in 'notes.read=Read your notes' (repeatable)
    #[arg(long = "scope", value_name = "TOKEN=TEXT", value_parser = scope)]
    scopes: Vec<(String, String)>,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "countersign resource update <IDENTIFIER> <--jwks <FILE>|--jwks-uri <URL>|--no-keys>"
)]
pub(super) struct Update {
    identifier: String,
    /// It has no keys any more
    #[arg(long, conflicts_with_all = ["jwks", "jwks_uri"])]
    no_keys: bool,
    #[command(flatten)]
    keys: Keys,
}

/// The keys with which an API signs who it is (private_key_jwt), instead of sending a secret.
#[derive(Debug, Args)]
struct Keys {
    /// Its public keys: a file with a JWK set
    #[arg(long, value_name = "FILE", value_parser = jwk_set, conflicts_with = "jwks_uri")]
    jwks: Option<Value>,
    /// Where its public keys are
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
}

impl Keys {
    fn judged(&self) -> Result<Option<PublicKeys>, Failure> {
        if self.jwks.is_none() && self.jwks_uri.is_none() {
            return Ok(None);
        }
        let keys = registry::public_keys(self.jwks.as_ref(), self.jwks_uri.as_deref())?;
        Ok(Some(keys))
    }
}

fn scope(text: &str) -> Result<(String, String), &'static str> {
    let parts = text.split_once('=');
    let (token, text) = parts.ok_or("expected token=text for people")?;
    Ok((token.to_owned(), text.to_owned()))
}

impl Resource {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(create) => printer.answer(&create.run(on).await?),
            Self::Update(update) => printer.answer(&update.run(on).await?),
            Self::Secret(secret) => secret.run(on, printer).await,
            Self::List => list(on, printer).await,
            Self::Show { identifier } => {
                let found = resources::by_identifier(&identifier, &mut on.db.reader().await?).await?;
                let resource = found.ok_or_else(|| unknown(&identifier))?;
                printer.answer(&answer(&resource))
            }
            Self::Delete { identifier } => printer.answer(&delete(identifier, on).await?),
        }
    }
}

impl Create {
    async fn run(self, on: &Installation) -> Result<Answer, Failure> {
        let issuer = on.settings.issuer.as_ref();
        if issuer.is_some_and(|issuer| issuer.as_str() == self.identifier) {
            // A token for the API would open userinfo, and a token for userinfo the API.
            return Err("identifier: this is the issuer; an API needs one of its own".into());
        }
        if !on.settings.keys.policy.algs.contains(self.alg) {
            let alg = self.alg;
            return Err(format!("alg: {alg} is switched off (COUNTERSIGN_KEYS_ALGS)").into());
        }
        let mut scopes = BTreeMap::new();
        for (token, text) in self.scopes {
            if let Some(token) = scopes.insert(token.clone(), text).map(|_| token) {
                return Err(format!("scopes: {token} is given twice").into());
            }
        }
        let keys = self.keys.judged()?;
        let name = self.name.unwrap_or_else(|| host(&self.identifier));
        let resource = ResourceServer::define(&self.identifier, &name, self.alg, scopes, on.now)?;
        let resource = resource.with_keys(keys);
        let (mut shown, now) = (json(&resource), on.now);
        let inserted = on.db.transact(move |conn| {
            Box::pin(async move {
                let by = Context::command_line();
                resources::insert(&resource, &by, conn).await?;
                resources::secrets::add(&resource.identifier, &by, conn, now).await
            })
        });
        let added = inserted.await?;
        if let Some(members) = shown.as_object_mut() {
            // As libraries for introspection know them.
            members.insert("client_id".to_owned(), self.identifier.into());
            members.insert("client_secret".to_owned(), added.secret.expose().into());
        }
        Ok(Answer::of(shown, ORDER).note(SHOWN_ONCE))
    }
}

impl Update {
    async fn run(self, on: &Installation) -> Result<Answer, Failure> {
        let keys = match self.no_keys {
            true => None,
            false => {
                let nothing =
                    "nothing to change: give --jwks FILE or --jwks-uri URL for new keys, or --no-keys";
                Some(self.keys.judged()?.ok_or(nothing)?)
            }
        };
        let (identifier, now) = (self.identifier, on.now);
        let updated = on.db.transact(move |conn| {
            Box::pin(async move {
                let by = Context::command_line();
                resources::set_keys(&identifier, keys.as_ref(), &by, conn, now).await?;
                let found = resources::by_identifier(&identifier, conn).await?;
                found.ok_or_else(|| unknown(&identifier))
            })
        });
        Ok(answer(&updated.await?))
    }
}

/// What an API is called that was given no name.
fn host(identifier: &str) -> String {
    let url = Url::parse(identifier).ok();
    let host = url.as_ref().and_then(Url::host_str);
    host.unwrap_or(identifier).to_owned()
}

async fn list(on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let resources = resources::list(&mut on.db.reader().await?).await?;
    let mut list = printer.list();
    for resource in resources {
        list.item(&Answer {
            lines: vec![format!(
                "{}  {}  {}",
                resource.identifier, resource.alg, resource.name
            )],
            ..answer(&resource)
        })?;
    }
    list.end("there is no resource server yet: countersign resource create --help")
}

async fn delete(identifier: String, on: &Installation) -> Result<Answer, Failure> {
    let (own, now) = (identifier.clone(), on.now);
    let deleted = on.db.transact(move |conn| {
        Box::pin(async move { resources::delete(&own, &Context::command_line(), conn, now).await })
    });
    match deleted.await? {
        false => Err(unknown(&identifier)),
        true => Ok(Answer {
            lines: vec![format!("resource server {identifier} is deleted")],
            json: json!({ "identifier": identifier }),
        }),
    }
}

fn unknown(identifier: &str) -> Failure {
    format!("there is no resource server {identifier}").into()
}

/// The members that people read, in their order.
const ORDER: &[&str] = &[
    "identifier",
    "client_secret",
    "name",
    "alg",
    "scopes",
    "jwks_uri",
    "jwks",
    "created_at",
];

fn answer(resource: &ResourceServer) -> Answer {
    Answer::of(json(resource), ORDER)
}

fn json(resource: &ResourceServer) -> Value {
    let mut json = json!({
        "identifier": resource.identifier,
        "name": resource.name,
        "alg": resource.alg,
        "scopes": resource.scopes,
        "created_at": resource.created_at,
    });
    let (member, keys) = match &resource.keys {
        None => return json,
        Some(PublicKeys::Set(jwks)) => ("jwks", jwks.clone()),
        Some(PublicKeys::Behind(url)) => ("jwks_uri", url.as_str().into()),
    };
    if let Some(members) = json.as_object_mut() {
        members.insert(member.to_owned(), keys);
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_without_a_name_is_called_by_its_host() {
        assert_eq!(host("https://api.test:8443/notes"), "api.test");
        assert_eq!(host("urn:notes"), "urn:notes");
        assert_eq!(host("nonsense"), "nonsense");
    }

    #[test]
    fn a_scope_is_a_token_and_its_text() {
        let given = scope("a=Read x=y");
        assert_eq!(given, Ok(("a".to_owned(), "Read x=y".to_owned())));
        assert!(scope("a").is_err());
    }
}
