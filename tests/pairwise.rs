//! Pairwise names of people: OpenID Connect Core §8.1. Whatever a pairwise app can read names a person as its sector
//! does, and whatever it says of a person is understood by that name.

use accounts::users::User;
use clients::registrations::quota::Hours;
use http::Method;
use protocol::{ResponseTypes, SigningAlg};
use registry::{Admission, Terms};
use revocation::Act;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::harness::app::{answer, payload, userinfo};
use crate::harness::rp::Site;
use crate::harness::visitor::client;
use crate::harness::world::Own;
use crate::harness::{Answer, App, World};
use crate::introspection::{api, assert_active};

const OFFLINE: (&str, &str) = ("scope", "openid offline_access email");

async fn app_at(world: &World, host: &str) -> App {
    let metadata = json!({
        "subject_type": "pairwise", "redirect_uris": [format!("https://{host}/cb")],
        "post_logout_redirect_uris": [format!("https://{host}/bye")],
    });
    world.app_with(metadata).await
}

/// What the app calls the user.
async fn name(world: &World, app: &App, user: &User) -> String {
    let id_token = app.grant(world, user, &[]).await.id();
    id_token["sub"].as_str().expect("a name").to_owned()
}

/// Asks about `sub` by the parameter `claims`.
fn about(sub: &str) -> String {
    json!({ "id_token": { "sub": { "value": sub } } }).to_string()
}

