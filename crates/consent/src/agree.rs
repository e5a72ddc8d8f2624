//! Consent: OpenID Connect Core §3.1.2.4. Says who asks and what for; records what was allowed.

use std::sync::Arc;

use accounts::claims::{Claim, beyond};
use accounts::sessions::Session;
use accounts::users::{self, User};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use clients::Client;
use db::Conn;
use events::Context;
use grants::consents::{self, Confirmed, Given};
use grants::flow::{Answer, Binding};
use grants::{AuthorizationRequest, Flow};
use http::HeaderMap;
use issuance::Target;
use pages::Page;
use pages::front::session_for;
use protocol::form::Form;
use protocol::{Error, Params, RequestId, Scope, scope};

use crate::tidings::vouched_for;
use crate::views::{self, Group, Permission, Person};
use crate::{Carried, Consent, Stop, Tiding, Visit, awaits_account};

/// Everything the page shows, read at one moment.
struct Asked {
    client: Client,
    session: Session,
    user: User,
    target: Target,
    /// What was allowed before, to a client that looked the same.
    before: Option<grants::Consent>,
}

pub(crate) async fn show(
    State(consent): State<Arc<Consent>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = consent.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let carried = consent.carried(&params, &visit).await?;
        match consent.asked(&carried.flow, &visit).await? {
            Some(asked) => consent.consent_page(carried, &asked, &visit).await,
            // Nobody is signed in any more, or not who was chosen.
            None => Ok(consent.resume(&carried.flow, &carried.sealed)),
        }
    };
    outcome
        .await
        .unwrap_or_else(|stop| consent.stopped(&stop, &visit))
}

pub(crate) async fn submit(
    State(consent): State<Arc<Consent>>,
    Extension(id): Extension<RequestId>,
    by: Context,
    headers: HeaderMap,
    form: Result<Form, Error>,
) -> Response {
    let visit = consent.visit(id, headers);
    let outcome = async {
        consent.front.check_origin(&visit.headers)?;
        let Form(params) = form?;
        let carried = consent.carried(&params, &visit).await?;
        let Some(asked) = consent.asked(&carried.flow, &visit).await? else {
            return Ok(consent.resume(&carried.flow, &carried.sealed));
        };
        let about = asked.about(&carried.flow);
        consent
            .front
            .check_csrf(&visit.headers, &about, params.get("csrf"))?;
        match params.get("decision") {
            Some("allow") => consent.allow(carried, asked, by, &visit).await,
            Some("deny") => consent.deny(carried),
            _ => Err(Error::invalid_request("decision is allow or deny").into()),
        }
    };
    outcome
        .await
        .unwrap_or_else(|stop| consent.stopped(&stop, &visit))
}

impl Consent {
    async fn asked(&self, flow: &Flow, visit: &Visit) -> Result<Option<Asked>, Stop> {
        let request = flow.request();
        let mut conn = self.front.db.reader().await?;
        let Some(sessions) = self.front.sessions(&visit.headers, &mut conn, visit.now).await? else {
            return Ok(None);
        };
        let client = self.client(flow, &mut conn).await?;
        let session = session_for(flow, &self.front.names(&client)?, &sessions).clone();
        // The endpoint leads on to where an account is made.
        if !flow.has_chosen(&session.session_id) || awaits_account(flow, Some(&session)) {
            return Ok(None);
        }
        let Some(user) = users::by_sub(&session.sub, &mut conn).await? else {
            return Ok(None);
        };
        let before = before(request, &client, &session, &mut conn).await?;
        drop(conn);
        let target = Target::find(&request.resources, &self.clients).await?;
        Ok(Some(Asked {
            client,
            session,
            user,
            target,
            before,
        }))
    }

    async fn consent_page(&self, carried: Carried, asked: &Asked, visit: &Visit) -> Result<Response, Stop> {
        let request = carried.flow.request();
        let allowed = |token: &str| {
            asked
                .before
                .as_ref()
                .is_some_and(|before| before.scope.contains(token))
        };
        let (already, fresh): (Vec<Claim>, Vec<Claim>) = beyond(&request.claims, &request.scope)
            .into_iter()
            .partition(|claim| asked.was_allowed(*claim));
        let shell = self
            .front
            .shell(&visit.headers, request.ui_locales.as_deref(), &visit.id);
        let app = self.app(&asked.client, &carried.flow, &shell).await?;
        let scope = request.to_allow(asked.client.may_refresh());
        let view = views::Consent {
            shell,
            csrf: self
                .front
                .csrf_token(&carried.cookie, &asked.about(&carried.flow))?,
            app,
            person: Person {
                name: asked.session.name.clone(),
                email: asked.session.email.clone(),
            },
            fresh: asked.groups(&scope.retain(|token| !allowed(token)), &fresh),
            already: asked.groups(&scope.retain(allowed), &already),
            flow: carried.sealed,
        };
        Ok(Page::new(view).into_response())
    }

