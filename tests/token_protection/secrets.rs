//! Secrets that sign: client_secret_jwt (OpenID Connect Core §9, RFC 7523) and HS256, through registration, rotation and
//! change of mind.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::harness::Answer;
use crate::harness::app::post;
use crate::harness::rp::{Key, asserted, assertion};

/// Nothing is behind it: a request that is let in is told so.
const GRANT: [(&str, &str); 2] = [("grant_type", "refresh_token"), ("refresh_token", "none")];

fn secret(app: &App) -> &[u8] {
    app.secret.as_ref().expect("a secret").expose().as_bytes()
}

fn claims(world: &World, app: &App, changes: &Value) -> Value {
    assertion(&app.id, &world.issuer, world.now().as_secs(), changes)
}

async fn ask(world: &World, assertion: String) -> Answer {
    let mut params: Vec<_> = GRANT.map(|(name, value)| (name, value.to_owned())).to_vec();
    params.extend(asserted(assertion));
    post(world, "/token", &[], &params).await
}

async fn is_let_in(world: &World, assertion: String, why: &str) {
    let answer = ask(world, assertion).await;
    assert_eq!(answer.status, 400, "{why}: {}", answer.body);
    answer.assert_refusal(400, "invalid_grant");
}

async fn is_refused(world: &World, assertion: String, why: &str) -> String {
    let answer = ask(world, assertion).await;
    assert_eq!(answer.status, 401, "{why}: {}", answer.body);
    answer.assert_refusal(401, "invalid_client");
    answer.json()["error_description"].as_str().unwrap().to_owned()
}

async fn signing(world: &World, more: Value) -> App {
    let mut metadata = json!({ "token_endpoint_auth_method": "client_secret_jwt" });
    metadata
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    world.app_with(metadata).await
}

