//! Steps that tests of the protocol take again and again, and the answers they look for.

use std::collections::BTreeMap;

use accounts::users::User;
use clients::Trust;
use events::Context;
use protocol::{Secret, SessionId};
use revocation::{Act, Outcome};
use serde_json::Value;

use super::app::{App, Tokens};
use super::{Answer, Visitor, World};

impl World {
    /// Ends something, as an operator would.
    pub(crate) async fn end(&self, act: Act) {
        let outcome = revocation::perform(act.clone(), &Context::command_line(), &self.db, self.now()).await;
        assert!(matches!(outcome, Ok(Outcome::Ended(_))), "{act:?}: {outcome:?}");
        match act {
            Act::DeleteClient(_) => self.heard().await,
            Act::EndApproval(..)
            | Act::RevokeToken { .. }
            | Act::EndSession(_)
            | Act::WithdrawConsent(_)
            | Act::DisableUser(_)
            | Act::RevokeUser(_)
            | Act::PasswordRecovered(_)
            | Act::EndSessionOf(..)
            | Act::EndOtherSessions { .. }
            | Act::RemoveApp(..)
            | Act::CredentialsChanged { .. }
            | Act::DeletionAsked(_) => self.heard_elsewhere().await,
        }
    }

    /// Replaces what the client registered.
    pub(crate) async fn update(&self, app: &App, document: Value) {
        self.updated(app, document).await;
    }

    /// The same, with the secret that came of it, if there is one.
    pub(crate) async fn updated(&self, app: &App, document: Value) -> Option<Secret> {
        let (id, now, vault) = (app.id.as_str().into(), self.now(), self.vault.clone());
        let updated = self.db.transact(move |conn| {
            Box::pin(async move {
                registry::update(&id, &document, &vault, &Context::command_line(), conn, now).await
            })
        });
        let updated = updated.await.expect("a valid client");
        self.heard().await;
        updated.secret
    }

    /// Gives the client another secret.
    pub(crate) async fn another_secret(&self, app: &App) -> App {
        let (id, now, vault) = (app.id.as_str().into(), self.now(), self.vault.clone());
        let added = self.db.transact(move |conn| {
            Box::pin(
                async move { clients::secrets::add(&id, &vault, &Context::command_line(), conn, now).await },
            )
        });
        let added = added.await.expect("room for a secret");
        self.heard().await;
        App {
            secret: Some(added.secret),
            ..app.clone()
        }
    }

    /// Gives the client this standing.
    pub(crate) async fn trust(&self, app: &App, trust: Trust) {
        let (id, now) = (app.id.as_str().into(), self.now());
        let set = self.db.transact(move |conn| {
            Box::pin(async move {
                clients::records::set_trust(&id, trust, &Context::command_line(), conn, now).await
            })
        });
        assert!(set.await.expect("the database"), "no such client");
        self.heard().await;
    }

    /// Until when an ending of this approval has to be told, as its row has it.
    pub(crate) async fn access_until(&self, approval: &Value) -> i64 {
        const OF_APPROVAL: &str = "SELECT access_until FROM approvals WHERE approval_id = $1";
        let mut conn = self.db.reader().await.expect("a connection");
        let (until,): (i64,) = db::run!(&mut conn, |c| sqlx::query_as(OF_APPROVAL)
            .bind(approval.as_str().expect("an id"))
            .fetch_one(c))
        .expect("the approval");
        until
    }

    /// The sessions of a user, oldest first.
    pub(crate) async fn sessions(&self, user: &User) -> Vec<SessionId> {
        const OF_USER: &str =
            "SELECT session_id FROM sessions WHERE sub = $1 ORDER BY created_at, session_id";
        let mut conn = self.db.reader().await.expect("a connection");
        let rows: Vec<(String,)> = db::run!(&mut conn, |c| sqlx::query_as(OF_USER)
            .bind(user.sub.as_str())
            .fetch_all(c))
        .expect("the sessions");
        rows.into_iter().map(|(id,)| id.into()).collect()
    }
}

