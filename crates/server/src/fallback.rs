//! The answer where there is no route, or not for this method.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use pages::{Front, error};
use protocol::{Error, RequestId, Routes};

/// Who is told what is wrong, where JSON is asked for.
#[derive(Clone, Copy)]
enum Reader {
    /// Of pages: gets a problem document.
    Anybody,
    /// Of a protocol's endpoint: gets the JSON of RFC 6749 §5.2, as from the endpoint itself.
    Client,
}

pub(crate) fn with(app: Routes, front: Front) -> Routes {
    let nowhere = front.clone();
    for_methods(app, front, Reader::Anybody)
        .within(|app| app.fallback(move |id, headers| not_found(State(nowhere), id, headers)))
}

/// For a method that an endpoint does not take. Routes with a layer of their own need it before the layer, which would
/// not see such requests: a preflight is one.
pub(crate) fn for_programs(routes: Routes, front: Front) -> Routes {
    for_methods(routes, front, Reader::Client)
}

fn for_methods(routes: Routes, front: Front, reader: Reader) -> Routes {
    routes.within(|routes| {
        routes.method_not_allowed_fallback(move |id, headers| {
            answer(front, id, headers, StatusCode::METHOD_NOT_ALLOWED, reader)
        })
    })
}

async fn not_found(State(front): State<Front>, id: Extension<RequestId>, headers: HeaderMap) -> Response {
    answer(front, id, headers, StatusCode::NOT_FOUND, Reader::Anybody).await
}

async fn answer(
    front: Front,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    status: StatusCode,
    reader: Reader,
) -> Response {
    let description = match status {
        StatusCode::METHOD_NOT_ALLOWED => "this address does not take that HTTP method",
        _ => "there is nothing at this address",
    };
    let error = Error::invalid_request(description).with_status(status);
    match reader {
        Reader::Client if error::prefers_json(&headers) => error.into_response(),
        Reader::Client | Reader::Anybody => error::page(
            &front.shell(&headers, None, &id),
            &headers,
            &error,
            front.clock.now(),
        ),
    }
}
