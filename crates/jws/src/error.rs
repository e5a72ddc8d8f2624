//! Why a token or a key is refused. Nothing of the token is repeated: the reasons may go to any log.

use std::fmt;

use crate::Alg;

/// Why a token or a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the token is longer than 16 KiB")]
    TooLong,
    #[error("the token is not three parts joined by dots")]
    NotCompact,
    #[error("the {0} is not base64url without padding")]
    Base64(Part),
    #[error("the {part} is not an acceptable JSON object: {reason}")]
    Json { part: Part, reason: String },
    #[error("the header member {0} is missing or malformed")]
    Header(&'static str),
    #[error("the header names critical extensions, and none is understood")]
    Critical,
    #[error("the algorithm of the token is not accepted here")]
    Algorithm,
    /// As wrong as any other algorithm that is not accepted; some protocols want it called by name.
    #[error("the token says that nobody signed it (alg none)")]
    Unsigned,
    #[error("the typ of the token is not the one expected here")]
    Typ,
    #[error("no key of the issuer has this kid")]
    UnknownKey,
    #[error("several keys of the issuer fit the token")]
    AmbiguousKey,
    #[error("the key that the token names is for {0} only")]
    KeyAlgorithm(Alg),
    #[error("the signature does not match")]
    Signature,
    #[error("the claim {0} is missing")]
    Missing(&'static str),
    #[error("the claim {0} is not a date between 1970 and 9999")]
    Date(&'static str),
    #[error("the token has expired")]
    Expired,
    #[error("the claim {0} lies in the future")]
    NotYet(&'static str),
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token is bound to a key (cnf), and no proof of it can be checked here")]
    Bound,
    #[error("the claims are not those of such a token: {0}")]
    Claims(String),
    #[error("the JWK is refused: {0}")]
    Key(&'static str),
}

/// The text that was being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Header,
    Payload,
    Signature,
    KeySet,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
            Self::KeySet => "key set",
        })
    }
}
