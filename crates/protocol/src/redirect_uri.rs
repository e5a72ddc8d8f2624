//! Redirect URIs: what may be registered, and what a request may name.
//!
//! RFC 9700 §2.1: comparison is of bytes. The one exception is the port of a loopback address of a native
//! app (RFC 8252 §7.3), and it is cut out textually, never by parsing, so that no two readings can differ.

use std::fmt;

use url::Url;

use crate::{ApplicationType, Error};

/// A redirect URI that a client registered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// Names our own responses use: a registered query that held one could forge or hide a response.
const RESPONSE_PARAMETERS: &[&str] = &[
    "access_token",
    "code",
    "error",
    "error_description",
    "error_uri",
    "expires_in",
    "id_token",
    "iss",
    "response",
    "scope",
    "session_state",
    "state",
    "token_type",
];

/// Longer than any redirect URI in use.
const MAX_LEN: usize = 2048;

impl RedirectUri {
    /// # Errors
    /// `invalid_redirect_uri`, saying what is wrong with it.
    pub fn register(text: &str, application_type: ApplicationType) -> Result<Self, Error> {
        match fault(text, application_type) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(Error::invalid_redirect_uri(fault)),
        }
    }

    /// Whether a request may use `given` on the strength of this registration.
    pub fn admits(&self, given: &str, application_type: ApplicationType) -> bool {
        if self.0.as_bytes() == given.as_bytes() {
            return true;
        }
        match application_type {
            ApplicationType::Web => false,
            ApplicationType::Native => match (without_loopback_port(&self.0), without_loopback_port(given)) {
                (Some(own), Some(other)) => own == other,
                _ => false,
            },
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host a person would recognise; the scheme for an app's private scheme.
    pub fn shown_host(&self) -> String {
        shown_host(&self.0)
    }
}

/// Where a redirect URI leads, in the words a person would use.
pub fn shown_host(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => url.scheme().to_owned(),
        },
        Ok(url) => url.scheme().to_owned(),
        Err(_) => String::new(),
    }
}

/// Appends to the URI as text: parsing and printing it again could change a byte of what was registered.
pub fn with_query(uri: &str, query: &str) -> String {
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, own)) if own.ends_with('&') => "",
        Some(_) if crate::defect("query-appended-badly") => "?",
        Some(_) => "&",
    };
    format!("{uri}{separator}{query}")
}

/// The same in the fragment. None can be registered with one.
pub fn with_fragment(uri: &str, fragment: &str) -> String {
    format!("{uri}#{fragment}")
}

/// What forbids registering this URI.
fn fault(text: &str, application_type: ApplicationType) -> Option<&'static str> {
    if text.len() > MAX_LEN {
        return Some("a redirect URI has at most 2048 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("a redirect URI holds only printable ASCII: write host names in their xn-- form");
    }
    if text.contains(['*', '\\', '<', '>', '"', '{', '}', '|', '^', '`']) {
        return Some("a redirect URI is exact: no wildcard and no character that needs encoding");
    }
    if text.contains('#') && !crate::defect("redirect-uris-with-fragments") {
        return Some("a redirect URI has no fragment");
    }
    if has_broken_escape(text) {
        return Some("a redirect URI has broken percent-encoding or an encoded control character");
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return Some("a redirect URI is absolute");
    };
    let Ok(url) = Url::parse(text) else {
        return Some("a redirect URI is a valid absolute URI");
    };
    if has_response_parameter(&url) {
        return Some("the query of a redirect URI must not hold a name that authorization responses use");
    }
    if has_dot_segment(text) {
        return Some("a redirect URI has no . or .. segments");
    }
    match scheme {
        "https" => web_fault(rest, &url),
        "http" if is_loopback(rest) => web_fault(rest, &url),
        "http" => Some("http is allowed only for 127.0.0.1, [::1] and localhost; use https"),
        // RFC 8252 §7.1 and §8.4: a private-use scheme is a domain name of the app's owner, written backwards.
        _ if !scheme.contains('.') || scheme.bytes().any(|b| b.is_ascii_uppercase()) => Some(
            "a redirect URI is https, http on a loopback address, or a private scheme like com.example.app",
        ),
        _ => match application_type {
            ApplicationType::Native => (rest.starts_with("//") && rest.contains('@'))
                .then_some("a redirect URI has no user name or password"),
            ApplicationType::Web => Some("private schemes are for clients with application_type native"),
        },
    }
}

