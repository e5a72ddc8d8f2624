//! Public keys for encryption, read from JWKs: RFC 7517, RFC 7518 §6.

use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Uncompressed: SEC 1 §2.3.3.
pub(super) const POINT_LEN: usize = 65;

pub(super) type Point = [u8; POINT_LEN];

/// The key of an RSA recipient. What is weak or malformed is none.
pub(super) fn rsa(jwk: &Value) -> Option<OaepPublicEncryptingKey> {
    jws::check_public(jwk).ok()?;
    let jwk = of_kind(jwk, "RSA")?;
    let components = RsaPublicKeyComponents {
        n: bytes(jwk, "n")?,
        e: bytes(jwk, "e")?,
    };
    let key: PublicEncryptingKey = components.try_into().ok()?;
    OaepPublicEncryptingKey::new(key).ok()
}

/// A point of P-256. That it lies on the curve is checked: RFC 8725 §3.4, where another one would tell of the private key
/// that it meets.
pub(super) fn p256(jwk: &Value) -> Option<Point> {
    jws::check_public(jwk).ok()?;
    let jwk = of_kind(jwk, "EC")?;
    if jwk.get("crv")?.as_str()? != "P-256" {
        return None;
    }
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    let point = [[4].as_slice(), x.as_slice(), y.as_slice()].concat();
    point.try_into().ok()
}

/// As a JWK has them.
pub(super) fn coordinates(point: &Point) -> [String; 2] {
    let (_, both) = point.split_at(1);
    let (x, y) = both.split_at(both.len() / 2);
    [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

fn of_kind<'j>(jwk: &'j Value, kty: &str) -> Option<&'j Map<String, Value>> {
    let jwk = jwk.as_object()?;
    (jwk.get("kty")?.as_str()? == kty).then_some(jwk)
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}
