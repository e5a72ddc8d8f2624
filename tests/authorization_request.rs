//! What an authorization request may look like: RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, RFC 7636 §4.3.
//! Until client and redirect URI are proven, what is wrong is said on a page of ours; from then on, at the app.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::app::{App, CHALLENGE, VERIFIER, address, changed, post};
use crate::harness::visitor::client;
use crate::harness::{Answer, Channel};

everywhere! {
    async fn c004_nothing_is_redirected_before_client_and_redirect_uri_are_proven(world: World) {
        let (app, other) = (
            world.app().await,
            world
                .app_with(json!({
                    "redirect_uris": ["https://app.example.com/cb", "https://other.example.com/cb"],
                }))
                .await,
        );
        let id = app.id.clone();
        let table: [&[(&'static str, &str)]; 9] = [
            &[("client_id", "unknown")],
            &[("client_id", "")],
            &[("client_id", "unknown"), ("response_type", "nonsense")],
            &[("client_id", &format!("{id} "))],
            &[("client_id", "' OR '1'='1")],
            &[("redirect_uri", "https://evil.test/")],
            &[
                ("redirect_uri", "https://evil.test/"),
                ("prompt", "none"),
                ("response_type", "nonsense"),
            ],
            &[("redirect_uri", "https://other.example.com/cb")],
            &[("redirect_uri", "javascript:alert(1)")],
        ];
        let mut visitor = world.visitor();
        for changes in table {
            let params = changed(app.request(), changes);
            visitor.get(&address(&params)).await.assert_rejected();
            post(&world, "/authorize", &[], &params).await.assert_rejected();
        }
        // Which of several it would be is not ours to guess.
        visitor
            .get(&other.url(&[("redirect_uri", ""), ("scope", "profile")]))
            .await
            .assert_rejected();
        assert!(visitor.cookies.is_empty());
    }

    async fn c005_every_answer_to_the_app_names_the_issuer(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        let denied = visitor.decide(&page, "deny").await;
        let mut answers = vec![("access_denied", denied)];
        for (error, changes) in [
            ("unsupported_response_type", &[("response_type", "token")][..]),
            ("invalid_request", &[("response_type", "")]),
            ("invalid_request", &[("response_mode", "jwt")]),
            (
                "invalid_request",
                &[("code_challenge", ""), ("code_challenge_method", "")],
            ),
            ("invalid_request", &[("max_age", "-1")]),
            ("invalid_scope", &[("scope", "nonsense")]),
            ("invalid_target", &[("resource", "https://unknown.example.com/")]),
            ("login_required", &[("prompt", "none"), ("max_age", "0")]),
            ("consent_required", &[("prompt", "none")]),
            ("invalid_request_object", &[("request", "e30.e30.")]),
            (
                "invalid_request_uri",
                &[("request_uri", "https://app.example.com/r")],
            ),
            ("registration_not_supported", &[("registration", "{}")]),
        ] {
            answers.push((error, visitor.open(&app.url(changes)).await));
        }
        for (error, answer) in answers {
            answer.assert_error(error);
            let expected = ["error", "error_description", "state", "iss"];
            assert_eq!(names(&answer), expected, "{error}");
            assert_eq!(
                answer.param("iss").as_deref(),
                Some(world.issuer.as_str()),
                "{error}"
            );
            assert_eq!(answer.param("state").as_deref(), Some("st-ate"), "{error}");
            let description = answer.param("error_description").unwrap();
            let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            assert!(
                !description.is_empty() && description.bytes().all(allowed),
                "{description}"
            );
        }
        let answer = visitor.authorize(&app.url(&[]), user.email.shown()).await;
        assert_eq!(names(&answer), ["code", "state", "iss"]);
        assert_eq!(answer.param("iss").as_deref(), Some(world.issuer.as_str()));
    }

    async fn c006_pkce_is_s256_or_nothing_and_nothing_only_where_the_record_says_so(world: World) {
        let user = world.user().await;
        let apps = [
            ("usual", world.app().await, false),
            ("public", world.public_app().await, false),
            (
                "without",
                world.app_with(json!({ "require_pkce": false })).await,
                true,
            ),
        ];
        let other = "a".repeat(43);
        for (kind, app, may_lack) in &apps {
            let mut visitor = world.visitor();
            for (challenge, method) in [
                (CHALLENGE, ""),
                ("", "S256"),
                (VERIFIER, "plain"),
                (CHALLENGE, "plain"),
                (CHALLENGE, "s256"),
                (CHALLENGE, "S512"),
                ("short", "S256"),
                (&format!("{CHALLENGE}="), "S256"),
                (&format!("{CHALLENGE}A"), "S256"),
                ("", ""),
            ] {
                if challenge.is_empty() && method.is_empty() && *may_lack {
                    continue;
                }
                let url = app.url(&[("code_challenge", challenge), ("code_challenge_method", method)]);
                visitor.get(&url).await.assert_error("invalid_request");
            }
            let codes = [("with", app.url(&[]))].into_iter().chain(may_lack.then(|| {
                (
                    "lacking",
                    app.url(&[("code_challenge", ""), ("code_challenge_method", "")]),
                )
            }));
            for (challenged, url) in codes {
                let redirect = visitor.authorize(&url, user.email.shown()).await;
                let code = redirect.code();
                for (verifier, error) in match challenged {
                    "with" => vec![
                        ("", "invalid_grant"),
                        (other.as_str(), "invalid_grant"),
                        (CHALLENGE, "invalid_grant"),
                        ("short", "invalid_request"),
                        (&VERIFIER[..42], "invalid_request"),
                    ],
                    // Whoever strips the challenge from the request must not find the verifier ignored.
                    _ => vec![(VERIFIER, "invalid_grant"), (&other, "invalid_grant")],
                } {
                    let answer = app
                        .redeem_with(&world, &code, &[("code_verifier", verifier)])
                        .await;
                    answer.assert_refusal(400, error);
                }
                let right = if challenged == "with" { VERIFIER } else { "" };
                let answer = app.redeem_with(&world, &code, &[("code_verifier", right)]).await;
                assert_eq!(answer.status, 200, "{kind} {challenged}: {}", answer.body);
            }
        }
    }

    async fn c010_a_repeated_parameter_is_refused_and_an_unknown_one_ignored(world: World) {
        let app = world.app().await;
        let mut visitor = world.visitor();
        for name in [
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "nonce",
            "code_challenge",
            "code_challenge_method",
            "prompt",
            "max_age",
            "login_hint",
            "ui_locales",
            "id_token_hint",
            "acr_values",
            "response_mode",
            "display",
            "claims",
            "claims_locales",
            "request",
            "request_uri",
            "registration",
            "flow",
        ] {
            let mut params = app.request();
            let value = params
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| value.clone());
            let first = value.is_none().then(|| (name, "1".to_owned()));
            params.extend(first);
            params.push((name, value.unwrap_or_else(|| "1".to_owned())));
            for answer in [
                visitor.get(&address(&params)).await,
                post(&world, "/authorize", &[], &params).await,
            ] {
                answer.assert_rejected();
                assert!(
                    answer.has(&format!("the parameter {name} appears more than once")),
                    "{}",
                    answer.body
                );
            }
        }
        let mut params = app.request();
        params.extend(["extra", "extra", "foo[]", "client-id"].map(|name| (name, "foobar".to_owned())));
        assert!(visitor.open(&address(&params)).await.asks_to_sign_in());
        let posted = post(&world, "/authorize", &[], &params).await;
        assert!(visitor.follow(posted).await.asks_to_sign_in());
    }

    async fn c012_response_types_and_modes_that_are_not_enabled_get_their_error(world: World) {
        let app = world.app().await;
        let machine = world
            .app_with(json!({ "grant_types": ["client_credentials"], "response_types": [] }))
            .await;
        let mut visitor = world.visitor();
        for (response_type, error) in [
            ("token", "unsupported_response_type"),
            ("id_token", "unsupported_response_type"),
            ("code token", "unsupported_response_type"),
            ("code id_token", "unsupported_response_type"),
            ("id_token token", "unsupported_response_type"),
            ("code id_token token", "unsupported_response_type"),
            ("none", "unsupported_response_type"),
            ("CODE", "unsupported_response_type"),
            ("code code", "unsupported_response_type"),
            ("", "invalid_request"),
        ] {
            for mode in ["", "query", "fragment", "form_post"] {
                let url = app.url(&[("response_type", response_type), ("response_mode", mode)]);
                let answer = visitor.get(&url).await;
                answer.assert_error(error);
                // What is asked for decides where the app looks, admitted or not.
                let tokens = response_type.split(' ').any(|word| word.ends_with("token"));
                let expected = match mode {
                    "form_post" => Channel::FormPost,
                    "fragment" => Channel::Fragment,
                    _ if tokens => Channel::Fragment,
                    _ => Channel::Query,
                };
                assert_eq!(answer.sent().unwrap().channel, expected, "{response_type} {mode}");
            }
        }
        for mode in ["jwt", "query.jwt", "QUERY", "web_message", "form_post fragment"] {
            let answer = visitor.get(&app.url(&[("response_mode", mode)])).await;
            answer.assert_error("invalid_request");
            assert_eq!(answer.sent().unwrap().channel, Channel::Query, "{mode}");
        }
        visitor
            .get(&machine.url(&[]))
            .await
            .assert_error("unauthorized_client");
    }

    async fn the_state_comes_back_byte_for_byte(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~".repeat(16);
        let long = &unreserved[..1000];
        // The first one travels through sign-in and consent.
        let answer = visitor
            .authorize(&app.url(&[("state", long)]), user.email.shown())
            .await;
        assert_eq!(answer.param("state").as_deref(), Some(long));
        for state in [
            &unreserved[..128],
            "-._~",
            "a b",
            "a+b",
            "a%2Bb",
            "%",
            "%zz",
            "a&state=b",
            "a#b",
            "a=b;c",
            "\"'<>\\",
            "ü😀",
            "{\"a\":[1]}",
            "a\r\nLocation: https://evil.test",
            "\u{7f}\u{202e}",
            " leading and trailing ",
        ] {
            for changes in [
                &[("state", state)][..],
                &[("state", state), ("prompt", "none"), ("max_age", "0")],
            ] {
                let answer = visitor.open(&app.url(changes)).await;
                assert_eq!(answer.status, 303);
                assert_eq!(
                    answer.param("state").as_deref(),
                    Some(state),
                    "{:?}",
                    answer.location()
                );
                assert!(answer.location().unwrap().bytes().all(|b| b.is_ascii_graphic()));
                assert!(
                    answer
                        .location()
                        .unwrap()
                        .starts_with("https://app.example.com/cb?")
                );
            }
        }
        let answer = visitor.open(&app.url(&[("state", "")])).await;
        assert_eq!(names(&answer), ["code", "iss"]);
    }

    async fn the_nonce_reaches_the_id_token_and_only_when_there_was_one(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, first) = app.sign_in(&world, &user, &[]).await;
        assert_eq!(first.id()["nonce"], "n-once");
        let longest = "n".repeat(512);
        for nonce in ["-._~ +%&=ü😀\"\\", &longest] {
            let redirect = visitor.open(&app.url(&[("nonce", nonce)])).await;
            assert_eq!(app.tokens(&world, &redirect).await.id()["nonce"], nonce);
        }
        let redirect = visitor.open(&app.url(&[("nonce", "")])).await;
        assert!(app.tokens(&world, &redirect).await.id().get("nonce").is_none());
        visitor
            .get(&app.url(&[("nonce", &"n".repeat(513))]))
            .await
            .assert_error("invalid_request");
    }

    async fn neither_the_order_of_scopes_nor_that_of_parameters_matters(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let all = "openid profile email address phone";
        let mut params = changed(
            app.request(),
            &[("scope", "phone address email profile openid openid  ")],
        );
        params.sort_by(|one, other| other.0.cmp(one.0));
        let mut visitor = world.visitor();
        let redirect = visitor.authorize(&address(&params), user.email.shown()).await;
        let reversed = app.tokens(&world, &redirect).await;
        // No consent is asked for the same scopes in another order.
        let redirect = visitor.open(&app.url(&[("scope", all)])).await;
        let usual = app.tokens(&world, &redirect).await;
        assert_eq!(words(usual.text("scope")), words(all));
        assert_eq!(reversed.text("scope"), usual.text("scope"));
        assert_eq!(reversed.id()["sub"], usual.id()["sub"]);
    }

    async fn unknown_scopes_are_dropped_and_the_response_says_what_is_left(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app
            .grant(
                &world,
                &user,
                &[("scope", "openid nonsense email OPENID urn:x:y")],
            )
            .await;
        assert_eq!(words(tokens.text("scope")), words("openid email"));

        let narrow = world.app_with(json!({ "scope": "openid email" })).await;
        let tokens = narrow
            .grant(&world, &user, &[("scope", "openid email profile phone")])
            .await;
        assert_eq!(words(tokens.text("scope")), words("openid email"));

        let mut visitor = world.visitor();
        for scope in [
            "nonsense",
            "",
            "OpenID",
            "open\"id",
            "openid\tprofile",
            "ünïcode openid",
            "openid,profile",
        ] {
            visitor
                .get(&app.url(&[("scope", scope)]))
                .await
                .assert_error("invalid_scope");
        }
        visitor
            .get(&narrow.url(&[("scope", "profile")]))
            .await
            .assert_error("invalid_scope");
    }

    async fn parameters_that_only_advise_are_accepted(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        for (name, value) in [
            ("display", "page"),
            ("display", "popup"),
            ("display", "nonsense"),
            ("ui_locales", "se de-DE"),
            ("ui_locales", "../../etc/passwd"),
            ("login_hint", "buffy@example.com"),
            ("claims_locales", "fr"),
            ("acr_values", "1 2"),
            ("extra", "foobar"),
            ("claims", "{\"userinfo\":{\"name\":null}}"),
        ] {
            visitor.open(&app.url(&[(name, value)])).await.code();
        }
    }

    async fn a_registered_query_stays_and_an_implied_redirect_uri_is_for_plain_oauth(world: World) {
        let uri = "https://app.example.com/cb?own=%7E&x";
        let app = world.app_with(json!({ "redirect_uris": [uri] })).await;
        let user = world.user().await;
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let answer = visitor.open(&app.url(&[])).await;
        assert!(
            answer.location().unwrap().starts_with(&format!("{uri}&code=")),
            "{:?}",
            answer.location()
        );

        visitor
            .get(&app.url(&[("redirect_uri", "")]))
            .await
            .assert_error("invalid_request");
        let answer = visitor
            .authorize(
                &app.url(&[("redirect_uri", ""), ("scope", "profile")]),
                user.email.shown(),
            )
            .await;
        assert!(answer.location().unwrap().starts_with(&format!("{uri}&code=")));
        // RFC 6749 §4.1.3: what was not in the one request need not be in the other.
        let tokens = app
            .redeem_with(&world, &answer.code(), &[("redirect_uri", "")])
            .await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
    }

    async fn a_request_too_large_to_travel_is_the_apps_to_mend(world: World) {
        let app = world.app().await;
        let params = changed(app.request(), &[("state", &"s".repeat(5000))]);
        for answer in [
            world.visitor().get(&address(&params)).await,
            post(&world, "/authorize", &[], &params).await,
        ] {
            answer.assert_error("invalid_request");
            assert!(answer.param("error_description").unwrap().contains("PAR"));
            assert_eq!(answer.param("state").unwrap().len(), 5000);
        }
    }

    async fn a_posted_request_works_like_one_by_get_and_touches_no_cookie(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        // A site that posts to us: the browser sends no Lax cookie along.
        let posted = |app: App, changes: Vec<(&'static str, &'static str)>| {
            let params = changed(app.request(), &changes);
            let request = client().post(world.at("/authorize")).form(&params);
            let request = request
                .header("origin", "https://app.example.com")
                .header("sec-fetch-site", "cross-site");
            crate::harness::app::answer(request)
        };
        let mut visitor = world.visitor();
        let redirect = posted(app.clone(), vec![]).await;
        assert_eq!(redirect.status, 303, "{}", redirect.body);
        assert!(!redirect.headers.contains_key("set-cookie"));
        assert!(redirect.location().unwrap().starts_with("/authorize?flow="));

        let page = visitor.follow(redirect).await;
        let page = visitor.sign_in(&page, user.email.shown()).await;
        let answer = visitor.decide(&page, "allow").await;
        assert_eq!(answer.param("state").as_deref(), Some("st-ate"));
        assert_eq!(app.tokens(&world, &answer).await.id()["nonce"], "n-once");

        // The GET that follows sees the session.
        let redirect = posted(app.clone(), vec![("prompt", "none")]).await;
        visitor.follow(redirect).await.code();
        posted(app.clone(), vec![("response_type", "token")])
            .await
            .assert_error("unsupported_response_type");
        let redirect = posted(app.clone(), vec![("prompt", "none")]).await;
        world
            .visitor()
            .follow(redirect)
            .await
            .assert_error("login_required");

        let params = app.request();
        for request in [
            client()
                .post(world.at("/authorize"))
                .json(&json!({ "client_id": app.id })),
            client().post(world.at("/authorize")).body("client_id=x"),
            client().post(world.at(&address(&params))),
            client()
                .post(world.at("/authorize"))
                .header("content-type", FORM)
                .body("client_id=%ff&state=%c3%28"),
        ] {
            crate::harness::app::answer(request).await.assert_rejected();
        }
        for method in [http::Method::PUT, http::Method::DELETE, http::Method::PATCH] {
            let answer = crate::harness::app::answer(client().request(method, world.at("/authorize"))).await;
            assert_eq!(answer.status, 405);
        }
    }
}

on_both_databases! {
    async fn c004_a_fault_of_ours_stays_on_our_page(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let code = app.code(&world, &user, &[]).await;
        world.heard().await;
        world.db.close().await;
        let answer = world.visitor().get(&app.url(&[])).await;
        answer.assert_page(503, "Busy just now");
        assert_eq!(answer.header("retry-after"), Some("2"));
        // Of an app that is known, a request that another site posts is sealed without a question to anybody.
        let posted = post(&world, "/authorize", &[], &app.request()).await;
        assert_eq!(posted.status, 303);
        assert!(posted.location().unwrap().starts_with("/authorize?flow="));
        app.redeem(&world, &code)
            .await
            .assert_refusal(503, "temporarily_unavailable");
        // What needs no database goes on.
        assert_eq!(world.visitor().get("/jwks").await.status, 200);
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn words(text: &str) -> BTreeSet<&str> {
    text.split(' ').collect()
}

/// The names of the parameters that go to the app.
fn names(answer: &Answer) -> Vec<String> {
    let sent = answer.sent().expect("an answer to the app");
    sent.params.into_iter().map(|(name, _)| name).collect()
}
