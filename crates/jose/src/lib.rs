//! Keys of our own: JSON Web Signature (RFC 7515) and JSON Web Key (RFC 7517) on the signing side, and JSON Web
//! Encryption (RFC 7516) to the keys of others and of ours.
//!
//! Decides how a key is made, kept, described and used. The only user of josekit, which assembles tokens and
//! JWKs, and of rsa, which checks every RSA key as an independent second opinion. Signatures and ciphers are by
//! aws-lc-rs.

pub mod imported;
pub mod jwe;
mod pool;
mod protection;
mod self_check;
mod signer;
mod signing_key;

pub use jwe::{Content, DecryptionKey, Encrypted, EncryptionKey, Family};
pub use pool::{Pool, SEATS, Seat};
pub use protection::{Protection, Signature};
pub use signing_key::{SigningKey, sign_by_secret, thumbprint};

/// A key or a token that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the key could not be generated")]
    Generate,
    #[error("the private key is not PKCS#8 of an acceptable {0} key")]
    Rejected(protocol::SigningAlg),
    #[error("the key failed its self-check: {0}")]
    SelfCheck(&'static str),
    #[error("the private key is not PKCS#8 of an acceptable key for {0}")]
    NotPkcs8(Family),
    #[error("the content could not be encrypted")]
    Encrypt,
    #[error("nothing protects this token")]
    Unprotected,
    #[error("the private key could not be written as PKCS#8")]
    Export,
    #[error("the claims could not be written as JSON")]
    Claims(#[source] serde_json::Error),
    /// Not our failure, and it passes.
    #[error("too many signatures are waiting to be made, or tokens to be read")]
    Busy,
    #[error("josekit refused")]
    Jose(#[from] josekit::JoseError),
}
