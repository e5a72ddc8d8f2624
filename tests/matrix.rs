//! Every page in every state: what has to be shown by some test, and by which is for the tours to say (`browser`).
//!
//! The routes of the table are those of the router: a page that is routed and not here fails.

use std::collections::BTreeSet;

use demo::REDIRECT_PATH;
use http::StatusCode;
use protocol::{Answers, SignUp, path};

use crate::harness::World;
use crate::harness::letters::world_with;
use crate::harness::world::Own;

/// One page in one state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its name, as in the names of pictures.
    pub(crate) page: &'static str,
    /// Where it stands; none where it stands wherever something goes wrong.
    pub(crate) route: Option<&'static str>,
    pub(crate) who: Who,
    pub(crate) status: u16,
    pub(crate) state: State,
}

/// Who is signed in on the browser that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Nobody,
    Somebody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As it comes.
    Calm,
    /// A form came back with what is wrong with it.
    Wrong,
}

use State::Wrong;
use Who::{Nobody, Somebody};

const fn at(route: &'static str, who: Who, page: &'static str) -> Entry {
    Entry {
        page,
        route: Some(route),
        who,
        status: 200,
        state: State::Calm,
    }
}

const fn anywhere(who: Who, page: &'static str) -> Entry {
    Entry {
        route: None,
        ..at("", who, page)
    }
}

impl Entry {
    const fn with(self, status: u16) -> Self {
        Self { status, ..self }
    }

    const fn wrong(self, status: u16) -> Self {
        Self {
            state: Wrong,
            ..self.with(status)
        }
    }
}

const DEMO_HOME: &str = "/";

