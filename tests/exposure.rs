//! What leaks and what is let in at the edges: URLs, caches, scripts of other origins, oversized requests, forwarding
//! headers.

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE,
    ORIGIN, VARY,
};

use crate::harness::app::{address, answer, basic, post, userinfo};
use crate::harness::visitor::client;
use crate::harness::world::PASSWORD;

const FORM: &str = "application/x-www-form-urlencoded";

everywhere! {
    async fn c037_no_token_and_no_secret_stands_in_any_url(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let mut answers = Vec::new();
        let url = app.url(&[("scope", "openid offline_access")]);
        let begun = visitor.get(&url).await;
        let login = visitor.follow(begun.clone()).await;
        let form = login
            .form()
            .with("username", user.email.shown())
            .with("password", PASSWORD);
        let signed_in = visitor.submit(&form).await;
        let resumed = visitor.get(&signed_in.location().unwrap()).await;
        let consent = visitor.follow(resumed.clone()).await;
        let allowed = visitor.submit(&consent.form().with("decision", "allow")).await;
        let redirect = visitor.follow(allowed.clone()).await;
        let tokens = app.tokens(&world, &redirect).await;
        answers.extend([begun, login, signed_in, resumed, consent, allowed, redirect]);
        answers.push(app.refresh(&world, tokens.refresh()).await);
        answers.push(
            visitor
                .get(&app.url(&[("prompt", "none"), ("id_token_hint", tokens.text("id_token"))]))
                .await,
        );
        answers.push(
            visitor
                .open(&app.url(&[("prompt", "login"), ("id_token_hint", tokens.text("id_token"))]))
                .await,
        );
        answers.push(userinfo(&world, tokens.access()).await);

        let mut secrets = vec![
            tokens.access(),
            tokens.refresh(),
            tokens.text("id_token"),
            PASSWORD,
            user.email.shown(),
        ];
        secrets.push(app.secret.as_ref().unwrap().expose());
        secrets.extend(visitor.cookies.values().map(String::as_str));
        let urls = |answer: &crate::harness::Answer| {
            let inside = ["href=\"", "action=\"", "src=\""]
                .map(|before| {
                    answer
                        .body
                        .split(before)
                        .skip(1)
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                })
                .concat();
            let inside = inside
                .into_iter()
                .filter_map(|rest| rest.split('"').next().map(str::to_owned));
            inside.chain(answer.location()).collect::<Vec<_>>()
        };
        let found: Vec<String> = answers.iter().flat_map(urls).collect();
        assert!(found.len() > 10, "{found:?}");
        for url in &found {
            let decoded = percent_decoded(url);
            for secret in &secrets {
                assert!(!decoded.contains(secret), "{url}");
            }
            for kind in ["cs_rt_", "cs_cs_", "cs_br_", "access_token", "id_token"] {
                assert!(!decoded.contains(kind), "{url}");
            }
        }
    }

    async fn c038_what_is_about_a_person_is_kept_by_no_cache(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let answers = [
            userinfo(&world, tokens.access()).await,
            userinfo(&world, "x").await,
            app.redeem(&world, "x").await,
            app.redeem(&world, &app.code(&world, &user, &[]).await).await,
            visitor.get(&app.url(&[])).await,
            visitor.get(&app.url(&[("prompt", "login")])).await,
            visitor.open(&app.url(&[("prompt", "login")])).await,
            visitor.open(&app.url(&[("prompt", "consent")])).await,
            visitor.get(&app.url(&[("client_id", "x")])).await,
            visitor.get("/login").await,
            visitor.get("/consent?flow=x").await,
            post(&world, "/authorize", &[], &app.request()).await,
            post(&world, "/login", &[], &[]).await,
            post(&world, "/consent", &[], &[]).await,
            visitor.get("/logout").await,
            visitor.get("/logout/confirm").await,
            post(&world, "/logout", &[], &[]).await,
            answer(client().get(world.at("/token"))).await,
        ];
        for answer in answers {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
        }
        for path in [
            "/jwks",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
        ] {
            assert_eq!(
                visitor.get(path).await.header("cache-control"),
                Some("public, max-age=300")
            );
        }
    }

    async fn c095_scripts_read_documents_everywhere_and_tokens_only_at_registered_origins(world: World) {
        let host = format!(
            "https://{}.example.com",
            protocol::random::id().to_lowercase().replace('_', "-")
        );
        let app = world.app_with(serde_json::json!({
            "redirect_uris": [format!("{host}/cb"), format!("{}:8443/cb", host), "https://app.example.com/cb"],
            "token_endpoint_auth_method": "none",
        })).await;
        let port = format!("{host}:8443");
        let others = [
            "null",
            "https://evil.test",
            &host.replace("https", "http"),
            &format!("{host}:444"),
            &format!("{host}."),
            &format!("{host}.evil.test"),
            &host.to_uppercase(),
            &format!("{host}/cb"),
            "https://example.com",
            "*",
            "",
            "file://",
        ]
        .map(str::to_owned);
        let origins = [&host, &port].into_iter().map(|origin| (origin, true));
        for (origin, registered) in origins.chain(others.iter().map(|origin| (origin, false))) {
            for (path, method, public) in [
                ("/jwks", Method::GET, true),
                ("/.well-known/openid-configuration", Method::GET, true),
                ("/.well-known/oauth-authorization-server", Method::GET, true),
                ("/token", Method::POST, false),
                ("/userinfo", Method::GET, false),
                ("/userinfo", Method::POST, false),
            ] {
                let preflight = client()
                    .request(Method::OPTIONS, world.at(path))
                    .header(ORIGIN, origin)
                    .header(ACCESS_CONTROL_REQUEST_METHOD, method.as_str())
                    .header(ACCESS_CONTROL_REQUEST_HEADERS, "authorization");
                let plain = client()
                    .request(method.clone(), world.at(path))
                    .header(ORIGIN, origin);
                for request in [preflight, plain] {
                    let answer = answer(request).await;
                    let expected = match (public, registered) {
                        (true, _) => Some("*"),
                        (false, true) => Some(origin.as_str()),
                        (false, false) => None,
                    };
                    assert_eq!(
                        answer.header(ACCESS_CONTROL_ALLOW_ORIGIN.as_str()),
                        expected,
                        "{origin} {method} {path}"
                    );
                    assert_eq!(answer.header("access-control-allow-credentials"), None);
                    assert!(
                        public || answer.headers.get_all(VARY).iter().any(|vary| vary == "Origin"),
                        "{path}"
                    );
                }
            }
            for path in ["/authorize", "/login", "/consent", "/logout", "/livez", "/nowhere"] {
                let answer = answer(client().get(world.at(path)).header(ORIGIN, origin)).await;
                assert_eq!(
                    answer.header(ACCESS_CONTROL_ALLOW_ORIGIN.as_str()),
                    None,
                    "{path}"
                );
            }
        }
        // An error is for the script of the app as well.
        let request = client().post(world.at("/token")).header(ORIGIN, &host);
        let answer = answer(request.form(&[("client_id", app.id.as_str())])).await;
        answer.assert_refusal(400, "invalid_request");
        assert_eq!(
            answer.header(ACCESS_CONTROL_ALLOW_ORIGIN.as_str()),
            Some(host.as_str())
        );
    }

    async fn c096_what_is_too_large_is_refused_at_every_route(world: World) {
        let app = world.app().await;
        let many: Vec<(&'static str, String)> = (0..101).map(|_| ("extra", "1".to_owned())).collect();
        let enough: Vec<(&'static str, String)> = many[..100 - app.request().len()].to_vec();
        let mut visitor = world.visitor();
        let with = |more: &[(&'static str, String)]| [&app.request(), more].concat();
        visitor.get(&address(&with(&many))).await.assert_rejected();
        assert!(visitor.open(&address(&with(&enough))).await.asks_to_sign_in());
        for path in ["/login", "/consent", "/logout", "/logout/confirm"] {
            let ours = [("origin", world.issuer.clone())];
            post(&world, path, &ours, &many).await.assert_rejected();
        }
        for path in ["/token", "/userinfo"] {
            post(&world, path, &[], &many)
                .await
                .assert_refusal(400, "invalid_request");
        }

        let large = format!("extra={}", "x".repeat(64 * 1024));
        let fits = format!("extra={}", "x".repeat(64 * 1024 - 6));
        for path in ["/authorize", "/token", "/userinfo", "/login", "/consent"] {
            let sent = |body: &str| {
                answer(
                    client()
                        .post(world.at(path))
                        .header(CONTENT_TYPE, FORM)
                        .body(body.to_owned()),
                )
            };
            assert_eq!(sent(&large).await.status, 413, "{path}");
            let read = sent(&fits).await.status;
            assert!(read.is_client_error() && read != 413, "{path} {read}");
        }
        for path in [
            "/authorize",
            "/token",
            "/userinfo",
            "/login",
            "/consent",
            "/logout",
            "/jwks",
            "/livez",
            "/nowhere",
            "/.well-known/openid-configuration",
        ] {
            let long = format!("{path}?extra={}", "x".repeat(8 * 1024));
            assert_eq!(visitor.get(&long).await.status, 414, "{path}");
            let header = client()
                .get(world.at(path))
                .header("x-extra", "x".repeat(33 * 1024));
            assert_eq!(answer(header).await.status, 431, "{path}");
        }
    }

    async fn c098_forwarding_headers_of_a_stranger_change_nothing(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let code = app.code(&world, &user, &[]).await;
        let proof = basic(&app.id, app.secret.as_ref().unwrap().expose());
        let wrong = basic(&app.id, "wrong");
        for value in [
            "127.0.0.1",
            "10.0.0.1, 127.0.0.1",
            "nonsense",
            "",
            "::1",
            "999.999.999.999",
            "127.0.0.1:80, x",
            "unknown",
        ] {
            for name in [
                "x-forwarded-for",
                "forwarded",
                "x-real-ip",
                "cf-connecting-ip",
                "true-client-ip",
                "x-client-ip",
            ] {
                let spoofed =
                    |proof: &str| vec![("authorization", proof.to_owned()), (name, value.to_owned())];
                let params = [
                    ("grant_type", "authorization_code".to_owned()),
                    ("code", "x".to_owned()),
                ];
                post(&world, "/token", &spoofed(&wrong), &params)
                    .await
                    .assert_refusal(401, "invalid_client");
                post(&world, "/token", &spoofed(&proof), &params)
                    .await
                    .assert_refusal(400, "invalid_grant");
                let request = client().get(world.at(&app.url(&[]))).header(name, value);
                assert_eq!(answer(request).await.status, 303, "{name}: {value}");
            }
        }
        assert_eq!(app.redeem(&world, &code).await.status, 200);
    }
}

fn percent_decoded(url: &str) -> String {
    let pair = format!("={}", url.replace('&', "%26").replace("amp;", ""));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, text)| text.into_owned()).unwrap_or_default()
}
