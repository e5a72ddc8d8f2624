#![doc = include_str!("../README.md")]

mod authenticated;
mod error;
mod issuer;
mod keys;
#[cfg(test)]
mod tests;
mod verifier;

pub use authenticated::Authenticated;
pub use error::{Error, Unavailable};
pub use jws::Error as Refused;
pub use protocol::access_token::{Audience, Claims};
pub use protocol::{Clock, Scope, Timestamp};
pub use verifier::{Builder, Verifier};
