//! A new password by a mailed link: C073, C067, C074.
//!
//! Looking at the page uses nothing up. The password is judged and hashed first; then one transaction sets it, uses up
//! the link, ends every session and disconnects every app of the person, and queues the mail that tells them. It is
//! guarded by the epoch of the link, so of any number who use links of one person at once one succeeds. Nobody is signed
//! in by it, but the browser is known from then on: guesses in it are not counted with those of strangers.

use std::sync::Arc;

use accounts::claims::Claim;
use accounts::deletion;
use accounts::links::{self, Found, Link, Purpose};
use accounts::passwords::{About, StoredHash, Unchosen};
use accounts::sessions;
use accounts::users;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::Context;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use pages::{BRAND, Page, Proven, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, Secret, path};
use revocation::Act;

use crate::letters::Job;
use crate::views::{Done, NewPassword, Onward, PasswordFault, Renewal, What};
use crate::{Account, Lost, Pending, Visit, with_cookie};

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
        match account.followed(given, &visit).await? {
            Found::Live(link) => account.ask_password(given, &link, None, &visit),
            dead => Ok(account.dead_recovery(&dead, &visit)),
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
        let link = match account.followed(given, &visit).await? {
            Found::Live(link) => link,
            dead => return Ok(account.dead_recovery(&dead, &visit)),
        };
        let hash = match account.choose(params.get("password"), &link).await? {
            Ok(hash) => hash,
            Err(fault) => return account.ask_password(given, &link, Some(fault), &visit),
        };
        match account.recover(&link, hash.clone(), by, &visit).await {
            Ok(browser) => {
                tracing::info!(sub = %link.sub, "a password was recovered");
                let query = [("flow", link.flow.as_deref())];
                let mut response = see_other(&account.at(path::RECOVER_DONE, &query));
                // Who guesses all the time does not keep them from signing in now. C070.
                let proven = Proven {
                    sub: &link.sub,
                    epoch: link.epoch + 1,
                    hash: Some(&hash),
                };
                let known = account.front.acquaint(&browser, proven, &visit.headers)?;
                response.headers_mut().append(SET_COOKIE, known);
                Ok(response)
            }
            Err(Lost::Database(error)) => Err(error.into()),
            Err(Lost::Race | Lost::TooMany(_)) => {
                let found = account.followed(given, &visit).await?;
                Ok(account.dead_recovery(&found, &visit))
            }
        }
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
}

pub(crate) async fn done(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let pending = account.pending(params.get("flow"), &visit).await?;
        let shell = account.shell(&visit, pending.as_ref());
        let onward = match pending {
            Some(pending) => account.onward(&pending, shell.locale().tag()).await?,
            None => None,
        };
        let (onward, fresh) = match onward {
            Some(onward) => (onward, None),
            None => account.onward_home(&visit)?,
        };
        let what = What::Password(onward);
        Ok(with_cookie(Page::new(Done { shell, what }), fresh))
    };
    outcome
        .await
        .unwrap_or_else(|error: Error| account.stopped(&error, &visit))
}

/// What the form is about, for its CSRF token.
fn about(link: &str) -> String {
    format!("password {}", seal::digest(link))
}

impl Account {
    async fn followed(&self, given: &str, visit: &Visit) -> Result<Found, Error> {
        let mut conn = self.front.db.reader().await?;
        Ok(links::find(Purpose::Recovery, given, &mut conn, visit.now).await?)
    }

    /// The hash of what the owner of this link chose.
    async fn choose(
        &self,
        given: Option<&str>,
        link: &Link,
    ) -> Result<Result<StoredHash, PasswordFault>, Error> {
        let user = users::by_sub(&link.sub, &mut self.front.db.reader().await?).await?;
        let name = user.and_then(|user| user.claim(Claim::Name));
        let name = name.as_ref().and_then(|name| name.as_str());
        Ok(self.chosen(given, &link.email, name).await)
    }

