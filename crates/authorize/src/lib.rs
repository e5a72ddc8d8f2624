//! The authorization endpoint: RFC 6749 §3.1, OpenID Connect Core §3.1.2.
//!
//! Two worlds of errors, told apart by type. Until client and redirect URI are proven, a failure is a page of
//! ours; from then on a [`bound::Bound`] exists, and only it can make a redirect to a client.

mod bound;
mod checks;
mod decide;
mod endpoint;
mod hint;
mod object;
mod pushed;
mod respond;

use std::sync::Arc;

use axum::routing::{get, post};
use clients::{Authenticator, Directory, Recipients};
use issuance::Gate;
use pages::Front;
use protocol::{Issuer, PushedRequests, ResponseTypes, Routes, SignUp, path};

pub use object::Objects;

/// What this endpoint leans on.
#[derive(Debug)]
pub struct Authorize {
    pub front: Front,
    pub gate: Gate,
    pub clients: Directory,
    /// How what clients are told is protected, and so what they bring back.
    pub recipients: Recipients,
    pub authenticator: Authenticator,
    pub objects: Objects,
    pub issuer: Issuer,
    pub response_types: ResponseTypes,
    pub pushed_requests: PushedRequests,
    /// Who may make an account for themselves.
    pub sign_up: SignUp,
}

pub fn router(authorize: Arc<Authorize>) -> Routes {
    Routes::new()
        .page(
            path::AUTHORIZE,
            get(endpoint::receive).post(endpoint::receive_post),
        )
        .with_state(authorize)
}

/// Where clients call themselves: browser apps need leave to read what it answers.
pub fn pushing(authorize: Arc<Authorize>) -> Routes {
    Routes::new()
        .route(path::PAR, post(pushed::push))
        .with_state(authorize)
}
