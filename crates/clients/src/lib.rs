//! Client and resource server records, and client authentication.
//!
//! Everything about a client that lasts stands here: what it registered, its secrets, and how it proves who
//! it is. What a document may register is decided by `registry`, above.

pub mod assertions;
pub mod authenticate;
mod authenticator;
pub mod certificates;
mod client;
mod directory;
pub mod initial_tokens;
mod keys;
mod localized;
pub mod logos;
mod metadata;
mod names;
pub mod origins;
mod recipients;
pub mod records;
pub mod registrations;
pub mod resources;
pub mod secrets;
pub mod shown;
mod vault;

pub use authenticate::{Caller, Credentials, authenticate, identify};
pub use authenticator::Authenticator;
pub use client::{Client, Trust};
pub use directory::Directory;
pub use keys::Keys;
pub use localized::Localized;
pub use metadata::{AssertionAudience, Metadata, shows_differently};
pub use names::{Names, sector};
pub use recipients::Recipients;
pub use records::Live;
pub use resources::ResourceServer;
pub use vault::{Sealed, Vault};