    /// The hash of a password that somebody with this address and name chose. It passes the same judge everywhere.
    pub(crate) async fn chosen(
        &self,
        given: Option<&str>,
        email: &str,
        name: Option<&str>,
    ) -> Result<StoredHash, PasswordFault> {
        let given = given.filter(|given| !given.is_empty());
        let given = Secret::from(given.ok_or(PasswordFault::Missing)?);
        let about = About::of([email, name.unwrap_or_default(), BRAND]);
        self.hasher
            .choose(&given, about)
            .await
            .map_err(|unchosen| match unchosen {
                Unchosen::Bad(bad) => PasswordFault::Bad(bad),
                Unchosen::Overloaded(overloaded) => {
                    tracing::warn!(%overloaded, "a new password was refused");
                    PasswordFault::Busy
                }
                Unchosen::Unjudged => PasswordFault::Unjudged,
            })
    }

    fn ask_password(
        &self,
        given: &str,
        link: &Link,
        fault: Option<PasswordFault>,
        visit: &Visit,
    ) -> Result<Response, Error> {
        let status = PasswordFault::status(fault);
        let (csrf, fresh) = self.form(&about(given), visit)?;
        let view = NewPassword {
            shell: self.shell(visit, None),
            csrf,
            link: given.to_owned(),
            email: link.email.clone(),
            fault,
        };
        Ok(with_cookie(Page::new(view).with_status(status), fresh))
    }

    pub(crate) fn dead_recovery(&self, found: &Found, visit: &Visit) -> Response {
        let flow = match found {
            Found::Expired(link) | Found::Used(link) => link.flow.as_deref(),
            Found::Live(_) | Found::Disabled | Found::Foreign => None,
        };
        let renewal = match self.outbox {
            Some(_) => Renewal::At(self.at(path::RECOVER, &[("flow", flow)])),
            None => Renewal::None,
        };
        self.dead(found, renewal, None, visit)
    }

    /// What the browser is called from now on.
    async fn recover(
        &self,
        link: &Link,
        hash: StoredHash,
        by: Context,
        visit: &Visit,
    ) -> Result<Secret, Lost> {
        let device = self.front.device(&visit.headers);
        let (link, now, outbox) = (link.clone(), visit.now, self.outbox.clone());
        let locale = self.shell(visit, None).locale().tag();
        let told = Job::Recovered {
            to: link.email.clone(),
            at: now,
            locale: locale.to_owned(),
            user_agent: Some(visit.user_agent()),
        };
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let set = users::replace_password(&link.sub, link.epoch, &hash, conn).await?;
                if !set || !links::claim(&link, conn, now).await? {
                    return Err(Lost::Race);
                }
                let act = Act::PasswordRecovered(link.sub.clone());
                revocation::perform_in(&act, &by, conn, now).await?;
                // The link was mailed to their address, and they have followed it.
                users::verify_email(&link.sub, link.epoch + 1, &by, conn, now).await?;
                // Who wants to sign in again wants the account, and whoever had its deletion asked for is out.
                let came_back = deletion::undo(&link.sub, link.epoch + 1, &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    outbox.put(&told, conn, now).await?;
                    if came_back {
                        outbox.came_back(link.email, locale, conn, now).await?;
                    }
                }
                sessions::forget_acquaintances(&link.sub, conn).await?;
                Ok(sessions::meet(&link.sub, device.as_ref(), conn, now).await?)
            })
        });
        work.await
    }

    /// On to the sign-in page, for anyone: another who is signed in on this browser is not meant.
    async fn onward(&self, pending: &Pending, language: &str) -> Result<Option<Onward>, Error> {
        let path = self.at(
            path::LOGIN,
            &[("flow", Some(&pending.sealed)), ("other", Some("1"))],
        );
        let Some(flow) = pending.app() else {
            return Ok(Some(Onward { app: None, path }));
        };
        let mut conn = self.front.db.reader().await?;
        let client = clients::records::by_id(&flow.request().client_id, &mut conn).await?;
        Ok(client.map(|client| Onward {
            app: Some(client.name_in(language)),
            path,
        }))
    }

    /// The same where nothing waits in this browser: to sign in to the pages of the account.
    pub(crate) fn onward_home(&self, visit: &Visit) -> Result<(Onward, Option<HeaderValue>), Error> {
        let (sealed, fresh) = self.own_way(path::ACCOUNT, None, visit)?;
        let query = [("flow", Some(sealed.as_str())), ("other", Some("1"))];
        let onward = Onward {
            app: None,
            path: self.at(path::LOGIN, &query),
        };
        Ok((onward, fresh))
    }
}
