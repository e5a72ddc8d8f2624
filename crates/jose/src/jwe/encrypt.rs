//! Encrypting to the key of somebody else: RFC 7516 §5.1.

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{JweAlg, JweEnc};
use serde_json::{Map, Value, json};

use super::content::{self, Cek};
use super::derive::{self, Parties};
use super::key::{self, Point};
use crate::Error;

/// What is inside of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A signed token: RFC 7519 §5.2.
    SignedJwt,
    /// Claims as they stand.
    Claims,
}

/// The public key of a reader, for one algorithm.
pub struct EncryptionKey {
    alg: JweAlg,
    kid: Option<String>,
    public: Public,
}

enum Public {
    Rsa(OaepPublicEncryptingKey),
    P256(Point),
}

impl EncryptionKey {
    /// Reads a public JWK. One for another use, another algorithm, or of another kind is none.
    pub fn from_jwk(jwk: &Value, alg: JweAlg) -> Option<Self> {
        let is = |name: &str, wanted: &str| match jwk.get(name) {
            None => true,
            Some(given) => given.as_str() == Some(wanted),
        };
        if !is("use", "enc") || !is("alg", alg.as_str()) || !may_encrypt(jwk) {
            return None;
        }
        Some(Self {
            alg,
            kid: jwk.get("kid").and_then(Value::as_str).map(str::to_owned),
            public: match alg {
                JweAlg::RsaOaep256 => Public::Rsa(key::rsa(jwk)?),
                JweAlg::EcdhEs | JweAlg::EcdhEsA128Kw | JweAlg::EcdhEsA256Kw => Public::P256(key::p256(jwk)?),
            },
        })
    }

    /// The key of a set that is meant for this algorithm: of several, the first that says so by `alg`, else the first
    /// that says `use`, else the first that fits. The same set gives the same key on every replica.
    pub fn choose(jwks: &Value, alg: JweAlg) -> Option<Self> {
        let says = |name: &'static str| move |jwk: &&Value| jwk.get(name).is_some();
        let keys = jwks.get("keys")?.as_array()?;
        let pick = |said: &dyn Fn(&&Value) -> bool| {
            let mut fitting = keys.iter().filter(said);
            fitting.find_map(|jwk| Self::from_jwk(jwk, alg))
        };
        pick(&says("alg"))
            .or_else(|| pick(&says("use")))
            .or_else(|| pick(&|_| true))
    }

    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// A compact JWE of this content.
    ///
    /// # Errors
    /// When the cipher fails.
    pub fn encrypt(&self, enc: JweEnc, content: Content, plain: &[u8]) -> Result<String, Error> {
        self.try_encrypt(enc, content, plain).map_err(|_| Error::Encrypt)
    }

    fn try_encrypt(&self, enc: JweEnc, content: Content, plain: &[u8]) -> Result<String, Unspecified> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), self.alg.as_str().into());
        header.insert("enc".to_owned(), enc.as_str().into());
        if let Some(kid) = &self.kid {
            header.insert("kid".to_owned(), kid.as_str().into());
        }
        if content == Content::SignedJwt {
            header.insert("cty".to_owned(), "JWT".into());
        }
        let (key, encrypted_key) = match &self.public {
            Public::Rsa(public) => {
                let cek = content::random(enc);
                let mut encrypted = vec![0; public.ciphertext_size()];
                let len = public
                    .encrypt(&OAEP_SHA256_MGF1SHA256, &cek, &mut encrypted, None)?
                    .len();
                encrypted.truncate(len);
                (cek, encrypted)
            }
            Public::P256(point) => self.agree(enc, point, &mut header)?,
        };
        let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        let sealed = content::seal(enc, &key, &header, plain)?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Ok(format!(
            "{header}.{}.{}.{}.{}",
            encode(&encrypted_key),
            encode(&sealed.nonce),
            encode(&sealed.ciphertext),
            encode(&sealed.tag)
        ))
    }

    /// With a key pair for this token alone, whose public half travels in the header.
    fn agree(
        &self,
        enc: JweEnc,
        point: &Point,
        header: &mut Map<String, Value>,
    ) -> Result<(Cek, Vec<u8>), Unspecified> {
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())?;
        let public: Point = own
            .compute_public_key()?
            .as_ref()
            .try_into()
            .map_err(|_| Unspecified)?;
        let [x, y] = key::coordinates(&public);
        header.insert(
            "epk".to_owned(),
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }),
        );
        let peer = UnparsedPublicKey::new(&ECDH_P256, point);
        let derived = agree_ephemeral(own, peer, Unspecified, |agreed| {
            derive::key(agreed, (self.alg, enc), Parties::default())
        })?;
        match self.alg {
            JweAlg::EcdhEsA128Kw | JweAlg::EcdhEsA256Kw => {
                let cek = content::random(enc);
                let wrapped = derive::wrap(&derived, &cek)?;
                Ok((cek, wrapped))
            }
            JweAlg::EcdhEs | JweAlg::RsaOaep256 => Ok((derived, Vec::new())),
        }
    }
}

/// RFC 7517 §4.3.
fn may_encrypt(jwk: &Value) -> bool {
    match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations
            .iter()
            .filter_map(Value::as_str)
            .any(|operation| ["encrypt", "wrapKey", "deriveKey", "deriveBits"].contains(&operation)),
        Some(_) => false,
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("alg", &self.alg)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
