//! What a person says about themselves: OpenID Connect Core §5.1, a closed list of it (C087).

use std::sync::Arc;

use accounts::claims::{Claim, Claims, typed_name};
use accounts::users::{self, EDITABLE, User};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::Context;
use http::{HeaderMap, StatusCode};
use pages::see_other;
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};

use super::news::News;
use super::views::{Field, Here, Profile, Said};
use super::{Owner, Stop, absent, page};
use crate::{Account, Visit};

const HERE: &str = path::ACCOUNT_PROFILE;

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
        let user = account.user(&owner).await?;
        let fields = EDITABLE.map(|claim| Field {
            claim,
            value: user.claims.text(claim).unwrap_or_default().to_owned(),
            is_wrong: false,
        });
        let said = match (
            account.news(params.get("done"), &owner, &visit)?,
            params.get("changed"),
        ) {
            (Some(news), _) => Said::News(news),
            (None, Some(_)) => Said::ChangedMeanwhile,
            (None, None) => Said::Nothing,
        };
        account.profile_page(&owner, &user, fields.into(), said, &visit)
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
        refuse_others(&params)?;
        let user = account.user(&owner).await?;
        // Another tab, or another device: the person looks at that before theirs replaces it.
        let changed_meanwhile = see_other(&account.at(HERE, &[("changed", Some("1"))]));
        let (wanted, fields) = read(&params, &user);
        let is_wrong = fields.iter().any(|field| field.is_wrong);
        if params.get("seen") != Some(seen(&user).as_str()) {
            // The second of two clicks finds what the first saved.
            return match wanted == user.claims && !is_wrong {
                true => Ok(see_other(&account.telling(HERE, News::Saved, &owner, &visit)?)),
                false => Ok(changed_meanwhile),
            };
        }
        if is_wrong {
            return account.profile_page(&owner, &user, fields, Said::Nothing, &visit);
        }
        let (session, now) = (owner.session.session_id.clone(), visit.now);
        let work = account.front.db.transact(move |conn| {
            Box::pin(async move { users::set_claims(&user, &wanted, &session, &by, conn, now).await })
        });
        match work.await? {
            true => Ok(see_other(&account.telling(HERE, News::Saved, &owner, &visit)?)),
            false => Ok(changed_meanwhile),
        }
    };
    account.answered(outcome.await, &visit)
}

/// What the form was filled in with, as one value: a form that was open for long must not undo what was changed since.
fn seen(user: &User) -> String {
    let values = EDITABLE.map(|claim| user.claims.text(claim));
    seal::digest(&format!("{values:?}"))
}

/// A field that is not the person's to set is not ignored: whoever sends one believes that it does something.
fn refuse_others(params: &Params) -> Result<(), Error> {
    let is_known = |name: &str| {
        let claim: Option<Claim> = name.parse().ok();
        name == "csrf" || name == "seen" || claim.is_some_and(|claim| EDITABLE.contains(&claim))
    };
    match params.pairs().all(|(name, _)| is_known(name)) {
        true => Ok(()),
        false => Err(Error::invalid_request("the form has a field that cannot be set")),
    }
}

/// The claims that the form asks for, and its fields with what is wrong about them. A field that it does not have stays as
/// it is; an empty one is forgotten.
fn read(params: &Params, user: &User) -> (Claims, Vec<Field>) {
    let mut wanted = user.claims.clone();
    let fields = EDITABLE.map(|claim| {
        let given = params.pairs().find(|(name, _)| *name == claim.as_str());
        let Some((_, given)) = given else {
            return Field {
                claim,
                value: user.claims.text(claim).unwrap_or_default().to_owned(),
                is_wrong: false,
            };
        };
        let value = typed_name(given);
        let is_wrong = match value.is_empty() {
            true => {
                wanted.forget(claim);
                false
            }
            false => wanted.set(claim, value.as_str().into()).is_err(),
        };
        Field {
            claim,
            value,
            is_wrong,
        }
    });
    (wanted, fields.into())
}

impl Account {
    /// The record of whose page this is.
    pub(crate) async fn user(&self, owner: &Owner) -> Result<User, Stop> {
        let mut conn = self.front.db.reader().await?;
        let user = users::by_sub(&owner.session.sub, &mut conn).await?;
        user.ok_or_else(absent)
    }

    fn profile_page(
        &self,
        owner: &Owner,
        user: &User,
        fields: Vec<Field>,
        said: Said,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let status = match fields.iter().any(|field| field.is_wrong) {
            true => StatusCode::BAD_REQUEST,
            false => StatusCode::OK,
        };
        let (shell, mut frame, fresh) = self.frame(Here::Profile, HERE, owner, visit)?;
        if let Said::News(news) = said {
            frame.news = Some(news);
        }
        let view = Profile {
            shell,
            frame,
            email: user.email.shown().to_owned(),
            is_verified: user.email_verified,
            can_move: self.outbox.is_some(),
            fields,
            seen: seen(user),
            said,
        };
        Ok(page(view, status, fresh))
    }
}