impl Visitor<'_> {
    /// From the page of accounts on.
    pub(crate) async fn choose(&mut self, page: &Answer, email: &str) -> Answer {
        let accounts = page.accounts();
        let value = accounts
            .get(email)
            .unwrap_or_else(|| panic!("no {email}: {}", page.body));
        let answer = self.submit(&page.form().with("account", value)).await;
        self.follow(answer).await
    }
}

impl App {
    /// Tokens for this user, signed in with a new browser, of a request with these changes.
    pub(crate) async fn grant(&self, world: &World, user: &User, changes: &[(&'static str, &str)]) -> Tokens {
        let (_, tokens) = self.sign_in(world, user, changes).await;
        tokens
    }

    /// The same, with the browser to go on with.
    pub(crate) async fn sign_in<'w>(
        &self,
        world: &'w World,
        user: &User,
        changes: &[(&'static str, &str)],
    ) -> (Visitor<'w>, Tokens) {
        let mut visitor = world.visitor();
        let redirect = visitor.authorize(&self.url(changes), user.email.shown()).await;
        (visitor, self.tokens(world, &redirect).await)
    }

    /// A code for this user.
    pub(crate) async fn code(&self, world: &World, user: &User, changes: &[(&'static str, &str)]) -> String {
        let redirect = world
            .visitor()
            .authorize(&self.url(changes), user.email.shown())
            .await;
        redirect.param("code").expect("a code")
    }
}

impl Answer {
    /// RFC 6749 §5.2: a refusal in JSON that no cache keeps.
    #[track_caller]
    pub(crate) fn assert_refusal(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("cache-control"), Some("no-store"), "{}", self.body);
        let body = self.json();
        assert_eq!(body["error"], error, "{body}");
        assert!(body["error_description"].is_string(), "{body}");
        assert!(body.get("access_token").is_none(), "{body}");
    }

    /// A page of ours that says why it goes no further, and leads nowhere.
    #[track_caller]
    pub(crate) fn assert_page(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{:?} {}", self.location(), self.body);
        assert!(self.has(words), "{}", self.body);
        assert_eq!(self.location(), None);
        assert_eq!(self.header("refresh"), None);
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"));
    }

    #[track_caller]
    pub(crate) fn assert_rejected(&self) {
        self.assert_page(400, "<h1>Request rejected</h1>");
    }

    /// RFC 6749 §4.1.2.1: back at the app with this error, and without a code.
    #[track_caller]
    pub(crate) fn assert_error(&self, error: &str) {
        assert!(self.sent().is_some(), "{} {}", self.status, self.body);
        assert_eq!(
            self.param("error").as_deref(),
            Some(error),
            "{:?}",
            self.location()
        );
        assert_eq!(self.param("code"), None, "{:?}", self.location());
    }

    /// The code in the redirect to the app.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert!(self.sent().is_some(), "{} {}", self.status, self.body);
        self.param("code")
            .unwrap_or_else(|| panic!("no code: {:?}", self.location()))
    }

    pub(crate) fn asks_to_sign_in(&self) -> bool {
        self.has("id=\"login-submit\"")
    }

    /// The accounts to choose from, each with what chooses it.
    pub(crate) fn accounts(&self) -> BTreeMap<String, String> {
        let buttons = self.body.split("name=\"account\" value=\"").skip(1);
        let account = |button: &str| {
            let (value, rest) = button.split_once('"').expect("a value");
            let (inside, _) = rest.split_once("</button>").expect("an end");
            let email = inside.rsplit("<bdi").next().expect("a name");
            let email = email.split(['>', '<']).nth(1).expect("an address");
            (email.to_owned(), value.to_owned())
        };
        buttons.map(account).collect()
    }

    /// Where the page of accounts leads whoever wants none of them.
    pub(crate) fn other_account(&self) -> String {
        let link = self.body.split("href=\"").find(|link| link.contains("other=1"));
        let link = link.and_then(|link| link.split('"').next());
        link.unwrap_or_else(|| panic!("no link: {}", self.body))
            .replace("&amp;", "&")
    }

    pub(crate) fn asks_for_consent(&self) -> bool {
        self.has("id=\"consent-allow\"")
    }
}
