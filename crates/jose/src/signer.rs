//! Our engine under josekit: RFC 7518 §3.3 to §3.5 and RFC 8037 §3.1 by aws-lc-rs, which signs fastest and knows its key parsed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jws::{ES256, EdDSA, JwsAlgorithm, JwsSigner, PS256, RS256};
use protocol::SigningAlg;
use zeroize::Zeroizing;

use crate::{Error, self_check};

/// A private key, parsed once.
pub(crate) enum Pair {
    Rs256(RsaKeyPair),
    Ps256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// The members of a public JWK that are the key itself: RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2.
pub(crate) struct Public {
    pub(crate) kty: &'static str,
    pub(crate) members: Vec<(&'static str, String)>,
}

impl Pair {
    pub(crate) fn generate(alg: SigningAlg) -> Result<Self, Error> {
        match alg {
            SigningAlg::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rs256),
            SigningAlg::Ps256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Ps256),
            SigningAlg::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::Es256),
            SigningAlg::EdDsa => Ed25519KeyPair::generate().map(Self::EdDsa),
        }
        .map_err(|_| Error::Generate)
    }

    /// aws-lc-rs refuses keys whose parts disagree, and RSA below 2048 bits.
    pub(crate) fn from_pkcs8(alg: SigningAlg, der: &[u8]) -> Result<Self, Error> {
        match alg {
            SigningAlg::Rs256 => RsaKeyPair::from_pkcs8(der).map(Self::Rs256),
            SigningAlg::Ps256 => RsaKeyPair::from_pkcs8(der).map(Self::Ps256),
            SigningAlg::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::Es256)
            }
            // With its public half in it, or a damaged private one would be another key.
            SigningAlg::EdDsa => Ed25519KeyPair::from_pkcs8(der).map(Self::EdDsa),
        }
        .map_err(|_| Error::Rejected(alg))
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let der = match self {
            Self::Rs256(pair) | Self::Ps256(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| der.as_ref().to_vec())
            }
            Self::EdDsa(pair) => pair.to_pkcs8().map(|der| der.as_ref().to_vec()),
            Self::Es256(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
        };
        der.map(Zeroizing::new).map_err(|_| Error::Export)
    }

    /// The public half. An RSA key that does not agree with the second opinion has none.
    pub(crate) fn public(&self) -> Result<Public, Error> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rs256(pair) | Self::Ps256(pair) => {
                let (n, e) = self_check::public_numbers(pair, pair.public_key().as_ref())?;
                Ok(Public {
                    kty: "RSA",
                    members: vec![("n", encode(&n)), ("e", encode(&e))],
                })
            }
            Self::Es256(pair) => {
                // SEC 1 §2.3.3: 4, then both coordinates.
                let Some((&[4], point)) = pair.public_key().as_ref().split_first_chunk() else {
                    return Err(Error::Rejected(SigningAlg::Es256));
                };
                let (x, y) = point.split_at(point.len() / 2);
                Ok(Public {
                    kty: "EC",
                    members: vec![("crv", "P-256".to_owned()), ("x", encode(x)), ("y", encode(y))],
                })
            }
            Self::EdDsa(pair) => Ok(Public {
                kty: "OKP",
                members: vec![
                    ("crv", "Ed25519".to_owned()),
                    ("x", encode(pair.public_key().as_ref())),
                ],
            }),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Rs256(pair) => sign_rsa(pair, &RSA_PKCS1_SHA256, message),
            Self::Ps256(pair) => sign_rsa(pair, &RSA_PSS_SHA256, message),
            Self::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Es256(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
        }
    }
}

pub(crate) fn sign_rsa(
    pair: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)?;
    Ok(signature)
}

/// A key as josekit wants it.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) pair: Arc<Pair>,
}

impl JwsSigner for Signer {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        match *self.pair {
            Pair::Rs256(_) => &RS256,
            Pair::Ps256(_) => &PS256,
            Pair::Es256(_) => &ES256,
            Pair::EdDsa(_) => &EdDSA,
        }
    }

    fn key_id(&self) -> Option<&str> {
        protocol::spoilt("no-kid", Some(self.kid.as_str()), None)
    }

    fn signature_len(&self) -> usize {
        match &*self.pair {
            Pair::Rs256(pair) | Pair::Ps256(pair) => pair.public_modulus_len(),
            Pair::Es256(_) | Pair::EdDsa(_) => 64,
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        self.pair
            .sign(message)
            .map_err(|error| JoseError::InvalidSignature(error.into()))
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for Signer {
    /// The key itself is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
