//! Identifiers, each a type of its own so that none can stand in for another.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident,)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new identifier of 128 random bits, in base64url.
            pub fn random() -> Self {
                Self(crate::random::id())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// A client: `client_id` of RFC 6749 §2.2. Never equal to a user's `sub` (RFC 9700 §4.15).
    ClientId,
    /// A user, as `sub` names it. Never reused.
    Subject,
    /// A browser, which may hold several sessions.
    BrowserId,
    /// One user signed in on one browser.
    SessionId,
    /// What a user allowed a client, remembered.
    ConsentId,
    /// One authorization of a client by a user, named in every token that comes of it.
    ApprovalId,
    /// The refresh tokens of an approval.
    FamilyId,
    /// One authorization request on its way through the pages.
    FlowId,
    /// One token: `jti` of RFC 7519 §4.1.7.
    Jti,
}
