//! Pictures of apps, as our pages show them: C054.
//!
//! What is served was made by us, and is a picture whatever opens it: it can do nothing and is of no use to others'
//! pages.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use clients::logos::{self, Digest};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, StatusCode};
use pages::Base;
use protocol::Error;

use crate::Consent;

/// Where a picture is, as `src` has it.
pub(crate) fn url(digest: &Digest, base: &Base) -> String {
    format!("{base}/logos/{digest}.png")
}

pub(crate) async fn show(State(consent): State<Arc<Consent>>, Path(name): Path<String>) -> Response {
    let Some(digest) = name.strip_suffix(".png").and_then(Digest::parse) else {
        return not_found();
    };
    match consent.logo(&digest).await {
        Ok(Some(picture)) => {
            let headers = [
                (CONTENT_TYPE, "image/png"),
                // The name says what it shows, so it stays true; that it is shown at all may change.
                (CACHE_CONTROL, "public, max-age=86400, immutable"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (
                    CONTENT_SECURITY_POLICY,
                    "default-src 'none'; sandbox; base-uri 'none'; frame-ancestors 'none'",
                ),
                (
                    HeaderName::from_static("cross-origin-resource-policy"),
                    "same-origin",
                ),
            ];
            (headers, picture).into_response()
        }
        Ok(None) => not_found(),
        Err(error) => error.into_response(),
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")]).into_response()
}

impl Consent {
    async fn logo(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let mut conn = self.front.db.reader().await?;
        Ok(logos::picture(digest, &mut conn).await?)
    }
}
