//! What leads to a page of ours: the path to come back to once somebody has signed in.

use protocol::SessionId;
use serde::{Deserialize, Serialize};

use super::Request;

/// On the way to a page of ours, no app waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRequest {
    /// Rooted, below the path of the issuer.
    #[serde(rename = "p")]
    pub path: String,
    /// The session whose user is to prove once more who they are; with none, anybody signs in.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// What the person should know before they sign in.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub why: Option<OwnWhy>,
}

/// Why somebody is asked to sign in who may be signed in already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnWhy {
    /// What they follow is for another account than the one that is signed in.
    AnotherAccount,
}

/// Nothing ends such a flow but a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnAnswer {}

impl Request for OwnRequest {
    type Answer = OwnAnswer;
    const KIND: &'static str = "own";

    fn resumes_at(&self) -> &str {
        &self.path
    }
}
