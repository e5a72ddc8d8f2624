//! The client registration endpoint: RFC 7591 §3, OpenID Connect Dynamic Client Registration §3.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use clients::registrations::{self, Vouched, quota};
use clients::{Client, Metadata, Trust, Vault, initial_tokens};
use db::{Conn, Database};
use egress::Egress;
use events::Context;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use protocol::error::Challenge;
use protocol::form::{NoStore, read_body};
use protocol::{Clock, Error, GrantType, Issuer, Routes, Secret, Timestamp, path};
use serde_json::Value;

use crate::terms::{Admission, Terms};
use crate::{Registered, create, manage, metadata, response, sector};

/// What this endpoint leans on.
#[derive(Debug)]
pub struct Registry {
    pub db: Database,
    pub issuer: Issuer,
    pub terms: Terms,
    /// Seals the secrets of clients that sign with them.
    pub vault: Vault,
    /// What sector identifiers are fetched with.
    pub egress: Egress,
    pub clock: Clock,
}

pub fn router(registry: Registry) -> Routes {
    Routes::new()
        .route(path::REGISTER, post(register))
        .route(
            path::REGISTERED,
            get(manage::read).put(manage::replace).delete(manage::delete),
        )
        .with_state(Arc::new(registry))
}

async fn register(
    State(registry): State<Arc<Registry>>,
    by: Context,
    request: Request,
) -> Result<Response, Error> {
    let now = registry.clock.now();
    let (terms, vault) = (registry.terms, registry.vault.clone());
    let token = bearer(request.headers())?;
    match (terms.admission, &token) {
        (Admission::Closed, _) => {
            return Err(Error::access_denied(
                "this server registers no clients over HTTP: ask the people who run it for a client",
            ));
        }
        (Admission::Token, None) => {
            return Err(Error::invalid_token(
                "registration needs an initial access token in the Authorization header: ask the people who \
                 run this server for one",
            )
            .with_challenge(Challenge::BearerWithoutToken));
        }
        (Admission::Token, Some(_)) | (Admission::Open, _) => {}
    }
    if token.is_none() {
        quota::look(terms.hours, &by, &mut registry.db.reader().await?, now).await?;
    }
    let document = document(request).await?;
    registry.prove_sector(&document, token.as_ref(), &by, now).await?;
    let work = registry.db.transact(move |conn| {
        Box::pin(async move {
            let vouched = admit(token.as_ref(), &terms, &by, conn, now).await?;
            let metadata = terms.metadata(&document, &vouched)?;
            let registered = create(metadata, terms.trust, &vault, &by, conn, now).await?;
            let token = registrations::insert(&registered.client.id, &vouched, conn, now).await?;
            Ok::<_, Error>((registered, token))
        })
    });
    let (registered, token) = work.await?;
    tracing::info!(client_id = %registered.client.id, "a client registered itself");
    let answer = registry.answer(&registered, &token);
    Ok((StatusCode::CREATED, NoStore(answer)).into_response())
}

/// Who vouches for this registration: a token, of which a use is taken, or nobody, which takes a place.
async fn admit(
    token: Option<&Secret>,
    terms: &Terms,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Vouched, Error> {
    let Some(token) = token else {
        quota::take(terms.hours, by, conn, now).await?;
        return Ok(Vouched::ByNobody);
    };
    let claimed = initial_tokens::claim(token, conn, now).await?;
    claimed.map(Vouched::ByToken).ok_or_else(no_such_token)
}

fn no_such_token() -> Error {
    Error::invalid_token("the initial access token is unknown, used up or expired: ask for a new one")
}

/// The token of the Authorization header, if there is one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, Error> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let text = match (all.next(), all.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    let token = text.and_then(|text| text.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(Some(Secret::from(token.trim())))
        }
        _ => Err(Error::invalid_token("expected: Authorization: Bearer TOKEN")),
    }
}

/// The JSON object of a request.
pub(crate) async fn document(request: Request) -> Result<Value, Error> {
    if !is_json(request.headers()) {
        return Err(Error::invalid_request("send the metadata as application/json"));
    }
    let body = read_body(request).await?;
    let object = jws::json::object(&body).map_err(|cause| {
        Error::invalid_client_metadata(
            "the body is not one JSON object in UTF-8 with every member once and at most 16 levels",
        )
        .because(cause)
    })?;
    Ok(Value::Object(object))
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = text.map(|text| text.split(';').next().unwrap_or(text).trim());
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

impl Registry {
    /// Asks the sector of a new client, before anything is written for it: no transaction waits for the network.
    async fn prove_sector(
        &self,
        document: &Value,
        token: Option<&Secret>,
        by: &Context,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !sector::is_named(document)? {
            return Ok(());
        }
        let vouched = match token {
            None => Vouched::ByNobody,
            Some(token) => {
                let found = initial_tokens::usable(token, &mut self.db.reader().await?, now).await?;
                Vouched::ByToken(found.ok_or_else(no_such_token)?)
            }
        };
        self.ask_sector(&metadata(document)?, &vouched, by, now).await
    }

    /// A stranger who has us fetch something takes a place for that, whatever comes of it: otherwise there would be no
    /// end to it.
    pub(crate) async fn ask_sector(
        &self,
        metadata: &Metadata,
        vouched: &Vouched,
        by: &Context,
        now: Timestamp,
    ) -> Result<(), Error> {
        match vouched {
            Vouched::ByToken(_) => {}
            Vouched::ByNobody => {
                let (hours, by) = (self.terms.hours, by.clone());
                let taken = self
                    .db
                    .transact(move |conn| Box::pin(async move { quota::take(hours, &by, conn, now).await }));
                taken.await?;
            }
        }
        sector::prove(metadata, &self.egress).await
    }

    /// The client information response: RFC 7591 §3.2.1 and RFC 7592 §3.
    pub(crate) fn answer(&self, registered: &Registered, token: &Secret) -> Value {
        let client = in_force(&registered.client);
        let mut answer = response(&client, registered.secret.as_ref());
        if let Some(members) = answer.as_object_mut() {
            members.retain(|name, _| name != "policy_uri" || !protocol::defect("registration-not-repeated"));
            let uri = format!("{}{}/{}", self.issuer.as_str(), path::REGISTER, client.id);
            members.insert("registration_client_uri".to_owned(), uri.into());
            members.insert("registration_access_token".to_owned(), token.expose().into());
            // RFC 7591 §3.2.1: also what nobody chose, and what our own records leave out for being usual.
            let alg = client.metadata.id_token_signed_response_alg;
            members.insert("id_token_signed_response_alg".to_owned(), alg.as_str().into());
        }
        answer
    }
}

/// The record as it works today: a client for which nobody vouches gets no refresh tokens. It keeps what it asked
/// for, until an operator trusts it.
fn in_force(client: &Client) -> Client {
    let mut client = client.clone();
    if client.trust == Trust::Unverified {
        let kept = |grant: &GrantType| *grant != GrantType::RefreshToken;
        client.metadata.grant_types.retain(kept);
    }
    client
}
