//! The JWK set: RFC 7517 §5, OpenID Connect Core §10.1.1.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use crate::{Discovery, Document};

pub(crate) async fn publish(State(discovery): State<Arc<Discovery>>, headers: HeaderMap) -> Response {
    let published = discovery.keyring.published(discovery.clock.now());
    Document {
        json: published.json.clone(),
        etag: published.etag.clone(),
    }
    .answer(&headers)
}
