//! Every page in every look: light and dark, on a phone and on a desk. Each has to satisfy axe (WCAG 2.2 AA), fit
//! its window, obey its own policy and load nothing from elsewhere.
//!
//! COUNTERSIGN_TEST_SCREENSHOTS names a folder in which to keep what was seen.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use accounts::passwords::HasherSettings;
use axum::Router;
use axum::response::Html;
use axum::routing::get;
use clients::Trust;
use pages::Site;
use pages::error::Failure;
use protocol::SigningAlg;
use serde_json::json;

use super::places::Demo;
use crate::harness::axe::assert_axe_clean;
use crate::harness::browser::{Browser, Scheme};
use crate::harness::site;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{App, World, rp};
use crate::pages::logos;

const SCHEMES: [(Scheme, &str); 2] = [(Scheme::Light, "light"), (Scheme::Dark, "dark")];
const WIDTHS: [u32; 2] = [320, 1280];
const HEIGHT: u32 = 800;

/// A browser that looks at pages of one origin.
pub(super) struct Reader {
    pub(super) browser: Browser,
    origin: String,
}

impl Reader {
    pub(super) async fn of(origin: &str) -> Self {
        Self {
            browser: Browser::open().await,
            origin: origin.trim_end_matches('/').to_owned(),
        }
    }

    /// Opens a page that nothing else leads to.
    pub(super) async fn open(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.origin)).await;
    }

    pub(super) async fn sign_in(&self, email: &str, password: &str) {
        self.browser.type_into("username", email).await;
        self.browser.type_into("password", password).await;
        self.browser.click("login-submit").await;
    }

    /// Judges the page that is shown, which has to have this heading.
    pub(super) async fn judge(&self, page: &str, heading: &str) {
        let browser = &self.browser;
        browser.await_heading(heading).await;
        for (scheme, scheme_name) in SCHEMES {
            for width in WIDTHS {
                let look = format!("{page}-{scheme_name}-{width}");
                browser.prefer(scheme).await;
                browser.resize(width, HEIGHT).await;
                browser.await_look(width, scheme).await;
                self.assert_fits(width, &look).await;
                assert_axe_clean(browser, &look).await;
                self.keep(&look, width).await;
            }
        }
        // The page's own status, where that is 4xx or 5xx, counts as an error of the network.
        let own = format!("network: {} - ", browser.url().await);
        let errors = browser.console_errors().await;
        let unexpected: Vec<_> = errors.iter().filter(|error| !error.starts_with(&own)).collect();
        assert!(unexpected.is_empty(), "{page}: {unexpected:?}");
        let origins = browser.request_origins().await;
        assert_eq!(origins, BTreeSet::from([self.origin.clone()]), "{page}");
    }

    /// Nothing scrolls sideways. A bar for scrolling down takes its width from the page.
    async fn assert_fits(&self, width: u32, look: &str) {
        let room = "return document.documentElement.clientWidth";
        let room = self.browser.execute(room, vec![]).await;
        assert!(room.as_u64() <= Some(width.into()), "{look}: {room}");
        assert_eq!(room, self.browser.scroll_width().await, "{look}");
    }

    /// The whole page, as long as it is.
    async fn keep(&self, look: &str, width: u32) {
        let Some(folder) = std::env::var_os("COUNTERSIGN_TEST_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        std::fs::create_dir_all(&folder).expect("a folder for screenshots");
        let height = self
            .browser
            .execute("return document.documentElement.scrollHeight", vec![])
            .await;
        let height = height
            .as_u64()
            .and_then(|height| height.try_into().ok())
            .expect("a height");
        self.browser.resize(width, height).await;
        self.browser.screenshot(&folder.join(format!("{look}.png"))).await;
    }

    /// Reads and forgets what was logged on the way here, when the way led over other origins.
    pub(super) async fn forget_the_way(&self) {
        self.browser.request_origins().await;
        self.browser.console_errors().await;
    }
}

