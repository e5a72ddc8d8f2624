//! What tokens say, and that none passes for another: OpenID Connect Core §2 and §3.1.3.3, RFC 6749 §5.1, RFC 9068.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use issuance::ACCESS_TOKEN_LIFE;
use revocation::Act;
use serde_json::{Value, json};

use crate::harness::app::{Tokens, basic, header, payload, post, userinfo};
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;
use crate::harness::{App, Visitor, World};

everywhere! {
    async fn a_token_response_says_what_it_holds_and_is_kept_by_no_cache(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let redirect = world
            .visitor()
            .authorize(&app.url(OFFLINE), user.email.shown())
            .await;
        let answer = app.redeem(&world, &redirect.code()).await;
        let refreshed = app
            .refresh(&world, answer.json()["refresh_token"].as_str().unwrap())
            .await;
        for answer in [answer, refreshed] {
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("pragma"), Some("no-cache"));
            assert!(answer.header("date").is_some());
            let body = answer.json();
            let names: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
            let expected = [
                "access_token",
                "expires_in",
                "id_token",
                "refresh_token",
                "scope",
                "token_type",
            ];
            assert_eq!(names, expected.into());
            assert_eq!(
                (&body["token_type"], &body["expires_in"]),
                (&json!("Bearer"), &json!(900))
            );
            let claims = payload(body["access_token"].as_str().unwrap());
            assert_eq!(
                claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
                900
            );
        }
    }

    async fn an_id_token_is_small_and_right(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let scope = "openid profile email address phone offline_access";
        let tokens = app.grant(&world, &user, &[("scope", scope)]).await;
        let now = world.now().as_secs();
        let (id, head) = (tokens.id(), header(tokens.text("id_token")));
        let names: BTreeSet<&str> = id.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "acr",
            "amr",
            "at_hash",
            "aud",
            "auth_time",
            "exp",
            "iat",
            "iss",
            "nonce",
            "sid",
            "sub",
        ];
        assert_eq!(names, expected.into());
        assert_eq!((&id["iss"], &id["aud"]), (&json!(world.issuer), &json!(app.id)));
        assert_eq!((&id["sub"], &id["nonce"]), (&json!(user.sub), &json!("n-once")));
        assert!(user.sub.as_str().len() <= 255 && user.sub.as_str().bytes().all(|b| b.is_ascii_graphic()));
        assert_eq!(
            (&id["acr"], &id["amr"]),
            (&json!("urn:countersign:pwd"), &json!(["pwd"]))
        );
        let time = |name: &str| {
            id[name]
                .as_i64()
                .unwrap_or_else(|| panic!("{name} is no integer: {id}"))
        };
        assert!(
            (now - 60..=now).contains(&time("iat")) && (now - 60..=time("iat")).contains(&time("auth_time"))
        );
        assert!((60..=3600).contains(&(time("exp") - time("iat"))));

        // OpenID Connect Core §3.1.3.6.
        let half = &seal::sha256(tokens.access().as_bytes())[..16];
        assert_eq!(id["at_hash"], encoded(half));
        let names: BTreeSet<&str> = head.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "kid", "typ"].into());
        assert_eq!((&head["alg"], &head["typ"]), (&json!("RS256"), &json!("JWT")));
        let keys = world.visitor().get("/jwks").await.body;
        let keys = jws::KeySet::parse(keys.as_bytes(), None).unwrap();
        let token = jws::Unverified::parse(tokens.text("id_token")).unwrap();
        token
            .verify(&keys, &[jws::Alg::Rs256], jws::Typ::JwtOrAbsent)
            .unwrap();
    }

    async fn an_access_token_names_what_a_resource_server_needs_and_nothing_of_the_person(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app.grant(&world, &user, OFFLINE).await;
        let (claims, head) = (payload(tokens.access()), header(tokens.access()));
        let names: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "acr",
            "approval",
            "aud",
            "auth_time",
            "client_generation",
            "client_id",
            "exp",
            "iat",
            "iss",
            "jti",
            "scope",
            "sub",
        ];
        assert_eq!(names, expected.into());
        assert_eq!(
            (&claims["client_id"], &claims["sub"]),
            (&json!(app.id), &json!(user.sub))
        );
        assert_eq!((&head["typ"], &head["alg"]), (&json!("at+jwt"), &json!("ES256")));
        for token in [tokens.access(), tokens.text("id_token")] {
            let claims = payload(token).to_string();
            assert!(
                !claims.contains(user.email.shown()) && !claims.contains("Alex"),
                "{claims}"
            );
        }
        // Two approvals of one user and client have names of their own.
        let other = payload(app.grant(&world, &user, OFFLINE).await.access());
        for name in ["jti", "approval"] {
            assert_ne!(claims[name], other[name]);
        }
    }

    async fn c007_codes_and_refresh_tokens_are_long_random_and_plain(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, OFFLINE).await;
        let mut seen = BTreeSet::new();
        for _ in 0..8 {
            let redirect = visitor.open(&app.url(OFFLINE)).await;
            let tokens = app.tokens(&world, &redirect).await;
            for (kind, value) in [
                ("cs_ac_", redirect.code()),
                ("cs_rt_", tokens.refresh().to_owned()),
            ] {
                assert!(value.starts_with(kind), "{value}");
                assert!(
                    value
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
                    "{value}"
                );
                assert!(entropy(&value) >= 128.0, "{value}: {}", entropy(&value));
                assert!(seen.insert(value));
            }
        }
        assert!(!seen.contains(tokens.refresh()));
    }

    async fn c025_nothing_passes_for_something_of_another_kind(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, OFFLINE).await;
        let all = Artefacts::of(&app, &mut visitor, &tokens).await;
        for (kind, value) in &all.values {
            for place in PLACES {
                if kind != place {
                    assert!(
                        !opens(place, value, &all, (&world, &app), &mut visitor).await,
                        "{kind} passes for {place}"
                    );
                }
            }
        }
        // Each does open its own place, so each of these could have been accepted.
        for place in PLACES {
            assert!(
                opens(place, &all.values[place], &all, (&world, &app), &mut visitor).await,
                "{place}"
            );
        }
    }

    async fn c026_a_value_counts_only_whole_and_as_it_was_written(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, OFFLINE).await;
        let all = Artefacts::of(&app, &mut visitor, &tokens).await;
        for place in [
            "a code",
            "a refresh token",
            "a client secret",
            "a browser cookie",
            "an access token",
        ] {
            let value = &all.values[place];
            let middle = value.len() / 2;
            let swapped = if &value[middle..=middle] == "A" { "B" } else { "A" };
            for altered in [
                value[1..].to_owned(),
                value[..value.len() - 1].to_owned(),
                value[..middle].to_owned(),
                value[6..].to_owned(),
                value.to_uppercase(),
                value.to_lowercase(),
                format!("{value}A"),
                format!("{value}="),
                format!("{value}%00"),
                format!("{value}.A"),
                format!("A{value}"),
                format!("{value}{value}"),
                format!("{}{swapped}{}", &value[..middle], &value[middle + 1..]),
            ] {
                assert!(
                    !opens(place, &altered, &all, (&world, &app), &mut visitor).await,
                    "{place}: {altered}"
                );
            }
            assert!(
                opens(place, value, &all, (&world, &app), &mut visitor).await,
                "{place}"
            );
        }
    }

    async fn who_was_disabled_is_out_at_once_and_old_tokens_stay_dead(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, OFFLINE).await;
        world.end(Act::DisableUser(user.sub.clone())).await;
        userinfo(&world, tokens.access())
            .await
            .assert_refusal(401, "invalid_token");
        visitor
            .get(&app.url(&[("prompt", "none")]))
            .await
            .assert_error("login_required");
        let page = visitor.open(&app.url(&[])).await;
        assert_eq!(visitor.sign_in(&page, user.email.shown()).await.status, 400);

        let (sub, now) = (user.sub.clone(), world.now());
        let enabled = world.db.transact(move |conn| {
            Box::pin(async move { accounts::users::set_disabled(&sub, None, &events::Context::server(), conn, now).await })
        });
        assert!(enabled.await.unwrap());
        userinfo(&world, tokens.access())
            .await
            .assert_refusal(401, "invalid_token");
        app.refresh(&world, tokens.refresh())
            .await
            .assert_refusal(400, "invalid_grant");
        let page = visitor.open(&app.url(OFFLINE)).await;
        let answer = visitor.sign_in(&page, user.email.shown()).await;
        let tokens = app.tokens(&world, &answer).await;
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
    }

    async fn a_deleted_client_is_unknown_and_its_tokens_are_dead(world: World) {
        let (app, other, user) = (world.app().await, world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, OFFLINE).await;
        let others = other.grant(&world, &user, OFFLINE).await;
        let page = visitor.open(&app.url(&[("scope", "openid phone")])).await;
        world.end(Act::DeleteClient(app.id.as_str().into())).await;
        userinfo(&world, tokens.access())
            .await
            .assert_refusal(401, "invalid_token");
        app.refresh(&world, tokens.refresh())
            .await
            .assert_refusal(401, "invalid_client");
        visitor.get(&app.url(&[])).await.assert_rejected();
        visitor.decide(&page, "allow").await.assert_rejected();
        assert_eq!(userinfo(&world, others.access()).await.status, 200);
        assert_eq!(other.refresh(&world, others.refresh()).await.status, 200);
    }
}

