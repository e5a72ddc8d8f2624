//! What a person says about themselves: OpenID Connect Core §5.1, a closed list of it (C087).

use std::sync::Arc;

use accounts::claims::{Claim, Claims};
use accounts::users::{self, EDITABLE, User};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use events::Context;
use http::{HeaderMap, StatusCode};
use pages::see_other;
use protocol::form::Form;
use protocol::{Error, Params, RequestId, path};

use super::views::{Field, Here, Profile};
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
        let is_done = params.get("done").is_some();
        account.profile_page(&owner, &user, fields.into(), is_done, &visit)
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
        let (wanted, fields) = read(&params, &user);
        if fields.iter().any(|field| field.is_wrong) {
            return account.profile_page(&owner, &user, fields, false, &visit);
        }
        let (session, now) = (owner.session.session_id.clone(), visit.now);
        let work = account.front.db.transact(move |conn| {
            Box::pin(async move { users::set_claims(&user, &wanted, &session, &by, conn, now).await })
        });
        match work.await? {
            true => Ok(see_other(&account.at(HERE, &[("done", Some("1"))]))),
            // Another change came first: the person looks at that before theirs replaces it.
            false => Ok(see_other(&account.at(HERE, &[]))),
        }
    };
    account.answered(outcome.await, &visit)
}

/// A field that is not the person's to set is not ignored: whoever sends one believes that it does something.
fn refuse_others(params: &Params) -> Result<(), Error> {
    let is_known = |name: &str| {
        let claim: Option<Claim> = name.parse().ok();
        name == "csrf" || claim.is_some_and(|claim| EDITABLE.contains(&claim))
    };
    match params.pairs().all(|(name, _)| is_known(name)) {
        true => Ok(()),
        false => Err(Error::invalid_request("the form has a field that cannot be set")),
    }
}

/// The claims that the form asks for, and its fields with what is wrong about them.
fn read(params: &Params, user: &User) -> (Claims, Vec<Field>) {
    let mut wanted = user.claims.clone();
    let fields = EDITABLE.map(|claim| {
        let value = visible(params.get(claim.as_str()).unwrap_or_default());
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

/// Without what turns the writing around or cannot be seen: such a name would change how others read the words beside it.
/// What joins letters of a script stays.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        matches!(c, '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let kept: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    kept.trim().to_owned()
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
        is_done: bool,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let status = match fields.iter().any(|field| field.is_wrong) {
            true => StatusCode::BAD_REQUEST,
            false => StatusCode::OK,
        };
        let (shell, frame, fresh) = self.frame(Here::Profile, HERE, owner, visit)?;
        let view = Profile {
            shell,
            frame,
            email: user.email.shown().to_owned(),
            is_verified: user.email_verified,
            can_move: self.outbox.is_some(),
            fields,
            is_done,
        };
        Ok(page(view, status, fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_left_out_and_scripts_stay_joined() {
        assert_eq!(visible(" Zo\u{eb}\u{202e}\u{200b} "), "Zo\u{eb}");
        assert_eq!(visible("می\u{200c}خواهم"), "می\u{200c}خواهم");
        assert_eq!(visible("\u{feff}\u{2066}"), "");
    }
}
