//! Who the resource server is to the issuer: RFC 6749 §2.3.1 and RFC 6750 §2.1.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use protocol::Secret;
use reqwest::RequestBuilder;
use url::form_urlencoded::byte_serialize;

use crate::FeedError;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Source = dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, Failure>> + Send>> + Send + Sync;

/// With what the resource server asks the issuer for its revocations.
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    Basic { id: String, secret: Secret },
    Token(Arc<Source>),
}

impl Credentials {
    /// The identifier of the resource server and its secret, as `countersign resource create` prints them.
    pub fn basic(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self(Kind::Basic {
            id: id.into(),
            secret: Secret::new(secret.into()),
        })
    }

    /// An access token of the issuer, for the issuer, with the scope `revocations`. `source` is asked before each
    /// request, and keeps a token as long as it is good.
    pub fn token<S, F, E>(source: S) -> Self
    where
        S: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Failure>,
    {
        Self(Kind::Token(Arc::new(move || {
            let token = source();
            Box::pin(async move { token.await.map_err(Into::into) })
        })))
    }

    /// Introspection takes no tokens: RFC 7662 §2.1 leaves it to the server.
    pub(crate) fn can_introspect(&self) -> bool {
        matches!(self.0, Kind::Basic { .. })
    }

    pub(crate) async fn sign(&self, request: RequestBuilder) -> Result<RequestBuilder, FeedError> {
        Ok(match &self.0 {
            Kind::Basic { id, secret } => request.basic_auth(encoded(id), Some(encoded(secret.expose()))),
            Kind::Token(source) => request.bearer_auth(source().await.map_err(FeedError::Credentials)?),
        })
    }
}

/// RFC 6749 §2.3.1: an identifier that is a URL holds the colon that divides the two.
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Basic { id, .. } => f.debug_tuple("Basic").field(id).finish(),
            Kind::Token(_) => f.write_str("Token"),
        }
    }
}
