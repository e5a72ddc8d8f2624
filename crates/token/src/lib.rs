//! The token endpoint and its grant types; revocation, introspection and userinfo.

mod endpoint;
mod grant_types;
mod introspect;
mod revoke;
mod userinfo;

use std::sync::Arc;

use axum::routing::{get, post};
use clients::{Authenticator, Directory, Recipients};
use db::Database;
use issuance::{Bearer, Gate};
use protocol::{Clock, Routes, path};

/// What these endpoints lean on.
#[derive(Debug)]
pub struct Token {
    pub db: Database,
    pub clients: Directory,
    pub authenticator: Authenticator,
    pub gate: Gate,
    pub bearer: Bearer,
    /// How userinfo is told to each client.
    pub recipients: Recipients,
    pub clock: Clock,
}

/// What apps call, those in browsers too.
pub fn router(token: Arc<Token>) -> Routes {
    Routes::new()
        .route(path::TOKEN, post(endpoint::exchange))
        .route(path::REVOCATION, post(revoke::revoke))
        .route(path::USERINFO, get(userinfo::show).post(userinfo::show))
        .with_state(token)
}

/// What only servers call: whoever asks about tokens keeps a secret.
pub fn introspection(token: Arc<Token>) -> Routes {
    Routes::new()
        .route(path::INTROSPECTION, post(introspect::introspect))
        .with_state(token)
}
