//! Keys and tokens for the tests of this crate.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::Timestamp;
use serde_json::{Value, json};

use crate::KeySet;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) struct Keys {
    pub(crate) rsa: RsaKeyPair,
    pub(crate) ec: EcdsaKeyPair,
    pub(crate) ed: Ed25519KeyPair,
}

/// Generated once: an RSA key takes its time.
pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
    ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    ed: Ed25519KeyPair::generate().unwrap(),
});

impl Keys {
    pub(crate) fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match alg {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "ES256" => self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            _ => panic!("no such key"),
        }
    }

    /// The public key for an algorithm; its `kid` is the name of the algorithm.
    pub(crate) fn jwk(&self, alg: &str) -> Value {
        let mut jwk = match alg {
            "RS256" | "PS256" => json!({ "kty": "RSA", "n": b64(self.modulus()), "e": "AQAB" }),
            "ES256" => {
                let point = self.ec.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) })
            }
            "EdDSA" => json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(self.ed.public_key().as_ref()) }),
            _ => panic!("no such key"),
        };
        jwk["alg"] = alg.into();
        jwk["kid"] = alg.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// Out of the DER of a 2048-bit key: SEQUENCE, INTEGER, and a zero for the sign stand before it.
    pub(crate) fn modulus(&self) -> &[u8] {
        &self.rsa.public_key().as_ref()[9..265]
    }
}

/// A set with these algorithms' keys.
pub(crate) fn set(algs: &[&str]) -> KeySet {
    let keys: Vec<Value> = algs.iter().map(|alg| KEYS.jwk(alg)).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), None).unwrap()
}

/// Any header over any payload, signed by the key of `alg`.
pub(crate) fn signed(alg: &str, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let signature = KEYS.sign(alg, message.as_bytes());
    format!("{message}.{}", b64(signature))
}

/// A proper access token by the key of `alg`, with these claims changed; null removes one.
pub(crate) fn access_token(alg: &str, changes: &Value) -> String {
    let header = json!({ "alg": alg, "kid": alg, "typ": "at+jwt" });
    signed(alg, &header.to_string(), &claims(changes).to_string())
}

pub(crate) const ISSUER: &str = "https://issuer.test";
pub(crate) const AUDIENCE: &str = "https://api.test";

pub(crate) fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user", "client_id": "app", "jti": "token",
        "exp": NOW.as_secs() + 900, "iat": NOW.as_secs(), "scope": "openid reports",
        "approval": "approval", "client_generation": 0,
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
