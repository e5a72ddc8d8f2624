//! The sealed flow: what is being done, carried by the browser in `?flow=` and a hidden field.
//!
//! It holds the parsed request and nothing proven: each proof (password, consent) is a row. It is bound to
//! one browser by a random cookie, so a flow that leaks or is planted opens nowhere else, and no stranger's
//! request needs a row of ours. Any replica opens it; refresh, Back and several tabs work. Of a request that its
//! client pushed to us only the reference travels.

mod authorization;
mod logout;
mod own;

use std::time::Duration;

use protocol::{Error, FlowId, Secret, SessionId, Timestamp};
use seal::Key;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use authorization::{Answer, AuthorizationRequest};
pub use logout::{Hinted, LogoutAnswer, LogoutRequest};
pub use own::{OwnAnswer, OwnRequest, OwnWhy};

/// How long a person may take from the first page to the last.
pub const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Longest sealed form: it travels in URLs, which proxies cut.
const MAX_SEALED: usize = 4 * 1024;
/// An answer comes last: what could be sealed without it must not become too long by it.
const ROOM_FOR_ANSWER: usize = 32;
/// The same for a choice: `"ch":` and an id, in base64.
const ROOM_FOR_CHOICE: usize = 48;
const PURPOSE: &str = "flow";

/// What a flow is about.
pub trait Request: Serialize + DeserializeOwned {
    /// What a person may answer that ends the flow without a proof to record.
    type Answer: Copy + Serialize + DeserializeOwned;
    /// Part of the seal: a flow of one kind opens as no other.
    const KIND: &'static str;

    /// The path that goes on with such a flow.
    fn resumes_at(&self) -> &str;
}

/// One flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "R: Request")]
pub struct Flow<R: Request = AuthorizationRequest> {
    #[serde(rename = "i")]
    pub id: FlowId,
    #[serde(rename = "t")]
    started_at: Timestamp,
    #[serde(rename = "r")]
    request: R,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    answer: Option<R::Answer>,
    /// The session of this browser that the person chose to go on with.
    #[serde(rename = "ch", default, skip_serializing_if = "Option::is_none")]
    chosen: Option<SessionId>,
    /// Under which the request is kept, when its client pushed it.
    #[serde(skip)]
    reference: Option<String>,
}

/// What travels of a flow whose request is kept here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "R: Request")]
pub struct ByReference<R: Request = AuthorizationRequest> {
    #[serde(rename = "p")]
    reference: String,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    answer: Option<R::Answer>,
    #[serde(rename = "ch", default, skip_serializing_if = "Option::is_none")]
    chosen: Option<SessionId>,
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
    fn row(self, kind: &str) -> String {
        match self {
            Self::Browser(cookie) => format!("{kind} browser {}", seal::digest(cookie.expose())),
            Self::Unbound => format!("{kind} unbound"),
        }
    }
}

impl<R: Request> Flow<R> {
    pub fn start(request: R, now: Timestamp) -> Self {
        Self {
            id: FlowId::random(),
            started_at: now,
            request,
            answer: None,
            chosen: None,
            reference: None,
        }
    }

    /// The same flow, about a request that is kept under this reference.
    #[must_use]
    pub fn kept(self, reference: String) -> Self {
        Self {
            reference: Some(reference),
            ..self
        }
    }

    /// The same flow, ended by this answer.
    #[must_use]
    pub fn answered(self, answer: R::Answer) -> Self {
        Self {
            answer: Some(answer),
            ..self
        }
    }

    /// The same flow, going on with the session that the person chose; with none, they choose anew.
    #[must_use]
    pub fn choosing(self, chosen: Option<SessionId>) -> Self {
        Self { chosen, ..self }
    }

    /// The same flow, about this.
    #[must_use]
    pub fn about(self, request: R) -> Self {
        Self { request, ..self }
    }

    pub fn request(&self) -> &R {
        &self.request
    }

    pub fn answer(&self) -> Option<R::Answer> {
        self.answer
    }

    pub fn chosen(&self) -> Option<&SessionId> {
        self.chosen.as_ref()
    }

    /// Whether the person chose this session, or none.
    pub fn has_chosen(&self, session: &SessionId) -> bool {
        self.chosen().is_none_or(|chosen| chosen == session)
    }

    /// The path that goes on with this flow.
    pub fn resume(&self) -> &str {
        self.request.resumes_at()
    }

    /// # Errors
    /// `invalid_request` when the request is too large to travel.
    pub fn seal(&self, key: &Key, binding: Binding<'_>) -> Result<String, Error> {
        let (row, json) = match &self.reference {
            None => (binding.row(R::KIND), serde_json::to_vec(self)),
            Some(reference) => {
                let carried = ByReference::<R> {
                    reference: reference.clone(),
                    answer: self.answer,
                    chosen: self.chosen.clone(),
                };
                (binding.row(&by_reference(R::KIND)), serde_json::to_vec(&carried))
            }
        };
        let sealed = seal::seal(key, PURPOSE, &row, &json.map_err(Error::server_error)?);
        let room_for_choice = self.chosen.as_ref().map_or(ROOM_FOR_CHOICE, |_| 0);
        let room = match self.answer {
            Some(_) => 0,
            None => ROOM_FOR_ANSWER + room_for_choice,
        };
        if sealed.len() + room > MAX_SEALED {
            return Err(Error::invalid_request(
                "the request is too large: shorten state, nonce, scope, claims or login_hint (together at most about \
                 2,500 characters), or push it (PAR, RFC 9126: pushed_authorization_request_endpoint in the metadata)",
            ));
        }
        Ok(sealed)
    }

