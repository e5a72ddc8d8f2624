//! A key that signs: what it is called, what it shows, what it makes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jws::{JwsHeader, serialize_compact};
use protocol::SigningAlg;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::Error;
use crate::signer::{Pair, Public, Signer};

/// A private key, for one algorithm. Cheap to clone; built once, because reading a key costs as much as
/// twenty signatures.
#[derive(Clone)]
pub struct SigningKey {
    alg: SigningAlg,
    signer: Signer,
    public_jwk: Jwk,
}

impl SigningKey {
    /// A new key: P-256, Ed25519, or RSA of 2048 bits, which takes a tenth of a second. Its `kid` is its thumbprint.
    ///
    /// # Errors
    /// When the generator fails, or the key its self-check.
    pub fn generate(alg: SigningAlg) -> Result<Self, Error> {
        let pair = Pair::generate(alg)?;
        let public = pair.public()?;
        let kid = thumbprint_of(&public)?;
        Self::assemble(alg, kid, pair, public)
    }

    /// One that was made elsewhere, by its own name or by its thumbprint.
    pub(crate) fn adopt(alg: SigningAlg, kid: Option<String>, pair: Pair) -> Result<Self, Error> {
        let public = pair.public()?;
        let kid = match kid {
            Some(kid) => kid,
            None => thumbprint_of(&public)?,
        };
        Self::assemble(alg, kid, pair, public)
    }

    /// A stored key, under the name it was published by.
    ///
    /// # Errors
    /// When it is not an acceptable key for the algorithm (RSA: 2048 to 4096 bits), or fails its self-check.
    pub fn from_pkcs8(alg: SigningAlg, kid: impl Into<String>, der: &[u8]) -> Result<Self, Error> {
        let pair = Pair::from_pkcs8(alg, der)?;
        let public = pair.public()?;
        Self::assemble(alg, kid.into(), pair, public)
    }

    fn assemble(alg: SigningAlg, kid: String, pair: Pair, public: Public) -> Result<Self, Error> {
        let mut public_jwk = Jwk::new(public.kty);
        public_jwk.set_key_use("sig");
        public_jwk.set_algorithm(alg.as_str());
        public_jwk.set_key_id(&kid);
        for (name, value) in public.members {
            public_jwk.set_parameter(name, Some(Value::String(value)))?;
        }
        let pair = Arc::new(pair);
        Ok(Self {
            alg,
            signer: Signer { kid, pair },
            public_jwk,
        })
    }

    /// The private key, to be sealed and stored.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.signer.pair.to_pkcs8()
    }

    pub fn kid(&self) -> &str {
        &self.signer.kid
    }

    pub fn alg(&self) -> SigningAlg {
        self.alg
    }

    /// What everybody may know: `kty`, `use`, `alg`, `kid` and the public numbers.
    pub fn public_jwk(&self) -> Value {
        Value::Object(self.public_jwk.as_ref().clone())
    }

    /// A compact JWS over these claims, with `typ`, `alg` and `kid` in its header. ES256 and EdDSA take microseconds;
    /// an RSA signature takes a quarter of a millisecond and belongs on a [pool](crate::Pool).
    ///
    /// # Errors
    /// When the claims cannot be written as JSON.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, Error> {
        let payload = serde_json::to_vec(claims).map_err(Error::Claims)?;
        self.sign_payload(typ, &payload)
    }

    pub(crate) fn sign_payload(&self, typ: &str, payload: &[u8]) -> Result<String, Error> {
        let mut header = JwsHeader::new();
        header.set_token_type(typ);
        Ok(serialize_compact(payload, &header, &self.signer)?)
    }
}

/// A compact JWS over these claims by a secret that its reader knows: HS256, RFC 7518 §3.2. Such a secret has no name,
/// so there is no `kid`.
///
/// # Errors
/// When the claims cannot be written as JSON.
pub fn sign_by_secret(typ: &str, claims: &impl Serialize, secret: &[u8]) -> Result<String, Error> {
    let header = serde_json::json!({ "typ": typ, "alg": jws::HS256 });
    let payload = serde_json::to_vec(claims).map_err(Error::Claims)?;
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(code)))
}

/// RFC 7638 §3: SHA-256 over the members that are the key, in lexicographic order.
pub(crate) fn thumbprint_of(public: &Public) -> Result<String, Error> {
    let mut members: BTreeMap<&str, &str> = public
        .members
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    members.insert("kty", public.kty);
    digested(&members)
}

/// The same of a JWK: one key by whatever name, for whatever algorithm, has one thumbprint. None of a kind that is not
/// ours.
pub fn thumbprint(jwk: &Value) -> Option<String> {
    let names: &[&str] = match jwk.get("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let member = |name: &&'static str| Some((*name, jwk.get(name)?.as_str()?));
    let members: BTreeMap<&str, &str> = names.iter().map(member).collect::<Option<_>>()?;
    digested(&members).ok()
}

fn digested(members: &BTreeMap<&str, &str>) -> Result<String, Error> {
    let json = serde_json::to_vec(members).map_err(Error::Claims)?;
    Ok(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &json)))
}