/// Rules for `//authority/…`.
fn web_fault(rest: &str, url: &Url) -> Option<&'static str> {
    let Some(authority) = authority(rest) else {
        return Some("a redirect URI has a host");
    };
    if authority.contains('@') {
        return Some("a redirect URI has no user name or password");
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Some("a redirect URI has a host");
    };
    // What the browser will open must be what was written: no upper case, no 127.1, no default port.
    let written = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    (written != authority)
        .then_some("write the host as browsers do: lower case, no default port, plain numbers")
}

fn authority(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix("//")?;
    Some(after.split(['/', '?']).next().unwrap_or(after))
}

fn is_loopback(rest: &str) -> bool {
    let Some(authority) = authority(rest) else {
        return false;
    };
    ["127.0.0.1", "[::1]", "localhost"].iter().any(|host| {
        authority
            .strip_prefix(host)
            .is_some_and(|port| port.is_empty() || port.starts_with(':'))
    })
}

/// The URI with its port cut out, when it is http on a loopback IP literal.
fn without_loopback_port(uri: &str) -> Option<(&'static str, &str)> {
    let after = uri.strip_prefix("http://")?;
    let (host, rest) = ["127.0.0.1", "[::1]"]
        .iter()
        .find_map(|host| Some((*host, after.strip_prefix(host)?)))?;
    let Some(with_port) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
    };
    let end = with_port.find(['/', '?']).unwrap_or(with_port.len());
    let (port, rest) = with_port.split_at_checked(end)?;
    let plain = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    (plain && port.parse::<u16>().is_ok()).then_some((host, rest))
}

fn has_broken_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let Some(code) = after
            .get(..2)
            .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))
        else {
            return true;
        };
        u8::from_str_radix(code, 16).is_ok_and(|byte| byte.is_ascii_control())
    })
}

fn has_dot_segment(text: &str) -> bool {
    let path = text
        .split('?')
        .next()
        .unwrap_or(text)
        .to_ascii_lowercase()
        .replace("%2e", ".");
    path.split('/').any(|segment| segment == "." || segment == "..")
}

