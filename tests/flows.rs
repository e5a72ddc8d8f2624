//! What is being done, between the first page and the app: DESIGN's sealed flow as a browser and its attackers see it.

use std::time::Duration;

use grants::{codes, flow};

use crate::harness::Answer;
use crate::harness::app::post;
use crate::harness::visitor::Form;

const EXPIRED: &str = "This sign-in request has expired";

everywhere! {
    async fn c011_an_altered_flow_opens_nowhere(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let consent = visitor.sign_in(&login, user.email.shown()).await;
        let sealed = login.form().value("flow").to_owned();
        let altered = (0..sealed.len()).step_by(sealed.len() / 40).map(|at| {
            let other = if &sealed[at..=at] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &sealed[..at], &sealed[at + 1..])
        });
        let cut = [
            &sealed[1..],
            &sealed[..sealed.len() - 1],
            "",
            "A",
            &"A".repeat(5000),
        ]
        .map(str::to_owned);
        for flow in altered
            .chain(cut)
            .chain([format!("{sealed}A"), format!("{sealed}{sealed}")])
        {
            for path in ["/authorize", "/login", "/consent"] {
                if path == "/authorize" && flow.is_empty() {
                    continue;
                }
                visitor
                    .get(&format!("{path}?flow={flow}"))
                    .await
                    .assert_page(400, EXPIRED);
            }
            for (page, field, value) in [
                (&login, "username", user.email.shown()),
                (&consent, "decision", "allow"),
            ] {
                let answer = visitor
                    .submit(&page.form().with(field, value).with("flow", &flow))
                    .await;
                answer.assert_page(400, EXPIRED);
            }
        }
        // Whoever was on the way to a page of ours has no app to go back to.
        let lost = visitor.get("/login?flow=A").await;
        assert!(lost.has("/account\">Go to your account</a>"), "{}", lost.body);
        visitor.decide(&consent, "allow").await.code();
    }

    async fn c011_a_flow_is_of_one_browser(world: World) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let consent = visitor.sign_in(&login, user.email.shown()).await;

        let (mut stranger, _) = app.sign_in(&world, &other, &[]).await;
        for mut other in [world.visitor(), {
            stranger.cookies.retain(|name, _| !name.contains("flow"));
            stranger
        }] {
            for page in [&login, &consent] {
                let flow = page.form().value("flow").to_owned();
                for path in ["/authorize", "/login", "/consent"] {
                    other
                        .get(&format!("{path}?flow={flow}"))
                        .await
                        .assert_page(400, EXPIRED);
                }
                other
                    .submit(&page.form().with("decision", "allow"))
                    .await
                    .assert_page(400, EXPIRED);
            }
            // Having a flow of its own does not help.
            other.open(&app.url(&[("prompt", "login")])).await;
            other
                .submit(&consent.form().with("decision", "allow"))
                .await
                .assert_page(400, EXPIRED);
        }
        visitor.decide(&consent, "allow").await.code();
    }

    async fn c011_what_stands_beside_a_flow_is_not_read(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let evil = world
            .app_with(serde_json::json!({ "redirect_uris": ["https://evil.test/"] }))
            .await;
        let wishes = [
            ("client_id", evil.id.as_str()),
            ("redirect_uri", "https://evil.test/"),
            ("state", "evil"),
            ("nonce", "evil"),
            ("scope", "openid profile email phone address offline_access"),
            ("response_mode", "fragment"),
            ("response_type", "token"),
            ("prompt", "none"),
            ("code_challenge", "evil"),
            ("resource", "https://evil.test/"),
            ("max_age", "0"),
            ("id_token_hint", "evil"),
        ];
        let wish = |form: Form| {
            wishes
                .iter()
                .fold(form, |form, (name, value)| form.with(name, value))
        };
        let query: String = wishes
            .iter()
            .map(|(name, value)| format!("&{name}={}", value.replace(' ', "+")))
            .collect();
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let flow = login.form().value("flow").to_owned();
        let login = visitor.open(&format!("/authorize?flow={flow}{query}")).await;
        let form = wish(login.form())
            .with("username", user.email.shown())
            .with("password", crate::harness::world::PASSWORD);
        let answer = visitor.submit(&form).await;
        let consent = visitor.follow(answer).await;
        let flow = consent.form().value("flow").to_owned();
        let consent = visitor.open(&format!("/consent?flow={flow}{query}")).await;
        assert!(!consent.has("phone number"));
        let answer = visitor
            .submit(&wish(consent.form()).with("decision", "allow"))
            .await;
        let location = answer.location().unwrap();
        let answer = visitor.follow(answer).await;
        let answer = match answer.asks_for_consent() {
            true => panic!("asked again: {location}"),
            false => answer,
        };
        assert_eq!(answer.param("state").as_deref(), Some("st-ate"));
        assert!(
            answer
                .location()
                .unwrap()
                .starts_with("https://app.example.com/cb?")
        );
        let tokens = app.tokens(&world, &answer).await;
        assert_eq!(tokens.text("scope"), "email openid profile");
        assert_eq!(tokens.id()["nonce"], "n-once");
    }

    async fn c011_a_flow_that_no_browser_owns_opens_only_where_it_is_bound(world: World) {
        let app = world.app().await;
        let posted = post(&world, "/authorize", &[], &app.request()).await;
        let flow = posted.param_of_ours("flow");
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        for path in ["/login", "/consent"] {
            visitor
                .get(&format!("{path}?flow={flow}"))
                .await
                .assert_page(400, EXPIRED);
        }
        visitor
            .submit(&login.form().with("flow", &flow))
            .await
            .assert_page(400, EXPIRED);
        let bound = visitor.open(&format!("/authorize?flow={flow}")).await;
        assert!(bound.asks_to_sign_in());
        assert_ne!(bound.form().value("flow"), flow);
    }

    async fn c009_every_form_is_answered_by_a_see_other(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let posted = post(&world, "/authorize", &[], &app.request()).await;
        let login = visitor.follow(posted.clone()).await;
        let cancelled = visitor.submit(&login.form().with("decision", "cancel")).await;
        let form = login.form().with("username", user.email.shown());
        let signed_in = visitor
            .submit(&form.with("password", crate::harness::world::PASSWORD))
            .await;
        let consent = visitor.follow(signed_in.clone()).await;
        let denied = visitor.submit(&consent.form().with("decision", "deny")).await;
        let allowed = visitor.submit(&consent.form().with("decision", "allow")).await;
        let again = post(&world, "/authorize", &[], &app.request()).await;
        let error = post(&world, "/authorize", &[], &[("client_id", app.id.clone())]).await;
        for answer in [posted, cancelled, signed_in, denied, allowed, again, error] {
            assert_eq!(answer.status, 303, "{answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }

    async fn not_allowing_and_cancelling_say_access_denied_at_the_app(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[("state", "cancelled")])).await;
        let answer = visitor.submit(&login.form().with("decision", "cancel")).await;
        let answer = visitor.follow(answer).await;
        answer.assert_error("access_denied");
        assert_eq!(answer.param("state").as_deref(), Some("cancelled"));

        let login = visitor.open(&app.url(&[("state", "denied")])).await;
        let consent = visitor.sign_in(&login, user.email.shown()).await;
        let answer = visitor.decide(&consent, "deny").await;
        answer.assert_error("access_denied");
        assert_eq!(answer.param("state").as_deref(), Some("denied"));
        // Nothing is remembered of a refusal, neither as a yes nor as a no.
        assert!(visitor.open(&app.url(&[])).await.asks_for_consent());
        // Back, and allowed after all.
        visitor.decide(&consent, "allow").await.code();
    }

    async fn several_tabs_at_once_each_end_where_they_began(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let mut tabs = Vec::new();
        for state in ["one", "two", "three"] {
            tabs.push((
                state,
                visitor
                    .open(&app.url(&[("state", state), ("nonce", state)]))
                    .await,
            ));
        }
        let consent = visitor.sign_in(&tabs[1].1, user.email.shown()).await;
        let two = visitor.decide(&consent, "allow").await;
        // The others are signed in and allowed by now: reloading is enough, and typing again is no harm.
        let three = visitor
            .open(&format!("/authorize?flow={}", tabs[2].1.form().value("flow")))
            .await;
        let one = visitor.sign_in(&tabs[0].1, user.email.shown()).await;
        for (state, answer) in [("one", one), ("two", two), ("three", three)] {
            assert_eq!(answer.param("state").as_deref(), Some(state), "{}", answer.body);
            assert_eq!(app.tokens(&world, &answer).await.id()["nonce"], state);
        }
    }

    async fn reloading_and_going_back_lose_nothing(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let flow = login.form().value("flow").to_owned();
        let reloaded = visitor.get(&format!("/login?flow={flow}")).await;
        assert_eq!(reloaded.form().value("csrf"), login.form().value("csrf"));
        let wrong = visitor
            .sign_in_with(&login, user.email.shown(), "not the password")
            .await;
        assert_eq!(wrong.status, 400);
        let consent = visitor.sign_in(&reloaded, user.email.shown()).await;
        let back = visitor.get(&format!("/login?flow={flow}")).await;
        let consent_again = visitor.sign_in(&back, user.email.shown()).await;
        assert!(consent.asks_for_consent() && consent_again.asks_for_consent());
        visitor.decide(&consent_again, "allow").await.code();
    }
}

