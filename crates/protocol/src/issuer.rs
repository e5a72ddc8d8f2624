//! The issuer identifier: RFC 8414 §2 and OpenID Connect Discovery §3.
//!
//! Clients compare it byte for byte and browsers derive origins from it, so it is accepted only in the one
//! spelling that both agree on. Everything we publish is built from it, nothing from a request (C097).

use std::fmt;

use url::{Host, Url};

/// An issuer identifier in its canonical spelling: https, or http on a loopback name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    origin_len: usize,
    secure: bool,
    loopback: bool,
}

/// Why a text is no issuer, for the operator who configured it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuer {
    #[error("is not a URL like https://sso.example.com")]
    Url,
    #[error("must be https; http is for localhost, 127.0.0.1, [::1] and names under .localhost only")]
    Scheme,
    #[error("must not hold a user name or a password")]
    UserInfo,
    #[error("must not have a query")]
    Query,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must be written without the trailing slash, because clients compare issuers as strings")]
    TrailingSlash,
    #[error("must not have port 0")]
    Port,
    #[error("may have only letters, digits and - . _ ~ in the segments of its path")]
    Path,
    #[error("must be written {0}, because clients compare issuers as strings")]
    Spelling(String),
}

impl Issuer {
    /// # Errors
    /// What the operator has to change.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(text).map_err(|_| InvalidIssuer::Url)?;
        let loopback = url.host().is_some_and(|host| is_loopback(&host));
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(InvalidIssuer::Scheme),
            _ if url.has_host() => return Err(InvalidIssuer::Scheme),
            _ => return Err(InvalidIssuer::Url),
        }
        refuse_extras(&url)?;
        if text.ends_with('/') {
            return Err(InvalidIssuer::TrailingSlash);
        }

        let origin = url.origin().ascii_serialization();
        let canonical = format!("{origin}{}", url.path().trim_end_matches('/'));
        if text != canonical {
            return Err(InvalidIssuer::Spelling(canonical));
        }
        Ok(Self {
            text: canonical,
            origin_len: origin.len(),
            secure: url.scheme() == "https",
            loopback,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, as browsers write an `Origin`.
    pub fn origin(&self) -> &str {
        self.text
            .split_at_checked(self.origin_len)
            .map_or("", |(origin, _)| origin)
    }

    /// Where our routes live: empty, or `/sso` without a slash at the end.
    pub fn path(&self) -> &str {
        self.text
            .split_at_checked(self.origin_len)
            .map_or("", |(_, path)| path)
    }

    /// Whether browsers reach us by https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

fn refuse_extras(url: &Url) -> Result<(), InvalidIssuer> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidIssuer::UserInfo);
    }
    if url.query().is_some() {
        return Err(InvalidIssuer::Query);
    }
    if url.fragment().is_some() {
        return Err(InvalidIssuer::Fragment);
    }
    if url.port() == Some(0) {
        return Err(InvalidIssuer::Port);
    }
    // The path becomes part of routes and of cookies: nothing in it may mean something there.
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    if !url.path().bytes().all(harmless) || url.path().contains("//") {
        return Err(InvalidIssuer::Path);
    }
    Ok(())
}

/// The names a browser resolves to its own machine.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => *address == std::net::Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => *address == std::net::Ipv6Addr::LOCALHOST,
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_falls_into_origin_and_path() {
        for (text, origin, path, secure, loopback) in [
            (
                "https://sso.example.com",
                "https://sso.example.com",
                "",
                true,
                false,
            ),
            (
                "https://example.com:8443/auth/v1",
                "https://example.com:8443",
                "/auth/v1",
                true,
                false,
            ),
            ("http://localhost:8080", "http://localhost:8080", "", false, true),
            ("http://127.0.0.1:1", "http://127.0.0.1:1", "", false, true),
            ("http://[::1]:8080/a", "http://[::1]:8080", "/a", false, true),
            ("http://sso.localhost", "http://sso.localhost", "", false, true),
            ("https://localhost", "https://localhost", "", true, true),
        ] {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!(
                (
                    issuer.as_str(),
                    issuer.origin(),
                    issuer.path(),
                    issuer.is_secure(),
                    issuer.is_loopback()
                ),
                (text, origin, path, secure, loopback)
            );
        }
    }

    #[test]
    fn each_fault_is_named() {
        use InvalidIssuer as E;
        let spelling = |text: &str| E::Spelling(text.to_owned());
        for (text, expected) in [
            ("", E::Url),
            ("sso.example.com", E::Url),
            ("mailto:a@example.com", E::Url),
            ("https://", E::Url),
            ("ftp://example.com", E::Scheme),
            ("http://example.com", E::Scheme),
            ("http://localhost.example.com", E::Scheme),
            ("http://notlocalhost", E::Scheme),
            ("http://127.0.0.2", E::Scheme),
            ("http://0.0.0.0:8080", E::Scheme),
            ("https://user@example.com", E::UserInfo),
            ("https://:pw@example.com", E::UserInfo),
            ("https://example.com?", E::Query),
            ("https://example.com/?a=b", E::Query),
            ("https://example.com#", E::Fragment),
            ("https://example.com/", E::TrailingSlash),
            ("https://example.com/auth/", E::TrailingSlash),
            ("https://example.com:0", E::Port),
            ("https://example.com/a//b", E::Path),
            ("https://example.com/{a}", E::Path),
            ("https://example.com/a%2Fb", E::Path),
            ("https://example.com/a;b", E::Path),
            ("https://Example.com", spelling("https://example.com")),
            ("HTTPS://example.com", spelling("https://example.com")),
            ("https://example.com:443", spelling("https://example.com")),
            ("http://127.1:8080", spelling("http://127.0.0.1:8080")),
            ("https://example.com/a/../b", spelling("https://example.com/b")),
            (" https://example.com", spelling("https://example.com")),
            ("https:example.com", spelling("https://example.com")),
        ] {
            assert_eq!(Issuer::parse(text), Err(expected), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = Issuer::parse(&text);
            let _ = Issuer::parse(&format!("https://{text}"));
        }
    }
}