impl fmt::Debug for SigningKey {
    /// The key itself is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("alg", &self.alg)
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jws::{Alg, KeySet, Typ, Unverified, VerifyingKey};
    use serde_json::json;

    use super::*;

    fn keys() -> Vec<SigningKey> {
        let generate = |alg| SigningKey::generate(alg).unwrap();
        SigningAlg::ALL.iter().copied().map(generate).collect()
    }

    fn set(key: &SigningKey) -> KeySet {
        [VerifyingKey::from_jwk(&key.public_jwk(), None).unwrap()]
            .into_iter()
            .collect()
    }

    fn verdict(token: &str, keys: &KeySet) -> Result<Value, jws::Error> {
        Unverified::parse(token)?
            .verify(keys, Alg::ALL, Typ::Is("at+jwt"))?
            .claims()
    }

    #[test]
    fn what_it_signs_verifies_by_what_it_publishes_and_by_nothing_else() {
        let claims = json!({ "sub": "me", "exp": 1 });
        for (key, other) in keys().iter().zip(keys()) {
            let token = key.sign("at+jwt", &claims).unwrap();
            assert_eq!(verdict(&token, &set(key)), Ok(claims.clone()));

            let renamed = SigningKey::from_pkcs8(other.alg(), key.kid(), &other.to_pkcs8().unwrap()).unwrap();
            assert_eq!(verdict(&token, &set(&renamed)), Err(jws::Error::Signature));
            assert_eq!(verdict(&token, &set(&other)), Err(jws::Error::UnknownKey));

            let (message, signature) = token.rsplit_once('.').unwrap();
            let (header, _) = message.split_once('.').unwrap();
            let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"root"}"#);
            let tampered = format!("{header}.{payload}.{signature}");
            assert_eq!(verdict(&tampered, &set(key)), Err(jws::Error::Signature));
        }
    }

    #[test]
    fn the_header_says_type_algorithm_and_key() {
        for key in keys() {
            let token = key.sign("JWT", &json!({})).unwrap();
            let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(
                header,
                json!({ "typ": "JWT", "alg": key.alg().as_str(), "kid": key.kid() })
            );
        }
    }

    #[test]
    fn c044_a_public_jwk_holds_public_members_only() {
        for key in keys() {
            let jwk = key.public_jwk();
            let mut names: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            let expected: &[&str] = match key.alg() {
                SigningAlg::Rs256 | SigningAlg::Ps256 => &["alg", "e", "kid", "kty", "n", "use"],
                SigningAlg::EdDsa => &["alg", "crv", "kid", "kty", "use", "x"],
                SigningAlg::Es256 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            };
            assert_eq!(names, expected);
            assert_eq!(
                (jwk["use"].as_str(), jwk["alg"].as_str()),
                (Some("sig"), Some(key.alg().as_str()))
            );
        }
    }

    #[test]
    fn a_stored_key_comes_back_as_the_same_key() {
        for key in keys() {
            let der = key.to_pkcs8().unwrap();
            let again = SigningKey::from_pkcs8(key.alg(), key.kid(), &der).unwrap();
            assert_eq!(again.public_jwk(), key.public_jwk());
            assert_eq!(super::thumbprint(&again.public_jwk()).as_deref(), Some(key.kid()));
            assert_eq!(*again.to_pkcs8().unwrap(), *der);
            assert_eq!(
                thumbprint_of(&again.signer.pair.public().unwrap()).unwrap(),
                key.kid()
            );
        }
    }

    #[test]
    fn a_stored_key_that_is_damaged_or_of_another_kind_is_refused() {
        for key in keys() {
            let der = key.to_pkcs8().unwrap();
            // The encoding of an RSA key does not say which padding it is for.
            let others = keys()
                .into_iter()
                .filter(|other| other.public_jwk()["kty"] != key.public_jwk()["kty"]);
            for other in others {
                assert!(SigningKey::from_pkcs8(other.alg(), "kid", &der).is_err());
            }
            assert!(SigningKey::from_pkcs8(key.alg(), "kid", &[]).is_err());
            assert!(SigningKey::from_pkcs8(key.alg(), "kid", &der[..der.len() - 1]).is_err());
            for at in (40..der.len()).step_by(61) {
                let mut damaged = der.clone();
                damaged[at] ^= 1;
                assert!(
                    SigningKey::from_pkcs8(key.alg(), "kid", &damaged).is_err(),
                    "{} {at}",
                    key.alg()
                );
            }
        }
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX\
                 jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaS\
                 qzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksIN\
                 HaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let public = Public {
            kty: "RSA",
            members: vec![("n", n.to_owned()), ("e", "AQAB".to_owned())],
        };
        assert_eq!(
            thumbprint_of(&public).unwrap(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn neither_key_nor_signer_shows_the_private_half() {
        for key in keys() {
            let shown = format!("{key:?} {:?}", key.signer);
            assert!(shown.len() < 200, "{shown}");
        }
    }
}
