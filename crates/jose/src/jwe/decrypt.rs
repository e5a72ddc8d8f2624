//! Reading what was encrypted to a key of ours: RFC 7516 §5.2.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{JweAlg, JweEnc, wire_enum};
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::content::{self, Cek, Sealed};
use super::derive::{self, Parties};
use super::encrypt::{Content, EncryptionKey};
use super::key::{self, Point};
use crate::Error;
use crate::signer::Public;
use crate::signing_key::thumbprint_of;

/// Bytes of a token. What is inside is smaller, and compression is refused: memory stays flat.
const MAX_LENGTH: usize = 32 * 1024;
/// Characters of a `kid`. It is compared and never used for anything else.
const MAX_KID: usize = 128;
/// Bytes of what a party is called.
const MAX_PARTY: usize = 128;

wire_enum! {
    /// The kinds of keys that read, each by the algorithm that it is called after and its variants.
    pub enum Family {
        Rsa => "RSA-OAEP-256",
        P256 => "ECDH-ES",
    }
}

impl Family {
    fn of(alg: JweAlg) -> Self {
        match alg {
            JweAlg::RsaOaep256 => Self::Rsa,
            JweAlg::EcdhEs | JweAlg::EcdhEsA128Kw | JweAlg::EcdhEsA256Kw => Self::P256,
        }
    }
}

/// Why an encrypted token is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the encrypted token is longer than 32 KiB")]
    TooLong,
    #[error("the encrypted token is not five parts of base64url without padding, joined by dots")]
    NotCompact,
    #[error("the header of the encrypted token is not an acceptable JSON object")]
    Json,
    #[error("the header member {0} of the encrypted token is missing or malformed")]
    Header(&'static str),
    #[error("the encrypted token is compressed (zip), which is never accepted")]
    Zip,
    #[error("the encrypted token names critical extensions, and none is understood")]
    Critical,
    #[error("the alg or enc of the encrypted token is not accepted")]
    Algorithm,
    #[error("the token is not encrypted to a key of this server")]
    UnknownKey,
    /// The same whatever failed: a difference would open what was encrypted, question by question.
    #[error("the encrypted token cannot be opened")]
    Closed,
}

/// An encrypted token of the right form.
pub struct Encrypted {
    alg: JweAlg,
    enc: JweEnc,
    kid: Option<String>,
    epk: Option<Point>,
    apu: Vec<u8>,
    apv: Vec<u8>,
    /// As it came: what is authenticated beside the content.
    header: String,
    encrypted_key: Vec<u8>,
    sealed: Sealed,
}

impl Encrypted {
    /// # Errors
    /// When the text is not a compact JWE, or asks for what is never accepted.
    pub fn parse(token: &str) -> Result<Self, Refused> {
        if token.len() > MAX_LENGTH {
            return Err(Refused::TooLong);
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, encrypted_key, nonce, ciphertext, tag] = parts.as_slice() else {
            return Err(Refused::NotCompact);
        };
        let members = jws::json::object(&decode(header)?).map_err(|_| Refused::Json)?;
        // Before anything else, so that nothing of it is even looked at.
        if members.contains_key("zip") {
            return Err(Refused::Zip);
        }
        if members.contains_key("crit") {
            return Err(Refused::Critical);
        }
        let word = |name| text(&members, name)?.ok_or(Refused::Header(name));
        let alg: JweAlg = word("alg")?.parse().map_err(|_| Refused::Algorithm)?;
        let enc: JweEnc = word("enc")?.parse().map_err(|_| Refused::Algorithm)?;
        let kid = text(&members, "kid")?;
        if kid.is_some_and(|kid| kid.chars().count() > MAX_KID) {
            return Err(Refused::Header("kid"));
        }
        let sealed = Sealed {
            nonce: decode(nonce)?.try_into().map_err(|_| Refused::NotCompact)?,
            ciphertext: decode(ciphertext)?,
            tag: decode(tag)?,
        };
        // A shorter one would be guessed.
        if sealed.tag.len() != content::TAG_LEN {
            return Err(Refused::NotCompact);
        }
        Ok(Self {
            alg,
            enc,
            kid: kid.map(str::to_owned),
            epk: match (Family::of(alg), members.get("epk")) {
                (Family::Rsa, _) => None,
                (Family::P256, epk) => Some(epk.and_then(key::p256).ok_or(Refused::Header("epk"))?),
            },
            apu: party(&members, "apu")?,
            apv: party(&members, "apv")?,
            header: (*header).to_owned(),
            encrypted_key: decode(encrypted_key)?,
            sealed,
        })
    }

