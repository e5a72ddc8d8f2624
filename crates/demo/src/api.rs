//! The demo API: a resource server (RFC 6750, RFC 9068) in one screen.
//!
//! The `verifier` crate decides whether a token is to be believed, and asks nobody per request: what was revoked
//! comes to it by the feed of the authorization server. A layer guards the routes; a handler names the scope it needs.

use axum::Router;
use axum::extract::State;
use axum::middleware;
use axum::routing::get;
use protocol::form::NoStore;
use protocol::{Clock, Scope};
use url::Url;
use verifier::{Authenticated, Credentials, LostFeed, Verifier};

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
    /// Fetches nothing yet: keys and revocations are asked for with the first token. Without the revocations it goes
    /// on: a demo that refuses everybody shows nothing.
    ///
    /// # Errors
    /// When `issuer` is neither https nor http on a loopback name.
    pub fn new(
        issuer: &str,
        base: &Url,
        credentials: Credentials,
        clock: Clock,
    ) -> Result<Self, verifier::Error> {
        let verifier = Verifier::discover(issuer)
            .audience(base.as_str())
            .revocation_feed(credentials)
            .when_feed_is_lost(LostFeed::FailOpen)
            .clock(clock.clone())
            .build()?;
        Ok(Self { verifier, clock })
    }

    /// # Errors
    /// When the base URL is none that metadata can stand under.
    pub fn router(self) -> Result<Router, verifier::Error> {
        let metadata = self.verifier.metadata().scopes([API_SCOPE]).route()?;
        Ok(Router::new()
            .route("/greeting", get(greet))
            .layer(self.verifier.layer())
            // What stands below needs no token.
            .route("/", get(about))
            .merge(metadata)
            .layer(middleware::map_response_with_state(
                page::policy(None),
                page::secure,
            ))
            .with_state(self))
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
