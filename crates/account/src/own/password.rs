//! Another password, for who knows the old one: C062, C067, C068, C074.
//!
//! The old password is the fresh proof. The new one is judged and hashed; then one transaction sets it, takes this session
//! over to the new epoch under a new cookie, ends every other one, on wish disconnects all apps, and queues the
//! mail that tells the person. Links that were mailed before are void by the epoch.

use std::fmt::Display;
use std::sync::Arc;

use accounts::allowances;
use accounts::claims::Claim;
use accounts::passwords::StoredHash;
use accounts::sessions::{self, Acr, Amr, SignIn, SignedIn};
use accounts::users::{self, User};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::Context;
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, StatusCode};
use pages::{Lifetime, Proven, see_other};
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};
use revocation::{Act, Apps, Change};

use super::news::News;
use super::proof::{told_when, too_often_when};
use super::views::{ChangeFault, ChangePassword, Here};
use super::{CHANGES, Owner, Stop, page};
use crate::notices::What;
use crate::views::PasswordFault;
use crate::{Account, Lost, Visit};

const HERE: &str = path::ACCOUNT_PASSWORD;

/// A Well-Known URL for Changing Passwords: where password managers send people.
pub(crate) async fn well_known(State(account): State<Arc<Account>>) -> Response {
    led_to_the_form(account.front.site.base())
}

pub(crate) fn led_to_the_form(base: &impl Display) -> Response {
    let mut response = see_other(&format!("{base}{HERE}"));
    // The specification wants 302, 303 or 307; the first is what every manager knows.
    *response.status_mut() = StatusCode::FOUND;
    response
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
        let owner = account.owner(HERE, &visit).await?;
        let form = Filled {
            apps: Apps::Disconnected,
            news: account.news(params.get("done"), &owner, &visit)?,
            faults: Vec::new(),
        };
        account.change_page(&owner, form, &visit)
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
        let apps = match params.get("apps") {
            Some(_) => Apps::Disconnected,
            None => Apps::Kept,
        };
        let again = |faults| {
            let form = Filled {
                apps,
                news: None,
                faults,
            };
            account.change_page(&owner, form, &visit)
        };
        let user = match account.prove(&owner, params.get("current"), &by, &visit).await? {
            Ok(user) => user,
            Err(unproven) => return again(vec![ChangeFault::Current(unproven)]),
        };
        let name = user.claims.text(Claim::Name);
        let chosen = account.chosen(params.get("password"), user.email.shown(), name);
        let hash = match chosen.await {
            Ok(hash) => hash,
            Err(fault) => return again(vec![ChangeFault::New(fault)]),
        };
        match account
            .change_password(&owner, &user, hash.clone(), apps, by, &visit)
            .await
        {
            Ok(signed_in) => {
                tracing::info!(sub = %user.sub, "a password was changed");
                let page = account.telling(HERE, News::PasswordChanged, &owner, &visit)?;
                let mut response = see_other(&page);
                account.renew(&signed_in, &hash, &mut response, &visit)?;
                Ok(response)
            }
            Err(Lost::Database(error)) => Err(error.into()),
            Err(Lost::TooMany(too_many)) => again(vec![ChangeFault::TooOften(too_many)]),
            // Another change came first, and ended this session.
            Err(Lost::Race) => Err(account.sign_in_first(HERE, None, &visit)?),
        }
    };
    account.answered(outcome.await, &visit)
}

/// What stands in the form.
struct Filled {
    apps: Apps,
    news: Option<News>,
    faults: Vec<ChangeFault>,
}

