//! An API that takes access tokens of an issuer: every route needs one, and this one a scope.

use axum::{Router, routing::get};
use countersign_verifier::{Authenticated, Error, Verifier};

async fn reports(token: Authenticated) -> Result<String, Error> {
    token.require_scope("reports.read")?;
    Ok(format!("the reports of {}", token.sub))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = Verifier::discover("https://id.example.com")
        .audience("https://api.example.com/")
        .await?;
    let app = Router::new()
        .route("/reports", get(reports))
        .layer(verifier.layer());
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
    Ok(())
}
