//! How one reader is told something: OpenID Connect Core §10. Signed by a key of ours or by a secret that both know, then
//! encrypted to a key of the reader (RFC 7519 §11.2), or one of these alone.

use aws_lc_rs::digest::{self, SHA256, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{JweEnc, Secret, SigningAlg};
use serde::Serialize;

use crate::jwe::Content;
use crate::{EncryptionKey, Error};

/// What protects the tokens for one reader. It has at least one of the two.
#[derive(Debug)]
pub struct Protection {
    pub signature: Option<Signature>,
    pub encryption: Option<(EncryptionKey, JweEnc)>,
}

/// Who signs.
#[derive(Debug)]
pub enum Signature {
    ByKey(SigningAlg),
    /// HS256.
    BySecret(Secret),
}

impl Protection {
    /// The algorithm for whose signature there has to be room; none where no key of ours signs.
    pub fn alg(&self) -> Option<SigningAlg> {
        match self.signature {
            Some(Signature::ByKey(alg)) => Some(alg),
            Some(Signature::BySecret(_)) | None => None,
        }
    }

    /// The token, once it is signed if it is to be.
    ///
    /// # Errors
    /// When the claims cannot be written as JSON, or the cipher fails.
    pub fn finish(&self, signed: Option<String>, claims: &impl Serialize) -> Result<String, Error> {
        let plain = || serde_json::to_vec(claims).map_err(Error::Claims);
        match (&self.encryption, signed) {
            (None, Some(signed)) => Ok(signed),
            (Some((key, enc)), Some(signed)) => key.encrypt(*enc, Content::SignedJwt, signed.as_bytes()),
            (Some((key, enc)), None) => key.encrypt(*enc, Content::Claims, &plain()?),
            (None, None) => Err(Error::Unprotected),
        }
    }

    /// `at_hash` and `c_hash` in such a token: the left half of the digest that belongs to its algorithm (OpenID Connect
    /// Core §3.1.3.6), which for EdDSA is the one within Ed25519 (RFC 8032 §5.1).
    pub fn half_hash(&self, text: &str) -> String {
        let algorithm = match self.alg() {
            Some(SigningAlg::EdDsa) => &SHA512,
            Some(SigningAlg::Rs256 | SigningAlg::Ps256 | SigningAlg::Es256) | None => &SHA256,
        };
        let digest = digest::digest(algorithm, text.as_bytes());
        let (left, _) = digest.as_ref().split_at(digest.as_ref().len() / 2);
        URL_SAFE_NO_PAD.encode(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_access_token_is_the_left_half_of_the_digest_of_its_algorithm() {
        let half = |signature| {
            let protection = Protection {
                signature: Some(signature),
                encryption: None,
            };
            let bytes = URL_SAFE_NO_PAD.decode(protection.half_hash("abc")).unwrap();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let sha256 = "ba7816bf8f01cfea414140de5dae2223";
        for alg in [SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::Es256] {
            assert_eq!(half(Signature::ByKey(alg)), sha256);
        }
        assert_eq!(half(Signature::BySecret("secret".into())), sha256);
        assert_eq!(
            half(Signature::ByKey(SigningAlg::EdDsa)),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        );
    }

    #[test]
    fn what_nothing_protects_is_not_told() {
        let nothing = Protection {
            signature: None,
            encryption: None,
        };
        assert!(nothing.finish(None, &"claims").is_err());
    }
}