impl Account {
    fn change_page(&self, owner: &Owner, form: Filled, visit: &Visit) -> Result<Response, Stop> {
        let status = match form.faults.first() {
            None => StatusCode::OK,
            Some(ChangeFault::Current(unproven)) => unproven.status(),
            Some(ChangeFault::New(PasswordFault::Busy | PasswordFault::Unjudged)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Some(ChangeFault::New(_)) => StatusCode::BAD_REQUEST,
            Some(ChangeFault::TooOften(_)) => StatusCode::TOO_MANY_REQUESTS,
        };
        let too_often = form.faults.iter().find_map(|fault| match fault {
            ChangeFault::TooOften(too_many) => Some(*too_many),
            ChangeFault::Current(_) | ChangeFault::New(_) => None,
        });
        let unproven = form.faults.iter().find_map(|fault| match fault {
            ChangeFault::Current(unproven) => Some(*unproven),
            ChangeFault::New(_) | ChangeFault::TooOften(_) => None,
        });
        let (shell, mut frame, fresh) = self.frame(Here::Password, HERE, owner, visit)?;
        frame.news = form.news;
        let view = ChangePassword {
            shell,
            frame,
            disconnects: form.apps == Apps::Disconnected,
            faults: form.faults,
        };
        let response = told_when(page(view, status, fresh), unproven);
        Ok(too_often_when(response, too_often))
    }

    async fn change_password(
        &self,
        owner: &Owner,
        user: &User,
        hash: StoredHash,
        apps: Apps,
        by: Context,
        visit: &Visit,
    ) -> Result<SignedIn, Lost> {
        let epoch = user.epoch;
        let proof = self.proof(owner, epoch + 1, visit);
        let proof = proof.map_err(|error| db::Error::Setup(error.to_string()))?;
        let told = self.told(owner, What::PasswordChanged(apps == Apps::Disconnected), visit);
        let (outbox, now) = (self.outbox.clone(), visit.now);
        let (sub, email, kept) = (
            user.sub.clone(),
            user.email.clone(),
            owner.session.session_id.clone(),
        );
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let taken = allowances::take(&format!("password of {sub}"), CHANGES, conn, now).await?;
                taken.map_err(Lost::TooMany)?;
                let set = users::replace_password(&sub, epoch, &hash, conn).await?;
                sessions::hold(proof.presented.as_ref(), conn).await?;
                if !set || !sessions::take_over(&kept, (epoch, epoch + 1), conn).await? {
                    return Err(Lost::Race);
                }
                let signed_in = sessions::sign_in(proof, &by, conn, now).await?;
                let signed_in = signed_in.ok_or(Lost::Race)?;
                let act = Act::CredentialsChanged {
                    sub,
                    kept: signed_in.session.session_id.clone(),
                    change: Change::Password,
                    apps,
                };
                revocation::perform_in(&act, &by, conn, now).await?;
                if let Some(outbox) = outbox {
                    outbox.forget_asked(&email, conn).await?;
                    outbox.put(&told, conn, now).await?;
                }
                Ok(signed_in)
            })
        });
        work.await
    }

    /// That they proved who they are, in this session.
    fn proof(&self, owner: &Owner, epoch: i64, visit: &Visit) -> Result<SignIn, Error> {
        let user_agent = visit.headers.get(USER_AGENT);
        let user_agent = user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let sub = owner.session.sub.clone();
        Ok(SignIn {
            presented: self.front.cookies.browser(&visit.headers),
            device: self.front.acquaintance(&sub, &visit.headers)?,
            sub,
            epoch,
            persistent: owner.session.persistent,
            user_agent: user_agent.unwrap_or_default().into_owned(),
            flow_id: None,
            flow_cookie: self.front.cookies.flow(&visit.headers),
            acr: Acr::Pwd,
            amr: vec![Amr::Pwd],
        })
    }

    /// Gives the browser its new cookie (C062), and goes on looking at the same account.
    fn renew(
        &self,
        signed_in: &SignedIn,
        hash: &StoredHash,
        response: &mut Response,
        visit: &Visit,
    ) -> Result<(), Error> {
        let proven = Proven {
            sub: &signed_in.session.sub,
            epoch: signed_in.epoch,
            hash: Some(hash),
        };
        let cookies = &self.front.cookies;
        let lifetime = signed_in
            .max_age
            .map_or(Lifetime::UntilBrowserCloses, Lifetime::For);
        for cookie in [
            cookies.set_browser(&signed_in.cookie, lifetime),
            cookies.set_preferred(&signed_in.session.session_id),
            self.front.acquaint(&signed_in.device, proven, &visit.headers)?,
        ] {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(())
    }
}
