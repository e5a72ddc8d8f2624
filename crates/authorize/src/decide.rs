//! What has to happen next: OpenID Connect Core §3.1.2.3 and §3.1.2.4. A pure function of the request and of
//! what is proven; pages record outcomes and come back here.

use accounts::claims;
use accounts::sessions::{BrowserSessions, Session};
use clients::{Client, Names, Trust};
use grants::flow::Answer;
use grants::{Consent, Flow};
use pages::front::session_for;
use protocol::{Error, Prompt, Timestamp};

/// The next step of a flow.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    Login,
    /// To make an account, which signs them in.
    SignUp,
    Consent,
    Respond(&'a Session, &'a Consent),
    Refuse(Error),
}

/// The session to go on with, or what to do when there is none that fits.
pub(crate) fn session<'a>(
    flow: &Flow,
    names: &Names,
    sessions: Option<&'a BrowserSessions>,
    now: Timestamp,
) -> Result<&'a Session, Step<'static>> {
    if let Some(Answer::Denied) = flow.answer() {
        return Err(Step::Refuse(Error::access_denied("the user did not allow it")));
    }
    let session = sessions.map(|sessions| session_for(flow, names, sessions));
    match session {
        Some(session) if !needs_login(flow, session, now) => match mismatch(flow, names, session) {
            None => Ok(session),
            // They signed in for this very flow: asking again would go round in circles.
            Some(error) if session.authenticated_for(&flow.id).is_some() => Err(Step::Refuse(error)),
            Some(_) => Err(login(flow)),
        },
        _ => Err(login(flow)),
    }
}

/// Why this is not the user, or not the proof, that the request wants.
fn mismatch(flow: &Flow, names: &Names, session: &Session) -> Option<Error> {
    let request = flow.request();
    if !request.is_for(&names.name(&session.sub)) && !protocol::defect("hint-ignored") {
        return Some(Error::login_required(
            "another user signed in than the one that id_token_hint or claims names",
        ));
    }
    let met = |acr: &String| acr == session.proof.acr.as_str();
    match request.acr.is_empty() || request.acr.iter().any(met) {
        true => None,
        false => Some(Error::access_denied(
            "the user did not sign in with an acr that claims makes essential",
        )),
    }
}

/// What a session and a consent allow.
pub(crate) fn step<'a>(
    flow: &Flow,
    session: &'a Session,
    consent: Option<&'a Consent>,
    client: &Client,
) -> Step<'a> {
    match consent.filter(|consent| is_enough(flow, consent, client)) {
        Some(consent) => Step::Respond(session, consent),
        None if flow.request().prompts(Prompt::None) => Step::Refuse(Error::consent_required(
            "the user has not allowed this yet; send a request without prompt=none",
        )),
        None => Step::Consent,
    }
}

fn login(flow: &Flow) -> Step<'static> {
    match flow.request().prompts(Prompt::None) && !protocol::defect("prompt-none-shows-a-page") {
        true => Step::Refuse(Error::login_required(
            "the user has to sign in; send a request without prompt=none",
        )),
        false if flow.request().prompts(Prompt::Create) => Step::SignUp,
        false => Step::Login,
    }
}

/// Only an authentication that names this flow answers a request for a fresh one: a session that happens to be
/// young must not.
fn needs_login(flow: &Flow, session: &Session, now: Timestamp) -> bool {
    let request = flow.request();
    let to_choose = request.prompts(Prompt::SelectAccount) && flow.chosen().is_none();
    let fresh = request.prompts(Prompt::Login) || request.prompts(Prompt::Create) || to_choose;
    // Zero asks for a fresh proof, like prompt=login, even within the second of the last one.
    let too_old = request
        .max_age
        .is_some_and(|max_age| max_age == 0 || now.since(session.proof.auth_time).as_secs() > max_age);
    let fresh = fresh && !protocol::defect("prompt-login-ignored");
    let too_old = too_old && !protocol::defect("max-age-ignored");
    // One that was chosen and has ended since is not replaced by whoever is left.
    !flow.has_chosen(&session.session_id)
        || (fresh || too_old) && session.authenticated_for(&flow.id).is_none()
}

/// The claims that a consent has to allow by name: those that no scope in it releases.
pub(crate) fn by_name(flow: &Flow, consent: &Consent) -> Vec<String> {
    let request = flow.request();
    let allowed = request.scope.union(&consent.scope);
    let claims = claims::beyond(&request.claims, &allowed).into_iter();
    claims.map(|claim| claim.to_string()).collect()
}

/// RFC 8252 §8.6: any program on the device can pose as a public client with a loopback or private-scheme
/// redirect, so its requests are never answered without the person. Nor are those of a client that nobody vouches for.
fn is_enough(flow: &Flow, consent: &Consent, client: &Client) -> bool {
    let request = flow.request();
    let confirmed_here = consent.flow_id == flow.id;
    let imitable = client.is_public() && !request.redirect_uri.starts_with("https://");
    let claims = by_name(flow, consent);
    let always = imitable || client.trust == Trust::Unverified || request.prompts(Prompt::Consent);
    let scope = request.to_allow(client.may_refresh());
    consent.covers(&scope, &request.resources, &claims, client.version) && (confirmed_here || !always)
}