on_both_databases! {
    async fn c066_an_access_token_dies_on_the_second(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app.grant(&world, &user, &[]).await;
        world.pass(ACCESS_TOKEN_LIFE - Duration::from_secs(1));
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
        world.pass(Duration::from_secs(1));
        userinfo(&world, tokens.access())
            .await
            .assert_refusal(401, "invalid_token");
    }
}

const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile offline_access")];

const PLACES: &[&str] = &[
    "a code",
    "a refresh token",
    "an access token",
    "an id_token_hint",
    "a client secret",
    "a flow",
    "a CSRF token",
    "a browser cookie",
    "a flow cookie",
];

/// One of each kind, all of one user, client and browser.
struct Artefacts {
    values: BTreeMap<&'static str, String>,
    login: Form,
}

impl Artefacts {
    async fn of(app: &App, visitor: &mut Visitor<'_>, tokens: &Tokens) -> Self {
        let login = visitor.open(&app.url(&[("prompt", "login")])).await;
        let consent = visitor.open(&app.url(&[("prompt", "consent")])).await;
        let code = visitor.open(&app.url(&[("scope", "openid")])).await.code();
        let cookie = |kind: &str| {
            let found = visitor.cookies.iter().find(|(name, _)| name.contains(kind));
            found.expect("the cookie").1.clone()
        };
        Self {
            values: [
                ("a code", code),
                ("a refresh token", tokens.refresh().to_owned()),
                ("an access token", tokens.access().to_owned()),
                ("an id_token_hint", tokens.text("id_token").to_owned()),
                (
                    "a client secret",
                    app.secret.as_ref().expect("a secret").expose().to_owned(),
                ),
                ("a flow", consent.form().value("flow").to_owned()),
                ("a CSRF token", login.form().value("csrf").to_owned()),
                ("a browser cookie", cookie("browser")),
                ("a flow cookie", cookie("flow")),
            ]
            .into(),
            login: login.form(),
        }
    }
}

