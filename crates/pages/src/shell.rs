//! What the frame of every page needs to know.

use std::fmt;
use std::sync::Arc;

use askama::filters::Safe;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;
use protocol::BRAND;

use crate::{Locale, Markup, Operator, Texts, assets};

/// The path of the issuer, without a slash at its end: empty for `https://id.example.com`, `/auth` for
/// `https://example.com/auth`. Every link of ours begins with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(Arc<str>);

/// What is the same for every request. Made of the configured issuer alone: no header of a request has a say.
#[derive(Clone, Debug)]
pub struct Site {
    origin: Arc<str>,
    base: Base,
    operator: Arc<Operator>,
}

/// What one request's page is framed with.
#[derive(Clone, Debug)]
pub struct Shell {
    pub brand: &'static str,
    /// Our own, as in [`Site::origin`].
    pub origin: Arc<str>,
    pub base: Base,
    pub operator: Arc<Operator>,
    pub texts: Texts,
    pub request_id: String,
}

impl Site {
    pub fn new(issuer: &str) -> Self {
        let (scheme, rest) = issuer.split_once("://").unwrap_or(("", issuer));
        let (authority, path) = rest
            .split_at_checked(rest.find('/').unwrap_or(rest.len()))
            .unwrap_or((rest, ""));
        Self {
            origin: format!("{scheme}://{authority}").into(),
            base: Base(path.trim_end_matches('/').into()),
            operator: Arc::default(),
        }
    }

    /// The same, run by whoever says so.
    #[must_use]
    pub fn run_by(self, operator: Arc<Operator>) -> Self {
        Self { operator, ..self }
    }

    /// Our origin as browsers write it in `Origin`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn base(&self) -> &Base {
        &self.base
    }

    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// `ui_locales` is what the client asked for, where the page belongs to a client's request.
    pub fn shell(
        &self,
        headers: &HeaderMap,
        ui_locales: Option<&str>,
        request_id: impl Into<String>,
    ) -> Shell {
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Shell {
            brand: BRAND,
            origin: self.origin.clone(),
            base: self.base.clone(),
            operator: self.operator.clone(),
            texts: Texts::of(Locale::negotiate(ui_locales, accepted)),
            request_id: request_id.into(),
        }
    }
}

impl Shell {
    pub fn locale(&self) -> Locale {
        self.texts.locale()
    }

    /// What stands in `<title>`: the task, then whose page it is.
    pub fn title(&self, task: Markup) -> Markup {
        let values = [("task", task), ("brand", Markup::plain(self.brand))];
        self.texts.with("page-title", &values)
    }

    /// The title of a page that a form came back to with faults, so that a screen reader begins with them.
    pub fn title_with_error(&self, task: Markup) -> Markup {
        let values = [("task", task), ("brand", Markup::plain(self.brand))];
        self.texts.with("page-title-error", &values)
    }

    pub fn stylesheet(&self) -> String {
        assets::STYLE.url(&self.base)
    }

    /// For the head of a page whose markup names what the script adds.
    pub fn script(&self) -> Safe<String> {
        Safe(assets::SCRIPT.as_script(&self.base))
    }

    pub fn icon(&self) -> String {
        assets::MARK.url(&self.base)
    }
}

impl Base {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_gives_its_origin_and_base() {
        for (issuer, origin, base) in [
            ("https://id.example.com", "https://id.example.com", ""),
            ("https://id.example.com/", "https://id.example.com", ""),
            ("https://example.com/auth", "https://example.com", "/auth"),
            ("http://localhost:8080", "http://localhost:8080", ""),
            ("http://[::1]:8080/a/b/", "http://[::1]:8080", "/a/b"),
        ] {
            let site = Site::new(issuer);
            assert_eq!((site.origin(), site.base().as_str()), (origin, base), "{issuer}");
        }
    }

    #[test]
    fn c097_links_come_from_the_issuer_whatever_the_headers_say() {
        let mut headers = HeaderMap::new();
        for name in [
            "host",
            "x-forwarded-host",
            "x-forwarded-prefix",
            "forwarded",
            "x-original-url",
        ] {
            headers.insert(name, http::HeaderValue::from_static("evil.test"));
        }
        let site = Site::new("https://example.com/auth");
        let shell = site.shell(&headers, None, "r1");
        assert!(
            shell.stylesheet().starts_with("/auth/assets/style-"),
            "{}",
            shell.stylesheet()
        );
        assert_eq!(shell.base.as_str(), "/auth");
    }
}
