//! Public keys: RFC 7517, RFC 7518 §6 and RFC 8037 §2. Decides which keys may vouch for a token: public ones,
//! strong ones, each for one algorithm.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{SigningAlg, wire_enum};
use serde_json::{Map, Value};

use crate::Error;

wire_enum! {
    /// Algorithms whose signatures we check: RFC 7518 §3.1 and RFC 8037 §3.1. No symmetric one is among them,
    /// so a public key can never serve as a secret (RFC 8725 §2.1).
    pub enum Alg {
        Rs256 => "RS256",
        Ps256 => "PS256",
        Es256 => "ES256",
        EdDsa => "EdDSA",
    }
}

impl From<SigningAlg> for Alg {
    fn from(alg: SigningAlg) -> Self {
        match alg {
            SigningAlg::Rs256 => Self::Rs256,
            SigningAlg::Ps256 => Self::Ps256,
            SigningAlg::Es256 => Self::Es256,
            SigningAlg::EdDsa => Self::EdDsa,
        }
    }
}

/// A public key, for one algorithm.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    kid: Option<String>,
    alg: Alg,
    key: ParsedPublicKey,
}

/// Members that hold a secret: RFC 7518 §6.2.2, §6.3.2 and §6.4.1. Whoever publishes one has lost the key.
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl VerifyingKey {
    /// Reads a public JWK. `absent` is the algorithm of a key that names none.
    ///
    /// # Errors
    /// When the key is not public, not for signatures, weak, malformed, or of a kind that is not known.
    pub fn from_jwk(jwk: &Value, absent: Option<Alg>) -> Result<Self, Error> {
        let jwk = public(jwk)?;
        check_use(jwk)?;
        let alg = match optional(jwk, "alg")? {
            Some(alg) => alg
                .parse()
                .map_err(|_| Error::Key("its algorithm is not known"))?,
            None => absent.ok_or(Error::Key("it names no algorithm"))?,
        };
        let key = match alg {
            Alg::Rs256 => rsa(jwk, &RSA_PKCS1_2048_8192_SHA256)?,
            Alg::Ps256 => rsa(jwk, &RSA_PSS_2048_8192_SHA256)?,
            Alg::Es256 => p256(jwk)?,
            Alg::EdDsa => ed25519(jwk)?,
        };
        let kid = optional(jwk, "kid")?.map(str::to_owned);
        Ok(Self { kid, alg, key })
    }

    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// Whether this key made the signature; what the message says is not looked at.
    ///
    /// # Errors
    /// [`Error::Signature`] when it did not.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.key
            .verify_sig(message, signature)
            .map_err(|_| Error::Signature)
    }
}

/// Whether somebody may publish this key as theirs: RFC 7517 §9.3. Of a kind that is not known, everything else
/// is passed over: it will never be used.
///
/// # Errors
/// When it is not public, or is weak or malformed.
pub fn check_public(jwk: &Value) -> Result<(), Error> {
    let jwk = public(jwk)?;
    optional(jwk, "kid")?;
    match (optional(jwk, "kty")?, optional(jwk, "crv")?) {
        (Some("RSA"), _) => rsa(jwk, &RSA_PKCS1_2048_8192_SHA256).map(drop),
        (Some("EC"), Some("P-256")) => p256(jwk).map(drop),
        (Some("OKP"), Some("Ed25519")) => ed25519(jwk).map(drop),
        (Some("oct"), _) => Err(Error::Key("a symmetric key is never published")),
        (Some(_), _) => Ok(()),
        (None, _) => Err(Error::Key("it has no kty")),
    }
}

fn public(jwk: &Value) -> Result<&Map<String, Value>, Error> {
    let jwk = jwk.as_object().ok_or(Error::Key("not an object"))?;
    match PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        true => Err(Error::Key("it holds private members")),
        false => Ok(jwk),
    }
}

/// A key for encryption must not vouch for anything: RFC 7517 §4.2 and §4.3.
fn check_use(jwk: &Map<String, Value>) -> Result<(), Error> {
    if optional(jwk, "use")?.is_some_and(|usage| usage != "sig") {
        return Err(Error::Key("its use is not sig"));
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(_) => Err(Error::Key("its key_ops lack verify")),
    }
}

