//! An account back, by the address that it had before: C067, C073.
//!
//! The link was mailed to that address. Looking at the page uses nothing up; the POST gives the address back, sets a
//! new password, uses up the link, ends every session and disconnects every app, and tells both addresses, in one
//! transaction that locks the user. Whatever a thief does with the account meanwhile, the link works. What the page shows is
//! what the reader of that mailbox knows: not the address that the account has now, for they may be somebody whom its owner has
//! left behind.

use std::sync::Arc;

use accounts::claims::Claim;
use accounts::email::Email;
use accounts::former_addresses::{self, Former};
use accounts::links::{self, Found, Link, Purpose};
use accounts::passwords::StoredHash;
use accounts::users::{self, Moved, User};
use accounts::{deletion, sessions};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::{Context, Event, audit};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use pages::{Page, Proven, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, Secret, path};
use revocation::Act;

use crate::letters::Job;
use crate::notices::{Notice, What};
use crate::views::{PasswordFault, TakeBack};
use crate::{Account, Lost, Visit, with_cookie};

/// A link that works, and the address that it gives back.
struct Way {
    link: Link,
    former: Former,
}

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let given = params.get("link").unwrap_or_default();
        match account.way_back(given, &visit).await? {
            Ok(way) => account.take_back_page(given, &way, None, &visit),
            Err(dead) => Ok(account.dead_recovery(&dead, &visit)),
        }
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
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
        account.front.check_origin(&visit.headers)?;
        let Form(params) = form?;
        let given = params.get("link").unwrap_or_default();
        account
            .front
            .check_csrf(&visit.headers, &about(given), params.get("csrf"))?;
        let way = match account.way_back(given, &visit).await? {
            Ok(way) => way,
            Err(dead) => return Ok(account.dead_recovery(&dead, &visit)),
        };
        let hash = match account.choose_anew(params.get("password"), &way).await? {
            Ok(hash) => hash,
            Err(fault) => return account.take_back_page(given, &way, Some(fault), &visit),
        };
        match account.take_back(&way, hash, by, &visit).await {
            Ok(Some((user, browser))) => {
                let link = &way.link;
                tracing::info!(sub = %link.sub, "an account was taken back by a former address");
                let mut response =
                    see_other(&account.at(path::RECOVER_DONE, &[("flow", link.flow.as_deref())]));
                let known = account
                    .front
                    .acquaint(&browser, Proven::of(&user), &visit.headers)?;
                response.headers_mut().append(SET_COOKIE, known);
                Ok(response)
            }
            Err(Lost::Database(error)) => Err(error.into()),
            Ok(None) | Err(Lost::Race | Lost::TooMany(_)) => {
                let dead = match account.way_back(given, &visit).await? {
                    Ok(way) => Found::Used(way.link),
                    Err(dead) => dead,
                };
                Ok(account.dead_recovery(&dead, &visit))
            }
        }
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
}

/// What the form is about, for its CSRF token.
fn about(link: &str) -> String {
    format!("take back {}", seal::digest(link))
}

impl Account {
    /// What is behind a link: also one that works is used up where the address is not to be had back any more.
    async fn way_back(&self, given: &str, visit: &Visit) -> Result<Result<Way, Found>, Error> {
        let mut conn = self.front.db.reader().await?;
        let found = links::find(Purpose::Former, given, &mut conn, visit.now).await?;
        let Found::Live(link) = found else {
            return Ok(Err(found));
        };
        let Some(email) = link
            .wanted
            .as_deref()
            .and_then(|wanted| Email::parse(wanted).ok())
        else {
            return Ok(Err(Found::Foreign));
        };
        let former = Former {
            sub: link.sub.clone(),
            email,
            epoch: link.epoch,
        };
        Ok(
            match former_addresses::is_open(&former, &mut conn, visit.now).await? {
                true => Ok(Way { link, former }),
                false => Err(Found::Used(link)),
            },
        )
    }

    async fn choose_anew(
        &self,
        given: Option<&str>,
        way: &Way,
    ) -> Result<Result<StoredHash, PasswordFault>, Error> {
        let user = users::by_sub(&way.link.sub, &mut self.front.db.reader().await?).await?;
        let name = user.and_then(|user| user.claim(Claim::Name));
        let name = name.as_ref().and_then(|name| name.as_str());
        Ok(self.chosen(given, way.former.email.shown(), name).await)
    }

    fn take_back_page(
        &self,
        given: &str,
        way: &Way,
        fault: Option<PasswordFault>,
        visit: &Visit,
    ) -> Result<Response, Error> {
        let (csrf, fresh): (String, Option<HeaderValue>) = self.form(&about(given), visit)?;
        let view = TakeBack {
            shell: self.shell(visit, None),
            csrf,
            link: given.to_owned(),
            email: way.former.email.shown().to_owned(),
            fault,
        };
        let status = PasswordFault::status(fault);
        Ok(with_cookie(Page::new(view).with_status(status), fresh))
    }

    /// The person as they are now, and what their browser is called from now on; none where the address is not to be had any
    /// more.
    async fn take_back(
        &self,
        way: &Way,
        hash: StoredHash,
        by: Context,
        visit: &Visit,
    ) -> Result<Option<(User, Secret)>, Lost> {
        let (device, user_agent) = (self.front.device(&visit.headers), visit.user_agent());
        let (link, former, now) = (way.link.clone(), way.former.clone(), visit.now);
        let locale = self.shell(visit, None).locale().tag();
        let told = |to: &str, what: What| {
            Job::Notice(Notice {
                to: to.to_owned(),
                what,
                at: now,
                locale: locale.to_owned(),
                user_agent: Some(user_agent.clone()),
            })
        };
        let told = [
            told(former.email.shown(), What::TakenBack),
            told(&link.email, What::TakenFrom),
        ];
        let outbox = self.outbox.clone();
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                match former_addresses::take_back(&former, &hash, conn, now).await? {
                    Moved::Done => {}
                    // Nothing was written.
                    Moved::Taken | Moved::Changed => return Ok(None),
                }
                if !links::claim(&link, conn, now).await? {
                    return Err(Lost::Race);
                }
                let act = Act::PasswordRecovered(link.sub.clone());
                revocation::perform_in(&act, &by, conn, now).await?;
                audit::record(&Event::EmailRestored { sub: &link.sub }, &by, conn, now).await?;
                let user = users::by_sub(&link.sub, conn).await?.ok_or(Lost::Race)?;
                let came_back = deletion::undo(&link.sub, user.epoch, &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    for job in &told {
                        outbox.put(job, conn, now).await?;
                    }
                    if came_back {
                        outbox
                            .came_back(former.email.shown().to_owned(), locale, conn, now)
                            .await?;
                    }
                }
                sessions::forget_acquaintances(&link.sub, conn).await?;
                let browser = sessions::meet(&link.sub, device.as_ref(), conn, now).await?;
                Ok(Some((user, browser)))
            })
        });
        match work.await {
            // PostgreSQL tells of another who was given it at the same moment by an error.
            Err(Lost::Database(error)) if error.is_conflict() => Ok(None),
            other => other,
        }
    }
}
