//! Provider metadata, JWK set publication, and the revocation feed.

// The provider metadata is one `json!` of some sixty members.
#![recursion_limit = "256"]

pub mod feed;
mod jwks;
mod metadata;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use keyring::Keyring;
use protocol::{
    ClientCertificates, Clock, Issuer, PushedRequests, ResponseTypes, Routes, SignUp, SigningAlgs, path,
};

/// What an operator can switch off.
#[derive(Clone, Debug)]
pub struct Offered {
    /// Whether clients can register themselves, be it with an initial access token.
    pub registration: bool,
    /// By which algorithms the server signs.
    pub signing: SigningAlgs,
    pub response_types: ResponseTypes,
    pub pushed_requests: PushedRequests,
    /// Who may make an account for themselves.
    pub sign_up: SignUp,
    pub certificates: ClientCertificates,
    /// Where certificates are asked for: the base of its own addresses.
    pub mtls: Option<Issuer>,
}

/// What these endpoints lean on.
#[derive(Debug)]
pub struct Discovery {
    keyring: Keyring,
    clock: Clock,
    openid: Document,
    oauth: Document,
}

impl Discovery {
    pub fn new(issuer: &Issuer, keyring: Keyring, clock: Clock, offered: &Offered) -> Self {
        let openid = metadata::document(issuer, offered);
        Self {
            keyring,
            clock,
            openid: Document::of(openid.to_string()),
            oauth: Document::of(metadata::of_authorization_server(issuer, openid).to_string()),
        }
    }
}

/// What lives under the issuer's path.
pub fn router(discovery: Arc<Discovery>) -> Routes {
    Routes::new()
        .route(path::OPENID_CONFIGURATION, get(openid))
        .route(path::AUTHORIZATION_SERVER, get(oauth))
        .route(path::JWKS, get(jwks::publish))
        .with_state(discovery)
}

/// RFC 8414 §3.1: for an issuer with a path, the well-known part comes before it.
pub fn inserted(discovery: Arc<Discovery>, issuer: &Issuer) -> Routes {
    let under = |well_known: &str| format!("{well_known}{}", issuer.path());
    Routes::new()
        .route(&under(path::AUTHORIZATION_SERVER), get(oauth))
        .route(&under(path::OPENID_CONFIGURATION), get(openid))
        .with_state(discovery)
}

async fn openid(State(discovery): State<Arc<Discovery>>, headers: HeaderMap) -> Response {
    discovery.openid.answer(&headers)
}

async fn oauth(State(discovery): State<Arc<Discovery>>, headers: HeaderMap) -> Response {
    discovery.oauth.answer(&headers)
}

/// JSON that is the same for everybody: bytes made once, with a validator.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    json: Bytes,
    etag: HeaderValue,
}

/// Five minutes: what a key's announcement and an emergency both count with.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

impl Document {
    fn of(json: String) -> Self {
        let etag = format!("\"{}\"", seal::digest(&json));
        Self {
            json: json.into(),
            etag: HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let fixed = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, CACHE),
            (ETAG, self.etag.clone()),
        ];
        match is_held(headers, &self.etag) {
            true => (StatusCode::NOT_MODIFIED, fixed).into_response(),
            false => (fixed, self.json.clone()).into_response(),
        }
    }
}

/// RFC 9110 §13.1.2, with the weak comparison it asks for.
fn is_held(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let listed = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    listed
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held).as_bytes() == etag.as_bytes())
}