pub(crate) const MATRIX: &[Entry] = &[
    // On the way to an app.
    at(path::LOGIN, Nobody, "sign-in"),
    at(path::LOGIN, Nobody, "sign-in-app"),
    at(path::LOGIN, Nobody, "sign-in-create"),
    at(path::LOGIN, Nobody, "sign-in-forgot"),
    at(path::LOGIN, Nobody, "sign-in-unverified"),
    at(path::LOGIN, Nobody, "sign-in-wrong").wrong(400),
    at(path::LOGIN, Nobody, "sign-in-busy").wrong(503),
    at(path::LOGIN, Nobody, "sign-in-too-many").wrong(429),
    at(path::LOGIN, Nobody, "account-sign-in"),
    at(path::LOGIN, Somebody, "confirm"),
    at(path::LOGIN, Somebody, "confirm-wrong").wrong(400),
    at(path::LOGIN, Somebody, "account-sudo"),
    at(path::LOGIN, Somebody, "choose"),
    at(path::CONSENT, Somebody, "consent"),
    at(path::CONSENT, Somebody, "consent-app"),
    at(path::CONSENT, Somebody, "consent-more"),
    at(path::CONSENT, Somebody, "consent-unverified"),
    at(path::AUTHORIZE, Somebody, "completed").with(400),
    at(path::AUTHORIZE, Nobody, "rejected").with(400),
    at(path::AUTHORIZE, Nobody, "leave"),
    at(path::AUTHORIZE, Nobody, "leave-form"),
    at(path::AUTHORIZE, Somebody, "form-post"),
    // Signing out.
    at(path::LOGOUT_CONFIRM, Somebody, "sign-out"),
    at(path::LOGOUT_CONFIRM, Somebody, "sign-out-app"),
    at(path::LOGOUT_CONFIRM, Somebody, "sign-out-several"),
    at(path::LOGOUT, Somebody, "still-signed-in"),
    at(path::LOGOUT, Nobody, "signed-out"),
    at(path::LOGOUT, Nobody, "signed-out-frames"),
    at(path::LOGOUT, Nobody, "signed-out-app"),
    // A forgotten password, and an address to confirm.
    at(path::RECOVER, Nobody, "recover"),
    at(path::RECOVER, Nobody, "recover-none"),
    at(path::RECOVER, Nobody, "recover-wrong").wrong(400),
    at(path::RECOVER, Nobody, "recover-too-many").wrong(429),
    at(path::RECOVER_SENT, Nobody, "recover-sent"),
    at(path::RECOVER_SENT, Nobody, "recover-sent-elsewhere"),
    at(path::RECOVER_PASSWORD, Nobody, "password"),
    at(path::RECOVER_PASSWORD, Nobody, "password-wrong").wrong(400),
    at(path::RECOVER_PASSWORD, Nobody, "link-used").with(410),
    at(path::RECOVER_PASSWORD, Nobody, "link-expired").with(410),
    at(path::RECOVER_PASSWORD, Nobody, "link-disabled").with(403),
    at(path::RECOVER_PASSWORD, Nobody, "link-foreign").with(404),
    at(path::RECOVER_ACCOUNT, Nobody, "take-back"),
    at(path::RECOVER_ACCOUNT, Nobody, "take-back-wrong").wrong(400),
    at(path::RECOVER_ACCOUNT, Nobody, "take-back-used").with(410),
    at(path::RECOVER_DONE, Nobody, "password-done"),
    at(path::RECOVER_DONE, Nobody, "password-done-elsewhere"),
    at(path::VERIFY, Nobody, "verify"),
    at(path::VERIFY, Nobody, "verify-expired").with(410),
    at(path::VERIFY_SENT, Nobody, "verify-sent"),
    at(path::VERIFY_DONE, Nobody, "verify-done"),
    at(path::DEV_MAILBOX, Nobody, "mailbox"),
    at(path::DEV_MAILBOX, Nobody, "mailbox-empty"),
    at(path::DEV_MAIL, Nobody, "mail"),
    // A new account.
    at(path::SIGN_UP, Nobody, "sign-up"),
    at(path::SIGN_UP, Nobody, "sign-up-wrong").wrong(400),
    at(path::SIGN_UP, Nobody, "sign-up-too-many").wrong(429),
    at(path::SIGN_UP, Nobody, "sign-up-closed").with(403),
    at(path::SIGN_UP, Nobody, "sign-up-invitation").with(403),
    at(path::SIGN_UP_SENT, Nobody, "sign-up-sent"),
    at(path::SIGN_UP_ACCOUNT, Nobody, "sign-up-account"),
    at(path::SIGN_UP_ACCOUNT, Nobody, "sign-up-account-wrong").wrong(400),
    at(path::SIGN_UP_ACCOUNT, Somebody, "sign-up-used").with(410),
    at(path::SIGN_UP_ACCOUNT, Somebody, "sign-up-known"),
    at(path::SIGN_UP_ACCOUNT, Somebody, "sign-up-foreign").with(404),
    at(path::SIGN_UP_ACCOUNT, Somebody, "sign-up-expired").with(410),
    at(path::SIGN_UP_ACCOUNT, Nobody, "sign-up-invitation-expired").with(410),
    at(path::SIGN_UP_DONE, Somebody, "sign-up-done"),
    // The account.
    at(path::ACCOUNT, Somebody, "account"),
    at(path::ACCOUNT_SWITCH, Somebody, "account-switch-alone"),
    at(path::ACCOUNT_SWITCH, Somebody, "account-switch"),
    at(path::ACCOUNT_ACTIVITY, Somebody, "account-activity"),
    at(path::ACCOUNT_PROFILE, Somebody, "account-profile"),
    at(path::ACCOUNT_PROFILE, Somebody, "account-profile-wrong").wrong(400),
    at(path::ACCOUNT_PROFILE, Somebody, "account-profile-done"),
    at(path::ACCOUNT_PASSWORD, Somebody, "account-password"),
    at(path::ACCOUNT_PASSWORD, Somebody, "account-password-wrong").wrong(400),
    at(path::ACCOUNT_PASSWORD, Somebody, "account-password-done"),
    at(path::ACCOUNT_SESSIONS, Somebody, "account-sessions-one"),
    at(path::ACCOUNT_SESSIONS, Somebody, "account-sessions"),
    at(path::ACCOUNT_SESSIONS, Somebody, "account-sessions-wrong").wrong(400),
    at(path::ACCOUNT_SESSIONS, Somebody, "account-sessions-named"),
    at(path::ACCOUNT_APPS, Somebody, "account-apps-none"),
    at(path::ACCOUNT_APPS, Somebody, "account-apps"),
    at(path::ACCOUNT_APP, Somebody, "account-app"),
    at(path::ACCOUNT_EMAIL, Somebody, "account-email"),
    at(path::ACCOUNT_EMAIL, Somebody, "account-email-wrong").wrong(400),
    at(path::ACCOUNT_EMAIL, Somebody, "account-email-wrong-password").wrong(400),
    at(path::ACCOUNT_EMAIL, Somebody, "account-email-sent"),
    at(path::ACCOUNT_EMAIL_CONFIRM, Somebody, "account-email-confirm"),
    at(path::ACCOUNT_EMAIL_CONFIRM, Somebody, "account-email-taken").wrong(409),
    at(path::ACCOUNT_EXPORT, Somebody, "account-data"),
    at(path::ACCOUNT_DELETE, Somebody, "account-delete"),
    at(path::ACCOUNT_DELETE, Somebody, "account-delete-wrong").wrong(400),
    at(path::ACCOUNT_DELETED, Nobody, "account-deleted"),
    // For developers, and what only some sites have.
    at(path::ERRORS, Nobody, "errors"),
    at(path::LOGIN, Nobody, "sign-in-operator"),
    at(path::RECOVER, Nobody, "recover-none-operator"),
    at(path::ACCOUNT_APP, Somebody, "account-app-operator"),
    anywhere(Nobody, "trouble-operator").with(500),
    // What goes wrong, one page for each status.
    at(path::LOGIN, Nobody, "expired").with(400),
    at(path::RECOVER, Nobody, "odd").with(400),
    at(path::RECOVER, Nobody, "unconfirmed").with(403),
    anywhere(Nobody, "not-found").with(404),
    at(path::RECOVER_SENT, Nobody, "wrong-method").with(405),
    at(path::RECOVER, Nobody, "too-large").with(413),
    at(path::AUTHORIZE, Nobody, "too-long").with(414),
    anywhere(Nobody, "too-many").with(429),
    anywhere(Nobody, "trouble").with(500),
    anywhere(Nobody, "busy").with(503),
    // The demo app.
    at(DEMO_HOME, Nobody, "demo-home"),
    at(DEMO_HOME, Somebody, "demo-signed-in"),
    at(REDIRECT_PATH, Nobody, "demo-problem").with(400),
];

