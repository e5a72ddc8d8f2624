//! `countersign client`: apps that people sign in to, as RFC 7591 describes them.

mod admitted;
pub(super) mod members;
pub(super) mod secret;
mod token;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use clients::{Localized, Trust, Vault, records};
use db::Conn;
use events::Context;
use protocol::{ClientId, Error, ResponseTypes, Timestamp};
use registry::Registered;
use revocation::{Act, Outcome};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::id;
use super::input::Records;
use super::installation::Installation;
use super::print::{Answer, Printer};
use members::Members;

#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Register an app, vouched for by you
    Create(Box<Create>),
    /// Change what is registered; only what is given changes
    Update(Box<Update>),
    /// Vouch for an app that registered itself
    Trust(Which),
    /// Secrets of an app; two work at once, so that one can be replaced in peace
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Tokens with which apps may register themselves (initial access tokens)
    #[command(subcommand)]
    Token(token::Token),
    /// All apps, oldest first
    List,
    /// One app
    Show(Which),
    /// End an app with everything it was allowed
    Delete(Which),
    /// Register or update apps from a file
    ///
    /// The file holds one RFC 7591 record or an array of them: JSON, all or nothing. A record with the
    /// client_id of an app updates it. One without client_secret gets one, unless the app is public or has one.
    Import {
        /// - for stdin
        file: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// Its client_id
    #[arg(value_parser = id, allow_hyphen_values = true)]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// What people see
    #[arg(long)]
    name: String,
    /// Where people are sent back to, to the byte; a client that only acts for itself has none
    #[arg(long = "redirect-uri", value_name = "URI", required_unless_present = "grant_types", num_args = 1..)]
    redirect_uris: Vec<String>,
    #[command(flatten)]
    members: Members,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Update {
    #[command(flatten)]
    which: Which,
    /// What people see
    #[arg(long)]
    name: Option<String>,
    /// Where people are sent back to; these replace the ones there are
    #[arg(long = "redirect-uri", value_name = "URI", num_args = 1..)]
    redirect_uris: Option<Vec<String>>,
    /// No native app any more
    #[arg(long, conflicts_with = "native")]
    web: bool,
    /// Require PKCE again
    #[arg(long, conflicts_with = "no_pkce")]
    pkce: bool,
    #[command(flatten)]
    members: Members,
}

impl Client {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(create) => printer.answer(&create.run(on).await?),
            Self::Update(update) => printer.answer(&update.run(on).await?),
            Self::Trust(Which { id }) => printer.answer(&trust(id.into(), on).await?),
            Self::Secret(secret) => secret.run(on, printer).await,
            Self::Token(token) => token.run(on, printer).await,
            Self::List => list(on, printer).await,
            Self::Show(Which { id }) => {
                let client = known(&id.into(), &mut on.db.reader().await?).await?;
                printer.answer(&answer(&client, None))
            }
            Self::Delete(Which { id }) => printer.answer(&delete(id.into(), on).await?),
            Self::Import { file } => import(&Records::read(&file)?, on, printer).await,
        }
    }
}

impl Create {
    async fn run(self, on: &Installation) -> Result<Answer, Failure> {
        let mut document = Map::new();
        document.insert("client_name".to_owned(), self.name.into());
        document.insert("redirect_uris".to_owned(), self.redirect_uris.into());
        let usual = json!(["authorization_code", "refresh_token"]);
        document.insert("grant_types".to_owned(), usual);
        self.members.edit(&mut document);
        let (document, now) = (Value::Object(document), on.now);
        registry::signable(&document, on.settings.keys.policy.algs)?;
        let vault = on.vault_if(registry::needs_vault(&document)?).await?;
        let (by, types) = (Context::command_line(), on.settings.response_types);
        let registered = on.db.transact(move |conn| {
            Box::pin(async move {
                let registered =
                    registry::register(&document, Trust::Trusted, &vault, &by, conn, now).await?;
                admitted::check(&registered.client.metadata, None, types)?;
                Ok::<_, Failure>(registered)
            })
        });
        Ok(registered_answer(&registered.await?))
    }
}

impl Update {
    async fn run(self, on: &Installation) -> Result<Answer, Failure> {
        let (now, by) = (on.now, Context::command_line());
        let id = ClientId::from(self.which.id.as_str());
        // Keys are not opened within a transaction: looked at before, and judged within.
        let client = known(&id, &mut on.db.reader().await?).await?;
        let edited = self.clone().edited(&client);
        registry::signable(&edited, on.settings.keys.policy.algs)?;
        let vault = on.vault_if(registry::needs_vault(&edited)?).await?;
        let types = on.settings.response_types;
        let updated = on.db.transact(move |conn| {
            Box::pin(async move {
                let client = records::for_change(&id, conn).await?;
                let client = client.ok_or_else(|| unknown(&id))?;
                let document = self.edited(&client);
                let updated = registry::update(&id, &document, &vault, &by, conn, now).await?;
                admitted::check(&updated.client.metadata, Some(&client.metadata), types)?;
                Ok::<_, Failure>(updated)
            })
        });
        Ok(registered_answer(&updated.await?))
    }

