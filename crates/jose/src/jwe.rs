//! JSON Web Encryption in the compact form: RFC 7516, with the algorithms of RFC 7518 §4.3, §4.6 and §5.3.
//!
//! Decides which encrypted tokens are read and how ours are made. The library beneath josekit's JWE inflates without
//! limit, takes a million rounds of a password, and lets the token choose; so the few steps there are stand here, on
//! aws-lc-rs, and josekit checks them in tests. What is refused is refused before any key is touched: compression
//! (a bomb, and a leak of what is next to a secret), passwords, RSA1_5, keys in the token, extensions.

mod content;
mod decrypt;
mod derive;
mod encrypt;
mod key;

pub use decrypt::{DecryptionKey, Encrypted, Family, Refused};
pub use encrypt::{Content, EncryptionKey};
