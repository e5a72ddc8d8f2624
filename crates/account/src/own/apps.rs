//! Apps that a person allowed to use their account, and how they take it back: C020, C086.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use clients::logos::{self, Digest};
use clients::{Client, Trust};
use events::Context;
use grants::allowed::{self, Allowed};
use http::{HeaderMap, StatusCode};
use pages::{Shell, see_other};
use protocol::form::Form;
use protocol::{ConsentId, Error, Params, RequestId, path};
use revocation::{Act, Outcome};

use super::news::News;
use super::views::{App, AppPage, Apps, Group, Here, Permission};
use super::{Owner, Stop, absent, page};
use crate::notices::What;
use crate::{Account, Visit};

const HERE: &str = path::ACCOUNT_APPS;

pub(crate) async fn list(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let owner = account.owner(HERE, &visit).await?;
        let (shell, mut frame, fresh) = account.frame(Here::Apps, HERE, &owner, &visit)?;
        frame.news = account.news(params.get("done"), &owner, &visit)?;
        let allowed = allowed::of_user(&owner.session.sub, &mut account.front.db.reader().await?).await?;
        let mut clients = HashMap::new();
        for client in allowed.iter().map(|allowed| &allowed.client_id) {
            if let Some(client) = account.clients.client(client).await? {
                clients.insert(client.id.clone(), client);
            }
        }
        let held = clients.values().map(AsRef::as_ref);
        let logos = logos::of_all(held, &mut account.front.db.reader().await?).await?;
        let shown = allowed.iter().filter_map(|allowed| {
            let client = clients.get(&allowed.client_id)?;
            Some(app(allowed, client, logos.get(&client.id), &shell))
        });
        let apps = shown.collect();
        Ok(page(Apps { shell, frame, apps }, StatusCode::OK, fresh))
    };
    account.answered(outcome.await, &visit)
}

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    consent: Result<Path<String>, PathRejection>,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let consent = named(consent)?;
        let here = one(&consent);
        let owner = account.owner(&here, &visit).await?;
        let (shell, frame, fresh) = account.frame(Here::Apps, &here, &owner, &visit)?;
        let mut conn = account.front.db.reader().await?;
        let consent = ConsentId::from(consent);
        let allowed = allowed::one(&owner.session.sub, &consent, &mut conn).await?;
        let allowed = allowed.ok_or_else(absent)?;
        let client = clients::records::by_id(&allowed.client_id, &mut conn).await?;
        let client = client.ok_or_else(absent)?;
        let logo = logos::of(&client, &mut conn).await?;
        let app = app(&allowed, &client, logo.as_ref(), &shell);
        drop(conn);
        let report = shell
            .operator
            .contact
            .as_ref()
            .map(|contact| contact.about(client.id.as_str()));
        let groups = account.groups(&allowed).await?;
        Ok(page(
            AppPage {
                shell,
                frame,
                app,
                groups,
                report,
            },
            StatusCode::OK,
            fresh,
        ))
    };
    account.answered(outcome.await, &visit)
}

pub(crate) async fn submit(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    by: Context,
    headers: HeaderMap,
    consent: Result<Path<String>, PathRejection>,
    form: Result<Form, Error>,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let consent = named(consent)?;
        let (owner, _) = account.submitted(&one(&consent), form, &visit).await?;
        let consent = ConsentId::from(consent);
        match account.remove_app(&consent, &owner, by, &visit).await? {
            Outcome::Unknown => {
                let mut conn = account.front.db.reader().await?;
                // A second click finds what the first did.
                match allowed::was_of(&consent, &owner.session.sub, &mut conn).await? {
                    true => Ok(see_other(&account.at(HERE, &[]))),
                    false => Err(absent()),
                }
            }
            Outcome::Ended(_) => {
                tracing::info!(sub = %owner.session.sub, "an app was disconnected");
                Ok(see_other(&account.telling(
                    HERE,
                    News::AppRemoved,
                    &owner,
                    &visit,
                )?))
            }
        }
    };
    account.answered(outcome.await, &visit)
}

/// Nothing else is asked the database for: PostgreSQL refuses a text with NUL in it.
fn named(consent: Result<Path<String>, PathRejection>) -> Result<String, Stop> {
    let is_of_ids = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match consent {
        Ok(Path(consent)) if consent.chars().all(is_of_ids) => Ok(consent),
        // Bytes that are no text among them.
        Ok(_) | Err(_) => Err(absent()),
    }
}

/// The path of one app's page.
fn one(consent: &str) -> String {
    format!("{HERE}/{consent}")
}

fn app(allowed: &Allowed, client: &Client, logo: Option<&Digest>, shell: &Shell) -> App {
    App {
        id: allowed.id.to_string(),
        name: client.name_in(shell.locale().tag()),
        logo: logo.map(|digest| format!("{}/logos/{digest}.png", shell.base)),
        is_unverified: client.trust == Trust::Unverified,
        since: allowed.since,
        last_used_at: allowed.last_used_at,
    }
}

impl Account {
    /// And tells the person, by a name that somebody vouches for: a browser that was left open does for this.
    async fn remove_app(
        &self,
        consent: &ConsentId,
        owner: &Owner,
        by: Context,
        visit: &Visit,
    ) -> Result<Outcome, Error> {
        let (consent, session, now) = (consent.clone(), owner.session.clone(), visit.now);
        let locale = self.shell(visit, None).locale().tag();
        let outbox = self.outbox.clone();
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let allowed = allowed::one(&session.sub, &consent, conn).await?;
                let act = Act::RemoveApp(consent, session.sub.clone());
                let outcome = revocation::perform_in(&act, &by, conn, now).await?;
                if let (Outcome::Ended(_), Some(allowed), Some(outbox)) = (outcome, allowed, outbox) {
                    let client = clients::records::by_id(&allowed.client_id, conn).await?;
                    let trusted = client.filter(|client| client.trust == Trust::Trusted);
                    let app = trusted.map(|client| client.name_in(locale));
                    let removed = What::AppRemoved(app);
                    outbox.about_app(&session, removed, locale, conn, now).await?;
                }
                Ok::<_, db::Error>(outcome)
            })
        });
        Ok(work.await?)
    }

    /// What was allowed, by who gives it: ourselves first, then each API.
    async fn groups(&self, allowed: &Allowed) -> Result<Vec<Group>, Error> {
        let mut own = Vec::new();
        for token in super::views::OWN_SCOPES {
            if allowed.scope.contains(token) {
                own.extend(Permission::of_scope(token));
            }
        }
        let by_name = allowed.claims.iter().filter_map(|name| name.parse().ok());
        own.extend(by_name.map(Permission::Claim));
        let mut groups = vec![Group {
            api: None,
            permissions: own,
        }];
        for identifier in &allowed.resources {
            let Some(resource) = self.clients.resource(identifier).await? else {
                continue;
            };
            let texts = allowed
                .scope
                .iter()
                .filter_map(|token| resource.scopes.get(token));
            groups.push(Group {
                api: Some(resource.name.clone()),
                permissions: texts.map(|text| Permission::Api(text.clone())).collect(),
            });
        }
        groups.retain(|group| !group.permissions.is_empty());
        Ok(groups)
    }
}