    /// The key that it says it is for.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The kind of key that it takes.
    pub fn family(&self) -> Family {
        Family::of(self.alg)
    }

    pub fn alg(&self) -> JweAlg {
        self.alg
    }

    pub fn enc(&self) -> JweEnc {
        self.enc
    }
}

/// A private key that reads, and does nothing else. Cheap to clone.
#[derive(Clone)]
pub struct DecryptionKey {
    kid: String,
    family: Family,
    pair: Arc<Pair>,
    public_jwk: Value,
}

enum Pair {
    Rsa(PrivateDecryptingKey, OaepPrivateDecryptingKey),
    P256(PrivateKey),
}

impl DecryptionKey {
    /// A new key: P-256, or RSA of 2048 bits, which takes a tenth of a second. Its `kid` is its thumbprint.
    ///
    /// # Errors
    /// When the generator fails, or the key its self-check.
    pub fn generate(family: Family) -> Result<Self, Error> {
        let pair = match family {
            Family::Rsa => PrivateDecryptingKey::generate(KeySize::Rsa2048).and_then(Pair::of_rsa),
            Family::P256 => PrivateKey::generate(&ECDH_P256).map(Pair::P256),
        };
        Self::assemble(family, None, pair.map_err(|_| Error::Generate)?)
    }

    /// A stored key, under the name it was published by.
    ///
    /// # Errors
    /// When it is not an acceptable key of its kind, or fails its self-check.
    pub fn from_pkcs8(family: Family, kid: impl Into<String>, der: &[u8]) -> Result<Self, Error> {
        let pair = match family {
            Family::Rsa => PrivateDecryptingKey::from_pkcs8(der)
                .map_err(Unspecified::from)
                .and_then(Pair::of_rsa),
            Family::P256 => PrivateKey::from_private_key_der(&ECDH_P256, der)
                .map(Pair::P256)
                .map_err(Unspecified::from),
        };
        let pair = pair.map_err(|_| Error::NotPkcs8(family))?;
        Self::assemble(family, Some(kid.into()), pair)
    }

    fn assemble(family: Family, kid: Option<String>, pair: Pair) -> Result<Self, Error> {
        let public = pair.public()?;
        let kid = match kid {
            Some(kid) => kid,
            None => thumbprint_of(&public)?,
        };
        let mut public_jwk = json!({ "kty": public.kty, "use": "enc", "kid": kid });
        if let Some(members) = public_jwk.as_object_mut() {
            // One on a curve serves for all three algorithms of its kind, so it names none.
            if family == Family::Rsa {
                members.insert("alg".to_owned(), family.as_str().into());
            }
            let numbers = public.members.into_iter();
            members.extend(numbers.map(|(name, value)| (name.to_owned(), value.into())));
        }
        let key = Self {
            kid,
            family,
            pair: Arc::new(pair),
            public_jwk,
        };
        key.check()?;
        Ok(key)
    }

    /// What is encrypted to the public half is read by the private one. A key that was damaged in storage would show
    /// when every client's requests are refused.
    fn check(&self) -> Result<(), Error> {
        const PROBE: &[u8] = b"self-check of a decryption key";
        let failed = || Error::SelfCheck("it does not read what is encrypted to it");
        let alg = match self.family {
            Family::Rsa => JweAlg::RsaOaep256,
            Family::P256 => JweAlg::EcdhEs,
        };
        let public = EncryptionKey::from_jwk(&self.public_jwk, alg).ok_or_else(failed)?;
        let token = public.encrypt(JweEnc::A128Gcm, Content::Claims, PROBE)?;
        let read = Encrypted::parse(&token).and_then(|token| self.decrypt(&token));
        match read {
            Ok(plain) if plain.as_slice() == PROBE => Ok(()),
            _ => Err(failed()),
        }
    }