everywhere! {
    async fn a_pairwise_app_reads_one_name_wherever_it_looks(world: World) {
        let (app, user) = (app_at(&world, "app.example.com").await, world.user().await);
        let (api, scope) = api(&world, SigningAlg::Es256).await;
        let asking = world.asking(&api).await;
        let scope = format!("{} {scope}", OFFLINE.1);
        let changes = [("scope", scope.as_str()), ("resource", api.identifier.as_str())];
        let tokens = app.grant(&world, &user, &changes).await;
        let refreshed = app.refresh(&world, tokens.refresh()).await.json();

        let mut seen: Vec<Value> = Vec::new();
        for body in [&tokens.body, &refreshed] {
            let text = |member: &str| body[member].as_str().expect("a token").to_owned();
            let access = text("access_token");
            seen.extend([payload(&text("id_token")), payload(&access)]);
            seen.push(userinfo(&world, &access).await.json());
            seen.push(assert_active(&app.introspect(&world, &access).await));
            seen.push(assert_active(&app.introspect(&world, &text("refresh_token")).await));
            // An API that asks is told what it could have read itself.
            seen.push(assert_active(&asking.introspect(&world, &access).await));
        }
        let name = seen[0]["sub"].clone();
        assert_eq!(name.as_str().unwrap().len(), 43);
        for claims in seen {
            assert_eq!(claims["sub"], name, "{claims}");
            assert!(!claims.to_string().contains(user.sub.as_str()), "{claims}");
        }
        assert_eq!(userinfo(&world, tokens.access()).await.json()["email"], user.email.shown());
    }

    async fn apps_of_one_host_share_a_name_and_all_others_have_their_own(world: World) {
        let (user, other) = (world.user().await, world.user().await);
        let own = app_at(&world, "app.example.com").await;
        let first = name(&world, &own, &user).await;
        assert_eq!(name(&world, &own, &user).await, first);
        assert_eq!(name(&world, &app_at(&world, "app.example.com").await, &user).await, first);
        assert_ne!(name(&world, &app_at(&world, "shop.example.com").await, &user).await, first);
        assert_ne!(name(&world, &own, &other).await, first);
        let public = world.app().await;
        assert_eq!(name(&world, &public, &user).await, user.sub.as_str());
        // A sector of its own, whatever its redirect URIs are.
        let metadata = json!({
            "subject_type": "pairwise", "redirect_uris": ["https://app.example.com/cb", "https://b.example.com/cb"],
            "sector_identifier_uri": "https://shop.example.com/sector.json",
        });
        let several = world.app_with(metadata).await;
        let shop = app_at(&world, "shop.example.com").await;
        assert_eq!(name(&world, &several, &user).await, name(&world, &shop, &user).await);
    }

    async fn who_is_asked_for_is_asked_for_by_the_name_that_the_app_knows(world: World) {
        let (user, other) = (world.user().await, world.user().await);
        let app = app_at(&world, "app.example.com").await;
        let others = name(&world, &app, &other).await;
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let own = tokens.id()["sub"].as_str().unwrap().to_owned();
        let hint = tokens.text("id_token").to_owned();
        let silently = |claims: String| app.url(&[("claims", claims.as_str()), ("prompt", "none")]);

        visitor.open(&app.url(&[("id_token_hint", &hint), ("prompt", "none")])).await.code();
        visitor.open(&silently(about(&own))).await.code();
        for sub in [user.sub.as_str(), others.as_str(), "nobody"] {
            visitor.open(&silently(about(sub))).await.assert_error("login_required");
        }
        // A public app cannot find out whom a pairwise one means.
        let public = world.app().await;
        let page = visitor.open(&public.url(&[])).await;
        visitor.decide(&page, "allow").await.code();
        for asked in [("claims", about(&own)), ("id_token_hint", hint.clone())] {
            let asked = [(asked.0, asked.1.as_str()), ("prompt", "none")];
            visitor.open(&public.url(&asked)).await.assert_error("login_required");
        }

        // The wrong one signs in for it, then the right one.
        let wanted = about(&others);
        let asked = [("claims", wanted.as_str())];
        let page = visitor.open(&app.url(&asked)).await;
        assert!(page.asks_to_sign_in() && !page.has(user.email.shown()), "{}", page.body);
        visitor.sign_in(&page, user.email.shown()).await.assert_error("login_required");
        let page = visitor.open(&app.url(&asked)).await;
        let mut answer = visitor.sign_in(&page, other.email.shown()).await;
        if answer.asks_for_consent() {
            answer = visitor.decide(&answer, "allow").await;
        }
        assert_eq!(app.tokens(&world, &answer).await.id()["sub"], others.as_str());

        // With both signed in, each is found by name.
        for sub in [&own, &others] {
            let answer = visitor.open(&silently(about(sub))).await;
            assert_eq!(app.tokens(&world, &answer).await.id()["sub"], sub.as_str());
        }
        // Whoever is asked for again is named on the page.
        let again = about(&own);
        let page = visitor.open(&app.url(&[("claims", again.as_str()), ("prompt", "login")])).await;
        assert!(page.asks_to_sign_in() && page.has(user.email.shown()), "{}", page.body);
    }

    async fn a_hint_of_a_pairwise_app_ends_its_session_at_once(world: World) {
        let (app, user) = (app_at(&world, "app.example.com").await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let params = [
            ("id_token_hint", tokens.text("id_token")),
            ("post_logout_redirect_uri", "https://app.example.com/bye"),
            ("state", "s"),
        ];
        let query = Serializer::new(String::new()).extend_pairs(params).finish();
        let left = visitor.open(&format!("/logout?{query}")).await;
        assert_eq!(left.location().as_deref(), Some("https://app.example.com/bye?state=s"), "{}", left.body);
        visitor.open(&app.url(&[("prompt", "none")])).await.assert_error("login_required");
    }

    async fn what_a_pairwise_app_ends_is_told_of_by_the_users_own_name(world: World) {
        let (app, user) = (app_at(&world, "app.example.com").await, world.user().await);
        let tokens = app.grant(&world, &user, &[OFFLINE]).await;
        assert_eq!(app.revoke(&world, tokens.access()).await.status, 200);
        assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
        let jti = payload(tokens.access())["jti"].clone();
        let trail = events::audit::newest(10_000, &mut world.db.reader().await.unwrap()).await.unwrap();
        let event = trail.iter().find(|event| event.details["jti"] == jti).expect("its event");
        assert_eq!(event.sub.as_deref(), Some(user.sub.as_str()));

        world.end(Act::RevokeUser(user.sub.clone())).await;
        app.refresh(&world, tokens.refresh()).await.assert_refusal(400, "invalid_grant");
    }

    async fn what_an_operator_changes_counts_for_new_authorizations_only(world: World) {
        let (app, user) = (app_at(&world, "app.example.com").await, world.user().await);
        let before = app.grant(&world, &user, &[OFFLINE]).await;
        let document = json!({
            "client_name": "Test app", "redirect_uris": [app.redirect_uri], "grant_types": ["authorization_code", "refresh_token"],
        });
        world.update(&app, document).await;
        let after = app.refresh(&world, before.refresh()).await.json();
        for token in [after["id_token"].as_str().unwrap(), after["access_token"].as_str().unwrap()] {
            assert_eq!(payload(token)["sub"], before.id()["sub"]);
        }
        assert_eq!(name(&world, &app, &user).await, user.sub.as_str());
    }

    async fn a_sector_says_which_redirect_uris_are_its_own(world: World) {
        let site = Site::open().await;
        let uris = json!(["https://a.example.com/cb", "https://b.example.com/cb"]);
        let document = |url: &str| json!({
            "subject_type": "pairwise", "redirect_uris": uris, "sector_identifier_uri": url,
        });
        let listed = json!(["https://c.example.com/cb", "https://b.example.com/cb", "https://a.example.com/cb"]);
        let url = site.put("/sector", "application/json", listed.to_string());
        let good = post(&world, &document(&url)).await;
        assert_eq!(good.status, 201, "{}", good.body);
        let good = good.json();
        assert_eq!((&good["subject_type"], &good["sector_identifier_uri"]), (&json!("pairwise"), &json!(url)));

        // Whatever is wrong there, one answer (C052).
        let mut texts = Vec::new();
        for (path, kind, body) in [
            ("/lacks", "application/json", json!(["https://a.example.com/cb"]).to_string()),
            ("/alike", "application/json", json!(["https://a.example.com/cb", "https://b.example.com/CB"]).to_string()),
            ("/object", "application/json", json!({ "redirect_uris": uris }).to_string()),
            ("/mixed", "application/json", json!(["https://a.example.com/cb", "https://b.example.com/cb", 7]).to_string()),
            ("/none", "application/json", String::new()),
            ("/html", "text/html", listed.to_string()),
            ("/huge", "application/json", format!("{}{listed}", " ".repeat(70_000))),
        ] {
            texts.push(refused(&world, &document(&site.put(path, kind, body))).await);
        }
        texts.push(refused(&world, &document(&url.replace("sector", "nothing"))).await);
        texts.push(refused(&world, &document("https://localhost:1/closed")).await);
        texts.push(refused(&world, &document("https://name.invalid/sector")).await);
        // A name that is not listed, at an address of this machine.
        texts.push(refused(&world, &document(&url.replace("localhost", "other.localhost"))).await);
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");

        // Several hosts without one, and an address within: nothing is asked.
        let asked = site.asked();
        let mut bare = document(&url);
        bare["sector_identifier_uri"] = Value::Null;
        assert!(refused(&world, &bare).await.starts_with("subject_type: "));
        refused(&world, &document("https://127.0.0.1/sector")).await;
        assert_eq!(site.asked(), asked);
        // It is checked for public names, too.
        let mut public = document(&site.put("/lacks", "application/json", "[]"));
        public["subject_type"] = json!("public");
        refused(&world, &public).await;
    }

    async fn an_app_that_manages_itself_keeps_the_names_it_has(world: World) {
        let site = Site::open().await;
        let list = |uris: &Value| site.put("/sector", "application/json", uris.to_string());
        let uris = json!(["https://a.example.com/cb", "https://b.example.com/cb"]);
        let url = list(&uris);
        let mut own = post(&world, &json!({
            "subject_type": "pairwise", "redirect_uris": uris, "sector_identifier_uri": url,
        })).await.json();
        let put = async |own: &Value, members: Value| {
            let mut document = own.clone();
            document.as_object_mut().unwrap().retain(|name, _| {
                !["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
                    .contains(&name.as_str())
            });
            for (name, value) in members.as_object().unwrap() {
                document[name] = value.clone();
            }
            let at = world.route(own["registration_client_uri"].as_str().unwrap());
            let token = own["registration_access_token"].as_str().unwrap();
            answer(client().request(Method::PUT, at).bearer_auth(token).json(&document)).await
        };
        for members in [
            json!({ "subject_type": "public" }),
            json!({ "subject_type": null }),
            json!({ "sector_identifier_uri": null, "redirect_uris": ["https://a.example.com/cb"] }),
            json!({ "sector_identifier_uri": "https://elsewhere.example.com/sector" }),
        ] {
            let refusal = put(&own, members.clone()).await;
            assert_eq!((refusal.status.as_u16(), &refusal.json()["error"]), (400, &json!("invalid_client_metadata")), "{members}");
        }
        // What was said before is not asked again.
        let asked = site.asked();
        for members in [json!({ "client_name": "Notes" }), json!({ "redirect_uris": ["https://b.example.com/cb"] })] {
            let changed = put(&own, members).await;
            assert_eq!(changed.status, 200, "{}", changed.body);
            own = changed.json();
        }
        assert_eq!(site.asked(), asked);
        let third = json!({ "redirect_uris": ["https://b.example.com/cb", "https://c.example.com/cb"] });
        assert_eq!(put(&own, third.clone()).await.status, 400);
        list(&third["redirect_uris"]);
        assert_eq!(put(&own, third).await.status, 200);
    }
}

async fn post(world: &World, document: &Value) -> Answer {
    answer(client().post(world.at("/register")).json(document)).await
}

/// What a registration that is refused is told.
async fn refused(world: &World, document: &Value) -> String {
    let answer = post(world, document).await;
    assert_eq!(answer.status, 400, "{document}: {}", answer.body);
    let body = answer.json();
    assert_eq!(body["error"], "invalid_client_metadata", "{document}: {body}");
    body["error_description"].as_str().expect("a reason").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c059_strangers_cannot_have_sectors_fetched_without_end() {
    let world = World::sqlite_with(Own {
        registration: Some(Terms {
            admission: Admission::Open,
            hours: Hours::Counted,
            ..Terms::default()
        }),
        ..Own::default()
    })
    .await;
    let site = Site::open().await;
    let url = site.put("/sector", "application/json", "[]");
    let document = json!({ "redirect_uris": ["https://a.example.com/cb"], "sector_identifier_uri": url });
    let mut busy = 0;
    for _ in 0..40 {
        busy += usize::from(post(&world, &document).await.status == 429);
    }
    assert_eq!((site.asked(), busy), (30, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_a_sector_fetched_by_a_token_that_is_none() {
    let world = World::sqlite_with(Own {
        registration: Some(Terms {
            admission: Admission::Token,
            ..Terms::default()
        }),
        ..Own::default()
    })
    .await;
    let site = Site::open().await;
    let url = site.put(
        "/sector",
        "application/json",
        json!(["https://a.example.com/cb"]).to_string(),
    );
    let document = json!({ "redirect_uris": ["https://a.example.com/cb"], "sector_identifier_uri": url });
    let now = world.now();
    let added = world.db.transact(move |conn| {
        Box::pin(async move {
            let life = std::time::Duration::from_secs(60);
            clients::initial_tokens::add(1, life, &events::Context::command_line(), conn, now).await
        })
    });
    let good = added.await.expect("a token").token;
    for (token, status, asked) in [
        ("x", 401, 0),
        (
            protocol::opaque::random(protocol::opaque::Kind::InitialAccess).expose(),
            401,
            0,
        ),
        (good.expose(), 201, 1),
        (good.expose(), 401, 1),
    ] {
        let request = client().post(world.at("/register")).bearer_auth(token);
        let answer = answer(request.json(&document)).await;
        assert_eq!(
            (answer.status.as_u16(), site.asked()),
            (status, asked),
            "{}",
            answer.body
        );
    }
}

/// Tokens that leave with the answer of the authorization endpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn implicit_and_hybrid_answers_name_people_by_the_same_name() {
    let world = World::sqlite_with(Own {
        response_types: Some(ResponseTypes::All),
        ..Own::default()
    })
    .await;
    let user = world.user().await;
    let app = world
        .app_with(json!({
            "subject_type": "pairwise", "grant_types": ["authorization_code", "implicit"],
            "response_types": ["code", "id_token", "code id_token token"],
        }))
        .await;
    let expected = name(&world, &app, &user).await;
    assert_ne!(expected, user.sub.as_str());
    for response_type in ["id_token", "code id_token token"] {
        let url = app.url(&[("response_type", response_type)]);
        let sent = world.visitor().authorize(&url, user.email.shown()).await;
        let id_token = payload(&sent.param("id_token").expect("an ID token"));
        assert_eq!(id_token["sub"], expected.as_str(), "{response_type}");
        assert!(!id_token.to_string().contains(user.sub.as_str()));
        if let Some(access) = sent.param("access_token") {
            assert_eq!(payload(&access)["sub"], expected.as_str());
            assert_eq!(userinfo(&world, &access).await.json()["sub"], expected.as_str());
        }
    }
}

/// Apps know their accounts by these names: whatever turns, they stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_outlive_every_key() {
    let world = World::sqlite().await;
    let (app, user) = (app_at(&world, "app.example.com").await, world.user().await);
    let before = name(&world, &app, &user).await;
    let by = events::Context::command_line();
    let rotated = world
        .keyring()
        .rotate(SigningAlg::ALL, keyring::Start::Now, &by, world.now());
    rotated.await.expect("new keys");
    world.pass(std::time::Duration::from_secs(400 * 24 * 60 * 60));
    world.keyring().maintain(world.now()).await.expect("new keys");
    assert_eq!(name(&world, &app, &user).await, before);
}
