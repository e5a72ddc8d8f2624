//! Everything that is kept of a person, for the person: one JSON document. No secret is in it, nor anything made from one.

use std::sync::Arc;
use std::time::Duration;

use accounts::claims::Claim;
use accounts::sessions;
use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use events::Context;
use events::audit::{self, Event};
use grants::allowed;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use http::{HeaderMap, StatusCode};
use protocol::form::Form;
use protocol::{Error, RequestId, path};
use serde_json::{Map, Value, json};

use super::views::{Data, Here};
use super::{Owner, Stop, page};
use crate::notices::What;
use crate::{Account, Visit};

const HERE: &str = path::ACCOUNT_EXPORT;
/// More than any person's trail holds that is not being attacked; of that, the newest.
const MOST_EVENTS: u32 = 10_000;

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let owner = account.fresh_owner(HERE, &visit).await?;
        let (shell, frame, fresh) = account.frame(Here::Data, HERE, &owner, &visit)?;
        Ok(page(Data { shell, frame }, StatusCode::OK, fresh))
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
        account.record_export(&owner, by, &visit).await?;
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
    /// First, so that nobody takes data along without a trace.
    async fn record_export(&self, owner: &Owner, by: Context, visit: &Visit) -> Result<(), Stop> {
        let told = self.told(owner, What::DataExported, visit);
        let (outbox, now) = (self.outbox.clone(), visit.now);
        let (sub, session_id) = (owner.session.sub.clone(), owner.session.session_id.clone());
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let exported = Event::DataExported {
                    sub: &sub,
                    session_id: &session_id,
                };
                audit::record(&exported, &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    outbox.put(&told, conn, now).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        Ok(work.await?)
    }

    async fn document(&self, owner: &Owner, visit: &Visit) -> Result<Value, Stop> {
        let user = self.user(owner).await?;
        let mut conn = self.front.db.reader().await?;
        let claims: Map<String, Value> = Claim::ALL
            .iter()
            .filter_map(|claim| Some((claim.to_string(), user.claim(*claim)?)))
            .collect();
        let sessions = sessions::of_user(&user.sub, &mut conn, visit.now).await?;
        let sessions = sessions.into_iter().map(|device| {
            json!({
                "user_agent": device.user_agent,
                "signed_in_at": device.created_at.to_string(),
                "last_seen_at": device.last_seen_at.to_string(),
            })
        });
        let sessions: Vec<Value> = sessions.collect();
        let mut apps = Vec::new();
        for allowed in allowed::of_user(&user.sub, &mut conn).await? {
            let client = clients::records::by_id(&allowed.client_id, &mut conn).await?;
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
        let since = visit.now - Duration::from_secs(u64::from(u32::MAX));
        let events = audit::of_user(&user.sub, since, MOST_EVENTS, &mut conn).await?;
        Ok(json!({
            "sub": user.sub,
            "created_at": user.created_at.to_string(),
            "password": if user.password_hash.is_some() { "set" } else { "not set" },
            "claims": claims,
            "sessions": sessions,
            "apps": apps,
            "activity": events,
        }))
    }
}
