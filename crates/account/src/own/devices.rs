//! Where a person is signed in, and how they end it: one session, or all but this one. C086, C092.

use std::sync::Arc;

use accounts::sessions::{self, Left};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use db::Conn;
use events::Context;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use pages::{Lifetime, see_other};
use protocol::form::Form;
use protocol::{Error, RequestId, Secret, SessionId, Timestamp, path};
use revocation::{Act, Outcome};

use super::views::{Device, Devices, Here};
use super::{Names, Owner, Stop, absent, page, user_agent};
use crate::letters::Job;
use crate::notices::{Notice, What};
use crate::{Account, Visit};

const HERE: &str = path::ACCOUNT_SESSIONS;
/// More than a person looks through.
const MOST: u32 = 100;

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let owner = account.owner(HERE, &visit).await?;
        account.devices_page(&owner, &visit).await
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
        let (owner, params) = account.submitted(HERE, form, &visit).await?;
        match (params.get("session"), params.get("others")) {
            (Some(session), None) => account.end_one(&owner, session.into(), by, &visit).await,
            (None, Some(_)) => account.end_others(&owner, by, &visit).await,
            _ => Err(Error::invalid_request("names one session, or all others").into()),
        }
    };
    account.answered(outcome.await, &visit)
}

impl Account {
    async fn devices_page(&self, owner: &Owner, visit: &Visit) -> Result<Response, Stop> {
        let (shell, frame, fresh) = self.frame(Here::Devices, HERE, owner, visit)?;
        let texts = shell.texts;
        let mut conn = self.front.db.reader().await?;
        let mut names = Names::default();
        let mut devices = Vec::new();
        let (sub, here) = (&owner.session.sub, &owner.session.session_id);
        for device in sessions::of_user(sub, here, MOST, &mut conn, visit.now).await? {
            let mut apps = Vec::new();
            for client in revocation::clients_of(&device.session_id, &mut conn).await? {
                apps.extend(names.of(&client, texts, &mut conn).await?);
            }
            devices.push(Device {
                is_this: device.session_id == owner.session.session_id,
                name: user_agent::named(&device.user_agent, texts),
                session: device.session_id.into_string(),
                since: device.created_at,
                last_seen: super::when::ago(device.last_seen_at, visit.now, texts),
                last_seen_at: device.last_seen_at,
                apps,
            });
        }
        Ok(page(
            Devices {
                shell,
                frame,
                devices,
            },
            StatusCode::OK,
            fresh,
        ))
    }

    async fn end_one(
        &self,
        owner: &Owner,
        session: SessionId,
        by: Context,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let is_own = session == owner.session.session_id;
        let act = Act::EndSessionOf(session.clone(), owner.session.sub.clone());
        let (presented, now) = (self.presented(visit), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let ended = revocation::perform_in(&act, &by, conn, now).await?;
                let left = match is_own && ended != Outcome::Unknown {
                    true => left(presented, conn, now).await?,
                    false => Left::Unknown,
                };
                Ok::<_, db::Error>((ended, left))
            })
        });
        let (ended, left) = work.await?;
        if ended == Outcome::Unknown {
            let mut conn = self.front.db.reader().await?;
            // A second click finds what the first did.
            return match sessions::was_of(&session, &owner.session.sub, &mut conn).await? {
                true => Ok(see_other(&self.at(HERE, &[]))),
                false => Err(absent()),
            };
        }
        tracing::info!(sub = %owner.session.sub, "signed out from the list of sessions");
        Ok(self.renewed(see_other(&self.at(HERE, &[])), left))
    }

    async fn end_others(&self, owner: &Owner, by: Context, visit: &Visit) -> Result<Response, Stop> {
        let act = Act::EndOtherSessions {
            sub: owner.session.sub.clone(),
            kept: owner.session.session_id.clone(),
        };
        let told = self.told(owner, What::SignedOutElsewhere, visit);
        let (outbox, now) = (self.outbox.clone(), visit.now);
        let presented = self.presented(visit);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let outcome = revocation::perform_in(&act, &by, conn, now).await?;
                // Where nothing ended there is nothing to tell: whoever holds a session could have any number sent.
                if let (Some(outbox), Outcome::Ended(_)) = (outbox, outcome) {
                    outbox.put(&told, conn, now).await?;
                }
                left(presented, conn, now).await
            })
        });
        let left = work.await?;
        tracing::info!(sub = %owner.session.sub, "signed out everywhere else");
        Ok(self.renewed(see_other(&self.at(HERE, &[])), left))
    }

    /// A mail to the person, at the address that the account has.
    pub(crate) fn told(&self, owner: &Owner, what: What, visit: &Visit) -> Job {
        Job::Notice(Notice {
            to: owner.session.email.clone(),
            what,
            at: visit.now,
            locale: self.shell(visit, None).locale().tag().to_owned(),
        })
    }

    /// The cookie of the browser, which is to change with what the person does.
    pub(crate) fn presented(&self, visit: &Visit) -> Option<Secret> {
        self.front.cookies.browser(&visit.headers)
    }

    /// The answer with what the browser is to do with its cookie.
    pub(crate) fn renewed(&self, mut response: Response, left: Left) -> Response {
        let cookies = &self.front.cookies;
        let cookie = match left {
            Left::Renewed { cookie, max_age } => {
                let lifetime = max_age.map_or(Lifetime::UntilBrowserCloses, Lifetime::For);
                cookies.set_browser(&cookie, lifetime)
            }
            Left::Empty => cookies.clear_browser(),
            Left::Unknown => return response,
        };
        response.headers_mut().append(SET_COOKIE, cookie);
        response
    }
}

/// Renews the cookie in the transaction of what is done: where others are kept out, whoever has a copy of the cookie is
/// one of them, and nothing may come between the two (C062).
pub(crate) async fn left(presented: Option<Secret>, conn: &mut Conn, now: Timestamp) -> db::Result<Left> {
    match presented {
        Some(presented) => sessions::leave(&presented, conn, now).await,
        None => Ok(Left::Unknown),
    }
}
