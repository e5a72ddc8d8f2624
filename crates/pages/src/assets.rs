//! The files our pages load: embedded, named by their content, kept by browsers for ever.
//!
//! The list is closed and the name is looked up in it, so no path of a request ever reaches a file system.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use protocol::{Routes, path};

use crate::Base;

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset {
    name: named(
        "style",
        "css",
        include_str!("../../../templates/assets/style.css"),
    ),
    content_type: "text/css; charset=utf-8",
    content: include_str!("../../../templates/assets/style.css"),
});

pub(crate) static MARK: LazyLock<Asset> = LazyLock::new(|| Asset {
    name: named("mark", "svg", include_str!("../../../templates/assets/mark.svg")),
    content_type: "image/svg+xml",
    content: include_str!("../../../templates/assets/mark.svg"),
});

pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset {
    name: named("page", "js", include_str!("../../../templates/assets/page.js")),
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("../../../templates/assets/page.js"),
});

#[derive(Debug)]
pub(crate) struct Asset {
    name: String,
    content_type: &'static str,
    content: &'static str,
}

/// Answers for [`path::ASSETS`], under the issuer's path like every route.
pub fn router<S: Clone + Send + Sync + 'static>() -> Routes<S> {
    Routes::new().route(path::ASSETS, get(show))
}

async fn show(Path(name): Path<String>) -> Response {
    let Some(asset) = [&STYLE, &MARK, &SCRIPT]
        .into_iter()
        .find(|asset| asset.name == name)
    else {
        return (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")]).into_response();
    };
    let headers = [
        (CONTENT_TYPE, asset.content_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // An SVG that is opened by itself is a document too.
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ];
    (headers, asset.content).into_response()
}

impl Asset {
    pub(crate) fn url(&self, base: &Base) -> String {
        format!("{base}/assets/{}", self.name)
    }

    /// The element that loads it, when the page is there.
    pub(crate) fn as_script(&self, base: &Base) -> String {
        format!("<script src=\"{}\"{}", self.url(base), DEFERRED)
    }

    /// Whether a page loads it. Text of others cannot look like that: in a page it has no `<`.
    pub(crate) fn is_loaded_by(&self, page: &str) -> bool {
        page.contains(&format!("/{}\"{DEFERRED}", self.name))
    }
}

const DEFERRED: &str = " defer></script>";

/// `style-` + 64 bits of the content's SHA-256 + `.css`: new content has a new name, so nothing goes stale.
fn named(stem: &str, extension: &str, content: &str) -> String {
    let digest: String = seal::sha256(content.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{stem}-{digest}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_asset_is_served_under_its_name_and_kept_for_ever() {
        for (asset, content_type) in [
            (&STYLE, "text/css; charset=utf-8"),
            (&MARK, "image/svg+xml"),
            (&SCRIPT, "text/javascript; charset=utf-8"),
        ] {
            let response = show(Path(asset.name.clone())).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[CONTENT_TYPE], content_type);
            assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert!(
                response.headers()[CACHE_CONTROL]
                    .to_str()
                    .unwrap()
                    .ends_with("immutable")
            );
        }
    }

    #[tokio::test]
    async fn c078_any_other_name_is_not_found() {
        for name in [
            "style.css",
            "../style.css",
            "style-0.css",
            "",
            "mark.svg",
            "../../Cargo.toml",
            "/etc/passwd",
        ] {
            assert_eq!(
                show(Path(name.to_owned())).await.status(),
                StatusCode::NOT_FOUND,
                "{name}"
            );
        }
    }
}
