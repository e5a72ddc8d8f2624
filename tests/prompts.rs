//! Who has to be in front of the screen, and since when: `prompt`, `max_age` and `id_token_hint` of OpenID Connect
//! Core §3.1.2.1, honoured when the request comes and once more when the code is issued.

use std::time::Duration;

use accounts::sessions;
use revocation::Act;

use crate::harness::Answer;
use crate::harness::app::header;

const HOUR: Duration = Duration::from_secs(60 * 60);

everywhere! {
    async fn c013_prompt_none_never_shows_a_page(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let state = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~".repeat(2);
        let silent = app.url(&[("prompt", "none"), ("state", &state[..128])]);
        let mut visitor = world.visitor();

        let answer = visitor.get(&silent).await;
        answer.assert_error("login_required");
        assert_eq!(answer.param("state").as_deref(), Some(&state[..128]));
        assert!(visitor.cookies.is_empty());

        let page = visitor.open(&app.url(&[])).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        visitor.get(&silent).await.assert_error("consent_required");

        let first = visitor.decide(&page, "allow").await;
        let first = app.tokens(&world, &first).await.id();
        let second = visitor.get(&silent).await;
        assert_eq!(second.param("state").as_deref(), Some(&state[..128]));
        let second = app.tokens(&world, &second).await.id();
        assert_eq!(
            (&first["sub"], &first["auth_time"]),
            (&second["sub"], &second["auth_time"])
        );

        let wider = app.url(&[("prompt", "none"), ("scope", "openid profile email phone")]);
        visitor.get(&wider).await.assert_error("consent_required");
        for prompt in ["none login", "login none", "nonsense", "login nonsense", "NONE"] {
            visitor
                .get(&app.url(&[("prompt", prompt)]))
                .await
                .assert_error("invalid_request");
        }
    }

    async fn c013_only_a_sign_in_for_this_very_request_answers_prompt_login(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        for fresh in [("prompt", "login"), ("max_age", "0")] {
            let one = visitor.get(&app.url(&[fresh, ("state", "one")])).await;
            let two = visitor.get(&app.url(&[fresh, ("state", "two")])).await;
            let (one, two) = (visitor.follow(one).await, visitor.follow(two).await);
            assert!(one.asks_to_sign_in() && two.asks_to_sign_in(), "{fresh:?}");

            // Not without a password, whatever page is asked for.
            let flow = one.form().value("flow").to_owned();
            for path in ["/authorize", "/consent"] {
                let answer = visitor.open(&format!("{path}?flow={flow}")).await;
                assert!(answer.location().is_none(), "{path}: {answer:?}");
            }
            assert!(
                visitor
                    .open(&format!("/authorize?flow={flow}"))
                    .await
                    .asks_to_sign_in()
            );

            let answer = visitor.sign_in(&one, user.email.shown()).await;
            assert_eq!(answer.param("state").as_deref(), Some("one"), "{}", answer.body);
            let other = visitor
                .open(&format!("/authorize?flow={}", two.form().value("flow")))
                .await;
            assert!(
                other.asks_to_sign_in(),
                "the proof of another flow counted: {other:?}"
            );
            let answer = visitor.sign_in(&two, user.email.shown()).await;
            assert_eq!(answer.param("state").as_deref(), Some("two"));
        }
    }

    async fn select_account_asks_whom_of_those_who_are_signed_in_on_this_browser(world: World) {
        let (app, one, two) = (world.app().await, world.user().await, world.user().await);
        let select = app.url(&[("prompt", "select_account")]);
        assert!(world.visitor().open(&select).await.asks_to_sign_in(), "nobody is");
        let (mut visitor, first) = app.sign_in(&world, &one, &[]).await;

        // Of one account, too; and another may be used, which then is the answer.
        let page = visitor.open(&select).await;
        assert_eq!(page.accounts().keys().collect::<Vec<_>>(), [one.email.shown()]);
        let other = visitor.open(&page.other_account()).await;
        assert!(other.asks_to_sign_in() && !other.has(one.email.shown()), "{}", other.body);
        let consent = visitor.sign_in(&other, two.email.shown()).await;
        let answer = visitor.decide(&consent, "allow").await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], two.sub.as_str());

        // Who is chosen needs no password, and is who they were.
        for (user, since) in [(&one, Some(&first)), (&two, None), (&one, Some(&first))] {
            let page = visitor.open(&select).await;
            assert_eq!(page.accounts().len(), 2, "{}", page.body);
            let flow = page.form().value("flow").to_owned();
            let again = visitor.open(&format!("/authorize?flow={flow}")).await;
            assert_eq!(again.accounts().len(), 2, "no choice, no answer: {again:?}");
            let answer = visitor.choose(&page, user.email.shown()).await;
            let id = app.tokens(&world, &answer).await.id();
            assert_eq!(id["sub"], user.sub.as_str());
            if let Some(since) = since {
                assert_eq!((&id["sid"], &id["auth_time"]), (&since.id()["sid"], &since.id()["auth_time"]));
            }
        }

        // With prompt=login the one who was chosen confirms.
        let page = visitor.open(&app.url(&[("prompt", "login select_account")])).await;
        let page = visitor.choose(&page, one.email.shown()).await;
        assert!(page.asks_to_sign_in() && page.has(one.email.shown()) && page.has("account-fixed"), "{}", page.body);
        let answer = visitor.sign_in(&page, one.email.shown()).await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], one.sub.as_str());

        // A hint leaves one to choose.
        let hint = [("prompt", "select_account"), ("id_token_hint", first.text("id_token"))];
        let page = visitor.open(&app.url(&hint)).await;
        assert_eq!(page.accounts().keys().collect::<Vec<_>>(), [one.email.shown()]);
    }

    async fn c013_a_choice_counts_for_its_flow_its_browser_and_as_long_as_its_session(world: World) {
        let (app, one, two) = (world.app().await, world.user().await, world.user().await);
        let select = |state| app.url(&[("prompt", "select_account"), ("state", state)]);
        let (mut visitor, _) = app.sign_in(&world, &one, &[]).await;
        let page = visitor.open(&select("a")).await;
        let page = visitor.open(&page.other_account()).await;
        let page = visitor.sign_in(&page, two.email.shown()).await;
        visitor.decide(&page, "allow").await.code();

        let (a, b) = (visitor.open(&select("a")).await, visitor.open(&select("b")).await);
        // The value that another flow has for the same account, and what no account is called.
        for value in [b.accounts()[one.email.shown()].as_str(), "0", one.email.shown(), one.sub.as_str()] {
            let answer = visitor.submit(&a.form().with("account", value)).await;
            let answer = visitor.follow(answer).await;
            assert_eq!(answer.accounts().len(), 2, "{value}: {answer:?}");
        }
        let form = a.form().with("account", &a.accounts()[one.email.shown()]);
        let (other, _) = app.sign_in(&world, &one, &[]).await;
        for mut other in [world.visitor(), other] {
            assert_eq!(other.submit(&form).await.location(), None);
        }
        let evil = [("origin", "https://evil.test")];
        visitor.submit_from(&form, &evil).await.assert_page(403, "Request rejected");
        visitor.submit(&form.without("csrf")).await.assert_page(403, "Request rejected");

        // Chosen, and ended before the answer: nobody else takes the place.
        let page = visitor.open(&app.url(&[("prompt", "consent select_account")])).await;
        let consent = visitor.choose(&page, two.email.shown()).await;
        assert!(consent.asks_for_consent() && consent.has(two.email.shown()), "{}", consent.body);
        for session in world.sessions(&two).await {
            world.end(Act::EndSession(session)).await;
        }
        let answer = visitor.decide(&consent, "allow").await;
        assert_eq!(answer.accounts().keys().collect::<Vec<_>>(), [one.email.shown()], "{}", answer.body);
        let gone = visitor.submit(&b.form().with("account", &b.accounts()[two.email.shown()])).await;
        let again = visitor.follow(gone).await;
        assert_eq!(again.accounts().keys().collect::<Vec<_>>(), [one.email.shown()]);
    }

    async fn another_account_is_one_of_those_who_are_signed_in_or_a_new_one(world: World) {
        let (app, one, two) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let consent = visitor.sign_in(&page, one.email.shown()).await;
        let switch = |page: &Answer| format!("/login?flow={}&switch=1", page.form().value("flow"));
        let page = visitor.open(&switch(&consent)).await;
        assert!(page.asks_to_sign_in(), "there is no choice: {}", page.body);
        let consent = visitor.sign_in(&page, two.email.shown()).await;
        assert!(consent.has(two.email.shown()));

        let page = visitor.open(&switch(&consent)).await;
        assert_eq!(page.accounts().len(), 2, "{}", page.body);
        let consent = visitor.choose(&page, one.email.shown()).await;
        assert!(consent.asks_for_consent() && consent.has(one.email.shown()), "{}", consent.body);
        assert!(!consent.has(two.email.shown()), "{}", consent.body);
        // Whoever signs in after that is the one.
        let page = visitor.open(&switch(&consent)).await;
        let page = visitor.open(&page.other_account()).await;
        let consent = visitor.sign_in(&page, two.email.shown()).await;
        let answer = visitor.decide(&consent, "allow").await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], two.sub.as_str());
    }

    async fn prompt_consent_asks_although_it_was_allowed_before(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        visitor.open(&app.url(&[])).await.code();
        for prompt in ["consent", "consent login"] {
            let mut page = visitor.open(&app.url(&[("prompt", prompt)])).await;
            if prompt.contains("login") {
                page = visitor.sign_in(&page, user.email.shown()).await;
            }
            assert!(page.asks_for_consent(), "{prompt}: {page:?}");
            visitor.decide(&page, "allow").await.code();
        }
    }

    async fn c013_a_session_that_ended_meanwhile_gets_no_code(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        for session in world.sessions(&user).await {
            world.end(Act::EndSession(session)).await;
        }
        assert!(visitor.decide(&page, "allow").await.asks_to_sign_in());

        // As somebody else: what the first one was asked must not count for the second.
        let other = world.user().await;
        let page = visitor.open(&app.url(&[])).await;
        let own = visitor.sign_in(&page, user.email.shown()).await;
        let flow = own.form().value("flow").to_owned();
        let switched = visitor.open(&format!("/login?flow={flow}&switch=1")).await;
        let others = visitor.sign_in(&switched, other.email.shown()).await;
        assert!(others.asks_for_consent());
        let answer = visitor.submit(&own.form().with("decision", "allow")).await;
        answer.assert_page(403, "Request rejected");
        let answer = visitor.decide(&others, "allow").await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], other.sub.as_str());
    }

    async fn c013_a_hint_is_the_user_or_nobody(world: World) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let others = app.grant(&world, &other, &[]).await;
        let (own, others) = (tokens.text("id_token"), others.text("id_token"));

        let answer = visitor
            .get(&app.url(&[("prompt", "none"), ("id_token_hint", own)]))
            .await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], user.sub.as_str());
        let answer = visitor
            .get(&app.url(&[("prompt", "none"), ("id_token_hint", others)]))
            .await;
        answer.assert_error("login_required");

        // Asked to be the other one, and signing in as oneself all the same.
        let page = visitor.open(&app.url(&[("id_token_hint", others)])).await;
        assert!(page.asks_to_sign_in());
        visitor
            .sign_in(&page, user.email.shown())
            .await
            .assert_error("login_required");
        let page = visitor.open(&app.url(&[("id_token_hint", others)])).await;
        let answer = visitor.sign_in(&page, other.email.shown()).await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], other.sub.as_str());

        // Both are signed in now: the hint says which of them.
        for (hint, sub) in [(own, &user.sub), (others, &other.sub)] {
            let answer = visitor
                .get(&app.url(&[("prompt", "none"), ("id_token_hint", hint)]))
                .await;
            assert_eq!(app.tokens(&world, &answer).await.id()["sub"], sub.as_str());
        }
        let (head, rest) = own.split_once('.').unwrap();
        assert_eq!(header(own)["typ"], "JWT");
        for hint in [
            "nonsense",
            "a.b.c",
            &format!("{head}.{rest}x"),
            &format!("eyJhbGciOiJub25lIn0.{rest}"),
            tokens.access(),
        ] {
            visitor
                .get(&app.url(&[("id_token_hint", hint)]))
                .await
                .assert_error("invalid_request");
        }
    }
}

