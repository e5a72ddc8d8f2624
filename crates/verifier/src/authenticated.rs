//! The token in a request: RFC 6750 §2.1. Only the `Authorization` header is looked at: a token in a URL ends in
//! logs, histories and `Referer` headers (RFC 9700 §4.3.2).

use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use protocol::access_token::Claims;

use crate::{Error, Verifier};

/// The claims of the access token that came with the request. As an argument of an axum handler it lets no
/// request through without one.
#[derive(Clone, Debug)]
pub struct Authenticated(pub Claims);

impl Authenticated {
    /// # Errors
    /// [`Error::InsufficientScope`] when the token was not granted the scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Error> {
        if self.scope.contains(scope) {
            return Ok(());
        }
        Err(Error::InsufficientScope(scope.to_owned()))
    }
}

impl Deref for Authenticated {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.0
    }
}

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let token = bearer(&parts.headers)?;
        Verifier::from_ref(state).verify(token).await.map(Self)
    }
}

/// One header, one token: with two, a proxy and we might look at different ones.
fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let header: &HeaderValue = match (given.next(), given.next()) {
        (None, _) => return Err(Error::NoToken),
        (Some(header), None) => header,
        (Some(_), Some(_)) => return Err(Error::Malformed),
    };
    let text = header.to_str().map_err(|_| Error::Malformed)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Error::NoToken);
    }
    match token.trim_start_matches(' ') {
        "" => Err(Error::Malformed),
        token if token.contains([' ', ',', '\t']) => Err(Error::Malformed),
        token => Ok(token),
    }
}