/// An app whose redirect URI a browser can really open.
async fn app(world: &World, name: &str, trust: Trust) -> App {
    let callback = site::serve(Router::new().route("/cb", get(Html("<h1>Back at the app</h1>")))).await;
    let document = json!({
        "client_name": name,
        "redirect_uris": [format!("{callback}/cb")],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let (now, vault) = (world.now(), world.vault.clone());
    let registered = world.db.transact(move |conn| {
        Box::pin(async move {
            registry::register(&document, trust, &vault, &events::Context::server(), conn, now).await
        })
    });
    App::new(registered.await.expect("a valid client"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_on_the_way_to_an_app_fit_every_look() {
    let world = World::sqlite().await;
    let app = app(&world, "Test app", Trust::Trusted).await;
    let (user, api) = (world.user().await, world.resource(SigningAlg::Es256).await);
    let api_scope = api.scopes.keys().next().expect("one scope");
    let reader = Reader::of(&world.issuer).await;

    reader.open(&app.url(&[])).await;
    reader.judge("sign-in", "Sign in").await;
    reader.sign_in(user.email.shown(), "not the password").await;
    reader.browser.await_text("That email or password").await;
    reader.judge("sign-in-wrong", "Sign in").await;

    reader.sign_in(user.email.shown(), PASSWORD).await;
    reader.browser.await_text("Don't allow").await;
    let title = "Test app wants to use your Countersign account";
    reader.judge("consent", title).await;
    let flow = reader
        .browser
        .execute("return document.querySelector('[name=flow]').value", vec![])
        .await;
    reader.browser.click("consent-allow").await;
    reader.browser.await_text("Back at the app").await;
    reader.forget_the_way().await;

    let more = format!("openid profile email address phone offline_access {api_scope}");
    reader
        .open(&app.url(&[("scope", &more), ("resource", &api.identifier)]))
        .await;
    reader.judge("consent-more", title).await;
    reader
        .browser
        .execute("document.querySelector('details').open = true", vec![])
        .await;
    reader.forget_the_way().await;
    reader
        .open(&app.url(&[("prompt", "login"), ("state", "confirm")]))
        .await;
    reader.judge("confirm", "Confirm it's you").await;
    reader.sign_in_again_wrongly().await;
    reader.judge("confirm-wrong", "Confirm it's you").await;

    world.pass(Duration::from_secs(120));
    let flow = flow.as_str().expect("a sealed flow");
    reader.open(&format!("/authorize?flow={flow}")).await;
    reader.judge("completed", "Already completed").await;
}

impl Reader {
    async fn sign_in_again_wrongly(&self) {
        self.browser.type_into("password", "not the password").await;
        self.browser.click("login-submit").await;
        self.browser.await_text("That password isn't right").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_page_with_much_to_say_fits_every_look() {
    let world = World::sqlite().await;
    let name = "Wolfeschlegelsteinhausenbergerdorff Reports and Invoices";
    let app = app(&world, name, Trust::Unverified).await;
    let user = world.user().await;
    let reader = Reader::of(&world.issuer).await;
    reader
        .open(&app.url(&[("scope", "openid profile email address phone")]))
        .await;
    reader.sign_in(user.email.shown(), PASSWORD).await;
    reader.browser.await_text("Don't allow").await;
    reader
        .browser
        .await_text("We haven't checked this app. It registered itself.")
        .await;
    reader
        .judge(
            "consent-unverified",
            &format!("{name} wants to use your Countersign account"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_app_shows_of_itself_fits_every_look() {
    let world = World::sqlite().await;
    let (site, user) = (rp::Site::open().await, world.user().await);
    let document = json!({
        "client_name": "Test app",
        "logo_uri": site.put("/logo.png", "image/png", logos::png()),
        "policy_uri": "https://app.example.com/privacy",
        "tos_uri": "https://app.example.com/terms",
    });
    let shown = world.app_with(document).await;
    logos::picture_of(&shown, &world).await;
    let reader = Reader::of(&world.issuer).await;
    let is_seen =
        "const own = document.querySelector('.app-logo'); return own.complete && own.naturalWidth > 0";
    reader.open(&shown.url(&[])).await;
    assert_eq!(reader.browser.execute(is_seen, vec![]).await, true);
    reader.judge("sign-in-app", "Sign in").await;
    reader.sign_in(user.email.shown(), PASSWORD).await;
    reader.browser.await_text("Don't allow").await;
    assert_eq!(reader.browser.execute(is_seen, vec![]).await, true);
    reader
        .judge("consent-app", "Test app wants to use your Countersign account")
        .await;

    drop(reader);
    let stranger = app(&world, "Stranger", Trust::Unverified).await;
    let reader = Reader::of(&world.issuer).await;
    reader.open(&stranger.url(&[])).await;
    reader
        .browser
        .await_text("We haven't checked this app. It registered itself.")
        .await;
    reader.judge("sign-in-unverified", "Sign in").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_about_what_went_wrong_fit_every_look() {
    let world = World::sqlite_with(Own {
        hasher: Some(HasherSettings {
            queue: 0,
            ..HasherSettings::default()
        }),
        ..Own::default()
    })
    .await;
    let app = app(&world, "Test app", Trust::Trusted).await;
    let reader = Reader::of(&world.issuer).await;

    for (page, path, heading) in [
        (
            "rejected",
            app.url(&[("client_id", "nobody")]).as_str(),
            "Request rejected",
        ),
        ("expired", "/login?flow=old", "This sign-in request has expired"),
        ("not-found", "/nowhere", "Page not found"),
    ] {
        reader.open(path).await;
        reader
            .browser
            .execute(
                "document.querySelector('details')?.toggleAttribute('open')",
                vec![],
            )
            .await;
        reader.judge(page, heading).await;
    }

    reader.open(&app.url(&[])).await;
    reader.sign_in("alex@example.com", PASSWORD).await;
    reader.browser.await_text("We're busy just now").await;
    reader.judge("sign-in-busy", "Sign in").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_for_failures_of_ours_fits_every_look() {
    let failure = |failure: Failure| get(async move || failure.page(Site::new("http://x").base(), "r1"));
    let origin = site::serve(
        Router::new()
            .route("/trouble", failure(Failure::Trouble))
            .route("/busy", failure(Failure::Busy))
            .merge(pages::assets::router()),
    )
    .await;
    let reader = Reader::of(&origin).await;
    reader.open("/trouble").await;
    reader.judge("trouble", "Something went wrong on our side").await;
    reader.open("/busy").await;
    reader.judge("busy", "Busy just now").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_the_demo_app_fit_every_look() {
    let world = World::sqlite().await;
    let demo = Demo::beside(&world).await;
    let reader = Reader::of(&demo.app).await;

    reader.open("/").await;
    reader
        .judge("demo-home", "An app that doesn't know you yet")
        .await;

    demo.click_sign_in(&reader.browser).await;
    reader.browser.click("login-cancel").await;
    reader.browser.await_text("You're not signed in").await;
    reader.forget_the_way().await;
    reader.browser.reload().await;
    reader.judge("demo-problem", "You're not signed in").await;

    demo.sign_in(&reader.browser).await;
    reader.browser.click("call-api").await;
    reader.browser.await_text("The demo API answered").await;
    reader.forget_the_way().await;
    reader.browser.reload().await;
    reader.judge("demo-signed-in", "Hello, Alex Example").await;
}
