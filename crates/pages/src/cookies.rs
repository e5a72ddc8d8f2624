//! Our cookies: RFC 6265bis, with the `__Host-` prefix wherever the issuer is https.
//!
//! *Browser* names a browser and, through it, its sessions. *Flow* binds what is being done to the browser
//! that began it, names no session, and does not change at sign-in. *Account* says which of several accounts the person
//! looks at. *Known* names the browser itself, and marks whose passwords were known in it; it outlives their sessions, and
//! signs nobody in. A cookie counts only in our own shape and only once: a neighbour on another subdomain or port can
//! plant a second one of the same name, and nothing tells which is ours.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use protocol::opaque::{self, Kind};
use protocol::{Secret, SessionId, random};

/// The names of our cookies on this site, and how they are read and set.
#[derive(Clone, Debug)]
pub struct Cookies {
    browser: String,
    flow: String,
    account: String,
    known: String,
    attributes: &'static str,
}

/// How long a browser keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    UntilBrowserCloses,
    For(Duration),
}

/// No browser keeps a cookie for longer: RFC 6265bis §5.5.
const KNOWN_FOR: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// 256 bits in base64url.
const FLOW_BINDING_LEN: usize = 43;

impl Cookies {
    pub fn new(issuer: &str) -> Self {
        if issuer.starts_with("https://") {
            return Self {
                browser: "__Host-cs_browser".to_owned(),
                flow: "__Host-cs_flow".to_owned(),
                account: "__Host-cs_account".to_owned(),
                known: "__Host-cs_known".to_owned(),
                attributes: "Path=/; Secure; HttpOnly; SameSite=Lax",
            };
        }
        // Cookies do not know ports: two servers on localhost would overwrite each other's.
        let port = port(issuer);
        Self {
            browser: format!("cs_browser_{port}"),
            flow: format!("cs_flow_{port}"),
            account: format!("cs_account_{port}"),
            known: format!("cs_known_{port}"),
            attributes: "Path=/; HttpOnly; SameSite=Lax",
        }
    }

    /// The browser that sent the request.
    pub fn browser(&self, headers: &HeaderMap) -> Option<Secret> {
        only(headers, &self.browser).filter(|value| opaque::decode(Kind::Browser, value.expose()).is_some())
    }

    /// What flows of the browser that sent the request are bound to.
    pub fn flow(&self, headers: &HeaderMap) -> Option<Secret> {
        only(headers, &self.flow).filter(|value| is_flow_binding(value.expose()))
    }

    pub fn set_browser(&self, value: &Secret, lifetime: Lifetime) -> HeaderValue {
        self.set(&self.browser, value.expose(), lifetime)
    }

    /// A new flow cookie is [`flow_binding`]; it is never renewed while the browser has one.
    pub fn set_flow(&self, value: &Secret) -> HeaderValue {
        self.set(&self.flow, value.expose(), Lifetime::UntilBrowserCloses)
    }

    /// Whether the person wants to see the account of this session. It only picks among the sessions of the browser, so it
    /// is no secret and proves nothing.
    pub fn prefers(&self, session: &SessionId, headers: &HeaderMap) -> bool {
        only(headers, &self.account).is_some_and(|value| value.expose() == seal::digest(session.as_str()))
    }

    /// Makes the pages of the account show that of this session, until the browser closes.
    pub fn set_preferred(&self, session: &SessionId) -> HeaderValue {
        let value = seal::digest(session.as_str());
        self.set(&self.account, &value, Lifetime::UntilBrowserCloses)
    }

    /// Which browser this is, and whose passwords were known in it: read by [`crate::known`] alone.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<Secret> {
        only(headers, &self.known)
    }

    pub(crate) fn set_known(&self, value: &str) -> HeaderValue {
        self.set(&self.known, value, Lifetime::For(KNOWN_FOR))
    }

    /// Makes the browser forget who it is.
    pub fn clear_browser(&self) -> HeaderValue {
        self.set(&self.browser, "", Lifetime::For(Duration::ZERO))
    }

    fn set(&self, name: &str, value: &str, lifetime: Lifetime) -> HeaderValue {
        let attributes = self.attributes;
        let text = match lifetime {
            Lifetime::UntilBrowserCloses => format!("{name}={value}; {attributes}"),
            Lifetime::For(time) => format!("{name}={value}; {attributes}; Max-Age={}", time.as_secs()),
        };
        let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

/// A new value of 256 random bits for the flow cookie.
pub fn flow_binding() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(random::bytes::<32>()))
}