    /// What the client has registered, with these changes.
    fn edited(self, client: &clients::Client) -> Value {
        let mut document = registry::response(client, None);
        if let Some(document) = document.as_object_mut() {
            self.edit(document);
        }
        document
    }

    fn edit(self, document: &mut Map<String, Value>) {
        if let Some(name) = self.name {
            document.insert("client_name".to_owned(), members::or_none(name));
        }
        if let Some(uris) = self.redirect_uris {
            document.insert("redirect_uris".to_owned(), uris.into());
        }
        if self.web {
            document.insert("application_type".to_owned(), "web".into());
        }
        if self.pkce {
            document.insert("require_pkce".to_owned(), true.into());
        }
        self.members.edit(document);
    }
}

async fn trust(id: ClientId, on: &Installation) -> Result<Answer, Failure> {
    let now = on.now;
    let trusted = on.db.transact(move |conn| {
        Box::pin(async move {
            records::set_trust(&id, Trust::Trusted, &Context::command_line(), conn, now).await?;
            known(&id, conn).await
        })
    });
    Ok(answer(&trusted.await?, None))
}

async fn list(on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let clients = records::list(&mut on.db.reader().await?).await?;
    let mut list = printer.list();
    for client in clients {
        let line = format!("{:<22}  {:<10}  {}", client.id, client.trust, client.shown_name());
        list.item(&Answer {
            lines: vec![line],
            ..answer(&client, None)
        })?;
    }
    list.end("there is no client yet: countersign client create --help")
}

async fn delete(id: ClientId, on: &Installation) -> Result<Answer, Failure> {
    match revocation::perform(
        Act::DeleteClient(id.clone()),
        &Context::command_line(),
        &on.db,
        on.now,
    )
    .await?
    {
        Outcome::Unknown => Err(unknown(&id).into()),
        Outcome::Ended(ended) => Ok(Answer {
            json: json!({ "client_id": id, "approvals_ended": ended }),
            lines: vec![format!(
                "client {id} is deleted; approvals ended with it: {ended}"
            )],
        }),
    }
}

async fn import(records: &Records, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let (records, now) = (records.clone(), on.now);
    let is_array = records.is_array;
    let algs = on.settings.keys.policy.algs;
    // One that is wrong is told of with its place in the file, below.
    let needed = |document: &Value| registry::needs_vault(document).unwrap_or(false);
    let vault = on.vault_if(records.all.iter().any(needed)).await?;
    let types = on.settings.response_types;
    let imported = on.db.transact(move |conn| {
        Box::pin(async move {
            let mut seen = BTreeMap::new();
            let mut imported = Vec::new();
            for (at, document) in records.all.iter().enumerate() {
                registry::signable(document, algs).map_err(|error| records.at(at, error.into()))?;
                let registered = import_one(document, types, &vault, conn, now).await;
                let registered = registered.map_err(|failure| records.at(at, failure))?;
                if let Some(before) = seen.insert(registered.client.id.clone(), at) {
                    let twice = Failure::from(format!("has the client_id of [{before}]"));
                    return Err(records.at(at, twice));
                }
                imported.push(registered);
            }
            Ok::<_, Failure>(imported)
        })
    });
    let imported: Vec<Answer> = imported.await?.iter().map(registered_answer).collect();
    printer.records(is_array, &imported)
}

