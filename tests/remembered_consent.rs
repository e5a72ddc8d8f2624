//! When a person is asked: OpenID Connect Core §3.1.2.4, RFC 8252 §8.6.

use clients::Trust;
use revocation::Act;
use serde_json::json;

everywhere! {
    async fn c019_what_was_allowed_is_not_asked_again_and_only_that(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[("scope", "openid profile")]).await;
        for silent in ["openid profile", "profile openid", "openid"] {
            visitor.open(&app.url(&[("scope", silent)])).await.code();
        }
        let page = visitor.open(&app.url(&[("scope", "openid profile email")])).await;
        assert!(page.asks_for_consent());
        assert!(page.has("New") && page.has("Already allowed"), "{}", page.body);
        visitor.decide(&page, "allow").await.code();
        for silent in ["openid profile email", "openid email", "openid profile"] {
            visitor.open(&app.url(&[("scope", silent)])).await.code();
        }
        // Remembered of the person, not of the browser, and of nobody else.
        let mut elsewhere = visitor.elsewhere();
        let page = elsewhere.open(&app.url(&[])).await;
        elsewhere.sign_in(&page, user.email.shown()).await.code();
        let mut other = world.visitor();
        let page = other.open(&app.url(&[])).await;
        assert!(
            other
                .sign_in(&page, world.user().await.email.shown())
                .await
                .asks_for_consent()
        );
        assert!(visitor.open(&world.app().await.url(&[])).await.asks_for_consent());
    }

    /// The attack: an app that people allow to sign them in asks once more, for less and without `openid`: in plain OAuth a
    /// refresh token needs no scope.
    async fn c019_access_that_outlives_the_session_is_asked_for_also_without_a_scope_for_it(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[("scope", "openid profile")]).await;
        let silent = app.url(&[("scope", "profile"), ("prompt", "none")]);
        assert_eq!(visitor.open(&silent).await.param("error"), Some("consent_required".to_owned()));
        let page = visitor.open(&app.url(&[("scope", "profile")])).await;
        assert!(page.asks_for_consent() && page.has("Keep this access"), "{}", page.body);
        let redirect = visitor.decide(&page, "allow").await;
        let tokens = app.tokens(&world, &redirect).await;
        assert!(!tokens.refresh().is_empty());
        assert!(!tokens.text("scope").contains("offline_access"), "it was not asked for");
        for scope in ["profile", "openid profile", "openid profile offline_access"] {
            visitor.open(&app.url(&[("scope", scope), ("prompt", "none")])).await.code();
        }
    }

    async fn c019_an_app_that_looks_different_is_asked_about_again(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let registered = json!({
            "client_name": "Test app",
            "redirect_uris": [app.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let with = |name: &str, value: serde_json::Value| {
            let mut document = registered.clone();
            document[name] = value;
            document
        };
        for (document, asked) in [
            (with("contacts", json!(["a@example.com"])), false),
            (with("require_pkce", json!(false)), false),
            (
                with(
                    "redirect_uris",
                    json!([app.redirect_uri, "https://app.example.com/more"]),
                ),
                false,
            ),
            (with("client_name", json!("Your bank")), true),
            (with("logo_uri", json!("https://app.example.com/logo.png")), true),
            (with("client_uri", json!("https://app.example.com/")), true),
            (with("policy_uri", json!("https://app.example.com/p")), true),
            (with("tos_uri", json!("https://app.example.com/t")), true),
            (
                with(
                    "redirect_uris",
                    json!([app.redirect_uri, "https://more.example.com/"]),
                ),
                true,
            ),
            (registered.clone(), true),
        ] {
            world.update(&app, document.clone()).await;
            let answer = visitor.open(&app.url(&[])).await;
            assert_eq!(answer.asks_for_consent(), asked, "{document}");
            if asked {
                let silent = visitor.get(&app.url(&[("prompt", "none")])).await;
                silent.assert_error("consent_required");
                visitor.decide(&answer, "allow").await.code();
            }
        }
    }

    async fn an_answer_to_a_page_that_looked_different_does_not_count(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        world
            .update(
                &app,
                json!({ "client_name": "Your bank", "redirect_uris": [app.redirect_uri] }),
            )
            .await;
        let answer = visitor.submit(&page.form().with("decision", "allow")).await;
        answer.assert_page(403, "Request rejected");
        let page = visitor.open(&app.url(&[])).await;
        assert!(page.asks_for_consent() && page.has("Your bank"));
    }

    async fn c019_a_public_app_on_a_loopback_address_is_never_answered_silently(world: World) {
        let user = world.user().await;
        for (uri, method, silent) in [
            ("http://127.0.0.1/cb", "none", false),
            ("http://[::1]/cb", "none", false),
            ("http://localhost:7000/cb", "none", false),
            ("com.example.app:/cb", "none", false),
            ("https://app.example.com/cb", "none", true),
            ("http://127.0.0.1/cb", "client_secret_basic", true),
        ] {
            let app = world.app_with(json!({
                "application_type": "native", "redirect_uris": [uri], "token_endpoint_auth_method": method,
            })).await;
            let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
            let answer = visitor.open(&app.url(&[])).await;
            assert_eq!(answer.asks_for_consent(), !silent, "{uri} {method}");
            if !silent {
                visitor
                    .get(&app.url(&[("prompt", "none")]))
                    .await
                    .assert_error("consent_required");
                visitor.decide(&answer, "allow").await.code();
            }
        }
    }

    async fn a_withdrawn_consent_is_asked_anew_from_nothing(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, tokens) = app
            .sign_in(&world, &user, &[("scope", "openid profile email phone")])
            .await;
        let mut conn = world.db.reader().await.unwrap();
        let consent = grants::consents::of(&user.sub, &app.id.as_str().into(), &mut conn)
            .await
            .unwrap()
            .unwrap();
        drop(conn);
        world.end(Act::WithdrawConsent(consent.id)).await;
        crate::harness::app::userinfo(&world, tokens.access())
            .await
            .assert_refusal(401, "invalid_token");

        visitor
            .get(&app.url(&[("prompt", "none")]))
            .await
            .assert_error("consent_required");
        let page = visitor.open(&app.url(&[("scope", "openid email")])).await;
        assert!(page.asks_for_consent() && !page.has("Already allowed"));
        visitor.decide(&page, "allow").await.code();
        // What was allowed before the withdrawal does not come back with it.
        assert!(
            visitor
                .open(&app.url(&[("scope", "openid email phone")]))
                .await
                .asks_for_consent()
        );
    }

    async fn offline_access_is_on_the_page_only_where_it_is_given(world: World) {
        let user = world.user().await;
        let (app, plain) = (
            world.app().await,
            world
                .app_with(json!({ "grant_types": ["authorization_code"] }))
                .await,
        );
        let unverified = world.app().await;
        world.trust(&unverified, Trust::Unverified).await;
        for (app, offered) in [(app, true), (plain, false), (unverified, false)] {
            let mut visitor = world.visitor();
            let page = visitor
                .open(&app.url(&[("scope", "openid offline_access")]))
                .await;
            let page = visitor.sign_in(&page, user.email.shown()).await;
            let words = "Keep this access when you're not using the app";
            assert_eq!(page.has(words), offered, "{}", page.body);
            let answer = visitor.decide(&page, "allow").await;
            let tokens = app.tokens(&world, &answer).await;
            assert_eq!(tokens.text("scope").contains("offline_access"), offered);
            assert_eq!(tokens.body.get("refresh_token").is_some(), offered);
        }
    }
}