fn has_response_parameter(url: &Url) -> bool {
    url.query_pairs()
        .any(|(name, _)| RESPONSE_PARAMETERS.contains(&&*name))
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(text: &str) -> RedirectUri {
        RedirectUri::register(text, ApplicationType::Native).unwrap()
    }

    #[test]
    fn c003_a_corpus_of_bad_uris_is_refused() {
        for text in [
            "",
            "/cb",
            "//host/cb",
            "app.example.com/cb",
            "http://example.com/cb",
            "http://127.0.0.1.evil.test/",
            "http://localhost.evil.test/",
            "http://127.0.0.1@evil.test/",
            "http://localhost@evil.test/",
            "https://user@host.test/",
            "https://@host.test/",
            "https://user:pw@host.test/",
            "https://host.test/#",
            "https://host.test/#f",
            "https://host.test/cb#",
            "https://*.host.test/",
            "https://host.test/*",
            "https://host.test/a b",
            "https://host.test/\u{0}",
            "https://host.test/%00",
            "https://host.test/%0d%0a",
            "https://host.test/%",
            "https://host.test/%g0",
            "https://host.test\\@evil.test/",
            "https://hóst.test/",
            "https://HOST.test/",
            "https://host.test:443/",
            "https://",
            "https:///cb",
            "https:host.test/cb",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "vbscript:x",
            "about:blank",
            "blob:https://x",
            "myapp://cb",
            "myapp:/cb",
            "Com.Example:/cb",
            "ftp://host.test/",
            "https://host.test/../cb",
            "https://host.test/a/%2e%2E/cb",
            "https://host.test/cb?code=1",
            "https://host.test/cb?state=1",
            "https://host.test/cb?a=1&error=x",
            "https://host.test/cb?iss=x",
            "http://127.1/",
            "http://0x7f000001/",
            "http://[0:0:0:0:0:0:0:1]/",
            "com.example.app://user@x/cb",
            "https://host.test/\"onload=",
            "https://host.test/<script>",
            "https://127.0.0.1:99999/",
        ] {
            assert!(
                RedirectUri::register(text, ApplicationType::Native).is_err(),
                "{text:?}"
            );
        }
        assert!(RedirectUri::register("com.example.app:/cb", ApplicationType::Web).is_err());
    }

    #[test]
    fn honest_uris_are_registered() {
        for text in [
            "https://app.example.com/cb",
            "https://app.example.com",
            "https://app.example.com:8443/cb?tenant=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:3000/cb",
            "http://[::1]/cb",
            "http://localhost:3000/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
            "https://xn--hst-hna.test/cb",
        ] {
            registered(text);
        }
    }

    #[test]
    fn c001_every_mutation_of_a_registered_uri_is_refused() {
        let own = "https://app.example.com/cb/path?tenant=1";
        let uri = RedirectUri::register(own, ApplicationType::Web).unwrap();
        assert!(uri.admits(own, ApplicationType::Web));
        for at in 0..own.len() {
            let (head, tail) = own.split_at(at);
            for middle in ["x", "/", ".", "%20", "@", "#", "?", "\\", "\0", "*"] {
                assert!(!uri.admits(&format!("{head}{middle}{tail}"), ApplicationType::Native));
            }
            assert!(!uri.admits(&format!("{head}{}", &tail[1..]), ApplicationType::Native));
            assert!(!uri.admits(head, ApplicationType::Native));
            let flipped = own[at..=at].to_ascii_uppercase();
            if flipped != own[at..=at] {
                assert!(!uri.admits(&format!("{head}{flipped}{}", &tail[1..]), ApplicationType::Native));
            }
        }
    }

    #[test]
    fn c002_only_the_port_of_a_loopback_literal_of_a_native_app_may_vary() {
        for own in [
            "http://127.0.0.1/cb",
            "http://127.0.0.1:7000/cb",
            "http://[::1]:1/cb",
        ] {
            let uri = registered(own);
            let host = if own.contains('[') { "[::1]" } else { "127.0.0.1" };
            for port in ["", ":1", ":80", ":8080", ":65535"] {
                let given = format!("http://{host}{port}/cb");
                assert!(uri.admits(&given, ApplicationType::Native), "{own} {given}");
                assert_eq!(
                    uri.admits(&given, ApplicationType::Web),
                    given == own,
                    "{own} {given}"
                );
            }
            for given in [
                format!("http://{host}:0/cb"),
                format!("http://{host}:65536/cb"),
                format!("http://{host}:080/cb"),
                format!("http://{host}:/cb"),
                format!("http://{host}:8080/cb/"),
                format!("http://{host}:8080/"),
                format!("https://{host}:8080/cb"),
                format!("http://x@{host}:8080/cb"),
                format!("http://{host}:8080/cb?a"),
                format!("http://{host}:8080@evil.test/cb"),
                format!("http://{host}.evil.test/cb"),
                "http://localhost:8080/cb".to_owned(),
                "http://127.0.0.2/cb".to_owned(),
            ] {
                assert!(!uri.admits(&given, ApplicationType::Native), "{own} {given}");
            }
        }
        let localhost = registered("http://localhost:3000/cb");
        assert!(!localhost.admits("http://localhost:3001/cb", ApplicationType::Native));
    }

    #[test]
    fn a_registered_query_is_kept_to_the_byte() {
        for (uri, expected) in [
            ("https://a.test/cb", "https://a.test/cb?code=1"),
            ("https://a.test", "https://a.test?code=1"),
            ("https://a.test/cb?x=%7E&y", "https://a.test/cb?x=%7E&y&code=1"),
            ("https://a.test/cb?", "https://a.test/cb?code=1"),
            ("com.example.app:/cb", "com.example.app:/cb?code=1"),
        ] {
            assert_eq!(with_query(uri, "code=1"), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, other: String) {
            let _ = RedirectUri::register(&text, ApplicationType::Native);
            let _ = RedirectUri(text).admits(&other, ApplicationType::Native);
        }
    }
}
