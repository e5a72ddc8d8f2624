//! The sealed flow: what is being done, carried by the browser in `?flow=` and a hidden field.
//!
//! It holds the parsed request and nothing proven: each proof (password, consent) is a row. It is bound to
//! one browser by a random cookie, so a flow that leaks or is planted opens nowhere else, and no stranger's
//! request needs a row of ours. Any replica opens it; refresh, Back and several tabs work.

use std::time::Duration;

use protocol::pkce::CodeChallenge;
use protocol::{
    ClientId, Error, FlowId, Prompt, ResponseMode, ResponseType, Scope, Secret, Subject, Timestamp, path,
};
use seal::Key;
use serde::{Deserialize, Serialize};

/// How long a person may take from the first page to the last.
pub const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Longest sealed form: it travels in URLs, which proxies cut.
const MAX_SEALED: usize = 4 * 1024;
const PURPOSE: &str = "flow";

/// One flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    #[serde(rename = "i")]
    pub id: FlowId,
    #[serde(rename = "t")]
    started_at: Timestamp,
    #[serde(rename = "s")]
    pub subject: About,
}

/// What a flow is about. One function says where each resumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum About {
    #[serde(rename = "a")]
    Authorization {
        #[serde(flatten)]
        request: Box<AuthorizationRequest>,
        /// What the person answered where an answer ends the flow.
        #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
        answer: Option<Answer>,
    },
}

/// An answer that ends a flow without a proof to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// "Don't allow", or "Cancel" at sign-in.
    #[serde(rename = "d")]
    Denied,
}

/// The validated parameters of an authorization request: RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1.
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
    /// The `sub` that `id_token_hint` named.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub hinted_sub: Option<Subject>,
}

impl AuthorizationRequest {
    pub fn prompts(&self, prompt: Prompt) -> bool {
        self.prompt.contains(&prompt)
    }
}

/// Which browser a sealed flow belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Binding<'a> {
    /// The browser that holds this cookie.
    Browser(&'a Secret),
    /// None yet: made by a POST from another site, which sees no cookie; the GET that follows binds it.
    Unbound,
}

impl Binding<'_> {
    fn row(self) -> String {
        match self {
            Self::Browser(cookie) => format!("browser {}", seal::digest(cookie.expose())),
            Self::Unbound => "unbound".to_owned(),
        }
    }
}

impl Flow {
    pub fn start(request: AuthorizationRequest, now: Timestamp) -> Self {
        let subject = About::Authorization {
            request: Box::new(request),
            answer: None,
        };
        Self {
            id: FlowId::random(),
            started_at: now,
            subject,
        }
    }

    /// The same flow, ended by this answer.
    #[must_use]
    pub fn answered(mut self, given: Answer) -> Self {
        match &mut self.subject {
            About::Authorization { answer, .. } => *answer = Some(given),
        }
        self
    }

    pub fn request(&self) -> &AuthorizationRequest {
        match &self.subject {
            About::Authorization { request, .. } => request,
        }
    }

    pub fn answer(&self) -> Option<Answer> {
        match &self.subject {
            About::Authorization { answer, .. } => *answer,
        }
    }

    /// The path that goes on with this flow.
    pub fn resume(&self) -> &'static str {
        match &self.subject {
            About::Authorization { .. } => path::AUTHORIZE,
        }
    }

    /// # Errors
    /// `invalid_request` when the request is too large to travel.
    pub fn seal(&self, key: &Key, binding: Binding<'_>) -> Result<String, Error> {
        let json = serde_json::to_vec(self).map_err(Error::server_error)?;
        let sealed = seal::seal(key, PURPOSE, &binding.row(), &json);
        if sealed.len() > MAX_SEALED {
            return Err(Error::invalid_request(
                "the authorization request is too large: shorten state, nonce, scope or login_hint \
                 (together at most about 2,500 characters); larger requests will need \
                 pushed authorization requests (PAR)",
            ));
        }
        Ok(sealed)
    }

    /// The flow, if it was sealed for this browser and is not too old.
    pub fn open(sealed: &str, key: &Key, binding: Binding<'_>, now: Timestamp) -> Option<Self> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let json = seal::open(key, PURPOSE, &binding.row(), sealed).ok()?;
        let flow: Self = serde_json::from_slice(&json).ok()?;
        (now < flow.started_at + LIFETIME).then_some(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn flow(state: &str) -> Flow {
        let request = AuthorizationRequest {
            client_id: ClientId::from("client"),
            redirect_uri: "https://app.example.com/cb".into(),
            redirect_uri_implied: false,
            response_type: ResponseType::Code,
            response_mode: ResponseMode::Query,
            scope: Scope::parse("openid email").unwrap(),
            resources: vec!["https://api.example.com".into()],
            state: Some(state.into()),
            nonce: None,
            code_challenge: None,
            prompt: vec![Prompt::Login],
            max_age: Some(0),
            login_hint: None,
            ui_locales: None,
            hinted_sub: None,
        };
        Flow::start(request, NOW)
    }

    #[test]
    fn c011_a_flow_opens_only_in_its_browser_unaltered_and_in_time() {
        let (key, cookie, other) = (Key::random(), Secret::from("cookie"), Secret::from("other"));
        let flow = flow("canary");
        let own = Binding::Browser(&cookie);
        let sealed = flow.seal(&key, own).unwrap();

        assert_eq!(Flow::open(&sealed, &key, own, NOW), Some(flow.clone()));
        assert!(!sealed.contains("canary"));
        for binding in [Binding::Browser(&other), Binding::Unbound] {
            assert_eq!(Flow::open(&sealed, &key, binding, NOW), None);
        }
        assert_eq!(Flow::open(&sealed, &Key::random(), own, NOW), None);
        assert_eq!(Flow::open(&sealed, &key, own, NOW + LIFETIME), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered.replace_range(at..=at, if &sealed[at..=at] == "A" { "B" } else { "A" });
            assert_eq!(Flow::open(&altered, &key, own, NOW), None, "altered at {at}");
        }

        let unbound = flow.seal(&key, Binding::Unbound).unwrap();
        assert_eq!(Flow::open(&unbound, &key, own, NOW), None);
    }

    #[test]
    fn a_state_of_a_thousand_characters_fits_and_one_of_five_thousand_is_refused() {
        let (key, cookie) = (Key::random(), Secret::from("cookie"));
        flow(&"s".repeat(1000))
            .seal(&key, Binding::Browser(&cookie))
            .unwrap();
        let error = flow(&"s".repeat(5000))
            .seal(&key, Binding::Browser(&cookie))
            .unwrap_err();
        assert!(error.description().contains("PAR"));
    }
}
