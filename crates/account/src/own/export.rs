//! Everything that is kept of a person, for the person: one JSON document. No secret is in it, nor anything made from one.

use std::sync::Arc;
use std::time::Duration;

use accounts::allowances::{self, Rate};
use accounts::attempts::TooMany;
use accounts::claims::Claim;
use accounts::former_addresses;
use accounts::links;
use accounts::sessions;
use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use events::Context;
use events::audit::{self, Event, Span};
use events::sign_ins;
use grants::allowed;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::form::Form;
use protocol::{Error, RequestId, path};
use serde_json::{Map, Value, json};

use super::views::{Data, Here};
use super::{Owner, Stop, page};
use crate::notices::What;
use crate::{Account, Lost, Visit};

const HERE: &str = path::ACCOUNT_EXPORT;
/// More than any person's trail holds that is not being attacked; of that, the newest.
const MOST_EVENTS: u32 = 10_000;
const MOST_SESSIONS: u32 = 10_000;
/// Each is a long document, an event and a mail, and needs no password while a proof is fresh.
const EXPORTS: Rate = Rate {
    at_once: 5,
    every: Duration::from_secs(60 * 60),
};

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let owner = account.fresh_owner(HERE, &visit).await?;
        account.data_page(&owner, None, &visit)
    };
    account.answered(outcome.await, &visit)
}

pub(crate) async fn submit(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    by: Context,
    headers: HeaderMap,
    form: Result<Form, Error>,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let (owner, _) = account.submitted(HERE, form, &visit).await?;
        account.demand_proof(&owner, HERE, &visit)?;
        match account.record_export(&owner, by, &visit).await {
            Ok(()) => {}
            Err(Lost::TooMany(too_many)) => return account.data_page(&owner, Some(too_many), &visit),
            Err(Lost::Database(error)) => return Err(error.into()),
            Err(Lost::Race) => return Err(account.sign_in_first(HERE, None, &visit)?),
        }
        let document = account.document(&owner, &visit).await?;
        let headers = [
            (CONTENT_DISPOSITION, "attachment; filename=\"account.json\""),
            (CACHE_CONTROL, "no-store"),
        ];
        tracing::info!(sub = %owner.session.sub, "an account was exported");
        Ok((headers, Json(document)).into_response())
    };
    account.answered(outcome.await, &visit)
}

impl Account {
    fn data_page(&self, owner: &Owner, too_many: Option<TooMany>, visit: &Visit) -> Result<Response, Stop> {
        let (shell, frame, fresh) = self.frame(Here::Data, HERE, owner, visit)?;
        let view = Data {
            shell,
            frame,
            too_many: too_many.is_some(),
        };
        let Some(too_many) = too_many else {
            return Ok(page(view, StatusCode::OK, fresh));
        };
        let mut response = page(view, StatusCode::TOO_MANY_REQUESTS, fresh);
        let seconds = HeaderValue::from(too_many.retry_after.as_secs());
        response.headers_mut().insert(RETRY_AFTER, seconds);
        Ok(response)
    }

    /// First, so that nobody takes data along without a trace.
    async fn record_export(&self, owner: &Owner, by: Context, visit: &Visit) -> Result<(), Lost> {
        let told = self.told(owner, What::DataExported, visit);
        let (outbox, now) = (self.outbox.clone(), visit.now);
        let (sub, session_id) = (owner.session.sub.clone(), owner.session.session_id.clone());
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let taken = allowances::take(&format!("export of {sub}"), EXPORTS, conn, now).await?;
                taken.map_err(Lost::TooMany)?;
                // Whoever ended this session, or changed the password, meanwhile, ended this as well.
                if !sessions::lock_live(&session_id, conn, now).await? {
                    return Err(Lost::Race);
                }
                let exported = Event::DataExported {
                    sub: &sub,
                    session_id: &session_id,
                };
                audit::record(&exported, &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    outbox.put(&told, conn, now).await?;
                }
                Ok(())
            })
        });
        work.await
    }

    async fn document(&self, owner: &Owner, visit: &Visit) -> Result<Value, Stop> {
        let user = self.user(owner).await?;
        let mut conn = self.front.db.reader().await?;
        let claims: Map<String, Value> = Claim::ALL
            .iter()
            .filter_map(|claim| Some((claim.to_string(), user.claim(*claim)?)))
            .collect();
        let here = &owner.session.session_id;
        let sessions = sessions::of_user(&user.sub, here, MOST_SESSIONS, &mut conn, visit.now).await?;
        let sessions = sessions.into_iter().map(|device| {
            json!({
                "user_agent": device.user_agent,
                "name": device.name,
                "signed_in_at": device.created_at.to_string(),
                "last_seen_at": device.last_seen_at.to_string(),
            })
        });
        let sessions: Vec<Value> = sessions.collect();
        let all = Span {
            since: visit.now - Duration::from_secs(u64::from(u32::MAX)),
            before: None,
            limit: MOST_EVENTS,
        };
        let events = audit::of_user(&user.sub, all, &mut conn).await?;
        let allowed = allowed::of_user(&user.sub, &mut conn).await?;
        let wanted = links::wanted(&user.sub, &mut conn).await?.into_iter();
        let wanted = wanted.map(|(email, until)| json!({ "email": email, "link_until": until.to_string() }));
        let wanted: Vec<Value> = wanted.collect();
        let former = former_addresses::of_user(&user.sub, &mut conn, visit.now).await?;
        let former = former.into_iter();
        let former = former.map(|(email, until)| json!({ "email": email, "good_until": until.to_string() }));
        let former: Vec<Value> = former.collect();
        // Not yet in the trail: they are counted for some minutes first.
        let failed = sign_ins::of_user(&user.sub, &mut conn).await?.into_iter();
        let failed = failed.map(|(at, failures)| json!({ "last_at": at.to_string(), "failures": failures }));
        let failed: Vec<Value> = failed.collect();
        drop(conn);
        let mut apps = Vec::new();
        for allowed in allowed {
            let client = self.clients.client(&allowed.client_id).await?;
            apps.push(json!({
                "client_id": allowed.client_id,
                "name": client.map(|client| client.shown_name()),
                "scope": allowed.scope,
                "resources": allowed.resources,
                "claims": allowed.claims,
                "allowed_since": allowed.since.to_string(),
                "last_used_at": allowed.last_used_at.to_string(),
            }));
        }
        Ok(json!({
            "sub": user.sub,
            "created_at": user.created_at.to_string(),
            "password": if user.password_hash.is_some() { "set" } else { "not set" },
            "claims": claims,
            "addresses_asked_for": wanted,
            "former_addresses": former,
            "sessions": sessions,
            "apps": apps,
            "activity": events,
            "failed_sign_ins_just_now": failed,
        }))
    }
}
