//! Logout (OpenID Connect RP-Initiated Logout 1.0): what ends, what stays, and where it leads.

mod conformance;
mod forms;
mod frames;
mod hints;
pub(crate) mod notices;

use std::time::Duration;

use accounts::users::User;
use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::harness::app::{Tokens, userinfo};
use crate::harness::process::run;
use crate::harness::{Answer, App, Visitor, World};

/// What the app registered for the way back.
pub(crate) const BYE: &str = "https://app.example.com/bye";
const OFFLINE: [(&str, &str); 1] = [("scope", "openid offline_access")];

async fn app(world: &World) -> App {
    world
        .app_with(json!({ "post_logout_redirect_uris": [BYE] }))
        .await
}

/// The address of a logout request.
fn logout(params: &[(&str, &str)]) -> String {
    let query = Serializer::new(String::new()).extend_pairs(params).finish();
    format!("/logout?{query}")
}

/// Ordinary: with a hint and a way back.
fn logout_of(tokens: &Tokens) -> String {
    logout(&[
        ("id_token_hint", tokens.text("id_token")),
        ("post_logout_redirect_uri", BYE),
    ])
}

impl Visitor<'_> {
    /// The browser's cookie that names its sessions.
    fn browser_cookie(&self) -> Option<&str> {
        let named = |(name, _): &(&String, &String)| name.contains("cs_browser");
        self.cookies.iter().find(named).map(|(_, value)| value.as_str())
    }

    /// Whether an app that asks without a page gets an answer.
    async fn is_signed_in(&mut self, app: &App) -> bool {
        let answer = self.open(&app.url(&[("prompt", "none")])).await;
        match answer.param("error").as_deref() {
            None => answer.param("code").is_some(),
            Some(error) => {
                assert_eq!(error, "login_required");
                false
            }
        }
    }

    /// Signs another user in beside those who are.
    pub(crate) async fn add(&mut self, app: &App, user: &User) -> Answer {
        let page = self.open(&app.url(&[("prompt", "select_account")])).await;
        let page = self.open(&page.other_account()).await;
        let mut answer = self.sign_in(&page, user.email.shown()).await;
        if answer.asks_for_consent() {
            answer = self.decide(&answer, "allow").await;
        }
        answer
    }
}

impl Answer {
    #[track_caller]
    fn assert_asks(&self) {
        self.assert_page(200, "id=\"logout-confirm\"");
        assert!(!self.has("Signed out"), "{}", self.body);
    }

    #[track_caller]
    fn assert_signed_out(&self) {
        self.assert_page(200, "<h1>Signed out</h1>");
    }

