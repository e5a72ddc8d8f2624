//! Users, their credentials, browsers, sessions and claims.

pub mod allowances;
pub mod attempts;
pub mod claims;
pub mod deletion;
pub mod email;
pub mod former_addresses;
pub mod import;
pub mod invitations;
pub mod links;
pub mod passwords;
pub mod sessions;
pub mod sign_ups;
pub mod users;
