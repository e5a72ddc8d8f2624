#![doc = include_str!("../README.md")]

mod authenticated;
mod builder;
mod credentials;
mod error;
mod feed;
mod introspection;
mod issuer;
mod keys;
mod layer;
mod metadata;
mod seen;
#[cfg(test)]
mod tests;
mod verifier;

pub use authenticated::{Authenticated, Rejection};
pub use builder::{Builder, Discovery};
pub use credentials::Credentials;
pub use error::{Error, Unavailable};
pub use feed::error::FeedError;
pub use feed::{FeedState, FeedStatus, LostFeed};
pub use jws::{Alg as Algorithm, Error as Refused};
pub use layer::{Guarded, VerifierLayer};
pub use metadata::Metadata;
pub use protocol::access_token::{Audience, Claims};
pub use protocol::{Clock, Scope, Timestamp};
pub use verifier::Verifier;
