//! Whom an access token is for: RFC 8707, RFC 9068 §3.

use protocol::SigningAlg;
use serde_json::{Value, json};

use crate::harness::app::{App, Tokens, address, header, payload, userinfo};
use crate::harness::{Answer, World};

everywhere! {
    async fn the_audience_is_what_was_asked_for(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (one, two) = (
            world.resource(SigningAlg::Es256).await,
            world.resource(SigningAlg::Es256).await,
        );
        let (read_one, read_two) = (
            one.scopes.keys().next().unwrap(),
            two.scopes.keys().next().unwrap(),
        );
        let (one, two, issuer) = (
            one.identifier.as_str(),
            two.identifier.as_str(),
            world.issuer.as_str(),
        );
        for (scope, resources, aud, left) in [
            ("openid".to_owned(), vec![], json!(issuer), "openid".to_owned()),
            ("profile".to_owned(), vec![], json!(issuer), "profile".to_owned()),
            (
                format!("openid {read_one}"),
                vec![one],
                json!([one, issuer]),
                format!("openid {read_one}"),
            ),
            (
                "openid".to_owned(),
                vec![one],
                json!([one, issuer]),
                "openid".to_owned(),
            ),
            (read_one.clone(), vec![one], json!(one), read_one.clone()),
            (
                format!("{read_one} {read_two}"),
                vec![one, two],
                json!([one, two]),
                sorted([read_one, read_two]),
            ),
            (
                format!("openid {read_one}"),
                vec![two, one],
                json!([two, one, issuer]),
                format!("openid {read_one}"),
            ),
            // A scope means something only at its own resource server.
            (
                format!("{read_one} {read_two}"),
                vec![two, two],
                json!(two),
                read_two.clone(),
            ),
            (
                format!("openid {read_one}"),
                vec![],
                json!(issuer),
                "openid".to_owned(),
            ),
        ] {
            let tokens = authorized(&app, &world, &user.email, &scope, &resources).await;
            let claims = payload(tokens.access());
            assert_eq!(claims["aud"], aud, "{scope} {resources:?}");
            assert_eq!(
                (&claims["scope"], tokens.text("scope")),
                (&json!(left), left.as_str())
            );
            assert_eq!(header(tokens.access())["alg"], "ES256");
            assert_eq!(tokens.body.get("id_token").is_some(), scope.contains("openid"));
            let status = userinfo(&world, tokens.access()).await.status;
            let expected = match (scope.contains("openid"), resources.is_empty()) {
                (true, _) => 200,
                (false, true) => 403,
                (false, false) => 401,
            };
            assert_eq!(status, expected, "{scope} {resources:?}");
        }
    }

    async fn a_resource_that_cannot_be_served_is_an_invalid_target(world: World) {
        let app = world.app().await;
        let (es, rs) = (
            world.resource(SigningAlg::Es256).await,
            world.resource(SigningAlg::Rs256).await,
        );
        let (es, rs) = (es.identifier, rs.identifier);
        let no_slash = es.trim_end_matches('/').to_owned();
        let upper = es.to_uppercase();
        let many: Vec<String> = (0..9).map(|n| format!("https://{n}.example.com/")).collect();
        for resources in [
            vec!["https://unknown.example.com/"],
            vec![&es, "https://unknown.example.com/"],
            vec![&no_slash],
            vec![&upper],
            vec!["reports"],
            vec!["https://api.example.com/#fragment"],
            // One token has one signature.
            vec![&es, &rs],
            vec![&rs, &es, &rs],
            many.iter().map(String::as_str).collect(),
        ] {
            let url = with_resources(&app, "openid", &resources);
            world.visitor().get(&url).await.assert_error("invalid_target");
        }
        let answer = world
            .visitor()
            .get(&app.url(&[("scope", "read-nothing"), ("resource", &es)]))
            .await;
        answer.assert_error("invalid_scope");
    }

    async fn a_token_request_may_narrow_the_resources_but_not_leave_them(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (one, two) = (
            world.resource(SigningAlg::Es256).await,
            world.resource(SigningAlg::Es256).await,
        );
        let foreign = world.resource(SigningAlg::Es256).await;
        let (read_one, read_two) = (
            one.scopes.keys().next().unwrap(),
            two.scopes.keys().next().unwrap(),
        );
        let (one, two) = (one.identifier.as_str(), two.identifier.as_str());
        let scope = format!("{read_one} {read_two} offline_access");
        let mut visitor = world.visitor();
        let redirect = visitor
            .authorize(&with_resources(&app, &scope, &[one, two]), user.email.shown())
            .await;

        for bad in [
            foreign.identifier.as_str(),
            "https://unknown.example.com/",
            &world.issuer,
        ] {
            app.redeem_with(&world, &redirect.code(), &[("resource", bad)])
                .await
                .assert_refusal(400, "invalid_target");
        }
        let answer = app
            .redeem_with(&world, &redirect.code(), &[("resource", one)])
            .await;
        let claims = checked(&answer);
        assert_eq!(
            (&claims["aud"], &claims["scope"]),
            (&json!(one), &json!(sorted(["offline_access", read_one])))
        );

        let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        let answer = app.refresh_with(&world, &refresh, &[("resource", two)]).await;
        let claims = checked(&answer);
        assert_eq!(
            (&claims["aud"], &claims["scope"]),
            (&json!(two), &json!(sorted(["offline_access", read_two])))
        );
        // What was left out once can be asked for the next time.
        let claims = checked(&app.refresh(&world, &refresh).await);
        assert_eq!(claims["aud"], json!([one, two]));
        assert_eq!(claims["scope"], sorted(["offline_access", read_one, read_two]));
    }

    async fn a_resource_server_gets_the_signature_it_registered(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let api = world.resource(SigningAlg::Rs256).await;
        let scope = format!("openid {}", api.scopes.keys().next().unwrap());
        let tokens = app
            .grant(&world, &user, &[("scope", &scope), ("resource", &api.identifier)])
            .await;
        assert_eq!(header(tokens.access())["alg"], "RS256");
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);

        let jwks = world.visitor().get("/jwks").await.body;
        let keys = jws::KeySet::parse(jwks.as_bytes(), None).unwrap();
        let token = jws::Unverified::parse(tokens.access()).unwrap();
        for (audience, admitted) in [
            (api.identifier.as_str(), true),
            (&world.issuer, true),
            ("https://other.test/", false),
        ] {
            let verdict = jws::access_token::verify(&token, &keys, &world.issuer, jws::Meant::For(audience), world.now());
            assert_eq!(verdict.is_ok(), admitted, "{audience} {verdict:?}");
        }
    }

    async fn a_resource_beyond_what_was_allowed_is_asked_about(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (one, two) = (
            world.resource(SigningAlg::Es256).await,
            world.resource(SigningAlg::Es256).await,
        );
        let mut visitor = world.visitor();
        let first = with_resources(&app, "openid", &[&one.identifier]);
        visitor.authorize(&first, user.email.shown()).await;
        visitor.open(&first).await.code();
        let page = visitor
            .open(&with_resources(
                &app,
                "openid",
                &[&one.identifier, &two.identifier],
            ))
            .await;
        assert!(page.asks_for_consent());
        visitor.decide(&page, "allow").await.code();
        let scope = format!("openid {}", one.scopes.keys().next().unwrap());
        let page = visitor
            .open(&with_resources(&app, &scope, &[&one.identifier]))
            .await;
        assert!(
            page.asks_for_consent() && page.has("Read your reports") && page.has("Reports API"),
            "{}",
            page.body
        );
    }
}

fn sorted<const N: usize>(mut words: [&str; N]) -> String {
    words.sort_unstable();
    words.join(" ")
}

fn with_resources(app: &App, scope: &str, resources: &[&str]) -> String {
    let mut params = crate::harness::app::changed(app.request(), &[("scope", scope)]);
    params.extend(
        resources
            .iter()
            .map(|resource| ("resource", (*resource).to_owned())),
    );
    address(&params)
}

async fn authorized(
    app: &App,
    world: &World,
    email: &accounts::email::Email,
    scope: &str,
    resources: &[&str],
) -> Tokens {
    let redirect = world
        .visitor()
        .authorize(&with_resources(app, scope, resources), email.shown())
        .await;
    app.tokens(world, &redirect).await
}

#[track_caller]
fn checked(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    payload(answer.json()["access_token"].as_str().unwrap())
}