/// What a list of clients prints can be imported again: an app that is shown as unverified comes back so.
async fn import_one(
    document: &Value,
    types: ResponseTypes,
    vault: &Vault,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Registered, Failure> {
    let trust = match document.get("trust") {
        None | Some(Value::Null) => Trust::Trusted,
        Some(word) => {
            let word = word.as_str().and_then(|word| word.parse().ok());
            word.ok_or("trust: expected trusted or unverified")?
        }
    };
    let old = match document.get("client_id").and_then(Value::as_str) {
        // Which no database can be asked for, and the import refuses.
        Some(id) if id.contains('\0') => None,
        Some(id) => records::by_id(&id.into(), conn).await?,
        None => None,
    };
    let registered = registry::import(document, trust, vault, &Context::command_line(), conn, now).await?;
    let old = old.as_ref().map(|old| &old.metadata);
    admitted::check(&registered.client.metadata, old, types)?;
    Ok(registered)
}

async fn known(id: &ClientId, conn: &mut Conn) -> Result<clients::Client, Failure> {
    let client = records::by_id(id, conn).await?;
    client.ok_or_else(|| unknown(id).into())
}

fn unknown(id: &ClientId) -> Error {
    Error::invalid_request(format!("there is no client {id}"))
}

fn registered_answer(registered: &Registered) -> Answer {
    let answer = answer(&registered.client, registered.secret.as_ref());
    match registered.secret {
        Some(_) => answer.note(secret::SHOWN_ONCE),
        None => answer,
    }
}

/// The members that people read, in their order.
const ORDER: &[&str] = &[
    "client_id",
    "client_secret",
    "client_name",
    "trust",
    "redirect_uris",
    "post_logout_redirect_uris",
    "application_type",
    "subject_type",
    "sector_identifier_uri",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
    "tls_client_certificate_bound_access_tokens",
    "assertion_audience",
    "id_token_signed_response_alg",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "jwks_uri",
    "jwks",
    "request_object_signing_alg",
    "request_uris",
    "require_signed_request_object",
    "require_pushed_authorization_requests",
    "require_pkce",
    "grant_types",
    "response_types",
    "scope",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "initiate_login_uri",
    "contacts",
    "client_id_issued_at",
];

fn answer(client: &clients::Client, secret: Option<&protocol::Secret>) -> Answer {
    let mut json = registry::response(client, secret);
    if let Some(members) = json.as_object_mut() {
        members.insert("trust".to_owned(), client.trust.as_str().into());
    }
    let mut order = ORDER.to_vec();
    let names = json.as_object().into_iter().flat_map(|members| members.keys());
    let names: Vec<String> = names
        .filter(|name| name.starts_with(Localized::MEMBER))
        .cloned()
        .collect();
    if let Some(at) = order.iter().position(|name| *name == "trust") {
        order.splice(at..at, names.iter().map(String::as_str));
    }
    Answer::of(json, &order)
}

#[cfg(test)]
mod tests {
    use protocol::{JweAlg, JweEnc};

    use super::*;

    #[test]
    fn people_are_shown_every_member_but_that_a_secret_does_not_expire() {
        let full = json!({
            "client_name": "Shop", "client_name#fr": "Boutique", "application_type": "web", "redirect_uris": ["https://a.test/cb"],
            "post_logout_redirect_uris": ["https://a.test/bye"],
            "subject_type": "pairwise", "sector_identifier_uri": "https://a.test/sector.json",
            "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["authorization_code"],
            "response_types": ["code"], "scope": "openid", "client_uri": "https://a.test/",
            "logo_uri": "https://a.test/l", "policy_uri": "https://a.test/p", "tos_uri": "https://a.test/t",
            "backchannel_logout_uri": "https://a.test/ended", "backchannel_logout_session_required": true,
            "frontchannel_logout_uri": "https://a.test/out", "frontchannel_logout_session_required": true,
            "initiate_login_uri": "https://a.test/start",
            "contacts": ["a@a.test"], "require_pkce": true, "token_endpoint_auth_signing_alg": "ES256",
            "tls_client_auth_subject_dn": "CN=a", "tls_client_certificate_bound_access_tokens": true,
            "assertion_audience": "compatible", "jwks": { "keys": [{ "kty": "x" }] },
            "id_token_signed_response_alg": "HS256", "userinfo_signed_response_alg": "PS256",
            "request_object_encryption_alg": "ECDH-ES", "request_object_encryption_enc": "A256GCM",
            "request_object_signing_alg": "ES256",
            "request_uris": ["https://a.test/r"], "require_signed_request_object": true,
            "require_pushed_authorization_requests": true,
        });
        let mut metadata = registry::metadata(&full).unwrap();
        // No client has both.
        metadata.jwks_uri = Some("https://a.test/jwks".to_owned());
        let encryption = (Some(JweAlg::EcdhEs), Some(JweEnc::A128Gcm));
        (
            metadata.id_token_encrypted_response_alg,
            metadata.id_token_encrypted_response_enc,
        ) = encryption;
        (
            metadata.userinfo_encrypted_response_alg,
            metadata.userinfo_encrypted_response_enc,
        ) = encryption;
        // Nor more than one of these names.
        metadata.tls_client_auth_san_dns = Some("a.test".to_owned());
        metadata.tls_client_auth_san_uri = Some("https://a.test/".to_owned());
        metadata.tls_client_auth_san_ip = Some("192.0.2.7".to_owned());
        metadata.tls_client_auth_san_email = Some("a@a.test".to_owned());
        let client = clients::Client::new("c".into(), Trust::Trusted, metadata, Timestamp::from_secs(0));
        let answer = answer(&client, Some(&"secret".into()));
        let members = answer.json.as_object().unwrap();
        let unseen: Vec<&String> = members
            .keys()
            .filter(|name| !ORDER.contains(&name.as_str()))
            .collect();
        assert_eq!(unseen, ["client_secret_expires_at", "client_name#fr"]);
        assert_eq!(answer.lines.len(), ORDER.len() + 1);
        assert!(answer.lines[3].starts_with("client_name#fr ") && answer.lines[3].ends_with(" Boutique"));
    }
}