    async fn allow(
        &self,
        carried: Carried,
        asked: Asked,
        by: Context,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let request = carried.flow.request();
        let scope = request.to_allow(asked.client.may_refresh());
        let stays = scope.contains(scope::OFFLINE_ACCESS);
        let language = self
            .front
            .shell(&visit.headers, request.ui_locales.as_deref(), &visit.id)
            .locale()
            .tag();
        let (session, tidings) = (asked.session.clone(), self.tidings.clone());
        let confirmed = Confirmed {
            sub: asked.session.sub,
            client_id: asked.client.id,
            client_version: asked.client.version,
            scope,
            resources: request.resources.clone(),
            claims: by_name(request),
            session_id: asked.session.session_id,
            flow_id: carried.flow.id.clone(),
        };
        let now = visit.now;
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                // A session that ended meanwhile allows nothing; the endpoint will ask for sign-in.
                if !accounts::sessions::lock_live(&confirmed.session_id, conn, now).await? {
                    return Ok(());
                }
                let given = consents::record(&confirmed, &by, conn, now).await?;
                // Whoever sits at an open browser gives an app of theirs what outlives the session, and no new password.
                if let Given::Anew(before) = given
                    && stays
                    && !before.is_some_and(|before| before.contains(scope::OFFLINE_ACCESS))
                {
                    let app = vouched_for(Some(&confirmed.client_id), language, conn).await?;
                    let tiding = Tiding::AppStays { app };
                    tidings.tell(&session, tiding, language, conn, now).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        work.await?;
        Ok(self.resume(&carried.flow, &carried.sealed))
    }

    fn deny(&self, carried: Carried) -> Result<Response, Stop> {
        let flow = carried.flow.answered(Answer::Denied);
        let sealed = self.front.seal(&flow, Binding::Browser(&carried.cookie))?;
        Ok(self.resume(&flow, &sealed))
    }
}

/// The claims that are allowed by name, because the scope does not release them.
fn by_name(request: &AuthorizationRequest) -> Vec<String> {
    let claims = beyond(&request.claims, &request.scope).into_iter();
    claims.map(|claim| claim.to_string()).collect()
}

async fn before(
    request: &AuthorizationRequest,
    client: &Client,
    session: &Session,
    conn: &mut Conn,
) -> db::Result<Option<grants::Consent>> {
    let before = consents::of(&session.sub, &request.client_id, conn).await?;
    Ok(before.filter(|before| before.client_version == client.version))
}

/// The scopes that we give ourselves, in the order in which people read them: who you are before how to reach you,
/// and for how long at the end.
const OWN: [&str; 6] = [
    scope::OPENID,
    scope::PROFILE,
    scope::EMAIL,
    scope::PHONE,
    scope::ADDRESS,
    scope::OFFLINE_ACCESS,
];

impl Asked {
    /// What the person saw: an answer given to another page (as another user, of a client that has changed) does
    /// not count.
    fn about(&self, flow: &Flow) -> String {
        let request = flow.request();
        format!(
            "consent {} {} {} {} {} {}",
            flow.id,
            self.session.session_id,
            self.client.version,
            request.scope,
            request.resources.join(" "),
            by_name(request).join(" ")
        )
    }

    fn was_allowed(&self, claim: Claim) -> bool {
        self.before.as_ref().is_some_and(|before| {
            before.scope.contains(claim.scope()) || before.claims.iter().any(|own| own == claim.as_str())
        })
    }

    /// The permissions of a scope, and of claims besides, by who gives them.
    fn groups(&self, scope: &Scope, claims: &[Claim]) -> Vec<Group> {
        let own = OWN
            .into_iter()
            .filter(|token| scope.contains(token))
            .filter_map(|token| self.own(token))
            .chain(claims.iter().map(|claim| self.claim(*claim)))
            .collect();
        let apis = self.target.iter().map(|api| Group {
            api: Some(api.name.clone()),
            permissions: scope
                .iter()
                .filter_map(|token| api.scopes.get(token))
                .map(|text| Permission::Api { text: text.clone() })
                .collect(),
        });
        let groups = std::iter::once(Group {
            api: None,
            permissions: own,
        })
        .chain(apis);
        groups.filter(|group| !group.permissions.is_empty()).collect()
    }

    fn claim(&self, claim: Claim) -> Permission {
        let value = match claim {
            Claim::Address => self.address(),
            _ => self
                .user
                .claim(claim)
                .and_then(|value| value.as_str().map(str::to_owned)),
        };
        Permission::Claim { claim, value }
    }

    fn own(&self, token: &str) -> Option<Permission> {
        let text = |claim| {
            self.user
                .claim(claim)
                .and_then(|value| value.as_str().map(str::to_owned))
        };
        Some(match token {
            scope::OPENID => Permission::OpenId,
            scope::PROFILE => Permission::Profile {
                name: text(Claim::Name),
            },
            scope::EMAIL => Permission::Email {
                email: text(Claim::Email),
            },
            scope::PHONE => Permission::Phone {
                phone: text(Claim::PhoneNumber),
            },
            scope::ADDRESS => Permission::Address {
                address: self.address(),
            },
            scope::OFFLINE_ACCESS => Permission::OfflineAccess,
            _ => return None,
        })
    }

    fn address(&self) -> Option<String> {
        let address = self.user.claim(Claim::Address)?;
        let part = |name: &str| address.get(name).and_then(|value| value.as_str());
        if let Some(formatted) = part("formatted") {
            return Some(formatted.replace('\n', ", "));
        }
        let parts = ["street_address", "postal_code", "locality", "region", "country"]
            .into_iter()
            .filter_map(part);
        Some(parts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    }
}
