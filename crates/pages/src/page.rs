//! How a page is sent: its status and the headers that keep it from being framed, kept, sniffed or scripted.
//!
//! Two Content-Security-Policies. Browsers apply `form-action` to the whole chain of redirects that follows a
//! form, so a form whose answer may end at a client cannot have it; every other page has.

use axum::response::{Html, IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use protocol::Clock;

use crate::{Failure, Shell, assets, form_post};

/// What a page shows: a template that knows its frame.
pub trait View: askama::Template {
    fn shell(&self) -> &Shell;
    fn form_target(&self) -> FormTarget;

    /// The origins of pages that stand in it.
    fn frames(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// Where the answer to a form of the page may take the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormTarget {
    /// Only to pages of ours.
    Ourselves,
    /// Perhaps on to a client.
    Client,
    /// The form itself is the answer to a client, and the page sends it.
    ClientAtOnce,
}

/// A view on its way to the browser.
#[derive(Debug)]
pub struct Page<V> {
    view: V,
    status: StatusCode,
}

macro_rules! policy {
    ($($more:literal)*) => {
        concat!(
            "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; ",
            $($more, "; ",)*
            "frame-ancestors 'none'"
        )
    };
}

/// With scripts of ours from a file of ours where a page loads it, and no other: text never becomes code there, not even
/// by that file (Trusted Types).
macro_rules! scripted {
    ($($more:literal)*) => { policy!($($more)* "script-src 'self'" "require-trusted-types-for 'script'") };
}

const POLICY_OURSELVES: &str = policy!("form-action 'self'");
const POLICY_OURSELVES_SCRIPTED: &str = scripted!("form-action 'self'");
pub(crate) const POLICY_CLIENT: &str = policy!();
const POLICY_CLIENT_SCRIPTED: &str = scripted!();

/// Passkeys stay allowed on our own pages, which is the browsers' default.
const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// Seconds after which a page that was refused for load may be asked for again.
pub(crate) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

impl<V: View> Page<V> {
    pub fn new(view: V) -> Self {
        Self {
            view,
            status: StatusCode::OK,
        }
    }

    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl<V: View> IntoResponse for Page<V> {
    fn into_response(self) -> Response {
        match self.view.render() {
            Ok(body) => {
                let mut response = send(self.status, self.view.form_target(), body);
                admit(&self.view.frames(), response.headers_mut());
                response
            }
            Err(cause) => {
                tracing::error!(%cause, "a page could not be rendered");
                let shell = self.view.shell();
                // A page that failed asks nobody what time it is.
                Failure::Trouble.page(
                    &shell.base,
                    &shell.operator,
                    &shell.request_id,
                    Clock::System.now(),
                )
            }
        }
    }
}

pub(crate) fn send(status: StatusCode, form_target: FormTarget, body: String) -> Response {
    let is_scripted = assets::SCRIPT.is_loaded_by(&body);
    let mut response = (status, Html(body)).into_response();
    protect(response.headers_mut(), form_target, is_scripted);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// Adds the origins of frames to the policy, which admits none otherwise. An origin that could not stand in a header
/// is no origin, and its frame stays empty.
fn admit(frames: &[&str], headers: &mut HeaderMap) {
    let policy = headers
        .get(CONTENT_SECURITY_POLICY)
        .and_then(|policy| policy.to_str().ok());
    let (Some(policy), false) = (policy, frames.is_empty()) else {
        return;
    };
    let origin = |origin: &&&str| !origin.contains([' ', ';', ',', '*', '\'']);
    let origins: Vec<&str> = frames.iter().filter(origin).copied().collect();
    let policy = format!("{policy}; frame-src {}", origins.join(" "));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

fn protect(headers: &mut HeaderMap, form_target: FormTarget, is_scripted: bool) {
    let policy = match (form_target, is_scripted) {
        (FormTarget::Ourselves, false) => HeaderValue::from_static(POLICY_OURSELVES),
        (FormTarget::Ourselves, true) => HeaderValue::from_static(POLICY_OURSELVES_SCRIPTED),
        (FormTarget::Client, false) => HeaderValue::from_static(POLICY_CLIENT),
        (FormTarget::Client, true) => HeaderValue::from_static(POLICY_CLIENT_SCRIPTED),
        (FormTarget::ClientAtOnce, _) => form_post::POLICY.clone(),
    };
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    let referrer = match form_target {
        // With no-referrer browsers would send `Origin: null` on our own forms, which `csrf` refuses.
        FormTarget::Ourselves | FormTarget::Client => "same-origin",
        FormTarget::ClientAtOnce => "no-referrer",
    };
    for (name, value) in [
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, referrer),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Site;

    #[derive(askama::Template)]
    #[template(source = "{{ self.fail()? }}", ext = "html")]
    struct Broken(Shell);

    impl Broken {
        fn fail(&self) -> askama::Result<&'static str> {
            Err(askama::Error::Fmt)
        }
    }

    impl View for Broken {
        fn shell(&self) -> &Shell {
            &self.0
        }

        fn form_target(&self) -> FormTarget {
            FormTarget::Client
        }
    }

    #[test]
    fn c094_html_is_never_framed_sniffed_kept_or_scripted() {
        for (target, form_action) in [(FormTarget::Ourselves, true), (FormTarget::Client, false)] {
            let response = send(StatusCode::OK, target, String::new());
            let header = |name: &str| response.headers()[name].to_str().unwrap();
            let policy: Vec<&str> = header("content-security-policy").split("; ").collect();
            assert!(policy.contains(&"default-src 'none'"), "{policy:?}");
            assert!(policy.contains(&"base-uri 'none'") && policy.contains(&"frame-ancestors 'none'"));
            assert!(
                !policy
                    .iter()
                    .any(|directive| directive.contains("script") || directive.contains("unsafe"))
            );
            assert_eq!(policy.contains(&"form-action 'self'"), form_action);
            assert_eq!(header("x-frame-options"), "DENY");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "same-origin"); // c015
            assert_eq!(header("content-type"), "text/html; charset=utf-8");
        }
    }

    #[test]
    fn c094_the_policy_admits_our_script_where_a_page_loads_it_and_nowhere_else() {
        let shell = Site::new("https://example.com/auth").shell(&HeaderMap::new(), None, "r1");
        let script = shell.script().0;
        assert!(script.starts_with("<script src=\"/auth/assets/page-"), "{script}");
        let escaped = crate::Markup::plain(&script).to_string();
        for target in [FormTarget::Ourselves, FormTarget::Client] {
            let elsewhere = script.replace("/assets/page-", "/assets/evil-");
            for (body, is_scripted) in [
                (script.clone(), true),
                (escaped.clone(), false),
                (elsewhere, false),
                (String::new(), false),
            ] {
                let response = send(StatusCode::OK, target, body.clone());
                let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
                let directives: Vec<&str> = policy.split("; ").collect();
                for own in ["script-src 'self'", "require-trusted-types-for 'script'"] {
                    assert_eq!(directives.contains(&own), is_scripted, "{body}: {policy}");
                }
                let kept = ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"];
                assert!(kept.iter().all(|own| directives.contains(own)), "{policy}");
                assert!(!policy.contains("unsafe"), "{policy}");
                let form_action = directives.contains(&"form-action 'self'");
                assert_eq!(form_action, target == FormTarget::Ourselves);
            }
        }
    }

    #[test]
    fn a_page_that_cannot_be_rendered_becomes_the_plain_500() {
        let shell = Site::new("https://id.example.com").shell(&HeaderMap::new(), None, "r1");
        let response = Page::new(Broken(shell)).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
