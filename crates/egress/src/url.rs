//! Which URLs are asked at all: https, and a host that the public internet knows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use url::{Host, Url};

use crate::{Error, address};

const MAX_LENGTH: usize = 2048;
const HTTPS: u16 = 443;
/// Below it live the services of a machine, which have no business with strangers' URLs.
const FIRST_FREE_PORT: u16 = 1024;

/// A URL of the kind that is fetched. Where it leads is looked at when it is.
///
/// # Errors
/// What its owner has to change.
pub fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_LENGTH {
        return Err("expected at most 2048 characters");
    }
    if !text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&b))
    {
        return Err("expected a URL in plain ASCII (write host names in their xn-- form)");
    }
    match text.strip_prefix("https://") {
        None => return Err("expected a URL that begins with https://"),
        // A third slash would be skipped, and what follows it be the host.
        Some(after) if after.starts_with('/') => return Err("expected a URL with a host"),
        Some(_) => {}
    }
    let url = Url::parse(text).map_err(|_| "expected a valid URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected a URL without user name and password");
    }
    match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => Ok(url),
        Some(Host::Ipv4(own)) if address::is_public(own.into()) => Ok(url),
        Some(Host::Ipv6(own)) if address::is_public(own.into()) => Ok(url),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => Err("expected an address on the public internet"),
        Some(Host::Domain(_)) | None => Err("expected a URL with a host"),
    }
}

/// Host and port, as far as they can be judged before the name is looked up. Resolvers are not asked about
/// addresses: those are judged here.
pub(crate) fn check_host(url: &Url, private_hosts: &BTreeSet<String>) -> Result<(), Error> {
    let public = |address: IpAddr| match address::is_public(address) {
        true => Ok(()),
        false => Err(Error::Address),
    };
    match url.host() {
        Some(Host::Domain(name)) if private_hosts.contains(name) => return Ok(()),
        Some(Host::Domain(_)) => {}
        Some(Host::Ipv4(own)) => public(own.into())?,
        Some(Host::Ipv6(own)) => public(own.into())?,
        None => return Err(Error::Url("no host")),
    }
    match url.port_or_known_default() {
        Some(HTTPS | FIRST_FREE_PORT..) => Ok(()),
        _ => Err(Error::Url("expected port 443, or one from 1024 on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c050_only_https_to_a_host_by_its_name_or_a_public_address() {
        for good in [
            "https://app.example.com/jwks.json",
            "https://app.example.com:8443/jwks?x=1#fragment",
            "https://93.184.215.14/jwks",
            "https://[2606:2800:21f:cb07::1]/jwks",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let long = format!("https://app.example.com/{}", "x".repeat(2048));
        for bad in [
            "",
            "http://app.example.com/jwks",
            "HTTPS://app.example.com/jwks",
            "file:///etc/passwd",
            "gopher://app.example.com/",
            "https://",
            "https:///app.example.com/",
            "https://user@app.example.com/",
            "https://user:pw@app.example.com/",
            "https://app.example.com\\@evil.test/",
            "https://ä.test/",
            "https://app.example.com/ x",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/",
            "https://0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1]/",
            &long,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn c050_services_of_a_machine_are_not_asked_unless_their_host_is_listed() {
        let listed = BTreeSet::from(["rp.internal".to_owned()]);
        for (text, passes) in [
            ("https://app.example.com/", true),
            ("https://app.example.com:8443/", true),
            ("https://app.example.com:22/", false),
            ("https://app.example.com:0/", false),
            ("https://rp.internal:22/", true),
            ("https://x.rp.internal:22/", false),
        ] {
            assert_eq!(
                check_host(&parse(text).unwrap(), &listed).is_ok(),
                passes,
                "{text}"
            );
        }
        let literal = Url::parse("https://127.0.0.1/").unwrap();
        assert!(check_host(&literal, &BTreeSet::from(["127.0.0.1".to_owned()])).is_err());
    }
}
