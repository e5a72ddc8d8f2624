//! Proof Key for Code Exchange: RFC 7636. Only S256; `plain` is refused everywhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::Error;

/// A valid S256 `code_challenge`: 43 base64url characters (RFC 7636 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeChallenge(String);

/// A valid `code_verifier`: 43 to 128 unreserved characters (RFC 7636 §4.1).
#[derive(Clone)]
pub struct CodeVerifier(crate::Secret);

impl CodeChallenge {
    /// Reads `code_challenge` and `code_challenge_method` of an authorization request.
    ///
    /// # Errors
    /// `invalid_request` when only one of the two is there, the method is not S256, or the challenge is not one.
    pub fn from_request(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Self>, Error> {
        match (challenge, method) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::invalid_request(
                "code_challenge_method without code_challenge",
            )),
            (Some(challenge), Some("S256")) => Self::try_from(challenge.to_owned()).map(Some),
            // RFC 7636 §4.3: a missing method means plain, which would hand the verifier to whoever sees the request.
            (Some(_), None) => Err(Error::invalid_request(
                "code_challenge_method is missing; send code_challenge_method=S256",
            )),
            (Some(_), Some(_)) => Err(Error::invalid_request("code_challenge_method must be S256")),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 7636 §4.6.
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.0.expose().as_bytes());
        URL_SAFE_NO_PAD
            .encode(digest)
            .as_bytes()
            .ct_eq(self.0.as_bytes())
            .into()
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        match URL_SAFE_NO_PAD.decode(&text) {
            Ok(digest) if digest.len() == 32 => Ok(Self(text)),
            _ => Err(Error::invalid_request(
                "code_challenge must be the base64url form, without padding, of a SHA-256 digest: 43 characters",
            )),
        }
    }
}

impl From<CodeChallenge> for String {
    fn from(challenge: CodeChallenge) -> Self {
        challenge.0
    }
}

impl CodeVerifier {
    /// # Errors
    /// `invalid_request` when the text cannot be a verifier.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            return Ok(Self(text.into()));
        }
        Err(Error::invalid_request(
            "code_verifier must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~",
        ))
    }
}

impl std::fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_rfc_7636_appendix_b_matches() {
        let challenge = CodeChallenge::from_request(Some(CHALLENGE), Some("S256"))
            .unwrap()
            .unwrap();
        assert!(challenge.matches(&CodeVerifier::parse(VERIFIER).unwrap()));
        assert!(!challenge.matches(&CodeVerifier::parse(&VERIFIER.replace('d', "e")).unwrap()));
    }

    #[test]
    fn challenge_and_method_come_together_or_not_at_all() {
        assert_eq!(CodeChallenge::from_request(None, None).unwrap(), None);
        for (challenge, method) in [
            (Some(CHALLENGE), None),
            (None, Some("S256")),
            (Some(CHALLENGE), Some("plain")),
            (Some(CHALLENGE), Some("s256")),
            (Some("short"), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="), Some("S256")),
        ] {
            assert!(
                CodeChallenge::from_request(challenge, method).is_err(),
                "{challenge:?} {method:?}"
            );
        }
    }

    #[test]
    fn a_verifier_keeps_to_its_length_and_alphabet() {
        for text in [
            "",
            &"a".repeat(42),
            &"a".repeat(129),
            &format!("{}+", "a".repeat(43)),
        ] {
            assert!(CodeVerifier::parse(text).is_err(), "{text}");
        }
        assert!(CodeVerifier::parse(&"a".repeat(43)).is_ok());
        assert!(CodeVerifier::parse(&"~".repeat(128)).is_ok());
    }
}
