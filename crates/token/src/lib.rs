//! The token endpoint and its grant types; the userinfo endpoint.

mod endpoint;
mod grant_types;
mod userinfo;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use db::Database;
use issuance::{Bearer, Gate};
use protocol::{Clock, path};

/// What these endpoints lean on.
#[derive(Debug)]
pub struct Token {
    pub db: Database,
    pub gate: Gate,
    pub bearer: Bearer,
    pub clock: Clock,
}

pub fn router(token: Token) -> Router {
    Router::new()
        .route(path::TOKEN, post(endpoint::exchange))
        .route(path::USERINFO, get(userinfo::show).post(userinfo::show))
        .with_state(Arc::new(token))
}
