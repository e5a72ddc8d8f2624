//! PEM: RFC 7468.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::SigningAlg;
use zeroize::Zeroizing;

use super::{Raw, Unusable};
use crate::SigningKey;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

pub(super) fn read(text: &str, alg: Option<SigningAlg>) -> Result<Vec<SigningKey>, Unusable> {
    let mut keys = Vec::new();
    let mut lines = text.lines().map(str::trim);
    let mut seen = false;
    while let Some(line) = lines.next() {
        let Some(label) = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(DASHES))
        else {
            continue;
        };
        seen = true;
        let body = body(label, &mut lines)?;
        if let Some(raw) = raw(label, &body)? {
            keys.push(raw.named(alg, None)?);
        }
    }
    match seen {
        true => Ok(keys),
        false => Err(Unusable::Unknown),
    }
}

/// Up to the end of this label.
fn body<'t>(label: &str, lines: &mut impl Iterator<Item = &'t str>) -> Result<Zeroizing<String>, Unusable> {
    let damaged = || Unusable::Pem(label.to_owned());
    let end = format!("{END}{label}{DASHES}");
    let mut body = Zeroizing::new(String::new());
    for line in lines {
        if line == end {
            return Ok(body);
        }
        // RFC 1421 §4.6.1.1: the old form says so in a header.
        if line.starts_with("Proc-Type:") && line.contains("ENCRYPTED") {
            return Err(Unusable::Encrypted);
        }
        if line.contains(':') || line.starts_with(DASHES) {
            return Err(damaged());
        }
        body.push_str(line);
    }
    Err(damaged())
}

/// The key; none where it is no key but what programs write beside one.
fn raw(label: &str, body: &str) -> Result<Option<Raw>, Unusable> {
    let der = || {
        let der = STANDARD.decode(body).map(Zeroizing::new);
        der.map_err(|_| Unusable::Pem(label.to_owned()))
    };
    match label {
        "PRIVATE KEY" => Raw::pkcs8(&der()?).map(Some),
        "RSA PRIVATE KEY" => Raw::rsa(&der()?).map(Some),
        "EC PRIVATE KEY" => Raw::p256(&der()?).map(Some),
        "ENCRYPTED PRIVATE KEY" => Err(Unusable::Encrypted),
        "EC PARAMETERS" => Ok(None),
        other if other.contains("PUBLIC KEY") || other.contains("CERTIFICATE") => {
            Err(Unusable::PublicOnly(other.to_owned()))
        }
        other => Err(Unusable::Kind(other.to_owned())),
    }
}