/// The entry of this name.
#[track_caller]
pub(crate) fn entry(page: &str) -> Entry {
    let found = MATRIX.iter().find(|entry| entry.page == page);
    *found.unwrap_or_else(|| panic!("{page} is not in the table of pages"))
}

/// Whether an address is one of a route.
pub(crate) fn fits(route: &str, path: &str) -> bool {
    let (wanted, given) = (route.split('/'), path.split('/'));
    wanted.clone().count() == given.clone().count()
        && wanted
            .zip(given)
            .all(|(wanted, given)| wanted == given || wanted.starts_with('{') && !given.is_empty())
}

/// A server that shows every page there is.
pub(crate) async fn world_with_every_page() -> World {
    world_with_every_page_on(db::testing::sqlite_url()).await
}

pub(crate) async fn world_with_every_page_on(database: db::Url) -> World {
    let own = Own {
        sign_up: Some(SignUp::Open),
        ..Own::default()
    };
    world_with(database, own).await.0
}

#[tokio::test]
async fn every_page_that_is_routed_is_in_the_table_and_nothing_else() {
    let world = world_with_every_page().await;
    let routed = world
        .routes()
        .iter()
        .filter(|route| route.answers == Answers::Pages);
    let ours: BTreeSet<&str> = routed.map(|route| route.path.as_str()).collect();
    let demo = demo_routes(&world).await;
    let demo: BTreeSet<&str> = demo.iter().map(String::as_str).collect();
    let table: BTreeSet<&str> = MATRIX.iter().filter_map(|entry| entry.route).collect();
    let routed: BTreeSet<&str> = ours.union(&demo).copied().collect();
    assert_eq!(table, routed);
    assert!(ours.len() > 25, "{ours:?}");
}

async fn demo_routes(world: &World) -> Vec<String> {
    let routes = crate::browser::demo_app(world).await.routes();
    let pages = routes
        .list()
        .iter()
        .filter(|route| route.answers == Answers::Pages);
    pages.map(|route| route.path.clone()).collect()
}

#[test]
fn the_table_names_each_page_once_with_a_status_that_there_is() {
    let names: BTreeSet<&str> = MATRIX.iter().map(|entry| entry.page).collect();
    assert_eq!(names.len(), MATRIX.len());
    for entry in MATRIX {
        let status = StatusCode::from_u16(entry.status).unwrap();
        assert_eq!(
            status.is_client_error() || status.is_server_error(),
            entry.status >= 400
        );
        assert!(entry.state != Wrong || entry.status >= 400, "{}", entry.page);
    }
}

#[test]
fn an_address_fits_its_own_route() {
    for (route, path, does) in [
        ("/account/apps/{consent_id}", "/account/apps/x", true),
        ("/account/apps/{consent_id}", "/account/apps/", false),
        ("/account/apps/{consent_id}", "/account/apps", false),
        ("/account/apps", "/account/apps/x", false),
        ("/login", "/login", true),
    ] {
        assert_eq!(fits(route, path), does, "{route} {path}");
    }
}
