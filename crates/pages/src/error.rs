//! The answer to a request that must not be redirected: RFC 6749 §4.1.2.1, first paragraph.
//!
//! A person reads what happened and what to do; a developer unfolds the rest; a program that prefers JSON gets
//! JSON. No text of the request is shown: a page of ours repeats only our own words and our own records.

use askama::Template;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::{Error, ErrorCode, Timestamp};

use crate::errors::Entry;
use crate::page::{self, FormTarget, Page, View};
use crate::{Failure, Markup, Shell, failure};

/// What to tell the person in front of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The app sent something we do not accept.
    Rejected,
    /// A form came from elsewhere, or without the cookie it was made for.
    Unconfirmed,
    /// The flow is older than it may be, or of another browser.
    Expired,
    /// This flow was answered before.
    Completed,
    NotFound,
    /// What came is not what the page asks for.
    Odd,
    /// More than we take in that time.
    TooMany,
}

impl Why {
    pub(crate) const ALL: &[Self] = &[
        Self::Rejected,
        Self::Unconfirmed,
        Self::Expired,
        Self::Completed,
        Self::NotFound,
        Self::Odd,
        Self::TooMany,
    ];
}

/// An error, and what its page says about it.
#[derive(Debug)]
pub struct Problem<'a> {
    error: &'a Error,
    why: Why,
}

/// Answers with the problem's page, or its JSON where the request prefers that, and logs it.
pub fn page<'a>(
    shell: &Shell,
    headers: &HeaderMap,
    problem: impl Into<Problem<'a>>,
    now: Timestamp,
) -> Response {
    let problem = problem.into();
    problem.error.log();
    let error = problem.error;
    let mut response = if prefers_json(headers) {
        json(shell, &problem)
    } else {
        html(shell, problem, now)
    };
    if let Some(wait) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, wait.as_secs().into());
    }
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}

impl<'a> Problem<'a> {
    pub fn new(error: &'a Error, why: Why) -> Self {
        Self { error, why }
    }

    /// The same at a page that no app leads to: what is odd there, the browser sent.
    pub fn of_ours(error: &'a Error) -> Self {
        match Self::from(error) {
            Self {
                why: Why::Rejected, ..
            } => Self::new(error, Why::Odd),
            problem => problem,
        }
    }
}

impl<'a> From<&'a Error> for Problem<'a> {
    fn from(error: &'a Error) -> Self {
        let why = match error.status() {
            StatusCode::FORBIDDEN => Why::Unconfirmed,
            StatusCode::NOT_FOUND => Why::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Why::Odd,
            StatusCode::TOO_MANY_REQUESTS => Why::TooMany,
            _ => Why::Rejected,
        };
        Self::new(error, why)
    }
}

#[derive(Debug, Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: &'a Shell,
    why: Why,
    error: &'a Error,
    at: Timestamp,
}

impl View for ErrorPage<'_> {
    fn shell(&self) -> &Shell {
        self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::Ourselves
    }
}

impl ErrorPage<'_> {
    fn task(&self) -> Markup {
        let texts = self.shell.texts;
        match self.why {
            Why::Rejected | Why::Unconfirmed => texts.text("error-rejected-title"),
            Why::Expired => texts.text("error-expired-title"),
            Why::Completed => texts.text("error-completed-title"),
            Why::NotFound => texts.text("error-not-found-title"),
            Why::Odd => texts.text("error-odd-title"),
            Why::TooMany => texts.text("error-many-title"),
        }
    }

    /// Where a developer reads what it means.
    fn about(&self) -> String {
        let entry = Entry::of(self.error.code(), self.why);
        format!("{}{}", self.shell.base, entry.path())
    }

    /// `2026-01-31 09:30:00 UTC`
    fn time_in_words(&self) -> String {
        failure::in_words(self.at)
    }
}

fn html(shell: &Shell, problem: Problem<'_>, now: Timestamp) -> Response {
    let status = problem.error.status();
    if let Some(failure) = Failure::of(status) {
        return failure.page(&shell.base, &shell.operator, &shell.request_id, now);
    }
    Page::new(ErrorPage {
        shell,
        why: problem.why,
        error: problem.error,
        at: now,
    })
    .with_status(status)
    .into_response()
}

/// A problem document: RFC 9457 §3.1, with two members of ours.
#[derive(serde::Serialize)]
struct Body<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    error: ErrorCode,
    request_id: &'a str,
}

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

fn json(shell: &Shell, problem: &Problem<'_>) -> Response {
    let error = problem.error;
    let entry = Entry::of(error.code(), problem.why);
    let body = Body {
        r#type: format!("{}{}{}", shell.origin, shell.base, entry.path()),
        title: entry.title(shell.texts),
        status: error.status().as_u16(),
        detail: error.description(),
        error: error.code(),
        request_id: &shell.request_id,
    };
    let mut response = (error.status(), Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, page::RETRY_AFTER_SECONDS);
    }
    response
}

/// RFC 9110 §12.5.1. Only a stated preference counts: `*/*` and no header at all get the page.
pub fn prefers_json(headers: &HeaderMap) -> bool {
    let accept: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let json = quality(&accept, "application", "json").max(quality(&accept, "application", "problem+json"));
    json > quality(&accept, "text", "html")
}

