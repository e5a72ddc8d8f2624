//! What an authorization request carries through sign-in and consent: RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1.

use protocol::pkce::CodeChallenge;
use protocol::{ClaimsRequest, ClientId, Prompt, ResponseMode, ResponseType, Scope, Subject, path, scope};
use serde::{Deserialize, Serialize};

use super::Request;

/// The validated parameters of an authorization request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    #[serde(rename = "c")]
    pub client_id: ClientId,
    #[serde(rename = "u")]
    pub redirect_uri: String,
    /// Whether the request named it, or the only registered one was taken.
    #[serde(rename = "un", default, skip_serializing_if = "std::ops::Not::not")]
    pub redirect_uri_implied: bool,
    #[serde(rename = "rt")]
    pub response_type: ResponseType,
    #[serde(rename = "rm")]
    pub response_mode: ResponseMode,
    #[serde(rename = "sc")]
    pub scope: Scope,
    #[serde(rename = "re", default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(rename = "st", default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(rename = "no", default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    #[serde(rename = "cc", default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<CodeChallenge>,
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub prompt: Vec<Prompt>,
    /// Seconds.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    #[serde(rename = "ul", default, skip_serializing_if = "Option::is_none")]
    pub ui_locales: Option<String>,
    /// The users of whom it has to be one, by `id_token_hint` or `claims`, as the client knows them; none named means
    /// any.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub subs: Vec<Subject>,
    /// What is asked about the user by name.
    #[serde(rename = "cl", default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    /// The `acr` values of which the proof has to have one; none named means any.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub acr: Vec<String>,
}

impl AuthorizationRequest {
    pub fn prompts(&self, prompt: Prompt) -> bool {
        self.prompt.contains(&prompt)
    }

    /// Whether it may be answered for this user, by the name that the client knows.
    pub fn is_for(&self, known_as: &Subject) -> bool {
        self.subs.is_empty() || self.subs.contains(known_as)
    }

    /// Whether what a client gets that may refresh outlives the session. OpenID Connect has a scope for it (Core §11), and
    /// plain OAuth has none.
    pub fn outlives_session(&self, may_refresh: bool) -> bool {
        let asked = self.scope.contains(scope::OFFLINE_ACCESS) || !self.scope.contains(scope::OPENID);
        asked && may_refresh && self.response_type.has_code()
    }

    /// What a person allows by it. Where plain OAuth gives without a word what OpenID Connect calls `offline_access`, it is
    /// shown and remembered by that name: else whoever is allowed to sign somebody in would go on, by a request without
    /// `openid` of which nobody is asked, to what does not end with the session.
    pub fn to_allow(&self, may_refresh: bool) -> Scope {
        let offline = Scope::from_tokens([scope::OFFLINE_ACCESS]);
        match self.outlives_session(may_refresh) {
            true => self.scope.union(&offline),
            false => self.scope.clone(),
        }
    }
}

/// An answer that ends the flow without a proof to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// "Don't allow", or "Cancel" at sign-in.
    #[serde(rename = "d")]
    Denied,
}

impl Request for AuthorizationRequest {
    type Answer = Answer;
    const KIND: &'static str = "authorization";

    fn resumes_at(&self) -> &str {
        path::AUTHORIZE
    }
}