/// RFC 7518 §6.3.1. An exponent below 65537 invites forgeries, and one without bound costs whoever verifies.
fn rsa(jwk: &Map<String, Value>, parameters: &'static RsaParameters) -> Result<ParsedPublicKey, Error> {
    require(jwk, "kty", "RSA")?;
    let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    if !(2048..=8192).contains(&bits(&n)) || n.last().is_none_or(|last| last % 2 == 0) {
        return Err(Error::Key(
            "its modulus is not an odd number of 2048 to 8192 bits",
        ));
    }
    let exponent = (e.len() <= 5).then(|| e.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)));
    if !exponent.is_some_and(|e| (65_537..=1 << 32).contains(&e) && e % 2 == 1) {
        return Err(Error::Key("its exponent is not an odd number from 65537 to 2^32"));
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
        .map_err(|_| Error::Key("not an RSA key"))
}

/// RFC 7518 §6.2.1. That the point lies on the curve is checked: RFC 8725 §3.4.
fn p256(jwk: &Map<String, Value>) -> Result<ParsedPublicKey, Error> {
    require(jwk, "kty", "EC")?;
    require(jwk, "crv", "P-256")?;
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != 32 || y.len() != 32 {
        return Err(Error::Key("a coordinate of P-256 has 32 octets"));
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| Error::Key("its point is not on P-256"))
}

/// RFC 8037 §2.
fn ed25519(jwk: &Map<String, Value>) -> Result<ParsedPublicKey, Error> {
    require(jwk, "kty", "OKP")?;
    require(jwk, "crv", "Ed25519")?;
    let x = bytes(jwk, "x")?;
    if x.len() != 32 {
        return Err(Error::Key("an Ed25519 key has 32 octets"));
    }
    ParsedPublicKey::new(&ED25519, x).map_err(|_| Error::Key("not an Ed25519 key"))
}

/// Bits of a big-endian number; a leading zero octet, which RFC 7518 §2 forbids, counts as none.
fn bits(number: &[u8]) -> usize {
    match number.first() {
        None | Some(0) => 0,
        Some(first) => number.len() * 8 - first.leading_zeros() as usize,
    }
}

fn require(jwk: &Map<String, Value>, name: &str, value: &str) -> Result<(), Error> {
    match optional(jwk, name)? {
        Some(given) if given == value => Ok(()),
        _ => Err(Error::Key("its kind is not the one its algorithm needs")),
    }
}

