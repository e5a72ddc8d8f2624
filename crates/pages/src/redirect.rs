//! The answer that sends the browser on.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};

/// 303, so that no POST is repeated elsewhere with what it carried (RFC 9700 §4.12); kept by no cache.
pub fn see_other(location: &str) -> Response {
    let mut response = Response::new(Body::empty());
    match HeaderValue::from_str(location) {
        Ok(location) => {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, location);
        }
        // Only printable ASCII is ever registered or encoded, so this cannot be reached by a request.
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
