//! Strict compact JWS: RFC 7515, with the advice of RFC 8725.
//!
//! Decides whether a token is what it claims to be: its form, its signature by a key its party published,
//! and its dates, issuer and audience. The verifier of resource servers, our own endpoints and whoever takes
//! assertions judge by it, so that no path forgets a check that another knows.
//!
//! The algorithm comes from the key and from the caller's list, never from the token alone; a key is never
//! taken from a token, and nothing in a token causes I/O.

pub mod access_token;
mod compact;
mod error;
pub mod json;
mod key;
mod key_set;
mod rules;
#[cfg(test)]
mod testing;
pub mod times;

pub use compact::{HS256, MAX_LENGTH, Typ, Unverified, Verified};
pub use error::{Error, Part};
pub use key::{Alg, VerifyingKey, check_public};
pub use key_set::KeySet;
pub use rules::{Meant, Rules};