/// What it registered, with these members.
async fn changed(world: &World, app: &App, members: Value) -> Option<App> {
    let mut document = json!({
        "client_name": "Test app", "redirect_uris": [app.redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    document
        .as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    let secret = world.updated(app, document).await?;
    Some(App {
        secret: Some(secret),
        ..app.clone()
    })
}

everywhere! {
    async fn c033_what_an_assertion_by_secret_says_is_judged_as_one_by_a_key(world: World) {
        let app = signing(&world, json!({ "token_endpoint_auth_signing_alg": "HS256" })).await;
        assert!(secret(&app).len() >= 64);
        let (issuer, now) = (world.issuer.clone(), world.now().as_secs());
        for (changes, good) in [
            (json!({}), true),
            (json!({ "iat": null, "nbf": null }), true),
            (json!({ "exp": now + 290 }), true),
            (json!({ "iss": null }), false),
            (json!({ "sub": null }), false),
            (json!({ "aud": null }), false),
            (json!({ "exp": null }), false),
            (json!({ "jti": null }), false),
            (json!({ "jti": "x".repeat(257) }), false),
            (json!({ "iss": "other" }), false),
            (json!({ "aud": format!("{issuer}/token") }), false),
            (json!({ "aud": [issuer] }), false),
            (json!({ "exp": now - 1 }), false),
            (json!({ "exp": now + 600 }), false),
            (json!({ "nbf": now + 70 }), false),
            (json!({ "iat": 1e300 }), false),
        ] {
            let assertion = forged(&claims(&world, &app, &changes), secret(&app));
            match good {
                true => is_let_in(&world, assertion, &changes.to_string()).await,
                false => drop(is_refused(&world, assertion, &changes.to_string()).await),
            }
        }
        let compatible = signing(&world, json!({ "assertion_audience": "compatible" })).await;
        let changes = json!({ "aud": [format!("{issuer}/token")], "exp": now + 3000 });
        let assertion = forged(&claims(&world, &compatible, &changes), secret(&compatible));
        is_let_in(&world, assertion, "compatible").await;
    }

    async fn c033_an_assertion_by_secret_works_once_on_all_servers_together(world: World) {
        let app = signing(&world, json!({})).await;
        let assertion = forged(&claims(&world, &app, &json!({})), secret(&app));
        let answers = join_all((0..20).map(|_| ask(&world, assertion.clone()))).await;
        let let_in = answers.iter().filter(|answer| answer.status == 400).count();
        assert_eq!(let_in, 1);
        assert!(answers.iter().all(|answer| [400, 401].contains(&answer.status.as_u16())));
        let text = is_refused(&world, assertion, "again").await;
        assert!(text.contains("jti"), "{text}");
    }

    async fn c039_c040_a_secret_and_a_key_are_never_taken_for_each_other(world: World) {
        let key = Key::new("ES256");
        let by_secret = signing(&world, json!({ "jwks": key.jwks() })).await;
        let by_key = world.app_with(json!({
            "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks(),
        })).await;
        let sends = world.app().await;
        let told = signed_by("HS256", &world).await;
        let mut texts = Vec::new();
        for (app, token) in [
            (&by_secret, key.sign(&claims(&world, &by_secret, &json!({})))),
            (&by_secret, forged(&claims(&world, &by_secret, &json!({})), b"")),
            (&by_secret, forged(&claims(&world, &by_secret, &json!({})), secret(&told))),
            (&by_secret, forged(&claims(&world, &by_secret, &json!({})), seal::digest("x").as_bytes())),
            (&by_key, forged(&claims(&world, &by_key, &json!({})), key.jwk().to_string().as_bytes())),
            (&sends, forged(&claims(&world, &sends, &json!({})), secret(&sends))),
            // Its secret can be read, for another purpose.
            (&told, forged(&claims(&world, &told, &json!({})), secret(&told))),
        ] {
            texts.push(is_refused(&world, token, &app.id).await);
        }
        let unknown = assertion("unknown", &world.issuer, world.now().as_secs(), &json!({}));
        texts.push(is_refused(&world, forged(&unknown, secret(&told)), "unknown").await);
        texts.dedup();
        assert_eq!(texts.len(), 1, "a stranger learns what was wrong: {texts:?}");
        // Whoever signs with a secret never sends it.
        let sent = by_secret.token(&world, GRANT.map(|(name, value)| (name, value.to_owned())).to_vec()).await;
        sent.assert_refusal(401, "invalid_client");
        is_let_in(&world, forged(&claims(&world, &by_secret, &json!({})), secret(&by_secret)), "its own").await;
    }

    async fn a_client_that_changes_how_it_signs_gets_a_secret_for_it(world: World) {
        let (first, user) = (world.app().await, world.user().await);
        let app = changed(&world, &first, json!({ "id_token_signed_response_alg": "HS256" })).await.expect("a secret");
        // The one it has works on where it is sent, and the new one signs.
        for own in [&first, &app] {
            let tokens = own.grant(&world, &user, &[]).await;
            verified(tokens.text("id_token"), &app, &world).await;
        }
        assert!(changed(&world, &app, json!({ "id_token_signed_response_alg": "HS256" })).await.is_none());
        // One that signs assertions sends none: the one that cannot be read is gone, the other one signs on.
        let to_jwt = json!({ "token_endpoint_auth_method": "client_secret_jwt" });
        assert!(changed(&world, &app, to_jwt).await.is_none());
        is_let_in(&world, forged(&claims(&world, &app, &json!({})), secret(&app)), "the same").await;
        // Of a client that does neither, no secret can be read again.
        assert!(changed(&world, &app, json!({})).await.is_none());
        let sealed = "SELECT COUNT(*) FROM client_secrets WHERE client_id = $1 AND sealed IS NOT NULL";
        let mut conn = world.db.reader().await.unwrap();
        let (count,): (i64,) = db::run!(&mut conn, |c| sqlx::query_as(sealed).bind(app.id.as_str()).fetch_one(c)).unwrap();
        assert_eq!(count, 0);
        drop(conn);
        assert_eq!(header(app.grant(&world, &user, &[]).await.text("id_token"))["alg"], "RS256");
    }

    async fn whoever_registers_over_http_is_given_such_a_secret_too(world: World) {
        let document = json!({
            "redirect_uris": ["https://app.example.com/cb"], "token_endpoint_auth_method": "client_secret_jwt",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let registered = answer(client().post(world.at("/register")).json(&document)).await;
        assert_eq!(registered.status, 201, "{}", registered.body);
        let told = registered.json();
        assert_eq!(told["token_endpoint_auth_method"], "client_secret_jwt");
        let app = App {
            id: told["client_id"].as_str().unwrap().to_owned(),
            secret: told["client_secret"].as_str().map(Into::into),
            redirect_uri: "https://app.example.com/cb".to_owned(),
        };
        is_let_in(&world, forged(&claims(&world, &app, &json!({})), secret(&app)), "as registered").await;

        let uri = world.route(told["registration_client_uri"].as_str().unwrap());
        let token = told["registration_access_token"].as_str().unwrap();
        let document = json!({
            "client_id": app.id, "redirect_uris": ["https://app.example.com/cb"],
            "token_endpoint_auth_method": "client_secret_basic", "id_token_signed_response_alg": "HS256",
        });
        let updated = answer(client().put(uri).bearer_auth(token).json(&document)).await;
        assert_eq!(updated.status, 200, "{}", updated.body);
        // It has one that can be read: nothing new is made, and it signs on.
        assert!(updated.json().get("client_secret").is_none(), "{}", updated.body);
        assert_eq!(updated.json()["id_token_signed_response_alg"], "HS256");
        world.heard().await;
        let tokens = app.grant(&world, &world.user().await, &[]).await;
        verified(tokens.text("id_token"), &app, &world).await;
    }
}

on_both_databases! {
    async fn two_secrets_verify_and_the_newest_signs(world: World) {
        let user = world.user().await;
        let app = signing(&world, json!({ "id_token_signed_response_alg": "HS256" })).await;
        world.pass(Duration::from_secs(1));
        let newer = world.another_secret(&app).await;
        for app in [&app, &newer] {
            is_let_in(&world, forged(&claims(&world, app, &json!({})), secret(app)), "either").await;
        }
        let code = app.code(&world, &user, &[]).await;
        let mut params = app.exchanging(&code);
        params.extend(asserted(forged(&claims(&world, &app, &json!({})), secret(&app))));
        let tokens = post(&world, "/token", &[], &params).await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        let id_token = tokens.json()["id_token"].as_str().unwrap().to_owned();
        verified(&id_token, &newer, &world).await;

        // What the older one signed is still a hint while it works, and none after it.
        let old_hint = forged(&payload(&id_token), secret(&app));
        let (mut visitor, hint) = (world.visitor(), old_hint.as_str());
        visitor.authorize(&app.url(&[]), user.email.shown()).await;
        let silently = app.url(&[("prompt", "none"), ("id_token_hint", hint)]);
        assert!(visitor.open(&silently).await.param("code").is_some());
        let id = protocol::ClientId::from(app.id.as_str());
        let listed = clients::secrets::list(&id, &mut world.db.reader().await.unwrap()).await.unwrap();
        let (oldest, now) = (listed[0].secret_id.clone(), world.now());
        let ended = world.db.transact(move |conn| {
            Box::pin(async move {
                clients::secrets::delete(&id, &oldest, &events::Context::server(), conn, now).await
            })
        });
        ended.await.unwrap();
        world.heard().await;
        visitor.open(&silently).await.assert_error("invalid_request");
        is_refused(&world, forged(&claims(&world, &app, &json!({})), secret(&app)), "ended").await;
        is_let_in(&world, forged(&claims(&world, &newer, &json!({})), secret(&newer)), "newer").await;
    }

    async fn c047_a_sealed_secret_that_was_moved_signs_for_nobody(world: World) {
        let (victim, thief) = (signing(&world, json!({})).await, signing(&world, json!({})).await);
        let (to, from) = (victim.id.clone(), thief.id.clone());
        let moved = world.db.transact(move |conn| {
            Box::pin(async move {
                let swap = "UPDATE client_secrets SET sealed = (SELECT sealed FROM client_secrets WHERE client_id = $1) \
                    WHERE client_id = $2";
                db::execute!(conn, sqlx::query(swap).bind(from).bind(to))?;
                events::changes::bump(events::changes::Topic::Clients, conn).await
            })
        });
        moved.await.unwrap();
        world.heard().await;
        is_refused(&world, forged(&claims(&world, &victim, &json!({})), secret(&thief)), "moved").await;
        is_let_in(&world, forged(&claims(&world, &thief, &json!({})), secret(&thief)), "in its place").await;
    }
}
