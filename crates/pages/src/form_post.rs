//! The answer to a client as a form: OAuth 2.0 Form Post Response Mode §2. The browser posts it by itself; where
//! scripts are off, the person does.
//!
//! Everything in it is escaped, and of scripts the policy admits this one, by its digest. It has no `form-action`:
//! browsers hold a client's own redirect after the POST against it, so a client that goes on to another origin of
//! its own would be cut off.

use std::sync::LazyLock;

use askama::Template;
use askama::filters::Safe;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::page::{FormTarget, View};
use crate::{Shell, page};

const SCRIPT: &str = "document.forms[0].submit()";

/// One answer, on its way through the browser.
#[derive(Debug, Template)]
#[template(path = "form_post.html")]
pub struct FormPost {
    pub shell: Shell,
    /// The name of the client, from our record of it.
    pub app: String,
    /// Its redirect URI.
    pub action: String,
    pub fields: Vec<(&'static str, String)>,
}

impl View for FormPost {
    fn shell(&self) -> &Shell {
        &self.shell
    }

    fn form_target(&self) -> FormTarget {
        FormTarget::ClientAtOnce
    }
}

impl FormPost {
    fn script(&self) -> Safe<&'static str> {
        Safe(SCRIPT)
    }
}

pub(crate) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(seal::sha256(SCRIPT.as_bytes()));
    let policy = format!("{}; script-src 'sha256-{digest}'", page::POLICY_CLIENT);
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(page::POLICY_CLIENT))
});

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http::HeaderMap;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::{Page, Site};

    #[tokio::test]
    async fn c015_c016_the_form_holds_text_only_and_the_policy_admits_its_one_script() {
        let shell = Site::new("https://example.com/auth").shell(&HeaderMap::new(), None, "r1");
        let evil = "\"><script>alert(1)</script>";
        let page = FormPost {
            shell,
            app: evil.to_owned(),
            action: "https://app.example.com/cb?a=1&b=2".to_owned(),
            fields: vec![("code", "cs_ac_x".to_owned()), ("state", evil.to_owned())],
        };
        let response = Page::new(page).into_response();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        // By another implementation: printf document.forms[0].submit() | openssl dgst -sha256 -binary | base64
        assert!(
            policy.contains("script-src 'sha256-ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE='"),
            "{policy}"
        );
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("form-action"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");

        let body = response.into_body().collect().await.unwrap().to_bytes();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        assert!(
            html.contains("<script>document.forms[0].submit()</script>"),
            "{html}"
        );
        assert!(
            html.contains("action=\"https://app.example.com/cb?a=1&#38;b=2\""),
            "{html}"
        );
        for part in [
            "name=\"code\" value=\"cs_ac_x\"",
            "id=\"form-post-submit\" type=\"submit\"",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("alert(1)</script>"), "{html}");
    }
}
