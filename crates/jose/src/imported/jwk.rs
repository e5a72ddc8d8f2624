//! Private JWKs: RFC 7518 §6.2.2 and §6.3.2, RFC 8037 §2; one, or a set of them.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::SigningAlg;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Raw, Unusable, der};
use crate::SigningKey;

/// As our readers of tokens have it.
const MAX_KID: usize = 128;

pub(super) fn read(text: &str, alg: Option<SigningAlg>) -> Result<Vec<SigningKey>, Unusable> {
    let value: Value = serde_json::from_str(text).map_err(|_| Unusable::Unknown)?;
    let all = match &value {
        Value::Array(all) => all.as_slice(),
        Value::Object(members) => match members.get("keys") {
            Some(Value::Array(all)) => all.as_slice(),
            Some(_) => return Err(Unusable::Member("keys")),
            None => std::slice::from_ref(&value),
        },
        _ => return Err(Unusable::Unknown),
    };
    all.iter().map(|jwk| key(jwk, alg)).collect()
}

fn key(jwk: &Value, wanted: Option<SigningAlg>) -> Result<SigningKey, Unusable> {
    let jwk = jwk.as_object().ok_or(Unusable::Unknown)?;
    let kid = kid(jwk)?;
    purpose(jwk)?;
    let alg = algorithm(jwk, wanted)?;
    raw(jwk)?.named(alg, kid)
}

/// What it is for, where it says so: RFC 7517 §4.2 and §4.3.
fn purpose(jwk: &Map<String, Value>) -> Result<(), Unusable> {
    if let Some(purpose) = word(jwk, "use")?
        && purpose != "sig"
    {
        return Err(Unusable::Purpose(purpose.to_owned()));
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(acts)) if acts.iter().any(|act| act == "sign") => Ok(()),
        Some(acts) => Err(Unusable::Purpose(acts.to_string())),
    }
}

fn algorithm(jwk: &Map<String, Value>, wanted: Option<SigningAlg>) -> Result<Option<SigningAlg>, Unusable> {
    let Some(own) = word(jwk, "alg")? else {
        return Ok(wanted);
    };
    // RFC 9864 §2.2 has a name for the one curve that EdDSA means here.
    let parsed = match own {
        "Ed25519" => Ok(SigningAlg::EdDsa),
        own => own.parse::<SigningAlg>(),
    };
    match parsed {
        Ok(alg) if wanted.is_none_or(|wanted| wanted == alg) => Ok(Some(alg)),
        _ => Err(Unusable::OtherAlgorithm(own.to_owned())),
    }
}

/// It stands in every header, is compared by everybody, and is written into logs: no more than that is wanted of it.
fn kid(jwk: &Map<String, Value>) -> Result<Option<String>, Unusable> {
    let Some(kid) = word(jwk, "kid")? else {
        return Ok(None);
    };
    let sane = |b: u8| b.is_ascii_alphanumeric() || b".-_~=+/:@".contains(&b);
    match (1..=MAX_KID).contains(&kid.len()) && kid.bytes().all(sane) {
        true => Ok(Some(kid.to_owned())),
        false => Err(Unusable::Kid(kid.chars().take(MAX_KID).collect())),
    }
}

fn raw(jwk: &Map<String, Value>) -> Result<Raw, Unusable> {
    let kty = word(jwk, "kty")?.ok_or(Unusable::Member("kty"))?;
    let kind = match word(jwk, "crv")? {
        Some(curve) if kty != "RSA" => format!("{kty} {curve}"),
        _ => kty.to_owned(),
    };
    if !matches!(kind.as_str(), "RSA" | "EC P-256" | "OKP Ed25519") {
        return Err(Unusable::Kind(kind));
    }
    if !jwk.contains_key("d") {
        return Err(Unusable::PublicOnly("the JWK".to_owned()));
    }
    let bytes = |name| bytes(jwk, name);
    match kind.as_str() {
        "RSA" => {
            // RFC 7518 §6.3.2.7: more than two primes, which nobody should use.
            if jwk.contains_key("oth") {
                return Err(Unusable::Kind("RSA of more than two primes".to_owned()));
            }
            let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
            let numbers = names.map(bytes);
            let mut all = Vec::with_capacity(numbers.len());
            for number in &numbers {
                all.push(number.as_ref().map_err(Clone::clone)?.as_slice());
            }
            Raw::rsa(&Zeroizing::new(der::rsa(&all)))
        }
        "EC P-256" => {
            let point = [&[4], bytes("x")?.as_slice(), bytes("y")?.as_slice()].concat();
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &bytes("d")?,
                &point,
            );
            pair.map(Raw::P256).map_err(|_| Unusable::Damaged)
        }
        _ => {
            let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes("d")?, &bytes("x")?);
            pair.map(Raw::Ed25519).map_err(|_| Unusable::Damaged)
        }
    }
}

fn word<'j>(jwk: &'j Map<String, Value>, name: &'static str) -> Result<Option<&'j str>, Unusable> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unusable::Member(name)),
    }
}

fn bytes(jwk: &Map<String, Value>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let text = word(jwk, name)?.ok_or(Unusable::Member(name))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new);
    bytes.map_err(|_| Unusable::Member(name))
}