/// Whether the value is accepted at a place.
async fn opens(
    place: &str,
    value: &str,
    all: &Artefacts,
    (world, app): (&World, &App),
    visitor: &mut Visitor<'_>,
) -> bool {
    match place {
        "a code" => app.redeem(world, value).await.status == 200,
        "a refresh token" => app.refresh(world, value).await.status == 200,
        "an access token" => {
            let in_body = post(world, "/userinfo", &[], &[("access_token", value.to_owned())]).await;
            let in_header = userinfo(world, value).await;
            assert_eq!(in_body.status == 200, in_header.status == 200);
            in_header.status == 200
        }
        "an id_token_hint" => {
            let answer = visitor
                .get(&app.url(&[("id_token_hint", value), ("prompt", "none"), ("scope", "openid")]))
                .await;
            answer.param("code").is_some()
        }
        "a client secret" => {
            let params = [
                ("grant_type", "refresh_token".to_owned()),
                ("refresh_token", "x".to_owned()),
            ];
            let header = [("authorization", basic(&app.id, value))];
            // A client that is known learns that the token is wrong.
            post(world, "/token", &header, &params).await.json()["error"] == "invalid_grant"
        }
        "a flow" => {
            let answers = [
                visitor.get(&format!("/login?flow={value}")).await,
                visitor.get(&format!("/consent?flow={value}")).await,
                visitor.get(&format!("/authorize?flow={value}")).await,
            ];
            let opened: Vec<bool> = answers.iter().map(|answer| answer.status != 400).collect();
            assert!(opened == [true; 3] || opened == [false; 3], "{opened:?}");
            opened[0]
        }
        "a CSRF token" => {
            let form = all.login.clone().with("username", "nobody@example.com");
            let answer = visitor
                .submit(&form.with("password", PASSWORD).with("csrf", value))
                .await;
            // Read, and found to name nobody; a form that is not ours is not read.
            answer.asks_to_sign_in()
        }
        "a browser cookie" | "a flow cookie" => {
            let kind = if place == "a flow cookie" {
                "flow"
            } else {
                "browser"
            };
            let (name, own) = visitor
                .cookies
                .iter()
                .find(|(name, _)| name.contains(kind))
                .expect("the cookie");
            let (name, own) = (name.clone(), own.clone());
            let page = visitor.open(&app.url(&[("prompt", "login")])).await;
            let flow = page.form().value("flow").to_owned();
            visitor.cookies.insert(name.clone(), value.to_owned());
            let accepted = match kind {
                "flow" => visitor.get(&format!("/login?flow={flow}")).await.status == 200,
                _ => visitor
                    .get(&app.url(&[("prompt", "none"), ("scope", "openid")]))
                    .await
                    .param("code")
                    .is_some(),
            };
            visitor.cookies.insert(name, own);
            accepted
        }
        other => panic!("no place: {other}"),
    }
}

/// Shannon's, as the characters of the value have it.
fn entropy(value: &str) -> f64 {
    let mut counts = BTreeMap::new();
    for byte in value.bytes() {
        *counts.entry(byte).or_insert(0.0) += 1.0;
    }
    let length = value.len() as f64;
    let bits: f64 = counts
        .values()
        .map(|count: &f64| -count / length * (count / length).log2())
        .sum();
    bits * length
}

fn encoded(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(bytes)
        .into()
}
