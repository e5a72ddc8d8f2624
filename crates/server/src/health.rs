//! `/livez` and `/readyz`: bare answers for whoever watches the process.

use axum::extract::State;
use axum::routing::get;
use db::{Database, run};
use http::StatusCode;
use protocol::{Routes, path};

pub(crate) fn router(db: Database) -> Routes {
    Routes::new()
        .route(path::LIVEZ, get(live))
        .route(path::READYZ, get(ready))
        .with_state(db)
}

/// The process runs; restarting it would mend nothing that this cannot see.
async fn live() -> &'static str {
    "ok\n"
}

/// Requests can be served: the database answers.
async fn ready(State(db): State<Database>) -> (StatusCode, &'static str) {
    let asked = async {
        let mut conn = db.reader().await?;
        let one: (i32,) = run!(&mut conn, |c| sqlx::query_as("SELECT 1").fetch_one(c))?;
        Ok::<_, db::Error>(one)
    };
    match asked.await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n")
        }
    }
}