fn is_flow_binding(text: &str) -> bool {
    text.len() == FLOW_BINDING_LEN
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The value of the one cookie of this name; none when there are two.
fn only(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|header| header.as_bytes().split(|b| *b == b';'))
        .filter_map(|pair| {
            let at = pair.iter().position(|b| *b == b'=')?;
            let (own, value) = pair.split_at_checked(at)?;
            (own.trim_ascii() == name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
        });
    match (values.next(), values.next()) {
        (Some(value), None) => String::from_utf8(value.to_vec()).ok().map(Secret::new),
        _ => None,
    }
}

fn port(issuer: &str) -> u16 {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    // The last colon of [::1] is inside the brackets, and what follows it is no number.
    authority
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap()))
            .collect()
    }

    #[test]
    fn c061_cookies_are_host_bound_secure_http_only_and_lax() {
        let cookies = Cookies::new("https://example.com/auth");
        let browser = opaque::random(Kind::Browser);
        let day = Lifetime::For(Duration::from_secs(86400));
        let attributes = "Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(
            cookies.set_browser(&browser, day),
            format!(
                "__Host-cs_browser={}; {attributes}; Max-Age=86400",
                browser.expose()
            )
        );
        assert_eq!(
            cookies.clear_browser(),
            format!("__Host-cs_browser=; {attributes}; Max-Age=0")
        );
        let flow = flow_binding();
        assert_eq!(
            cookies.set_flow(&flow),
            format!("__Host-cs_flow={}; {attributes}", flow.expose())
        );
        assert_eq!(
            cookies.set_known("v"),
            format!("__Host-cs_known=v; {attributes}; Max-Age=34560000")
        );
    }

    #[test]
    fn two_servers_on_localhost_have_names_of_their_own() {
        for (issuer, name) in [
            ("http://localhost:8080", "cs_browser_8080"),
            ("http://127.0.0.1:9000/auth", "cs_browser_9000"),
            ("http://[::1]:8081", "cs_browser_8081"),
            ("http://localhost", "cs_browser_80"),
            ("http://[::1]", "cs_browser_80"),
        ] {
            let set = Cookies::new(issuer).set_browser(&Secret::from("v"), Lifetime::UntilBrowserCloses);
            assert_eq!(
                set,
                format!("{name}=v; Path=/; HttpOnly; SameSite=Lax"),
                "{issuer}"
            );
        }
    }

    #[test]
    fn c061_a_planted_second_cookie_makes_both_worthless() {
        let cookies = Cookies::new("https://example.com");
        let (own, planted) = (opaque::random(Kind::Browser), opaque::random(Kind::Browser));
        let own_line = format!("a=b; __Host-cs_browser={}; c", own.expose());
        let planted_line = format!("__Host-cs_browser={}", planted.expose());

        assert_eq!(cookies.browser(&sent(&[&own_line])), Some(own.clone()));
        assert_eq!(cookies.browser(&sent(&[&own_line, &planted_line])), None);
        assert_eq!(
            cookies.browser(&sent(&[&format!("{planted_line}; {own_line}")])),
            None
        );
        assert_eq!(cookies.browser(&sent(&[&own_line, "__Host-cs_browser="])), None);
        assert_eq!(cookies.browser(&sent(&[])), None);
    }

    #[test]
    fn only_values_of_our_own_shape_are_seen() {
        let cookies = Cookies::new("http://localhost:8080");
        for value in [
            "",
            "x",
            "\"quoted\"",
            "cs_br_AAAA",
            "ü",
            &"A".repeat(44),
            &"A".repeat(10_000),
            "a b",
        ] {
            let line = format!("cs_browser_8080={value}; cs_flow_8080={value}");
            assert_eq!(cookies.browser(&sent(&[&line])), None, "{value}");
            assert_eq!(cookies.flow(&sent(&[&line])), None, "{value}");
        }
        let flow = flow_binding();
        let line = format!("cs_flow_8080={}; cs_flow_8081=x", flow.expose());
        assert_eq!(cookies.flow(&sent(&[&line])), Some(flow));
    }
}
