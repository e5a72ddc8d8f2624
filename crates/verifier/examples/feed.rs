//! The same API, where a token that is revoked is refused a fraction of a second later. It tells clients where its
//! tokens come from, and its operator how well it hears of revocations.
//!
//! `ISSUER=http://localhost:8080 AUDIENCE=http://localhost:3000/ SECRET=… cargo run --example feed`

use std::env;
use std::time::Duration;

use axum::{Router, extract::State, routing::get};
use countersign_verifier::{Authenticated, Credentials, Error, LostFeed, Verifier};

async fn reports(token: Authenticated) -> Result<String, Error> {
    token.require_scope("reports.read")?;
    Ok(format!("the reports of {}", token.sub))
}

async fn health(State(verifier): State<Verifier>) -> String {
    format!("{:#?}", verifier.feed())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let audience = env::var("AUDIENCE")?;
    let verifier = Verifier::discover(env::var("ISSUER")?)
        .audience(&audience)
        .revocation_feed(Credentials::basic(&audience, env::var("SECRET")?))
        .when_feed_is_lost(LostFeed::FailClosed {
            after: Duration::from_secs(60),
        })
        .await?;
    let app = Router::new()
        .route("/reports", get(reports))
        .layer(verifier.layer())
        // What stands below needs no token.
        .route("/health", get(health))
        .merge(verifier.metadata().scopes(["reports.read"]).route()?)
        .with_state(verifier);
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
    Ok(())
}
