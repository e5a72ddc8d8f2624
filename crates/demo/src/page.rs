//! What the browser gets to see: the pages, the failures as pages, and the headers around both.

use std::error::Error as StdError;

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use openidconnect::{ClaimsVerificationError, IssuerUrl};

use crate::session::{Answer, User};

/// Path of the stylesheet.
pub(crate) const STYLESHEET: &str = "/style.css";

/// No script, nothing from elsewhere. Forms end here, or at the authorization server where one of them leads
/// there ("Sign out everywhere"): browsers apply `form-action` to the redirects after a POST as well.
pub(crate) fn policy(forms_lead_to: Option<&IssuerUrl>) -> HeaderValue {
    let server = forms_lead_to.map(|issuer| issuer.url().origin().ascii_serialization());
    let server = server.unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {server}; frame-ancestors 'none'; base-uri 'none'"
    );
    // An origin is ASCII, so this is always the first.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The page at `/`.
#[derive(Debug, Template)]
#[template(path = "demo/home.html")]
pub(crate) struct Page<'s> {
    /// Who is signed in.
    pub(crate) user: Option<&'s User>,
    /// What the demo API said last.
    pub(crate) answer: Option<Answer>,
}

/// Something did not work, and how to go on.
#[derive(Debug, Template)]
#[template(path = "demo/problem.html")]
struct Problem {
    title: &'static str,
    text: &'static str,
    /// For the developer. It may hold words of whoever made the link.
    detail: Option<String>,
}

/// Why a request did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The authorization response does not fit any request of this browser.
    #[error("refused: {0}")]
    Refused(&'static str),
    #[error("the ID token is not to be trusted")]
    Untrusted(#[source] ClaimsVerificationError),
    /// The authorization server, or the user there, said no: RFC 6749 §4.1.2.1.
    #[error("declined: {code:?}")]
    Declined {
        code: String,
        description: Option<String>,
    },
    /// There is no session, or its tokens came to their end.
    #[error("the session is over")]
    Ended,
    #[error("the form was not sent by a page of ours")]
    CrossSite,
    #[error("no usable answer")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        render(StatusCode::OK, &self)
    }
}

impl Failure {
    pub(crate) fn unavailable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(_) | Self::Untrusted(_) => StatusCode::BAD_REQUEST,
            Self::Declined { .. } | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Ended => StatusCode::UNAUTHORIZED,
            Self::Unavailable(_) => StatusCode::BAD_GATEWAY,
        }
    }

    fn problem(&self) -> Problem {
        let (title, text) = match self {
            Self::Refused(_) => (
                "You're not signed in",
                "What came back belongs to no sign-in that this browser began. You can start again.",
            ),
            Self::Untrusted(_) => (
                "You're not signed in",
                "What came back could not be verified. You can start again.",
            ),
            Self::Declined { code, .. } if code == "access_denied" => (
                "You're not signed in",
                "You chose not to share anything with this app, and nothing was shared.",
            ),
            Self::Declined { .. } => (
                "You're not signed in",
                "The sign-in ended without a result. You can start again.",
            ),
            Self::Ended => (
                "You're signed out",
                "Your visit came to its end. Sign in again to go on.",
            ),
            Self::CrossSite => (
                "Nothing was done",
                "Another site tried to use this app in your name.",
            ),
            Self::Unavailable(_) => (
                "That did not work",
                "This app got no usable answer from the server it asked. Try again in a moment.",
            ),
        };
        let detail = self.detail();
        Problem { title, text, detail }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Refused(reason) => Some((*reason).to_owned()),
            Self::Declined { code, description } => {
                let description = description.as_deref().unwrap_or("no description");
                Some(format!("{code}: {description}"))
            }
            Self::Untrusted(_) | Self::Ended | Self::CrossSite | Self::Unavailable(_) => None,
        }
    }

    /// The whole chain of causes goes to the log. None of these errors holds a token or a secret.
    fn log(&self) {
        let causes = std::iter::successors(self.source(), |cause| (*cause).source());
        // Quoted, since others worded some of them.
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        match self {
            Self::Unavailable(_) => tracing::warn!(?causes, "{self}"),
            _ => tracing::info!(?causes, "{self}"),
        }
    }
}

impl From<http::Error> for Failure {
    fn from(cause: http::Error) -> Self {
        Self::unavailable(cause)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.log();
        render(self.status(), &self.problem())
    }
}

fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(cause) => {
            tracing::error!(%cause, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// GET the stylesheet.
pub(crate) async fn stylesheet() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "max-age=300"),
    ];
    (headers, include_str!("../../../templates/demo/style.css"))
}

/// The headers of every answer. Pages are about one visitor and stay out of caches.
pub(crate) async fn secure(State(policy): State<HeaderValue>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
