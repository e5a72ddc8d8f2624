//! The way through the pages as people really take it: several tabs, back, reload, and a long lunch.

use std::time::Duration;

use http::StatusCode;

use crate::harness::{Answer, World};

fn is_expired(answer: &Answer) -> bool {
    answer.status == StatusCode::BAD_REQUEST && answer.has("<h1>This sign-in request has expired</h1>")
}

everywhere! {
    async fn two_tabs_sign_in_independently(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let first = visitor.open(&app.url(&[("state", "first"), ("prompt", "login")])).await;
        let second = visitor.open(&app.url(&[("state", "second"), ("nonce", "n-second")])).await;

        let consent = visitor.sign_in(&second, user.email.shown()).await;
        let redirect = visitor.decide(&consent, "allow").await;
        assert_eq!(redirect.param("state").as_deref(), Some("second"));
        assert_eq!(app.tokens(&world, &redirect).await.id()["nonce"], "n-second");

        // The first tab wanted a fresh proof of its own, and still shows its form.
        let redirect = visitor.sign_in(&first, user.email.shown()).await;
        assert_eq!(redirect.param("state").as_deref(), Some("first"), "{}", redirect.body);
        assert_eq!(app.tokens(&world, &redirect).await.id()["nonce"], "n-once");
    }

    async fn every_page_may_be_reloaded_and_gone_back_to(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let login_at = format!("/login?flow={}", login.form().value("flow"));
        assert!(visitor.get(&login_at).await.has("login-submit"));

        let consent = visitor.sign_in(&login, user.email.shown()).await;
        let consent_at = format!("/consent?flow={}", consent.form().value("flow"));
        assert!(visitor.get(&consent_at).await.has("consent-allow"));
        // Back to the form, signed in: the password counts again, and the way goes on.
        let confirm = visitor.get(&login_at).await;
        let consent = visitor.sign_in(&confirm, user.email.shown()).await;
        assert!(consent.has("consent-allow"), "{}", consent.body);

        // The answer given twice, as by a double click or by going back: one and the same redirect.
        let first = visitor.decide(&consent, "allow").await.location();
        let second = visitor.decide(&consent, "allow").await.location();
        assert!(first.as_ref().is_some_and(|location| location.contains("code=")), "{first:?}");
        assert_eq!(first, second);
    }
}

on_both_databases! {
    async fn an_answer_given_again_after_the_code_has_expired_meets_a_page(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let consent = visitor.sign_in(&login, user.email.shown()).await;
        visitor.decide(&consent, "allow").await;

        world.pass(Duration::from_secs(61));
        let before = world.row_counts().await;
        let late = visitor.decide(&consent, "allow").await;
        assert_eq!(late.status, StatusCode::BAD_REQUEST);
        assert!(late.has("<h1>Already completed</h1>"), "{}", late.body);
        assert_eq!(world.row_counts().await, before);
    }

    async fn what_was_begun_more_than_an_hour_ago_has_expired(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let mut other = world.visitor();
        let page = other.open(&app.url(&[])).await;
        let consent = other.sign_in(&page, user.email.shown()).await;

        world.pass(Duration::from_secs(59 * 60));
        let at = |page: &str, answer: &Answer| format!("{page}?flow={}", answer.form().value("flow"));
        assert!(visitor.get(&at("/login", &login)).await.has("login-submit"));
        assert!(other.get(&at("/consent", &consent)).await.has("consent-allow"));

        world.pass(Duration::from_secs(61));
        let before = world.row_counts().await;
        for path in ["/login", "/authorize"] {
            let answer = visitor.get(&at(path, &login)).await;
            assert!(is_expired(&answer), "{path}: {}", answer.body);
        }
        assert!(is_expired(&visitor.sign_in(&login, user.email.shown()).await));
        assert!(is_expired(&other.get(&at("/consent", &consent)).await));
        for decision in ["allow", "deny"] {
            assert!(is_expired(&other.decide(&consent, decision).await), "{decision}");
        }
        assert_eq!(world.row_counts().await, before);
    }
}

#[tokio::test]
async fn consent_reads_from_who_you_are_to_how_long_it_lasts() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let scope = "offline_access phone address email profile openid";
    let login = visitor.open(&app.url(&[("scope", scope)])).await;
    let consent = visitor.sign_in(&login, user.email.shown()).await;
    let places: Vec<Option<usize>> = [
        "Test app</bdi> wants to use your",
        "app.example.com",
        "Know it's you when you sign in",
        "See your name and profile: <bdi>Alex Example</bdi>",
        "See your email address",
        "See your phone number",
        "See your postal address",
        "Keep this access when you're not using the app",
        "consent-allow",
        "consent-deny",
    ]
    .map(|part| consent.body.find(part))
    .to_vec();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{places:?}: {}",
        consent.body
    );
}

#[tokio::test]
async fn a_flow_that_is_altered_cut_or_of_another_page_opens_nothing() {
    let world = World::sqlite().await;
    let mut visitor = world.visitor();
    let login = visitor.open(&world.app().await.url(&[])).await;
    let flow = login.form().value("flow").to_owned();
    let flipped = match flow.starts_with('A') {
        true => "B",
        false => "A",
    };
    for wrong in [
        String::new(),
        "x".to_owned(),
        format!("{flipped}{}", &flow[1..]),
        flow[..flow.len() - 2].to_owned(),
        format!("{flow}A"),
        format!("{flow}{flow}"),
        "%00".to_owned(),
    ] {
        for page in ["/login", "/consent", "/authorize"] {
            let answer = visitor.get(&format!("{page}?flow={wrong}")).await;
            assert_eq!(
                answer.status,
                StatusCode::BAD_REQUEST,
                "{page} {wrong}: {}",
                answer.body
            );
            assert!(answer.location().is_none(), "{page} {wrong}");
        }
    }
    for page in ["/login", "/consent"] {
        assert!(is_expired(&visitor.get(page).await), "{page} by itself");
    }
    assert!(
        visitor
            .get(&format!("/login?flow={flow}"))
            .await
            .has("login-submit")
    );
}

#[tokio::test]
async fn a_consent_page_without_anybody_signed_in_leads_back_to_the_sign_in_page() {
    let world = World::sqlite().await;
    let mut visitor = world.visitor();
    let login = visitor.open(&world.app().await.url(&[])).await;
    let path = format!("/consent?flow={}", login.form().value("flow"));
    assert!(visitor.open(&path).await.has("login-submit"));
}
