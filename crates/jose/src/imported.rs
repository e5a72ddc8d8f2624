//! Private keys that an operator brings along: PEM (PKCS#8, RFC 5958; PKCS#1, RFC 8017 §A.1.2; SEC1, RFC 5915) and private
//! JWKs (RFC 7517, RFC 7518 §6). It decides which of them may sign here, and says of each other one what to change.

mod der;
mod jwk;
mod pem;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use protocol::SigningAlg;

use crate::SigningKey;
use crate::signer::Pair;

/// Bytes of a file. A hundred keys fit.
const MAX_LENGTH: usize = 512 * 1024;
/// Bits of an RSA modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Why a key is not taken, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("the file is longer than 512 KiB: give one with keys only")]
    TooLong,
    #[error("the file is neither PEM nor JSON: give a private key in PEM, a private JWK, or a set of them")]
    Unknown,
    #[error("the file holds no key")]
    Empty,
    #[error("the PEM is damaged at {0:?}: export the key again")]
    Pem(String),
    #[error(
        "the key is encrypted: decrypt it first (openssl pkcs8 -in KEY -out PLAIN), import that, and delete it afterwards"
    )]
    Encrypted,
    #[error("{0:?} is not a private key: give the file that has the private half")]
    PublicOnly(String),
    #[error("{0:?} is no key that signs here: RSA, P-256 (prime256v1) and Ed25519 do")]
    Kind(String),
    #[error("the RSA key has {0} bits: use one of 2048 to 4096")]
    Weak(usize),
    #[error("the parts of the key do not fit together, or are damaged: export it again")]
    Damaged,
    #[error("the key failed its self-check: {0}")]
    SelfCheck(String),
    #[error("a {0} key cannot sign by {1}: take another --alg, or leave it out")]
    Algorithm(&'static str, SigningAlg),
    #[error("the member {0} of the JWK is missing or malformed")]
    Member(&'static str),
    #[error("the JWK is for {0:?}: only keys that sign are imported")]
    Purpose(String),
    #[error("the JWK is for alg {0:?}, which is not what it shall sign by here")]
    OtherAlgorithm(String),
    #[error(
        "the kid {0:?} cannot be kept: 1 to 128 letters, digits and .-_~=+/:@ make one. Take the member out, and the key is \
         called by its thumbprint"
    )]
    Kid(String),
}

/// The keys in a file, each for the algorithm that was asked for, or that it names, or that is usual for its kind.
///
/// # Errors
/// The first key that cannot be used.
pub fn read(file: &[u8], alg: Option<SigningAlg>) -> Result<Vec<SigningKey>, Unusable> {
    if file.len() > MAX_LENGTH {
        return Err(Unusable::TooLong);
    }
    let text = std::str::from_utf8(file).map_err(|_| Unusable::Unknown)?;
    let keys = match text.trim_start().starts_with(['{', '[']) {
        true => jwk::read(text, alg)?,
        false => pem::read(text, alg)?,
    };
    match keys.is_empty() {
        true => Err(Unusable::Empty),
        false => Ok(keys),
    }
}

/// A private key whose algorithm is still open.
enum Raw {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Raw {
    /// PKCS#1.
    fn rsa(der: &[u8]) -> Result<Self, Unusable> {
        let bits = der::rsa_bits(der).ok_or(Unusable::Damaged)?;
        if !RSA_BITS.contains(&bits) {
            return Err(Unusable::Weak(bits));
        }
        let pair = RsaKeyPair::from_der(der).map_err(|_| Unusable::Damaged)?;
        Ok(Self::Rsa(pair))
    }

    /// SEC1.
    fn p256(der: &[u8]) -> Result<Self, Unusable> {
        if let Some(curve) = der::other_curve(der) {
            return Err(Unusable::Kind(curve));
        }
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        pair.map(Self::P256).map_err(|_| Unusable::Damaged)
    }

    fn pkcs8(der: &[u8]) -> Result<Self, Unusable> {
        match der::kind(der).ok_or(Unusable::Damaged)? {
            der::Kind::Rsa(inner) => Self::rsa(inner),
            der::Kind::P256 => Self::p256(der),
            der::Kind::Ed25519 => {
                // Many programs write it without its public half.
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
                pair.map(Self::Ed25519).map_err(|_| Unusable::Damaged)
            }
            der::Kind::Other(name) => Err(Unusable::Kind(name)),
        }
    }

    /// For the algorithm asked for, under its own name or its thumbprint.
    fn named(self, alg: Option<SigningAlg>, kid: Option<String>) -> Result<SigningKey, Unusable> {
        let (alg, pair) = match (self, alg) {
            (Self::Rsa(pair), None | Some(SigningAlg::Rs256)) => (SigningAlg::Rs256, Pair::Rs256(pair)),
            (Self::Rsa(pair), Some(SigningAlg::Ps256)) => (SigningAlg::Ps256, Pair::Ps256(pair)),
            (Self::P256(pair), None | Some(SigningAlg::Es256)) => (SigningAlg::Es256, Pair::Es256(pair)),
            (Self::Ed25519(pair), None | Some(SigningAlg::EdDsa)) => (SigningAlg::EdDsa, Pair::EdDsa(pair)),
            (Self::Rsa(_), Some(other)) => return Err(Unusable::Algorithm("RSA", other)),
            (Self::P256(_), Some(other)) => return Err(Unusable::Algorithm("P-256", other)),
            (Self::Ed25519(_), Some(other)) => return Err(Unusable::Algorithm("Ed25519", other)),
        };
        let key =
            SigningKey::adopt(alg, kid, pair).map_err(|error| Unusable::SelfCheck(error.to_string()))?;
        // As it will be read from the database: what does not come back is refused now.
        let stored = key
            .to_pkcs8()
            .and_then(|der| SigningKey::from_pkcs8(alg, key.kid(), &der));
        match stored {
            Ok(stored) if stored.public_jwk() == key.public_jwk() => Ok(key),
            Ok(_) => Err(Unusable::Damaged),
            Err(error) => Err(Unusable::SelfCheck(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
