//! Whose request it is: C098.
//!
//! `X-Forwarded-For` counts only when the peer is a trusted proxy, and only from its right end, where each proxy
//! appends: what stands left of the first address that is no proxy of ours was written by a stranger.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use protocol::Error;

use crate::settings::TrustedProxies;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// # Errors
/// `invalid_request` when a trusted proxy says what is no address: guessing would let a client choose.
pub(super) fn of_client(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &TrustedProxies,
) -> Result<IpAddr, Error> {
    let mut nearest = peer.to_canonical();
    // A list may be spread over several header lines (RFC 9110 §5.3).
    let lines: Vec<_> = headers.get_all(&FORWARDED_FOR).iter().collect();
    for line in lines.into_iter().rev() {
        if !proxies.contains(nearest) {
            break;
        }
        let text = line.to_str().map_err(|_| bad_value())?;
        for entry in text.rsplit(',') {
            if !proxies.contains(nearest) {
                break;
            }
            nearest = parse(entry.trim()).ok_or_else(bad_value)?;
        }
    }
    Ok(nearest)
}

/// Some proxies write the port as well.
fn parse(entry: &str) -> Option<IpAddr> {
    let address = entry
        .parse::<IpAddr>()
        .or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// Without the value: what a client wrote does not belong into the log.
fn bad_value() -> Error {
    Error::invalid_request("the proxy sent an X-Forwarded-For that names no IP address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c098_forwarding_headers_count_from_trusted_proxies_only() {
        let proxies = TrustedProxies::parse("10.0.0.0/8,2001:db8::/32").unwrap();
        for (peer, lines, client) in [
            ("192.0.2.1", &["198.51.100.9"][..], Some("192.0.2.1")),
            ("192.0.2.1", &["garbage"], Some("192.0.2.1")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["198.51.100.9"], Some("198.51.100.9")),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.9"], Some("198.51.100.9")),
            ("10.0.0.1", &["127.0.0.1, 198.51.100.9"], Some("198.51.100.9")),
            (
                "10.0.0.1",
                &["garbage, 198.51.100.9, 10.0.0.2"],
                Some("198.51.100.9"),
            ),
            (
                "10.0.0.1",
                &["127.0.0.1", "198.51.100.9,10.0.0.2"],
                Some("198.51.100.9"),
            ),
            ("10.0.0.1", &["198.51.100.9", "10.0.0.2"], Some("198.51.100.9")),
            ("10.0.0.1", &["198.51.100.9:4711"], Some("198.51.100.9")),
            ("10.0.0.1", &["[2001:db9::1]:4711"], Some("2001:db9::1")),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            ("2001:db8::1", &["198.51.100.9"], Some("198.51.100.9")),
            ("10.0.0.1", &["garbage"], None),
            ("10.0.0.1", &[""], None),
            ("10.0.0.1", &["198.51.100.9,"], None),
            ("10.0.0.1", &["unknown, 10.0.0.2"], None),
            ("10.0.0.1", &["caf\u{e9}"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(
                    &FORWARDED_FOR,
                    http::HeaderValue::from_bytes(line.as_bytes()).unwrap(),
                );
            }
            headers.insert("forwarded", "for=203.0.113.1".parse().unwrap());
            headers.insert("x-real-ip", "203.0.113.2".parse().unwrap());
            let found = of_client(peer.parse().unwrap(), &headers, &proxies);
            let expected = client.map(|client| client.parse::<IpAddr>().unwrap());
            assert_eq!(found.ok(), expected, "{peer} {lines:?}");
        }
    }
}