    #[track_caller]
    fn assert_leads_to(&self, uri: &str) {
        assert_eq!(
            (self.status.as_u16(), self.location().as_deref()),
            (303, Some(uri))
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

everywhere! {
    async fn c065_a_hint_of_this_session_ends_it_with_all_that_does_not_outlive_it(world: World) {
        let (app, other, user) = (app(&world).await, world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let redirect = visitor.authorize(&other.url(&[]), user.email.shown()).await;
        let of_other = other.tokens(&world, &redirect).await;
        let redirect = visitor.authorize(&other.url(&OFFLINE), user.email.shown()).await;
        let offline = other.tokens(&world, &redirect).await;
        let elsewhere = app.grant(&world, &user, &[]).await;
        let before = visitor.cookies.clone();

        let answer = visitor.get(&logout_of(&tokens)).await;
        answer.assert_leads_to(BYE);
        assert_eq!(visitor.browser_cookie(), None, "{:?}", answer.headers);
        assert!(!visitor.is_signed_in(&app).await);
        assert!(!visitor.is_signed_in(&other).await);

        // The cookie of before opens nothing, wherever it was copied to.
        visitor.cookies = before;
        assert!(!visitor.is_signed_in(&app).await);

        for ended in [&tokens, &of_other] {
            assert_eq!(userinfo(&world, ended.access()).await.status, 401);
        }
        for alive in [&offline, &elsewhere] {
            assert_eq!(userinfo(&world, alive.access()).await.status, 200);
        }
        let refreshed = other.refresh(&world, offline.refresh()).await;
        assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    }

    async fn c065_a_code_of_a_session_that_ended_is_worth_nothing(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let code = visitor.open(&app.url(&[])).await.code();
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        app.redeem(&world, &code).await.assert_refusal(400, "invalid_grant");
    }

    async fn c062_of_several_accounts_the_one_that_the_hint_names_signs_out(world: World) {
        let (app, one, two) = (app(&world).await, world.user().await, world.user().await);
        let (mut visitor, first) = app.sign_in(&world, &one, &[]).await;
        let redirect = visitor.add(&app, &two).await;
        let second = app.tokens(&world, &redirect).await;
        let before = visitor.cookies.clone();

        // Without a way back it ends on our page, which says that somebody is left.
        let hint = [("id_token_hint", first.text("id_token"))];
        let answer = visitor.open(&logout(&hint)).await;
        answer.assert_signed_out();
        assert!(answer.has("Other accounts are still signed in on this browser."));
        assert_eq!(userinfo(&world, first.access()).await.status, 401);
        assert_eq!(userinfo(&world, second.access()).await.status, 200);

        let code = visitor.open(&app.url(&[("prompt", "none")])).await.code();
        let answer = app.redeem(&world, &code).await;
        let id = Tokens { body: answer.json() }.id();
        assert_eq!(id["sub"], two.sub.as_str());
        let renewed = visitor.cookies.clone();
        visitor.cookies = before;
        assert!(!visitor.is_signed_in(&app).await, "the cookie has changed");

        visitor.cookies = renewed;
        visitor.get(&logout_of(&second)).await.assert_leads_to(BYE);
        assert_eq!(visitor.browser_cookie(), None);
    }

    async fn the_page_that_asks_lists_every_account_and_ends_them_all(world: World) {
        let (app, one, two) = (app(&world).await, world.user().await, world.user().await);
        let (mut visitor, first) = app.sign_in(&world, &one, &[]).await;
        let redirect = visitor.add(&app, &two).await;
        let second = app.tokens(&world, &redirect).await;

        let page = visitor.open("/logout").await;
        page.assert_asks();
        assert!(page.has("These accounts will all be signed out on this browser"));
        assert!(page.has(one.email.shown()) && page.has(two.email.shown()));
        visitor.decide(&page, "sign-out").await.assert_signed_out();
        assert_eq!(visitor.browser_cookie(), None);
        for tokens in [&first, &second] {
            assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
        }
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn who_stays_signed_in_is_not_led_away(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let request = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", BYE)];
        let page = visitor.open(&logout(&request)).await;
        let answer = visitor.decide(&page, "stay").await;
        answer.assert_page(200, "<h1>Still signed in</h1>");
        assert!(!answer.has("Signed out"));
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
        assert!(visitor.is_signed_in(&app).await);
    }

    async fn sid_names_the_session_to_each_client_apart(world: World) {
        let (app, other, user) = (world.app().await, world.app().await, world.user().await);
        let (mut visitor, first) = app.sign_in(&world, &user, &OFFLINE).await;
        let sid = first.id()["sid"].as_str().expect("a sid").to_owned();
        assert!(sid.len() >= 22 && !world.sessions(&user).await.contains(&sid.as_str().into()));

        let refreshed = app.refresh(&world, first.refresh()).await;
        let refreshed = Tokens { body: refreshed.json() }.id();
        let redirect = visitor.open(&app.url(&OFFLINE)).await;
        let again = app.tokens(&world, &redirect).await.id();
        assert_eq!([&refreshed["sid"], &again["sid"]], [&first.id()["sid"]; 2]);

        let redirect = visitor.authorize(&other.url(&[]), user.email.shown()).await;
        let to_other = other.tokens(&world, &redirect).await.id();
        let elsewhere = app.grant(&world, &user, &[]).await.id();
        assert_ne!(to_other["sid"], first.id()["sid"]);
        assert_ne!(elsewhere["sid"], first.id()["sid"]);
    }

    async fn c004_an_app_that_registered_itself_leads_nobody_away_who_was_not_signed_in(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        world.trust(&app, clients::Trust::Unverified).await;
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let answer = world.visitor().open(&logout_of(&tokens)).await;
        answer.assert_signed_out();
        assert!(answer.has(&format!("href=\"{BYE}\"")), "{}", answer.body);
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
    }

    async fn without_a_session_the_answer_is_the_same_as_with_one(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        for _ in 0..2 {
            visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        }
        let hint = [("id_token_hint", tokens.text("id_token"))];
        visitor.open(&logout(&hint)).await.assert_signed_out();
        visitor.open("/logout").await.assert_signed_out();

        // A client that was merely named may be anybody's choice: the way is offered and not taken.
        let named = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
        let answer = visitor.open(&logout(&named)).await;
        answer.assert_signed_out();
        assert!(answer.has(&format!("href=\"{BYE}?state=s\"")), "{}", answer.body);
    }
}

on_both_databases! {
    async fn a_hint_is_as_good_after_its_token_expired_and_its_key_left_the_set(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        world.pass(Duration::from_secs(2 * 60 * 60));
        let keyring = world.keyring();
        keyring
            .rotate(protocol::SigningAlg::ALL, keyring::Start::Now, &events::Context::server(), world.now())
            .await
            .expect("new keys");
        world.pass(Duration::from_secs(24 * 60 * 60));
        let published = String::from_utf8(keyring.published(world.now()).json.to_vec()).expect("JSON");
        let kid = crate::harness::app::header(tokens.text("id_token"))["kid"].clone();
        assert!(!published.contains(kid.as_str().expect("a kid")), "{published}");

        let hinted = app.url(&[("prompt", "none"), ("id_token_hint", tokens.text("id_token"))]);
        assert!(visitor.open(&hinted).await.param("code").is_some());
        visitor.get(&logout_of(&tokens)).await.assert_leads_to(BYE);
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn a_flow_that_is_too_old_asks_anew(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let request = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", BYE)];
        let page = visitor.open(&logout(&request)).await;
        assert!(page.has("Test app"));
        world.pass(Duration::from_secs(61 * 60));
        let again = visitor.decide(&page, "sign-out").await;
        again.assert_asks();
        // Nothing of the old request is left.
        assert!(!again.has("Test app"));
        assert!(visitor.is_signed_in(&app).await);
        visitor.decide(&again, "sign-out").await.assert_signed_out();
    }
}

#[tokio::test]
async fn the_command_line_registers_where_logout_may_lead() {
    let folder = tempfile::tempdir().unwrap();
    let client = async |arguments: &[&str]| {
        let all: Vec<&str> = ["client", "--json"].iter().chain(arguments).copied().collect();
        let ran = run(folder.path(), &all, &[], "").await;
        let json: Result<serde_json::Value, _> = serde_json::from_str(&ran.stdout);
        json.map_err(|_| ran.stderr)
    };
    let way = "--post-logout-redirect-uri";
    let to = "https://app.example.com/cb";
    let created = client(&["create", "--name", "A", "--redirect-uri", to, way, BYE, way, to]).await;
    let created = created.unwrap();
    assert_eq!(created["post_logout_redirect_uris"], json!([BYE, to]));

    let id = created["client_id"].as_str().unwrap();
    let update = async |arguments: &[&str]| {
        let all: Vec<&str> = ["update", id].iter().chain(arguments).copied().collect();
        client(&all).await
    };
    let kept = update(&["--name", "B"]).await.unwrap();
    assert_eq!(kept["post_logout_redirect_uris"], json!([BYE, to]));
    let refused = update(&[way, "https://*.example.com/"]).await.unwrap_err();
    assert!(refused.contains("post_logout_redirect_uris"), "{refused}");
    assert_eq!(
        update(&[way, BYE]).await.unwrap()["post_logout_redirect_uris"],
        json!([BYE])
    );
    assert_eq!(
        update(&[way, ""]).await.unwrap().get("post_logout_redirect_uris"),
        None
    );
}