on_both_databases! {
    async fn the_same_answer_twice_gets_the_same_redirect_and_later_a_page(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let consent = visitor.sign_in(&login, user.email.shown()).await;
        let first = visitor.decide(&consent, "allow").await;
        world.pass(codes::LIFETIME - Duration::from_secs(1));
        let second = visitor.decide(&consent, "allow").await;
        assert_eq!(first.location(), second.location());
        // Of the two, one code: it is redeemed once.
        assert_eq!(app.redeem(&world, &first.code()).await.status, 200);

        world.pass(Duration::from_secs(1));
        let third = visitor.decide(&consent, "allow").await;
        third.assert_page(400, "Already completed");
        let third = visitor
            .get(&format!("/authorize?flow={}", login.form().value("flow")))
            .await;
        third.assert_page(400, "Already completed");
    }

    async fn c011_a_flow_ends_after_an_hour(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        world.pass(flow::LIFETIME - Duration::from_secs(1));
        let consent = visitor.sign_in(&login, user.email.shown()).await;
        assert!(consent.asks_for_consent());
        world.pass(Duration::from_secs(1));
        let flow = consent.form().value("flow").to_owned();
        for path in ["/authorize", "/login", "/consent"] {
            visitor
                .get(&format!("{path}?flow={flow}"))
                .await
                .assert_page(400, EXPIRED);
        }
        visitor
            .submit(&consent.form().with("decision", "allow"))
            .await
            .assert_page(400, EXPIRED);
        visitor
            .submit(&login.form().with("username", "x").with("password", "x"))
            .await
            .assert_page(400, EXPIRED);
    }
}

impl Answer {
    /// A parameter of a redirect to a page of ours.
    fn param_of_ours(&self, name: &str) -> String {
        let location = self.location().expect("a redirect");
        let (_, query) = location.split_once('?').expect("a query");
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(own, _)| own == name)
            .expect("the parameter")
            .1
            .into_owned()
    }
}