fn optional<'j>(jwk: &'j Map<String, Value>, name: &str) -> Result<Option<&'j str>, Error> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::Key("a member that should be text is not")),
    }
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Error> {
    let text = optional(jwk, name)?.ok_or(Error::Key("a member of the key itself is missing"))?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Error::Key("a member of the key itself is not base64url"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{KEYS, b64};

    fn changed(alg: &str, name: &str, value: Value) -> Value {
        let mut jwk = KEYS.jwk(alg);
        jwk[name] = value;
        jwk
    }

    #[test]
    fn a_public_key_is_read_for_its_one_algorithm() {
        for alg in Alg::ALL {
            let mut jwk = KEYS.jwk(alg.as_str());
            let key = VerifyingKey::from_jwk(&jwk, Some(Alg::Rs256)).unwrap();
            assert_eq!((key.alg(), key.kid()), (*alg, Some(alg.as_str())));

            for name in ["alg", "kid", "use"] {
                jwk.as_object_mut().unwrap().remove(name);
            }
            jwk["key_ops"] = json!(["verify"]);
            assert!(VerifyingKey::from_jwk(&jwk, None).is_err());
            assert_eq!(VerifyingKey::from_jwk(&jwk, Some(*alg)).unwrap().alg(), *alg);
        }
    }

    #[test]
    fn c044_private_and_symmetric_keys_are_refused() {
        for alg in Alg::ALL {
            for name in PRIVATE {
                let jwk = changed(alg.as_str(), name, json!("AQAB"));
                assert!(VerifyingKey::from_jwk(&jwk, None).is_err(), "{alg} {name}");
            }
        }
        for alg in ["HS256", "ES256"] {
            let oct = json!({ "kty": "oct", "k": b64([7; 32]), "alg": alg });
            assert!(VerifyingKey::from_jwk(&oct, Some(Alg::Rs256)).is_err());
        }
    }

    #[test]
    fn c044_what_somebody_publishes_is_public_and_strong_whatever_it_is_for() {
        for alg in Alg::ALL {
            assert_eq!(check_public(&KEYS.jwk(alg.as_str())), Ok(()));
            assert!(check_public(&changed(alg.as_str(), "d", json!("AQAB"))).is_err());
        }
        assert_eq!(
            check_public(&changed("RS256", "alg", json!("RSA-OAEP-256"))),
            Ok(())
        );
        assert_eq!(check_public(&changed("RS256", "use", json!("enc"))), Ok(()));
        assert_eq!(
            check_public(&json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" })),
            Ok(())
        );
        for bad in [
            changed("RS256", "n", json!(b64([0xFF; 128]))),
            changed("RS256", "e", json!(b64([3]))),
            changed("ES256", "x", json!(b64([1; 32]))),
            changed("EdDSA", "x", json!(b64([1; 31]))),
            changed("ES256", "kid", json!(7)),
            json!({ "kty": "oct" }),
            json!({ "kty": "oct", "k": "AA" }),
            json!({ "alg": "ES256" }),
            json!("key"),
        ] {
            assert!(check_public(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn c044_a_key_for_another_use_is_refused() {
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!(7)),
            ("key_ops", json!(["sign", "encrypt"])),
            ("key_ops", json!("verify")),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!("none")),
            ("alg", json!(null)),
            ("kid", json!(7)),
        ] {
            let jwk = changed("ES256", name, value.clone());
            assert!(
                VerifyingKey::from_jwk(&jwk, Some(Alg::Es256)).is_err(),
                "{name} {value}"
            );
        }
        for (alg, other) in [
            ("RS256", "ES256"),
            ("ES256", "PS256"),
            ("EdDSA", "ES256"),
            ("ES256", "EdDSA"),
        ] {
            assert!(VerifyingKey::from_jwk(&changed(alg, "alg", json!(other)), None).is_err());
        }
    }

    #[test]
    fn c044_weak_and_malformed_keys_are_refused() {
        let modulus = KEYS.modulus();
        let mut even = modulus.to_vec();
        even[255] &= 0xFE;
        let mut huge = vec![0xFF; 1025];
        huge[0] = 1;
        let point = URL_SAFE_NO_PAD
            .decode(KEYS.jwk("ES256")["x"].as_str().unwrap())
            .unwrap();
        for (alg, name, value) in [
            ("RS256", "n", json!(b64(&modulus[..128]))),
            ("RS256", "n", json!(b64([&[0x7F], &modulus[1..]].concat()))),
            ("RS256", "n", json!(b64([&[0], modulus].concat()))),
            ("RS256", "n", json!(b64(even))),
            ("RS256", "n", json!(b64(huge))),
            ("RS256", "n", json!(format!("{}=", b64(modulus)))),
            ("RS256", "n", json!("")),
            ("RS256", "n", json!(null)),
            ("RS256", "e", json!(b64([1]))),
            ("RS256", "e", json!(b64([3]))),
            ("RS256", "e", json!(b64([1, 0, 0]))),
            ("RS256", "e", json!(b64([1, 0, 0, 0, 1]))),
            ("RS256", "e", json!(b64([0, 0, 0, 0, 0, 1, 0, 1]))),
            ("RS256", "e", json!("")),
            ("RS256", "kty", json!("EC")),
            ("ES256", "crv", json!("P-384")),
            ("ES256", "crv", json!("secp256k1")),
            ("ES256", "y", json!(b64(&point))),
            ("ES256", "x", json!(b64([0; 32]))),
            ("ES256", "x", json!(b64(&point[1..]))),
            ("ES256", "x", json!(b64([&[0], &point[..]].concat()))),
            ("ES256", "y", json!(null)),
            ("EdDSA", "crv", json!("X25519")),
            ("EdDSA", "x", json!(b64([7; 31]))),
            ("EdDSA", "x", json!(b64([7; 33]))),
        ] {
            let jwk = changed(alg, name, value.clone());
            assert!(
                VerifyingKey::from_jwk(&jwk, None).is_err(),
                "{alg} {name} {value}"
            );
        }
        for odd in [json!(null), json!([]), json!("key"), json!({})] {
            assert!(VerifyingKey::from_jwk(&odd, Some(Alg::Rs256)).is_err());
        }
    }
}
