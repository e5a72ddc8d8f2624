//! The demo API: a resource server (RFC 6750, RFC 9068) in one screen.
//!
//! The `verifier` crate decides whether a token is to be believed, and asks nobody per request; a handler
//! names the scope it needs.

use axum::Router;
use axum::extract::{FromRef, State};
use axum::middleware;
use axum::routing::get;
use protocol::form::NoStore;
use protocol::{Clock, Scope};
use url::Url;
use verifier::{Authenticated, Verifier};

use crate::{API_SCOPE, page};

/// The demo API, ready to be served at its base URL.
#[derive(Clone, Debug)]
pub struct Api {
    verifier: Verifier,
    clock: Clock,
}

#[derive(serde::Serialize)]
struct Greeting {
    greeting: String,
    /// What the token was granted, and for how many seconds more.
    scope: Scope,
    expires_in: u64,
}

impl Api {
    /// Fetches nothing yet: the keys are asked for with the first token.
    ///
    /// # Errors
    /// When `issuer` is neither https nor http on a loopback name.
    pub fn new(issuer: &str, base: &Url, clock: Clock) -> Result<Self, verifier::Error> {
        let verifier = Verifier::builder(issuer, base.as_str())
            .clock(clock.clone())
            .build()?;
        Ok(Self { verifier, clock })
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(about))
            .route("/greeting", get(greet))
            .layer(middleware::map_response_with_state(
                page::policy(None),
                page::secure,
            ))
            .with_state(self)
    }
}

/// Where the [`Authenticated`] of a handler finds its judge.
impl FromRef<Api> for Verifier {
    fn from_ref(api: &Api) -> Self {
        api.verifier.clone()
    }
}

async fn greet(State(api): State<Api>, token: Authenticated) -> Result<NoStore<Greeting>, verifier::Error> {
    token.require_scope(API_SCOPE)?;
    Ok(NoStore(Greeting {
        greeting: format!("Hello, {}", token.sub),
        scope: token.scope.clone(),
        expires_in: token.exp.since(api.clock.now()).as_secs(),
    }))
}

async fn about() -> &'static str {
    "The Countersign demo API.\n\n\
     GET /greeting greets whoever an access token speaks for. The token has to be issued for this API\n\
     and to hold the scope greetings.read; send it as: Authorization: Bearer <token>\n"
}
