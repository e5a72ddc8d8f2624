//! What each of our error codes means, at one address that stays: for developers, who meet a code in a log and want to
//! know what to change.
//!
//! A code without an entry does not compile. The page is the same for everybody, so it knows neither session nor cookie
//! and may be kept for a while.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue};
use protocol::{ErrorCode, RequestId, Routes, path};

use crate::page::{FormTarget, Page, View};
use crate::{Markup, Shell, Site, Texts, Why};

/// As long as a cache may show it after we say something else.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Answers for [`path::ERRORS`].
pub fn router<S: Clone + Send + Sync + 'static>(site: Site) -> Routes<S> {
    Routes::new().page(path::ERRORS, get(show)).with_state(site)
}

async fn show(State(site): State<Site>, Extension(id): Extension<RequestId>, headers: HeaderMap) -> Response {
    let shell = site.shell(&headers, None, id.as_str());
    let mut response = Page::new(Errors { shell }).into_response();
    if response.status().is_success() {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, CACHED);
        headers.insert(VARY, HeaderValue::from(ACCEPT_LANGUAGE));
    }
    response
}

/// `templates/errors.html`
#[derive(Debug, Template)]
#[template(path = "errors.html")]
struct Errors {
    shell: Shell,
}

impl View for Errors {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::Ourselves
    }
}

impl Errors {
    fn codes(&self) -> impl Iterator<Item = Entry> {
        ErrorCode::ALL.iter().map(|code| Entry::of_code(*code))
    }

    fn pages(&self) -> impl Iterator<Item = Entry> {
        Why::ALL.iter().filter_map(|why| Entry::of_page(*why))
    }
}

/// One error: what it means, and what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place on the page, and a code's own spelling. Once published it stays.
    pub(crate) anchor: &'static str,
    means: &'static str,
    todo: &'static str,
    /// Where it is specified.
    source: &'static str,
}

impl Entry {
    const fn new(
        anchor: &'static str,
        means: &'static str,
        todo: &'static str,
        source: &'static str,
    ) -> Self {
        Self {
            anchor,
            means,
            todo,
            source,
        }
    }

    /// What is shown for an error: a page that says more than its code has an entry of its own.
    pub(crate) fn of(code: ErrorCode, why: Why) -> Self {
        Self::of_page(why).unwrap_or(Self::of_code(code))
    }

    fn of_page(why: Why) -> Option<Self> {
        let (anchor, means, todo) = match why {
            // Its code says what was wrong.
            Why::Rejected => return None,
            Why::Unconfirmed => ("unconfirmed", "page-unconfirmed", "page-unconfirmed-do"),
            Why::Expired => ("expired", "page-expired", "page-expired-do"),
            Why::Completed => ("completed", "page-completed", "page-completed-do"),
            Why::NotFound => ("not_found", "page-not-found", "page-not-found-do"),
            Why::Odd => ("unexpected_request", "page-odd", "page-odd-do"),
            Why::TooMany => ("too_many_requests", "page-many", "page-many-do"),
        };
        Some(Self::new(anchor, means, todo, ""))
    }

