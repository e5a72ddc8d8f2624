//! Reading a form body and answering without a trace in caches: RFC 6749 §3.2 and §5.1.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::{Error, Params};

/// Largest body we read, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// The parameters of a POST body of type `application/x-www-form-urlencoded`.
#[derive(Debug)]
pub struct Form(pub Params);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        if !is_form(request.headers()) {
            return Err(Error::invalid_request(
                "send the parameters as application/x-www-form-urlencoded",
            ));
        }
        Params::parse(&read_body(request).await?).map(Self)
    }
}

/// The whole body.
///
/// # Errors
/// `invalid_request`: with status 413 above [`MAX_BODY`].
pub async fn read_body(request: Request) -> Result<Bytes, Error> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|cause| {
        if cause.downcast_ref::<LengthLimitError>().is_some() {
            return Error::invalid_request("the body is larger than 64 KiB")
                .with_status(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Error::invalid_request("the body did not arrive whole").because(cause)
    })
}

/// With `charset=UTF-8` or without any parameter; nothing else.
fn is_form(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let (kind, parameter) = text.split_once(';').unwrap_or((text, ""));
    let parameter = parameter.trim();
    kind.trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && (parameter.is_empty()
            || parameter.eq_ignore_ascii_case("charset=utf-8")
            || parameter.eq_ignore_ascii_case("charset=\"utf-8\""))
}

/// A JSON answer that no cache may keep.
#[derive(Debug)]
pub struct NoStore<T>(pub T);

impl<T: serde::Serialize> IntoResponse for NoStore<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        if crate::defect("tokens-for-caches") {
            return response;
        }
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
            .headers_mut()
            .insert(PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_type_is_read_with_or_without_utf_8() {
        let is = |text: &'static str| {
            is_form(
                &[(CONTENT_TYPE, HeaderValue::from_static(text))]
                    .into_iter()
                    .collect(),
            )
        };
        assert!(is("application/x-www-form-urlencoded"));
        assert!(is("Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
        assert!(!is("application/json"));
        assert!(!is("application/x-www-form-urlencoded; charset=latin1"));
        assert!(!is("multipart/form-data; boundary=x"));
        assert!(!is_form(&HeaderMap::new()));
    }
}
