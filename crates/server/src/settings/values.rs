//! What the text of a setting means. A fault says what to write instead and never repeats a secret.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use protocol::{Issuer, PushedRequests, ResponseTypes, Secret};
use url::{Host, Url};

pub(super) fn issuer(text: &str) -> Result<Issuer, String> {
    Issuer::parse(text).map_err(|fault| fault.to_string())
}

/// A base URL that is https.
pub(super) fn https(text: &str) -> Result<Issuer, String> {
    match issuer(text)? {
        url if url.is_secure() => Ok(url),
        _ => Err(format!("{text:?} must begin with https://")),
    }
}

pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} must be an IP address and a port, like 0.0.0.0:8080 or [::]:8080"))
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return Err(format!("{text:?} must be a path"));
    }
    Ok(PathBuf::from(text))
}

/// The certificate chain and the private key of https, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Host names, with commas or spaces between them.
pub(super) fn hosts(text: &str) -> Result<BTreeSet<String>, String> {
    let names = text.split([',', ' ']).filter(|name| !name.is_empty());
    names
        .map(|name| match Host::parse(name) {
            Ok(Host::Domain(host)) => Ok(host),
            _ => Err(format!("{name:?} must be a host name, without port and path")),
        })
        .collect()
}

/// The certificates in a PEM file.
pub(super) fn certificates(text: &str) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(text).map_err(|error| format!("cannot read {text:?}: {error}"))?;
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(format!("{text:?} must hold certificates in PEM"));
    }
    Ok(pem)
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Whether rate limits, and the cap of connections per address, apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimits {
    On,
    Off,
}

impl RateLimits {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?} must be on or off")),
        }
    }
}

pub(super) fn response_types(text: &str) -> Result<ResponseTypes, String> {
    text.parse()
        .map_err(|_| format!("{text:?} must be code, or all to admit implicit and hybrid flows"))
}

pub(super) fn pushed_requests(text: &str) -> Result<PushedRequests, String> {
    Ok(match flag(text)? {
        true => PushedRequests::Required,
        false => PushedRequests::Optional,
    })
}

/// One of the words of a vocabulary.
pub(super) fn word<T: FromStr + Copy + Display>(text: &str, all: &[T]) -> Result<T, String> {
    text.parse().map_err(|_| {
        let all: Vec<String> = all.iter().map(T::to_string).collect();
        format!("{text:?} must be one of: {}", all.join(", "))
    })
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("{text:?} must be true or false"))
}

/// Where the database is. It can hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Secret);

impl DatabaseUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "must be sqlite://PATH or postgres://USER@HOST/NAME";
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(WANTED.to_owned());
        }
        match text.split_once("://") {
            Some(("sqlite", rest)) if !rest.is_empty() => {}
            Some(("postgres" | "postgresql", _)) if Url::parse(text).is_ok() => {}
            _ => return Err(WANTED.to_owned()),
        }
        Ok(Self(Secret::from(text)))
    }

    /// The URL as it may be shown.
    pub fn masked(&self) -> String {
        masked(self.expose())
    }

    /// The URL with its password, for the one place that connects.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", masked(self.expose()))
    }
}

/// The URL without its secrets; only its scheme when it cannot be read.
pub(super) fn masked(text: &str) -> String {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    if scheme == "sqlite" {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else {
        return format!("{scheme}://…");
    };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return format!("{scheme}://…");
    }
    // Drivers read a password from the query as well.
    let is_secret = |name: &str| name.to_ascii_lowercase().contains("password");
    if url.query_pairs().any(|(name, _)| is_secret(&name)) {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let shown = pairs.iter().map(|(name, value)| match is_secret(name) {
            true => (name, MASK),
            false => (name, value.as_str()),
        });
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    url.into()
}

pub(super) const MASK: &str = "***";
