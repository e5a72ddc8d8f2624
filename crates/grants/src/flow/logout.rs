//! What a logout request carries to the page that asks: OpenID Connect RP-Initiated Logout §2.

use protocol::{ClientId, SessionId, path};
use serde::{Deserialize, Serialize};

use super::Request;

/// The validated parameters of a logout request; of one that proves nothing, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogoutRequest {
    /// The client that the hint was issued to, else the one that the request names.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hinted>,
    /// One that this client registered.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uri: Option<String>,
    #[serde(rename = "st", default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(rename = "ul", default, skip_serializing_if = "Option::is_none")]
    pub ui_locales: Option<String>,
    /// Sessions that the answer of the person ended: apps are still to be told.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<SessionId>,
}

/// Which session an ID token of ours named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hinted {
    /// As its client knows the session.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

/// What the person answered; the sessions were ended before this was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogoutAnswer {
    #[serde(rename = "c")]
    Confirmed,
    /// "Stay signed in".
    #[serde(rename = "d")]
    Declined,
}

impl Request for LogoutRequest {
    type Answer = LogoutAnswer;
    const KIND: &'static str = "logout";

    fn resumes_at(&self) -> &str {
        path::LOGOUT
    }
}
