//! Where a person is signed in, what they call it, and how they end it: one session, or all but this one. C086, C092.

use std::sync::Arc;

use accounts::sessions::{self, Left};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use db::Conn;
use events::Context;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use pages::{Lifetime, Markup, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, Secret, SessionId, Timestamp, path};
use revocation::{Act, Outcome};

use super::device_name::Odd;
use super::news::News;
use super::views::{Device, Devices, Here, Naming};
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
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let owner = account.owner(HERE, &visit).await?;
        let news = account.news(params.get("done"), &owner, &visit)?;
        account.devices_page(&owner, None, news, &visit).await
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
        match (params.get("session"), params.get("others"), params.get("device")) {
            (Some(session), None, None) => account.end_one(&owner, session.into(), by, &visit).await,
            (None, Some(_), None) => account.end_others(&owner, by, &visit).await,
            (None, None, Some(device)) => {
                let name = params.get("name").unwrap_or_default();
                account.name_device(&owner, device.into(), name, &visit).await
            }
            _ => Err(Error::invalid_request("names one session, all others, or a device").into()),
        }
    };
    account.answered(outcome.await, &visit)
}

impl Account {
    pub(super) async fn devices_page(
        &self,
        owner: &Owner,
        odd: Option<Odd>,
        news: Option<News>,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let (shell, mut frame, fresh) = self.frame(Here::Devices, HERE, owner, visit)?;
        frame.news = news;
        let texts = shell.texts;
        let mut conn = self.front.db.reader().await?;
        let (sub, here) = (&owner.session.sub, &owner.session.session_id);
        let live = sessions::of_user(sub, here, MOST, &mut conn, visit.now).await?;
        let mut used = revocation::clients_by_session(&owner.session.sub, &mut conn).await?;
        drop(conn);
        if let Some(odd) = &odd
            && !live.iter().any(|device| device.session_id == odd.session)
        {
            return Err(absent());
        }
        let mut names = Names::default();
        let mut devices = Vec::new();
        for device in live {
            let mut apps = Vec::new();
            for client in used.remove(&device.session_id).unwrap_or_default() {
                apps.extend(names.of(&client, texts, &self.clients).await?);
            }
            let typed = odd.as_ref().filter(|odd| odd.session == device.session_id);
            let kind = user_agent::named(&device.user_agent, texts);
            devices.push(Device {
                is_this: device.session_id == owner.session.session_id,
                naming: device.is_known.then(|| Naming {
                    typed: match typed {
                        Some(odd) => odd.typed.clone(),
                        None => device.name.clone().unwrap_or_default(),
                    },
                    is_odd: typed.is_some(),
                }),
                name: device.name.as_deref().map(Markup::isolated),
                kind,
                session: device.session_id.into_string(),
                since: device.created_at,
                last_seen: super::when::ago(device.last_seen_at, visit.now, texts),
                last_seen_at: device.last_seen_at,
                apps,
            });
        }
        let status = match odd {
            Some(_) => StatusCode::BAD_REQUEST,
            None => StatusCode::OK,
        };
        let view = Devices {
            shell,
            frame,
            devices,
        };
        Ok(page(view, status, fresh))
    }

    async fn end_one(
        &self,
        owner: &Owner,
        session: SessionId,
        by: Context,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let is_own = session == owner.session.session_id;
        let ending = (session.clone(), owner.session.sub.clone());
        let (presented, now) = (self.presented(visit).filter(|_| is_own), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move { revocation::end_here(ending, presented.as_ref(), &by, conn, now).await })
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
        let page = match is_own {
            true => self.at(HERE, &[]),
            false => self.telling(HERE, News::SignedOut, owner, visit)?,
        };
        Ok(self.renewed(see_other(&page), left))
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
        let page = self.telling(HERE, News::SignedOutElsewhere, owner, visit)?;
        Ok(self.renewed(see_other(&page), left))
    }

    /// A mail to the person, at the address that the account has.
    pub(crate) fn told(&self, owner: &Owner, what: What, visit: &Visit) -> Job {
        Job::Notice(Notice {
            to: owner.session.email.clone(),
            what,
            at: visit.now,
            locale: self.shell(visit, None).locale().tag().to_owned(),
            user_agent: Some(visit.user_agent()),
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
