//! How large a request may be: C096. RFC 9110 §15.5.14 and §15.5.15, RFC 6585 §5.
//!
//! The sizes are known before a byte of the body is read, so a refusal costs nothing. More than 100 headers never
//! get here: the parser answers 431 itself.

use axum::extract::Request;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode, Uri};
use protocol::{Error, form};

/// In bytes.
const MAX_URL: usize = 8 * 1024;
/// Names and values with their separators, in bytes.
const MAX_HEADERS: usize = 32 * 1024;

pub(super) fn check(request: &Request) -> Result<(), Error> {
    if url_len(request.uri()) > MAX_URL {
        return Err(refusal("the URL is longer than 8 KiB", StatusCode::URI_TOO_LONG));
    }
    let headers = request.headers();
    if headers_len(headers) > MAX_HEADERS {
        return Err(refusal(
            "the headers are larger than 32 KiB",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ));
    }
    if declared_len(headers).is_some_and(|len| len > form::MAX_BODY as u64) {
        return Err(refusal(
            "the body is larger than 64 KiB",
            StatusCode::PAYLOAD_TOO_LARGE,
        ));
    }
    Ok(())
}

fn refusal(description: &'static str, status: StatusCode) -> Error {
    Error::invalid_request(description).with_status(status)
}

fn url_len(uri: &Uri) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    path + uri.authority().map_or(0, |authority| authority.as_str().len())
}

fn headers_len(headers: &HeaderMap) -> usize {
    const SEPARATORS: usize = ": \r\n".len();
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + SEPARATORS)
        .sum()
}

fn declared_len(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
