//! The client's certificate as a proxy of ours tells of it: RFC 9440, C035.
//!
//! The headers count only where the operator has proxies end TLS, and only from these; what anybody else says in them
//! is gone before a handler could look. A proxy has to take them off what comes in.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use protocol::{ClientCertificate, Error};

use crate::settings::TrustedProxies;

static CERTIFICATE: HeaderName = HeaderName::from_static("client-cert");
static CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Longest chain that is read.
const MAX_CHAIN: usize = 10;

/// Who tells us of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// Our own handshakes, or nobody.
    Ours,
    /// The proxies that are trusted.
    OfProxies,
}

/// Takes the headers away; the certificate in them, where they count.
///
/// # Errors
/// `invalid_request` when a trusted proxy says what is no certificate: guessing would let a client choose.
pub(super) fn take(
    headers: &mut HeaderMap,
    peer: IpAddr,
    certificates: Certificates,
    proxies: &TrustedProxies,
) -> Result<Option<ClientCertificate>, Error> {
    let leaves = lines(headers, &CERTIFICATE);
    let chain = lines(headers, &CHAIN);
    if certificates == Certificates::Ours || !proxies.contains(peer) {
        return Ok(None);
    }
    let leaf = match leaves.as_slice() {
        [] => return Ok(None),
        [leaf] => leaf,
        _ => return Err(bad_value()),
    };
    let chain = chain.iter().flat_map(|line| line.split(',')).take(MAX_CHAIN + 1);
    let chain: Option<Vec<Vec<u8>>> = chain.map(bytes).collect();
    match (bytes(leaf), chain) {
        (Some(leaf), Some(chain)) if chain.len() <= MAX_CHAIN => {
            Ok(Some(ClientCertificate::new(&leaf, chain)))
        }
        _ => Err(bad_value()),
    }
}

/// The values of a header, which is gone then. One that is no text reads as nothing, which is no certificate.
fn lines(headers: &mut HeaderMap, name: &HeaderName) -> Vec<String> {
    let all = headers.get_all(name).iter();
    let texts = all
        .map(|value| value.to_str().unwrap_or_default().to_owned())
        .collect();
    headers.remove(name);
    texts
}

/// A byte sequence of RFC 8941 §3.3.5.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let encoded = text
        .trim_matches([' ', '\t'])
        .strip_prefix(':')?
        .strip_suffix(':')?;
    STANDARD.decode(encoded).ok().filter(|bytes| !bytes.is_empty())
}

/// Without the value: what a client wrote does not belong into the log.
fn bad_value() -> Error {
    Error::invalid_request("the proxy sent a Client-Cert or Client-Cert-Chain that RFC 9440 does not know")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(leaves: &[&str], chain: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in [(&CERTIFICATE, leaves), (&CHAIN, chain)] {
            for value in values {
                headers.append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        headers
    }

    #[test]
    fn c035_a_certificate_in_a_header_counts_from_a_trusted_proxy_only() {
        let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
        let told = |peer: &str, certificates, leaves: &[&str], chain: &[&str]| {
            let mut headers = headers(leaves, chain);
            let told = take(&mut headers, peer.parse().unwrap(), certificates, &proxies);
            assert!(headers.is_empty(), "a handler could read what is left");
            told.map_err(|_| ())
        };
        let of = |leaf: &[u8], chain: &[&[u8]]| {
            let chain = chain.iter().map(|der| der.to_vec()).collect();
            Ok(Some(ClientCertificate::new(leaf, chain)))
        };
        let (proxy, stranger, here) = ("10.0.0.1", "192.0.2.1", Certificates::OfProxies);
        assert_eq!(told(proxy, here, &[":bGVhZg==:"], &[]), of(b"leaf", &[]));
        assert_eq!(
            told("::ffff:10.0.0.1", here, &[" :bGVhZg==: "], &[]),
            of(b"leaf", &[])
        );
        let chain = [":b25l:, :dHdv:", ":b25l:"];
        assert_eq!(
            told(proxy, here, &[":bGVhZg==:"], &chain),
            of(b"leaf", &[b"one", b"two", b"one"])
        );
        // Nobody else is believed, nor asked to be right.
        for value in [":bGVhZg==:", "garbage", ""] {
            assert_eq!(told(stranger, here, &[value], &[value]), Ok(None), "{value}");
            assert_eq!(
                told(proxy, Certificates::Ours, &[value], &[value]),
                Ok(None),
                "{value}"
            );
        }
        assert_eq!(told(proxy, here, &[], &[]), Ok(None));
        assert_eq!(told(proxy, here, &[], &[":b25l:"]), Ok(None));
        for (leaves, chain) in [
            (&[""][..], &[][..]),
            (&["::"], &[]),
            (&["bGVhZg=="], &[]),
            (&[":bGVhZg:"], &[]),
            (&[":bGVhZg==:;a=1"], &[]),
            (&[":bGVhZg==:, :b25l:"], &[]),
            (&[":bGVhZg==:", ":bGVhZg==:"], &[]),
            (&["-----BEGIN CERTIFICATE-----"], &[]),
            (&["caf\u{e9}"], &[]),
            (&[":bGVhZg==:"], &["x"]),
            (&[":bGVhZg==:"], &[":b25l:,"]),
            (&[":bGVhZg==:"], &[":b25l:"; 11]),
        ] {
            assert_eq!(told(proxy, here, leaves, chain), Err(()), "{leaves:?} {chain:?}");
        }
    }
}