    /// The private key, to be sealed and stored.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let der: Result<Pkcs8V1Der<'_>, Unspecified> = match &*self.pair {
            Pair::Rsa(key, _) => key.as_der(),
            Pair::P256(key) => key.as_der(),
        };
        der.map(|der| Zeroizing::new(der.as_ref().to_vec()))
            .map_err(|_| Error::Export)
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// What everybody may know: `kty`, `use`, `kid` and the public numbers.
    pub fn public_jwk(&self) -> Value {
        self.public_jwk.clone()
    }

    /// The content of a token. One by RSA takes a millisecond and belongs on a [pool](crate::Pool).
    ///
    /// # Errors
    /// [`Refused::Closed`] whatever fails.
    pub fn decrypt(&self, token: &Encrypted) -> Result<Zeroizing<Vec<u8>>, Refused> {
        if self.family != token.family() {
            return Err(Refused::Closed);
        }
        let key = match &*self.pair {
            // RFC 7516 §11.5: with another key it goes on, and fails where a wrong content fails.
            Pair::Rsa(_, key) => {
                unlock(key, &token.encrypted_key, token.enc).unwrap_or_else(|_| content::random(token.enc))
            }
            Pair::P256(key) => agreed(key, token).map_err(|_| Refused::Closed)?,
        };
        content::open(token.enc, &key, &token.header, &token.sealed).map_err(|_| Refused::Closed)
    }
}

fn unlock(key: &OaepPrivateDecryptingKey, encrypted: &[u8], enc: JweEnc) -> Result<Cek, Unspecified> {
    let mut plain = Zeroizing::new(vec![0; key.min_output_size()]);
    let len = key
        .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut plain, None)?
        .len();
    plain.truncate(len);
    match len == content::key_len(enc) {
        true => Ok(plain),
        false => Err(Unspecified),
    }
}

fn agreed(key: &PrivateKey, token: &Encrypted) -> Result<Cek, Unspecified> {
    let point = token.epk.as_ref().ok_or(Unspecified)?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, point);
    let parties = Parties {
        apu: &token.apu,
        apv: &token.apv,
    };
    let derived = agree(key, peer, Unspecified, |agreed| {
        derive::key(agreed, (token.alg, token.enc), parties)
    })?;
    match token.alg {
        JweAlg::EcdhEsA128Kw | JweAlg::EcdhEsA256Kw => {
            derive::unwrap(&derived, &token.encrypted_key, token.enc)
        }
        // RFC 7516 §5.2: there is no encrypted key where the key was agreed on.
        JweAlg::EcdhEs if token.encrypted_key.is_empty() => Ok(derived),
        JweAlg::EcdhEs | JweAlg::RsaOaep256 => Err(Unspecified),
    }
}

impl Pair {
    fn of_rsa(key: PrivateDecryptingKey) -> Result<Self, Unspecified> {
        Ok(Self::Rsa(key.clone(), OaepPrivateDecryptingKey::new(key)?))
    }

    fn public(&self) -> Result<Public, Error> {
        let malformed = || Error::SelfCheck("its public key is malformed");
        match self {
            Self::Rsa(key, _) => {
                let der = key.public_key().as_der().map_err(|_| malformed())?;
                let public = RsaPublicKey::from_public_key_der(der.as_ref()).map_err(|_| malformed())?;
                let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
                Ok(Public {
                    kty: "RSA",
                    members: vec![
                        ("n", encode(public.n().to_bytes_be())),
                        ("e", encode(public.e().to_bytes_be())),
                    ],
                })
            }
            Self::P256(key) => {
                let public = key.compute_public_key().map_err(|_| malformed())?;
                let point: Point = public.as_ref().try_into().map_err(|_| malformed())?;
                let [x, y] = key::coordinates(&point);
                Ok(Public {
                    kty: "EC",
                    members: vec![("crv", "P-256".to_owned()), ("x", x), ("y", y)],
                })
            }
        }
    }
}

fn text<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<Option<&'m str>, Refused> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refused::Header(name)),
    }
}

fn party(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Refused> {
    let Some(encoded) = text(members, name)? else {
        return Ok(Vec::new());
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| Refused::Header(name))?;
    match bytes.len() <= MAX_PARTY {
        true => Ok(bytes),
        false => Err(Refused::Header(name)),
    }
}

fn decode(encoded: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Refused::NotCompact)
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted")
            .field("alg", &self.alg)
            .field("enc", &self.enc)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DecryptionKey {
    /// The key itself is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionKey")
            .field("family", &self.family)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
