//! The answer where there is no route, or not for this method.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use pages::{Front, error};
use protocol::{Error, RequestId, Routes};

pub(crate) fn with(app: Routes, front: Front) -> Routes {
    let nowhere = front.clone();
    for_methods(app, front)
        .within(|app| app.fallback(move |id, headers| not_found(State(nowhere), id, headers)))
}

/// For a method that a route does not take. Routes with a layer of their own need it before the layer, which would
/// not see such requests: a preflight is one.
pub(crate) fn for_methods(routes: Routes, front: Front) -> Routes {
    routes.within(|routes| {
        routes.method_not_allowed_fallback(move |id, headers| {
            answer(front, id, headers, StatusCode::METHOD_NOT_ALLOWED)
        })
    })
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