    fn of_code(code: ErrorCode) -> Self {
        let (means, todo, source) = match code {
            ErrorCode::InvalidRequest => (
                "code-invalid-request",
                "code-invalid-request-do",
                "RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1",
            ),
            ErrorCode::InvalidClient => ("code-invalid-client", "code-invalid-client-do", "RFC 6749 §5.2"),
            ErrorCode::InvalidGrant => ("code-invalid-grant", "code-invalid-grant-do", "RFC 6749 §5.2"),
            ErrorCode::UnauthorizedClient => (
                "code-unauthorized-client",
                "code-unauthorized-client-do",
                "RFC 6749 §4.1.2.1 and §5.2",
            ),
            ErrorCode::UnsupportedGrantType => (
                "code-unsupported-grant-type",
                "code-unsupported-grant-type-do",
                "RFC 6749 §5.2",
            ),
            ErrorCode::UnsupportedResponseType => (
                "code-unsupported-response-type",
                "code-unsupported-response-type-do",
                "RFC 6749 §4.1.2.1",
            ),
            ErrorCode::InvalidScope => (
                "code-invalid-scope",
                "code-invalid-scope-do",
                "RFC 6749 §4.1.2.1 and §5.2",
            ),
            ErrorCode::InvalidTarget => ("code-invalid-target", "code-invalid-target-do", "RFC 8707 §2"),
            ErrorCode::AccessDenied => ("code-access-denied", "code-access-denied-do", "RFC 6749 §4.1.2.1"),
            ErrorCode::ServerError => ("code-server-error", "code-server-error-do", "RFC 6749 §4.1.2.1"),
            ErrorCode::TemporarilyUnavailable => (
                "code-temporarily-unavailable",
                "code-temporarily-unavailable-do",
                "RFC 6749 §4.1.2.1, RFC 6585 §4",
            ),
            ErrorCode::LoginRequired => (
                "code-login-required",
                "code-login-required-do",
                "OpenID Connect Core §3.1.2.6",
            ),
            ErrorCode::ConsentRequired => (
                "code-consent-required",
                "code-consent-required-do",
                "OpenID Connect Core §3.1.2.6",
            ),
            ErrorCode::InteractionRequired => (
                "code-interaction-required",
                "code-interaction-required-do",
                "OpenID Connect Core §3.1.2.6",
            ),
            ErrorCode::RequestNotSupported => (
                "code-request-not-supported",
                "code-request-not-supported-do",
                "OpenID Connect Core §3.1.2.6",
            ),
            ErrorCode::RequestUriNotSupported => (
                "code-request-uri-not-supported",
                "code-request-uri-not-supported-do",
                "OpenID Connect Core §3.1.2.6",
            ),
            ErrorCode::InvalidRequestUri => (
                "code-invalid-request-uri",
                "code-invalid-request-uri-do",
                "RFC 9101 §7, RFC 9126 §2.2",
            ),
            ErrorCode::InvalidRequestObject => (
                "code-invalid-request-object",
                "code-invalid-request-object-do",
                "RFC 9101 §7",
            ),
            ErrorCode::RegistrationNotSupported => (
                "code-registration-not-supported",
                "code-registration-not-supported-do",
                "OpenID Connect Core §3.1.2.6",
            ),
            ErrorCode::InvalidToken => ("code-invalid-token", "code-invalid-token-do", "RFC 6750 §3.1"),
            ErrorCode::InsufficientScope => (
                "code-insufficient-scope",
                "code-insufficient-scope-do",
                "RFC 6750 §3.1",
            ),
            ErrorCode::InvalidRedirectUri => (
                "code-invalid-redirect-uri",
                "code-invalid-redirect-uri-do",
                "RFC 7591 §3.2.2",
            ),
            ErrorCode::InvalidClientMetadata => (
                "code-invalid-client-metadata",
                "code-invalid-client-metadata-do",
                "RFC 7591 §3.2.2",
            ),
            ErrorCode::UnapprovedSoftwareStatement => (
                "code-unapproved-software-statement",
                "code-unapproved-software-statement-do",
                "RFC 7591 §3.2.2",
            ),
            ErrorCode::StaleFeed => ("code-stale-feed", "code-stale-feed-do", ""),
        };
        Self::new(code.as_str(), means, todo, source)
    }

    /// In one sentence.
    fn means(self, texts: &Texts) -> Markup {
        texts.text(self.means)
    }

    /// The same, for a program that shows it.
    pub(crate) fn title(self, texts: Texts) -> String {
        texts.words(self.means, &[])
    }

    fn todo(self, texts: &Texts) -> Markup {
        texts.text(self.todo)
    }

    fn source(self, texts: &Texts) -> Markup {
        texts.with("errors-source", &[("source", Markup::plain(self.source))])
    }

    /// Its address below the issuer.
    pub(crate) fn path(self) -> String {
        format!("{}#{}", path::ERRORS, self.anchor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http_body_util::BodyExt as _;

    use super::*;

    async fn shown() -> (HeaderMap, String) {
        let site = Site::new("https://example.com/auth");
        let id = Extension(RequestId::random());
        let response = show(State(site), id, HeaderMap::new()).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_error_has_one_place_on_the_page_and_nothing_else_has() {
        let (_, html) = shown().await;
        let anchors: Vec<&str> = html
            .split("<section id=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
        let pages = [
            "unconfirmed",
            "expired",
            "completed",
            "not_found",
            "unexpected_request",
            "too_many_requests",
        ];
        let wanted: BTreeSet<&str> = codes.chain(pages).collect();
        assert_eq!(anchors.iter().copied().collect::<BTreeSet<_>>(), wanted);
        assert_eq!(anchors.len(), wanted.len(), "none twice: {anchors:?}");
        for part in html.split("<section id=\"").skip(1) {
            let own = part.split("</section>").next().unwrap();
            assert!(
                own.matches("<p>").count() == 2,
                "what it means and what to do: {own}"
            );
            assert!(!own.contains("code-") && !own.contains("page-"), "a text: {own}");
        }
        let sources = html.matches("<p class=\"lead\">Specified in ").count();
        assert_eq!(sources, ErrorCode::ALL.len() - 1, "all codes but one of ours");
    }

    #[tokio::test]
    async fn the_page_is_of_nobody_and_may_be_kept() {
        let (headers, html) = shown().await;
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=3600");
        assert_eq!(headers[VARY], "accept-language");
        assert!(
            !headers.contains_key("set-cookie") && !html.contains("<form"),
            "{html}"
        );
    }

    #[test]
    fn every_error_leads_to_its_entry() {
        assert_eq!(
            Entry::of(ErrorCode::InvalidScope, Why::Rejected).path(),
            "/errors#invalid_scope"
        );
        assert_eq!(
            Entry::of(ErrorCode::InvalidRequest, Why::NotFound).path(),
            "/errors#not_found"
        );
    }
}
