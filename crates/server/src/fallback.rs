//! The answer where there is no route, or not for this method.

use axum::Extension;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use pages::{Front, error};
use protocol::{Error, RequestId};

pub(crate) fn with(app: Router, front: Front) -> Router {
    app.method_not_allowed_fallback({
        let front = front.clone();
        move |id, headers| answer(front, id, headers, StatusCode::METHOD_NOT_ALLOWED)
    })
    .fallback(move |id, headers| not_found(State(front), id, headers))
}

async fn not_found(State(front): State<Front>, id: Extension<RequestId>, headers: HeaderMap) -> Response {
    answer(front, id, headers, StatusCode::NOT_FOUND).await
}

async fn answer(
    front: Front,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    status: StatusCode,
) -> Response {
    let description = match status {
        StatusCode::METHOD_NOT_ALLOWED => "this address does not take that HTTP method",
        _ => "there is nothing at this address",
    };
    let error = Error::invalid_request(description).with_status(status);
    error::page(
        &front.shell(&headers, None, &id),
        &headers,
        &error,
        front.clock.now(),
    )
}
