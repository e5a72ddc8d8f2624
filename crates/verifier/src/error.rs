//! What can go wrong, and what the caller is told of it: RFC 6750 §3.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use protocol::ErrorCode;
use protocol::error::Challenge;

use crate::FeedError;

/// Why a request is not let through. Returned from a handler, it is the answer of RFC 6750 §3.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401, without an error code: the client may not have known that a token is needed.
    #[error("the request carries no access token")]
    NoToken,
    /// 400.
    #[error("the request must carry one Authorization header of the form \"Bearer token\"")]
    Malformed,
    /// 401.
    #[error("{0}")]
    Refused(#[from] jws::Error),
    /// 401. The issuer, or whoever it acts for, has ended it.
    #[error("the access token has been revoked")]
    Revoked,
    /// 403.
    #[error("the access token lacks the scope {0}")]
    InsufficientScope(String),
    /// 403.
    #[error("whom the access token speaks for lacks the role {0}")]
    MissingRole(String),
    /// 503, with `Retry-After`.
    #[error("the keys of the issuer cannot be had: {0}")]
    Unavailable(#[from] Arc<Unavailable>),
    /// 503, with `Retry-After`: whether the token has been revoked cannot be known, and the author of the resource
    /// server wants no token then ([`crate::LostFeed`]).
    #[error("revocations are not heard of{}", because(.0))]
    FeedLost(Option<Arc<FeedError>>),
    /// 500: a handler asks for [`crate::Authenticated`], and neither a layer nor the state knows a verifier.
    #[error("no verifier guards this route: add .layer(verifier.layer())")]
    Unguarded,
    /// What was asked of a builder cannot be: never met by a request.
    #[error("not usable: {0}")]
    Setting(&'static str),
    /// The issuer given is not one: met when a verifier is built, never by a request.
    #[error("not usable as an issuer: {0}")]
    Issuer(&'static str),
}

/// Why the keys of the issuer could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    #[error("not asked yet")]
    NotAsked,
    #[error("no answer")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is longer than 64 KiB")]
    TooLong,
    #[error("its metadata is malformed")]
    Metadata(#[source] serde_json::Error),
    /// RFC 8414 §3.3: metadata under one name that speaks for another is an attack.
    #[error("its metadata names another issuer: {0:?}")]
    OtherIssuer(String),
    #[error("its jwks_uri is not an https URL")]
    JwksUri,
    #[error("{0}")]
    KeySet(#[from] jws::Error),
    #[error("its key set holds no key that could verify a token")]
    NoKeys,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let scope = match &self {
            Self::InsufficientScope(scope) if protocol::scope::is_token(scope) => Some(scope.clone()),
            _ => None,
        };
        let mut response = self.into_wire().into_response();
        if let Some(scope) = scope {
            name_scope(&mut response, &scope);
        }
        response
    }
}

impl Error {
    fn into_wire(self) -> protocol::Error {
        let text = self.to_string();
        match self {
            Self::NoToken => protocol::Error::token_missing(),
            Self::Malformed => protocol::Error::invalid_request(text).with_challenge(Challenge::Bearer),
            Self::Refused(_) | Self::Revoked => protocol::Error::invalid_token(text),
            Self::InsufficientScope(_) | Self::MissingRole(_) => protocol::Error::insufficient_scope(text),
            Self::Unavailable(_) | Self::FeedLost(_) => protocol::Error::new(
                ErrorCode::TemporarilyUnavailable,
                "access tokens cannot be checked just now; try again shortly",
            )
            .because(self),
            Self::Issuer(_) | Self::Setting(_) | Self::Unguarded => protocol::Error::new(
                ErrorCode::ServerError,
                "the resource server is not set up to check access tokens",
            )
            .because(self),
        }
    }
}

fn because(cause: &Option<Arc<FeedError>>) -> String {
    let cause = cause.as_ref();
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}

/// Adds the `scope` attribute of RFC 6750 §3 to the challenge, so that a client knows what to ask for.
fn name_scope(response: &mut Response, scope: &str) {
    let headers = response.headers_mut();
    let named = headers
        .get(header::WWW_AUTHENTICATE)
        .and_then(|challenge| challenge.to_str().ok())
        .and_then(|challenge| HeaderValue::try_from(format!("{challenge}, scope=\"{scope}\"")).ok());
    if let Some(named) = named {
        headers.insert(header::WWW_AUTHENTICATE, named);
    }
}