on_both_databases! {
    async fn c013_a_proof_older_than_max_age_does_not_count(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, first) = app.sign_in(&world, &user, &[("max_age", "10000")]).await;
        world.pass(Duration::from_secs(100));

        for enough in ["100", "10000", "99999999999"] {
            let answer = visitor.get(&app.url(&[("max_age", enough)])).await;
            assert_eq!(
                app.tokens(&world, &answer).await.id()["auth_time"],
                first.id()["auth_time"]
            );
        }
        for (max_age, changes) in [("99", ("prompt", "none")), ("0", ("prompt", "none"))] {
            visitor
                .get(&app.url(&[("max_age", max_age), changes]))
                .await
                .assert_error("login_required");
        }
        for bad in ["-1", "1.5", "1e3", "+1", "ten", "0x10", "99999999999999999999"] {
            visitor
                .get(&app.url(&[("max_age", bad)]))
                .await
                .assert_error("invalid_request");
        }
        let page = visitor.open(&app.url(&[("max_age", "99")])).await;
        assert!(page.asks_to_sign_in());
        let answer = visitor.sign_in(&page, user.email.shown()).await;
        let second = app.tokens(&world, &answer).await.id();
        assert_eq!(second["sub"], first.id()["sub"]);
        assert_eq!(
            second["auth_time"].as_i64().unwrap() - first.id()["auth_time"].as_i64().unwrap(),
            100
        );
        assert_eq!(second["auth_time"], second["iat"]);
    }

    async fn c013_prompt_login_gives_a_later_auth_time(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, first) = app.sign_in(&world, &user, &[]).await;
        world.pass(Duration::from_secs(5));
        let page = visitor.open(&app.url(&[("prompt", "login")])).await;
        assert!(page.asks_to_sign_in());
        let answer = visitor.sign_in(&page, user.email.shown()).await;
        let second = app.tokens(&world, &answer).await;
        assert_eq!(second.id()["sub"], first.id()["sub"]);
        assert_eq!(
            second.id()["auth_time"].as_i64(),
            first.id()["auth_time"].as_i64().map(|time| time + 5)
        );
    }

    async fn an_expired_hint_is_as_good_as_before(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        world.pass(24 * HOUR);
        assert!(tokens.id()["exp"].as_i64().unwrap() < world.now().as_secs());
        let silent = app.url(&[("prompt", "none"), ("id_token_hint", tokens.text("id_token"))]);
        let answer = visitor.get(&silent).await;
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], user.sub.as_str());
    }

    async fn c066_a_session_ends_by_the_clock_and_not_by_being_tidied_away(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let silent = app.url(&[("prompt", "none")]);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        world.pass(sessions::IDLE - Duration::from_secs(1));
        visitor.get(&silent).await.code();
        // That kept it awake; left alone, it ends.
        world.pass(sessions::IDLE - Duration::from_secs(1));
        visitor.get(&silent).await.code();
        world.pass(sessions::IDLE);
        visitor.get(&silent).await.assert_error("login_required");
        assert_eq!(world.sessions(&user).await.len(), 1, "the row is still there");

        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        for _ in 0..3 {
            world.pass(sessions::ABSOLUTE / 3 - Duration::from_secs(1));
            visitor.get(&silent).await.code();
        }
        world.pass(Duration::from_secs(3));
        visitor.get(&silent).await.assert_error("login_required");
    }
}