    /// The flow, if it was sealed for this browser, is of this kind and not too old.
    pub fn open(sealed: &str, key: &Key, binding: Binding<'_>, now: Timestamp) -> Option<Self> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let json = seal::open(key, PURPOSE, &binding.row(R::KIND), sealed).ok()?;
        let flow: Self = serde_json::from_slice(&json).ok()?;
        (now < flow.started_at + LIFETIME).then_some(flow)
    }
}

impl<R: Request> ByReference<R> {
    /// What was sealed of a flow whose request is kept here, if it was sealed for this browser and is of this kind.
    pub fn open(sealed: &str, key: &Key, binding: Binding<'_>) -> Option<Self> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let json = seal::open(key, PURPOSE, &binding.row(&by_reference(R::KIND)), sealed).ok()?;
        serde_json::from_slice(&json).ok()
    }

    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The flow, when this is what is kept under the reference.
    pub fn of(self, kept: Flow<R>) -> Flow<R> {
        Flow {
            answer: self.answer,
            chosen: self.chosen,
            ..kept.kept(self.reference)
        }
    }
}

fn by_reference(kind: &str) -> String {
    format!("{kind} by reference")
}

#[cfg(test)]
mod tests {
    use protocol::{ClientId, Prompt, ResponseMode, ResponseType, Scope};

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
            subs: Vec::new(),
            claims: Default::default(),
            acr: Vec::new(),
        };
        Flow::start(request, NOW)
    }

    #[test]
    fn c011_a_flow_opens_only_in_its_browser_unaltered_and_in_time() {
        let (key, cookie, other) = (Key::random(), Secret::from("cookie"), Secret::from("other"));
        let flow = flow("canary");
        let own = Binding::Browser(&cookie);
        let sealed = flow.seal(&key, own).unwrap();

        let open = Flow::<AuthorizationRequest>::open;
        assert_eq!(open(&sealed, &key, own, NOW), Some(flow.clone()));
        assert!(!sealed.contains("canary"));
        for binding in [Binding::Browser(&other), Binding::Unbound] {
            assert_eq!(open(&sealed, &key, binding, NOW), None);
        }
        assert_eq!(open(&sealed, &Key::random(), own, NOW), None);
        assert_eq!(open(&sealed, &key, own, NOW + LIFETIME), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered.replace_range(at..=at, if &sealed[at..=at] == "A" { "B" } else { "A" });
            assert_eq!(open(&altered, &key, own, NOW), None, "altered at {at}");
        }

        let unbound = flow.seal(&key, Binding::Unbound).unwrap();
        assert_eq!(open(&unbound, &key, own, NOW), None);
    }

    #[test]
    fn c011_a_flow_of_one_kind_opens_as_no_other() {
        let (key, cookie) = (Key::random(), Secret::from("cookie"));
        let own = Binding::Browser(&cookie);
        let logout = Flow::start(LogoutRequest::default(), NOW).answered(LogoutAnswer::Confirmed);
        let sealed = logout.seal(&key, own).unwrap();
        assert_eq!(Flow::open(&sealed, &key, own, NOW), Some(logout));
        assert_eq!(Flow::<AuthorizationRequest>::open(&sealed, &key, own, NOW), None);

        let sealed = flow("s").seal(&key, own).unwrap();
        assert_eq!(Flow::<LogoutRequest>::open(&sealed, &key, own, NOW), None);
    }

    #[test]
    fn c011_of_a_request_that_is_kept_only_the_reference_travels() {
        let (key, cookie, other) = (Key::random(), Secret::from("cookie"), Secret::from("other"));
        let own = Binding::Browser(&cookie);
        let flow = flow(&"s".repeat(10_000)).kept("reference".to_owned());
        let sealed = flow.seal(&key, own).unwrap();
        assert!(sealed.len() < 200, "{}", sealed.len());
        assert_eq!(Flow::<AuthorizationRequest>::open(&sealed, &key, own, NOW), None);
        let open = ByReference::<AuthorizationRequest>::open;
        let carried = open(&sealed, &key, own).unwrap();
        assert_eq!(carried.reference(), "reference");
        let json = serde_json::to_string(&flow).unwrap();
        assert_eq!(carried.of(serde_json::from_str(&json).unwrap()), flow);

        let denied = flow
            .clone()
            .choosing(Some(SessionId::random()))
            .answered(Answer::Denied);
        let carried = open(&denied.seal(&key, own).unwrap(), &key, own).unwrap();
        assert_eq!(carried.of(serde_json::from_str(&json).unwrap()), denied);

        for binding in [Binding::Browser(&other), Binding::Unbound] {
            assert_eq!(open(&sealed, &key, binding), None);
        }
        assert_eq!(open(&sealed, &Key::random(), own), None);
        assert_eq!(ByReference::<LogoutRequest>::open(&sealed, &key, own), None);
        let whole = super::tests::flow("s").seal(&key, own).unwrap();
        assert_eq!(open(&whole, &key, own), None);
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

    #[test]
    fn whatever_could_be_asked_can_be_answered() {
        let (key, cookie) = (Key::random(), Secret::from("cookie"));
        let own = Binding::Browser(&cookie);
        for length in 2300..3000 {
            let flow = flow(&"s".repeat(length));
            if flow.seal(&key, own).is_ok() {
                let flow = flow.choosing(Some(SessionId::random()));
                assert!(flow.seal(&key, own).is_ok(), "{length}");
                let sealed = flow.answered(Answer::Denied).seal(&key, own).unwrap();
                assert!(Flow::<AuthorizationRequest>::open(&sealed, &key, own, NOW).is_some());
            }
        }
    }
}
