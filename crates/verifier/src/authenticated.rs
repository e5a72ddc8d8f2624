//! The token in a request: RFC 6750 §2.1. Only the `Authorization` header is looked at: a token in a URL ends in
//! logs, histories and `Referer` headers (RFC 9700 §4.3.2).

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use protocol::access_token::Claims;

use crate::{Error, Verifier};

/// The claims of the access token that came with the request. As an argument of an axum handler it lets no
/// request through without one.
///
/// It takes what [`Verifier::layer`] has put there. Where no layer stands, it asks the [`Verifier`] that is the
/// state of the router, or that `axum::Extension` has put there; where there is none either, the answer is 500.
#[derive(Clone, Debug)]
pub struct Authenticated(pub Arc<Claims>);

impl Authenticated {
    /// # Errors
    /// [`Error::InsufficientScope`] when the token was not granted the scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Error> {
        if self.scope.contains(scope) {
            return Ok(());
        }
        Err(Error::InsufficientScope(scope.to_owned()))
    }

    /// # Errors
    /// [`Error::MissingRole`] when whom the token speaks for does not have the role.
    pub fn require_role(&self, role: &str) -> Result<(), Error> {
        if self.roles.iter().any(|own| own == role) {
            return Ok(());
        }
        Err(Error::MissingRole(role.to_owned()))
    }
}

impl Deref for Authenticated {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.0
    }
}

/// Why a handler was not reached. It answers as its error does, and says where the metadata of the resource server
/// is, if it is served.
#[derive(Debug)]
pub struct Rejection {
    pub error: Error,
    verifier: Option<Verifier>,
}

impl<S: Any + Send + Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        if let Some(token) = parts.extensions.get::<Self>() {
            return Ok(token.clone());
        }
        let in_state = || (state as &dyn Any).downcast_ref::<Verifier>();
        let Some(verifier) = parts.extensions.get::<Verifier>().or_else(in_state) else {
            return Err(Rejection {
                error: Error::Unguarded,
                verifier: None,
            });
        };
        verifier
            .authenticate(&parts.headers)
            .await
            .map_err(|error| Rejection {
                error,
                verifier: Some(verifier.clone()),
            })
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        if let Some(verifier) = &self.verifier {
            verifier.name_metadata(&mut response);
        }
        response
    }
}

/// One header, one token: with two, a proxy and we might look at different ones.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
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
