//! The claims of an access token: RFC 9068 §2.2, with the names revocation needs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ApprovalId, ClientId, Jti, Scope, Subject, Timestamp};

/// `typ` of an access token: RFC 9068 §2.1.
pub const TYP: &str = "at+jwt";

/// How long an access token lives. Whoever ends something remembers it for so long.
pub const LIFE: Duration = Duration::from_secs(15 * 60);

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: Subject,
    pub aud: Audience,
    pub exp: Timestamp,
    pub iat: Timestamp,
    pub jti: Jti,
    pub client_id: ClientId,
    #[serde(default)]
    pub scope: Scope,
    /// The authorization this token came of. Opaque; revocation names it.
    pub approval: ApprovalId,
    /// Rises when everything of the client is revoked.
    pub client_generation: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Proof-of-possession binding: RFC 7800 §3.1. A token that has it is no bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<serde_json::Value>,
}

/// `aud`: one string or several (RFC 7519 §4.1.3). One is written as a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(own) => own == wanted,
            Self::Many(own) => own.iter().any(|own| own == wanted),
        }
    }
}

impl From<Vec<String>> for Audience {
    fn from(mut names: Vec<String>) -> Self {
        match (names.pop(), names.is_empty()) {
            (Some(only), true) => Self::One(only),
            (last, _) => {
                names.extend(last);
                Self::Many(names)
            }
        }
    }
}
