//! The client configuration endpoint: RFC 7592 §2. A client reads, replaces and deletes its own registration.
//!
//! Every refusal is one and the same 401: a stranger does not learn which clients exist, nor which of them registered
//! themselves.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use clients::registrations::{self, Renewal, Vouched};
use clients::{Client, Trust, Vault, records, secrets};
use db::Conn;
use events::Context;
use http::{HeaderMap, StatusCode};
use protocol::form::NoStore;
use protocol::opaque::{self, Kind};
use protocol::{ClientId, Error, Secret, Timestamp};
use revocation::Act;
use serde_json::Value;

use crate::document::{Document, invalid};
use crate::endpoint::{Registry, bearer, document};
use crate::terms::Terms;
use crate::{Registered, metadata, replace as replace_metadata, sector};

pub(crate) async fn read(
    State(registry): State<Arc<Registry>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<NoStore<Value>, Error> {
    let id = ClientId::from(id);
    let token = presented(&headers)?;
    let mut conn = registry.db.reader().await?;
    held_by(&id, &token, &mut conn).await?;
    let client = records::by_id(&id, &mut conn).await?.ok_or_else(refused)?;
    // The token is the one that was presented: only its digest is kept. So is the secret's, and it is not shown.
    let registered = Registered { client, secret: None };
    Ok(NoStore(registry.answer(&registered, &token)))
}

pub(crate) async fn replace(
    State(registry): State<Arc<Registry>>,
    Path(id): Path<String>,
    by: Context,
    request: Request,
) -> Result<NoStore<Value>, Error> {
    let now = registry.clock.now();
    let id = ClientId::from(id);
    let token = presented(request.headers())?;
    // Nobody who could not change anything has their document read.
    let vouched = held_by(&id, &token, &mut registry.db.reader().await?).await?;
    let document = document(request).await?;
    registry
        .prove_sector_again(&id, &document, &vouched, &by, now)
        .await?;
    let (terms, vault) = (registry.terms, registry.vault.clone());
    let work = registry.db.transact(move |conn| {
        Box::pin(async move {
            let change = Change {
                id: &id,
                document: &document,
                vouched: &vouched,
                vault: &vault,
                by: &by,
            };
            change.make(&token, &terms, conn, now).await
        })
    });
    let (registered, token) = work.await?;
    Ok(NoStore(registry.answer(&registered, &token)))
}

pub(crate) async fn delete(
    State(registry): State<Arc<Registry>>,
    Path(id): Path<String>,
    by: Context,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let now = registry.clock.now();
    let id = ClientId::from(id);
    let token = presented(&headers)?;
    held_by(&id, &token, &mut registry.db.reader().await?).await?;
    revocation::perform(Act::DeleteClient(id), &by, &registry.db, now).await?;
    Ok((
        StatusCode::NO_CONTENT,
        [(http::header::CACHE_CONTROL, "no-store")],
    )
        .into_response())
}

impl Registry {
    /// Asks the sector of a client that changes, unless it has said so before. Of two changes at once one fails by its
    /// token, so what was registered when this was asked is what is replaced.
    async fn prove_sector_again(
        &self,
        id: &ClientId,
        document: &Value,
        vouched: &Vouched,
        by: &Context,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !sector::is_named(document)? {
            return Ok(());
        }
        let drafted = metadata(document)?;
        let old = records::by_id(id, &mut self.db.reader().await?).await?;
        let old = old.ok_or_else(refused)?.metadata;
        sector::check_kept(&old, &drafted)?;
        if sector::said_before(&old, &drafted) {
            return Ok(());
        }
        self.ask_sector(&drafted, vouched, by, now).await
    }
}

/// One replacement of what a client registered.
struct Change<'c> {
    id: &'c ClientId,
    document: &'c Value,
    vouched: &'c Vouched,
    vault: &'c Vault,
    by: &'c Context,
}

impl Change<'_> {
    async fn make(
        &self,
        token: &Secret,
        terms: &Terms,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<(Registered, Secret), Error> {
        let old = records::for_change(self.id, conn).await?.ok_or_else(refused)?;
        let token = match registrations::renew(self.id, token.expose(), conn, now).await? {
            Renewal::Renewed(token) => token,
            Renewal::Refused => return Err(refused()),
            Renewal::TooMany => {
                return Err(Error::too_many(
                    "this client was changed too often within the hour; try again later",
                    registrations::HOUR,
                ));
            }
        };
        self.check_identity(conn).await?;
        let metadata = terms.metadata(self.document, self.vouched)?;
        sector::check_kept(&old.metadata, &metadata)?;
        let mut registered = replace_metadata(self.id, metadata, self.vault, self.by, conn, now).await?;
        if let Some(trust) = trust_after(&old, &registered.client, terms) {
            records::set_trust(self.id, trust, self.by, conn, now).await?;
            registered.client.trust = trust;
        }
        Ok((registered, token))
    }

    /// RFC 7592 §2.2: the id has to be there and stays; a secret is the one there is, and nobody chooses it.
    async fn check_identity(&self, conn: &mut Conn) -> Result<(), Error> {
        let document = Document::new(self.document)?;
        if document.text("client_id")? != Some(self.id.as_str()) {
            return Err(invalid(
                "client_id",
                "expected the id of this client, which it keeps",
            ));
        }
        let Some(secret) = document.text("client_secret")? else {
            return Ok(());
        };
        match secrets::is_active(self.id, &Secret::from(secret), conn).await? {
            true => Ok(()),
            false => Err(invalid(
                "client_secret",
                "expected the secret that the client has, or none; secrets are made here",
            )),
        }
    }
}

/// An operator vouched for what they saw. A client that people would see differently is a stranger again, unless
/// strangers are trusted here: the attack is an app that changes its name, or where it leads, once it is trusted.
fn trust_after(old: &Client, new: &Client, terms: &Terms) -> Option<Trust> {
    (new.version != old.version && old.trust != terms.trust && terms.trust == Trust::Unverified)
        .then_some(terms.trust)
}

fn presented(headers: &HeaderMap) -> Result<Secret, Error> {
    let token = bearer(headers)?.ok_or_else(Error::token_missing)?;
    match opaque::decode(Kind::RegistrationAccess, token.expose()) {
        Some(_) => Ok(token),
        None => Err(refused()),
    }
}

async fn held_by(id: &ClientId, token: &Secret, conn: &mut Conn) -> Result<Vouched, Error> {
    // No id of ours has it, and PostgreSQL cannot look for it.
    if id.as_str().contains('\0') {
        return Err(refused());
    }
    registrations::held_by(id, token.expose(), conn)
        .await?
        .ok_or_else(refused)
}

fn refused() -> Error {
    Error::invalid_token(
        "this is not the registration access token that this client has now: every change of a registration \
         replaces it",
    )
}
