//! From a flow to its next step, and from an allowed one to the answer: RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5
//! and §3.3.2.5.

use accounts::sessions::Session;
use axum::response::Response;
use grants::{Consent, Flow, consents};
use issuance::{Approved, Approving, Target};
use protocol::{Error, Subject, Timestamp, path};

use crate::Authorize;
use crate::bound::Bound;
use crate::decide::{self, Step};
use crate::endpoint::{Stop, Visit};

/// How often the decision is taken anew because something changed under it.
const ATTEMPTS: usize = 3;

pub(crate) async fn advance(authorize: &Authorize, flow: &Flow, visit: &Visit) -> Result<Response, Stop> {
    for _ in 0..ATTEMPTS {
        if let Some(response) = attempt(authorize, flow, visit).await? {
            return Ok(response);
        }
        // What changed may be the client, of which memory has not heard yet.
        authorize.clients.refresh().await?;
    }
    Err(Error::temporarily_unavailable("session, consent or client kept changing").into())
}

/// One decision from fresh reads; `None` when what was read no longer held at the write.
async fn attempt(authorize: &Authorize, flow: &Flow, visit: &Visit) -> Result<Option<Response>, Stop> {
    let (request, headers, now) = (flow.request(), &visit.headers, visit.now);
    let bound = Bound::again(request, &authorize.clients).await?;
    let mut conn = authorize.front.db.reader().await?;
    let sessions = authorize.front.sessions(headers, &mut conn, now).await?;

    let names = authorize.front.names(&bound.client)?;
    let session = match decide::session(flow, &names, sessions.as_ref(), now) {
        Ok(session) => session,
        Err(Step::Refuse(error)) => return Err(Stop::Client(Box::new(bound), error)),
        Err(Step::SignUp) => return authorize.send_to(path::SIGN_UP, flow, headers).map(Some),
        Err(_) => return authorize.send_to(path::LOGIN, flow, headers).map(Some),
    };
    let consent = consents::of(&session.sub, &request.client_id, &mut conn).await?;
    drop(conn);
    match decide::step(flow, session, consent.as_ref(), &bound.client) {
        Step::Login => authorize.send_to(path::LOGIN, flow, headers).map(Some),
        Step::SignUp => authorize.send_to(path::SIGN_UP, flow, headers).map(Some),
        Step::Consent => authorize.send_to(path::CONSENT, flow, headers).map(Some),
        Step::Refuse(error) => Err(Stop::Client(Box::new(bound), error)),
        Step::Respond(session, consent) => {
            let target = match Target::find(&request.resources, &authorize.clients).await {
                Ok(target) => target,
                Err(error) => return Err(Stop::Client(Box::new(bound), error)),
            };
            let response_type = request.response_type;
            let means = authorize
                .gate
                .means_at_once(&request.client_id, response_type, &target, now);
            let means = match means.await {
                Ok(means) => means,
                Err(error) => return Err(Stop::Client(Box::new(bound), error)),
            };
            let known_as = names.name(&session.sub);
            let approving = approving(flow, &bound, (session, known_as), consent);
            match authorize.gate.approve(approving, now).await? {
                Approved::Granted(granted) => {
                    let answer = authorize.gate.say(*granted, target, means).await?;
                    authorize.touch(session, now).await;
                    let shell = authorize.shell(visit);
                    Ok(Some(bound.answer(answer, &authorize.issuer, shell)))
                }
                Approved::AlreadyCompleted => Err(Stop::Completed),
                Approved::Changed => Ok(None),
            }
        }
    }
}

fn approving(
    flow: &Flow,
    bound: &Bound,
    (session, known_as): (&Session, Subject),
    consent: &Consent,
) -> Approving {
    let (request, client) = (flow.request().clone(), &bound.client);
    let beyond = decide::by_name(flow, consent);
    let offline = request.outlives_session(client.may_refresh());
    Approving {
        flow_id: flow.id.clone(),
        client_id: client.id.clone(),
        client_version: client.version,
        client_generation: client.generation,
        sub: session.sub.clone(),
        known_as,
        session_id: session.session_id.clone(),
        consent_id: consent.id.clone(),
        response_type: request.response_type,
        scope: request.scope,
        resources: request.resources,
        claims: request.claims,
        beyond,
        offline,
        auth_time: session.proof.auth_time,
        acr: session.proof.acr.to_string(),
        amr: session.proof.amr.iter().map(ToString::to_string).collect(),
        redirect_uri: request.redirect_uri,
        redirect_uri_implied: request.redirect_uri_implied,
        code_challenge: request.code_challenge,
        nonce: request.nonce,
    }
}

impl Authorize {
    /// Notes that the session is in use. Losing this note costs nothing but a little of its idle time.
    async fn touch(&self, session: &Session, now: Timestamp) {
        if !session.is_to_be_touched(now) {
            return;
        }
        let id = session.session_id.clone();
        let touch = self
            .front
            .db
            .transact(move |conn| Box::pin(async move { accounts::sessions::touch(&id, conn, now).await }));
        if let Err(error) = touch.await {
            tracing::warn!(%error, "a session could not be touched");
        }
    }
}