/// The quality given to a media type by the most specific range that covers it.
fn quality(accept: &[&str], kind: &str, subtype: &str) -> f32 {
    let covering = accept
        .iter()
        .flat_map(|line| line.split(','))
        .filter_map(|range| {
            let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
            let (own_kind, own_subtype) = range.trim().split_once('/')?;
            let specificity = match (own_kind, own_subtype) {
                ("*", "*") => 0,
                (own, "*") if own.eq_ignore_ascii_case(kind) => 1,
                (own, sub) if own.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) => 2,
                _ => return None,
            };
            let q = parameters
                .split(';')
                .find_map(|parameter| parameter.trim().strip_prefix("q="));
            Some((specificity, q.map_or(1.0, |q| q.parse().unwrap_or(0.0))))
        });
    covering
        .max_by_key(|(specificity, _)| *specificity)
        .map_or(0.0, |(_, q)| q)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::Site;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn shell() -> Shell {
        Site::new("https://example.com/auth").shell(&HeaderMap::new(), None, "req-1_A")
    }

    fn accepting(accept: &'static str) -> HeaderMap {
        [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect()
    }

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_says_request_rejected_and_what_support_will_ask_for() {
        let error = Error::invalid_request("the redirect_uri is not registered for this client");
        let problem = Problem::new(&error, Why::Rejected);
        let response = page(&shell(), &accepting(BROWSER), problem, Timestamp::from_secs(0));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(response.headers().get(http::header::LOCATION).is_none());
        let html = text(response).await;
        for part in [
            "<h1>Request rejected</h1>",
            "invalid_request",
            "href=\"/auth/errors#invalid_request\"",
            "the redirect_uri is not registered for this client",
            "req-1_A",
            "<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00:00 UTC</time>",
            "href=\"/auth/assets/style-",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }

    #[tokio::test]
    async fn our_own_failure_shows_its_id_and_nothing_of_its_cause() {
        for (error, status, title) in [
            (
                Error::server_error("SELECT canary"),
                500,
                "Something went wrong on our side",
            ),
            (Error::temporarily_unavailable("canary"), 503, "Busy just now"),
        ] {
            let response = page(&shell(), &accepting(BROWSER), &error, Timestamp::from_secs(0));
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
            assert!(response.headers().contains_key("content-security-policy"));
            let html = text(response).await;
            assert!(html.contains(title) && html.contains("req-1_A") && html.contains("/auth/assets/style-"));
            assert!(!html.contains("canary") && !html.contains('%'), "{html}");
        }
    }

    #[tokio::test]
    async fn every_status_has_a_page_of_its_own_with_what_support_will_ask_for() {
        let mut pages = std::collections::BTreeSet::new();
        for status in [400, 403, 404, 405, 408, 413, 414, 429, 431, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = Error::invalid_request("no").with_status(status);
            let response = page(&shell(), &accepting(BROWSER), &error, Timestamp::from_secs(0));
            assert_eq!(response.status(), status);
            let html = text(response).await;
            for part in [
                "req-1_A",
                "<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00:00 UTC</time>",
            ] {
                assert!(html.contains(part), "{status}: {part} is missing in {html}");
            }
            let (_, own) = html.split_once("<h1>").unwrap();
            let own = own.split("<dl").next().unwrap();
            assert!(pages.insert(own.to_owned()), "{status}: {own} again");
        }
    }

    #[tokio::test]
    async fn who_asks_too_often_is_told_when_to_come_back() {
        let error = Error::too_many("slow down", std::time::Duration::from_secs(7));
        for accept in [BROWSER, "application/json"] {
            let response = page(&shell(), &accepting(accept), &error, Timestamp::from_secs(0));
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()[RETRY_AFTER], "7");
        }
    }

    #[tokio::test]
    async fn a_program_gets_a_problem_document() {
        let error = Error::invalid_request("no").because("canary");
        let response = page(
            &shell(),
            &accepting("application/json"),
            &error,
            Timestamp::from_secs(0),
        );
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        let wanted = serde_json::json!({
            "type": "https://example.com/auth/errors#invalid_request",
            "title": "The request lacks a parameter, has one twice, or has one with a value that can't be right.",
            "status": 400,
            "detail": "no",
            "error": "invalid_request",
            "request_id": "req-1_A"
        });
        assert_eq!(body, wanted);
        let error = Error::invalid_request("no").with_status(StatusCode::NOT_FOUND);
        let response = page(
            &shell(),
            &accepting("application/json"),
            &error,
            Timestamp::from_secs(0),
        );
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(
            (&body["type"], &body["status"]),
            (&"https://example.com/auth/errors#not_found".into(), &404.into())
        );
    }

    #[test]
    fn only_a_stated_preference_for_json_counts() {
        for (accept, json) in [
            (BROWSER, false),
            ("*/*", false),
            ("", false),
            ("nonsense", false),
            ("application/json", true),
            ("application/*", true),
            ("application/problem+json", true),
            ("APPLICATION/JSON; charset=utf-8", true),
            ("text/html, application/json;q=0.9", false),
            ("text/html;q=0.5, application/json;q=0.9", true),
            ("application/json, text/html", false),
            ("application/json;q=0, */*", false),
            ("text/html;q=0, */*", true),
        ] {
            assert_eq!(prefers_json(&accepting(accept)), json, "{accept}");
        }
        assert!(!prefers_json(&HeaderMap::new()));
    }
}
