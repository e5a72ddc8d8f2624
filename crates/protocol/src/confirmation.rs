//! To what a token is bound: RFC 7800 §3.1.

use serde::{Deserialize, Serialize};

/// What whoever uses the token has to prove. Written as the claim `cnf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmation {
    /// That they hold the key of this certificate, by its SHA-256 in base64url: RFC 8705 §3.1.
    #[serde(rename = "x5t#S256")]
    Certificate(String),
}
