//! The pages on the way to an app and back, and those of the demo app.

use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use clients::Trust;
use protocol::SigningAlg;
use serde_json::json;

use super::places::Demo;
use super::reader::Reader;
use crate::harness::world::PASSWORD;
use crate::harness::{App, World, rp, site};
use crate::pages::logos;

/// An app whose redirect URI a browser can really open.
pub(super) async fn app(world: &World, name: &str, trust: Trust) -> App {
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

tour! {
    ON_THE_WAY judges [
        "sign-in",
        "sign-in-wrong",
        "consent",
        "consent-more",
        "confirm",
        "confirm-wrong",
        "completed",
    ];
    async fn the_pages_on_the_way_to_an_app_fit_every_look(tour: &Tour) {
        let world = World::sqlite().await;
        let app = app(&world, "Test app", Trust::Trusted).await;
        let (user, api) = (world.user().await, world.resource(SigningAlg::Es256).await);
        let api_scope = api.scopes.keys().next().expect("one scope");
        let reader = tour.reader(&world.issuer).await;

        reader.open(&app.url(&[])).await;
        reader.judge("sign-in", "Sign in").await;
        reader.sign_in(user.email.shown(), "not the password").await;
        reader.await_text("That email or password").await;
        reader.judge("sign-in-wrong", "Sign in").await;

        reader.sign_in(user.email.shown(), PASSWORD).await;
        reader.await_text("Don't allow").await;
        let title = "Test app wants to use your Countersign account";
        reader.judge("consent", title).await;
        let flow = reader.value_of("flow").await;
        reader.click("consent-allow").await;
        reader.await_text("Back at the app").await;
        reader.forget_the_way().await;

        let more = format!("openid profile email address phone offline_access {api_scope}");
        reader
            .open(&app.url(&[("scope", &more), ("resource", &api.identifier)]))
            .await;
        reader.judge("consent-more", title).await;
        reader.unfold().await;
        reader.forget_the_way().await;
        reader
            .open(&app.url(&[("prompt", "login"), ("state", "confirm")]))
            .await;
        reader.judge("confirm", "Confirm it's you").await;
        reader.sign_in_again_wrongly().await;
        reader.judge("confirm-wrong", "Confirm it's you").await;

        world.pass(Duration::from_secs(120));
        reader.open(&format!("/authorize?flow={flow}")).await;
        reader.judge("completed", "Already completed").await;
    }
}

impl Reader<'_> {
    async fn sign_in_again_wrongly(&self) {
        self.type_into("password", "not the password").await;
        self.click("login-submit").await;
        self.await_text("That password isn't right").await;
    }
}

tour! {
    MUCH_TO_SAY judges [
        "consent-unverified",
    ];
    async fn a_consent_page_with_much_to_say_fits_every_look(tour: &Tour) {
        let world = World::sqlite().await;
        let name = "Wolfeschlegelsteinhausenbergerdorff Reports and Invoices";
        let app = app(&world, name, Trust::Unverified).await;
        let user = world.user().await;
        let reader = tour.reader(&world.issuer).await;
        reader
            .open(&app.url(&[("scope", "openid profile email address phone")]))
            .await;
        reader.sign_in(user.email.shown(), PASSWORD).await;
        reader.await_text("Don't allow").await;
        reader.await_text("We haven't checked this app. It registered itself.")
            .await;
        reader
            .judge(
                "consent-unverified",
                &format!("{name} wants to use your Countersign account"),
            )
            .await;
    }
}

tour! {
    OF_AN_APP judges [
        "sign-in-app",
        "consent-app",
        "sign-in-unverified",
    ];
    async fn what_an_app_shows_of_itself_fits_every_look(tour: &Tour) {
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
        let reader = tour.reader(&world.issuer).await;
        reader.open(&shown.url(&[])).await;
        assert!(reader.sees_logo().await);
        reader.judge("sign-in-app", "Sign in").await;
        reader.sign_in(user.email.shown(), PASSWORD).await;
        reader.await_text("Don't allow").await;
        assert!(reader.sees_logo().await);
        reader
            .judge("consent-app", "Test app wants to use your Countersign account")
            .await;

        drop(reader);
        let stranger = app(&world, "Stranger", Trust::Unverified).await;
        let reader = tour.reader(&world.issuer).await;
        reader.open(&stranger.url(&[])).await;
        reader.await_text("We haven't checked this app. It registered itself.")
            .await;
        reader.judge("sign-in-unverified", "Sign in").await;
    }
}

tour! {
    DEMO judges [
        "demo-home",
        "demo-problem",
        "demo-signed-in",
    ];
    async fn the_pages_of_the_demo_app_fit_every_look(tour: &Tour) {
        let world = World::sqlite().await;
        let demo = Demo::beside(&world).await;
        let reader = tour.reader(&demo.app).await;

        reader.open("/").await;
        reader
            .judge("demo-home", "An app that doesn't know you yet")
            .await;

        reader.goto(&demo.app).await;
        reader.click("sign-in").await;
        reader.click("login-cancel").await;
        reader.await_text("You're not signed in").await;
        reader.forget_the_way().await;
        reader.reload().await;
        reader.judge("demo-problem", "You're not signed in").await;

        reader.goto(&demo.app).await;
        reader.click("sign-in").await;
        reader.sign_in(&demo.email, &demo.password).await;
        reader.click("consent-allow").await;
        reader.await_text("You're signed in to this app").await;
        reader.click("call-api").await;
        reader.await_text("The demo API answered").await;
        reader.forget_the_way().await;
        reader.reload().await;
        reader.judge("demo-signed-in", "Hello, Alex Example").await;
    }
}

tour! {
    BACK_TO_AN_APP judges [
        "leave",
        "leave-form",
        "form-post",
    ];
    async fn the_pages_on_the_way_back_to_an_app_fit_every_look(tour: &Tour) {
        let world = World::sqlite().await;
        let stranger = app(&world, "Stranger", Trust::Unverified).await;
        let reader = tour.reader_without_scripts(&world.issuer).await;
        let ask = "Go back to Stranger?";
        reader.open(&stranger.url(&[("prompt", "none")])).await;
        reader.judge("leave", ask).await;
        let by_form = [("prompt", "none"), ("response_mode", "form_post")];
        reader.open(&stranger.url(&by_form)).await;
        reader.judge("leave-form", ask).await;

        let app = app(&world, "Test app", Trust::Trusted).await;
        reader.open(&app.url(&[("response_mode", "form_post")])).await;
        reader.sign_in(world.user().await.email.shown(), PASSWORD).await;
        reader.await_text("Don't allow").await;
        reader.click("consent-allow").await;
        reader.judge("form-post", "Back to the app").await;
    }
}
