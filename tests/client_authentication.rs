//! Which client is asking: RFC 6749 §2.3, at the token endpoint; and what that endpoint makes of a bad request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clients::secrets;
use http::header::{ACCEPT, CONTENT_TYPE};
use protocol::Secret;
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use crate::harness::app::{App, Tokens, VERIFIER, answer, basic_as_it_stands as basic, post};
use crate::harness::visitor::client;
use crate::harness::{Answer, World};

/// Characters that change when a form is decoded.
const ODD_SECRET: &str = "p+l%75s & e=q:u?a/l #1";

everywhere! {
    async fn a_secret_is_taken_from_the_header_form_decoded_and_from_the_body(world: World) {
        let (user, id) = (world.user().await, protocol::random::id());
        let document = json!({
            "client_id": id, "client_secret": ODD_SECRET, "redirect_uris": ["https://app.example.com/cb"],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let now = world.now();
        let imported = world.db.transact(move |conn| {
            Box::pin(async move { registry::import(&document, clients::Trust::Trusted, &clients::Vault::closed(), &events::Context::server(), conn, now).await })
        });
        let app = App::new(imported.await.unwrap());
        let encoded: String = byte_serialize(ODD_SECRET.as_bytes()).collect();
        let tokens = grant(
            &App {
                secret: Some(Secret::from(ODD_SECRET)),
                ..app.clone()
            },
            &world,
            &user,
        )
        .await;
        let refresh = tokens.refresh();

        let own_id: String = byte_serialize(id.as_bytes()).collect();
        for (headers, body) in [
            (vec![("authorization", basic(&own_id, &encoded))], vec![]),
            (
                vec![("authorization", basic(&id, &encoded.replace('+', "%20")))],
                vec![],
            ),
            // Many clients do not encode at all.
            (vec![("authorization", basic(&id, ODD_SECRET))], vec![]),
            (
                vec![("authorization", basic(&id, ODD_SECRET).replace("Basic", "bASIC"))],
                vec![("client_id", id.clone())],
            ),
            (
                vec![],
                vec![
                    ("client_id", id.clone()),
                    ("client_secret", ODD_SECRET.to_owned()),
                ],
            ),
        ] {
            let answer = refresh_by(&world, refresh, &headers, &body).await;
            assert_eq!(answer.status, 200, "{headers:?} {body:?} {}", answer.body);
        }
        for (headers, body) in [
            (
                vec![("authorization", basic(&id, &ODD_SECRET.to_uppercase()))],
                vec![],
            ),
            (
                vec![(
                    "authorization",
                    basic(&id, &byte_serialize(encoded.as_bytes()).collect::<String>()),
                )],
                vec![],
            ),
            (
                vec![],
                vec![("client_id", id.clone()), ("client_secret", encoded.clone())],
            ),
        ] {
            refresh_by(&world, refresh, &headers, &body)
                .await
                .assert_refusal(401, "invalid_client");
        }
    }

    async fn a_wrong_proof_reads_the_same_whatever_was_wrong(world: World) {
        let (app, public, user) = (world.app().await, world.public_app().await, world.user().await);
        let tokens = grant(&app, &world, &user).await;
        let secret = app.secret.as_ref().unwrap().expose().to_owned();
        let foreign = world.app().await.secret.unwrap().expose().to_owned();
        let mut bodies = Vec::new();
        for (id, given) in [
            (app.id.as_str(), foreign.as_str()),
            (&app.id, &secret[..secret.len() - 1]),
            (&app.id, &format!("{secret}A")),
            (&app.id, &secret.to_uppercase()),
            (&app.id, "x"),
            (&public.id, &secret),
            ("unknown", &secret),
            (&format!("{} ", app.id), &secret),
            (&app.id.to_uppercase(), &secret),
        ] {
            let header = refresh_by(
                &world,
                tokens.refresh(),
                &[("authorization", basic(id, given))],
                &[],
            )
            .await;
            header.assert_refusal(401, "invalid_client");
            assert_eq!(
                header.header("www-authenticate"),
                Some("Basic realm=\"token\", charset=\"UTF-8\"")
            );
            let params = [("client_id", id.to_owned()), ("client_secret", given.to_owned())];
            let body = refresh_by(&world, tokens.refresh(), &[], &params).await;
            body.assert_refusal(401, "invalid_client");
            bodies.extend([header.body, body.body]);
        }
        // No secret where there has to be one.
        for params in [
            vec![("client_id", app.id.clone())],
            vec![("client_id", "unknown".to_owned())],
        ] {
            let answer = refresh_by(&world, tokens.refresh(), &[], &params).await;
            answer.assert_refusal(401, "invalid_client");
            bodies.push(answer.body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
        refresh_by(&world, tokens.refresh(), &[], &[])
            .await
            .assert_refusal(401, "invalid_client");
        assert_eq!(app.refresh(&world, tokens.refresh()).await.status, 200);
    }

    async fn a_client_says_who_it_is_once_and_in_one_form(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = grant(&app, &world, &user).await;
        let secret = app.secret.as_ref().unwrap().expose().to_owned();
        let proof = ("authorization", basic(&app.id, &secret));
        let in_body = [("client_id", app.id.clone()), ("client_secret", secret.clone())];
        let asserted = ("client_assertion", "a.b.c".to_owned());
        let kind = (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
        );
        for (headers, body, status, error) in [
            (vec![proof.clone()], in_body.to_vec(), 400, "invalid_request"),
            (
                vec![proof.clone()],
                vec![("client_id", "other".to_owned())],
                400,
                "invalid_request",
            ),
            (vec![proof.clone(), proof.clone()], vec![], 400, "invalid_request"),
            (
                vec![proof.clone()],
                vec![asserted.clone(), kind.clone()],
                400,
                "invalid_request",
            ),
            (vec![], vec![in_body[1].clone()], 400, "invalid_request"),
            (
                vec![],
                vec![in_body[0].clone(), asserted.clone(), kind],
                401,
                "invalid_client",
            ),
            (
                vec![("authorization", format!("Bearer {}", tokens.access()))],
                vec![],
                401,
                "invalid_client",
            ),
            (
                vec![("authorization", "Basic".to_owned())],
                vec![],
                400,
                "invalid_request",
            ),
            (
                vec![("authorization", "Basic !!!".to_owned())],
                vec![],
                400,
                "invalid_request",
            ),
            (
                vec![("authorization", format!("Basic {}", STANDARD.encode("no colon")))],
                vec![],
                400,
                "invalid_request",
            ),
            (
                vec![(
                    "authorization",
                    format!("Basic {}", STANDARD.encode(b"\xff:\xff")),
                )],
                vec![],
                400,
                "invalid_request",
            ),
            (
                vec![("authorization", basic("", &secret))],
                vec![],
                400,
                "invalid_request",
            ),
            (
                vec![("authorization", basic(&app.id, ""))],
                vec![],
                401,
                "invalid_client",
            ),
            (
                vec![("authorization", basic("%00", "x"))],
                vec![],
                400,
                "invalid_request",
            ),
        ] {
            refresh_by(&world, tokens.refresh(), &headers, &body)
                .await
                .assert_refusal(status, error);
        }
        assert_eq!(app.refresh(&world, tokens.refresh()).await.status, 200);
    }

    async fn two_secrets_work_side_by_side_until_one_is_ended(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let tokens = grant(&app, &world, &user).await;
        let (id, now) = (protocol::ClientId::from(app.id.as_str()), world.now());
        let own = id.clone();
        let added = world
            .db
            .transact(move |conn| Box::pin(async move { secrets::add(&own, &clients::Vault::closed(), &events::Context::server(), conn, now).await }));
        let added = App {
            secret: Some(added.await.unwrap().secret),
            ..app.clone()
        };
        for app in [&app, &added] {
            assert_eq!(app.refresh(&world, tokens.refresh()).await.status, 200);
        }
        let first = app.secret.as_ref().unwrap().expose();
        let listed = secrets::list(&id, &mut world.db.reader().await.unwrap())
            .await
            .unwrap();
        let first = listed
            .into_iter()
            .find(|stored| first.ends_with(&stored.hint))
            .unwrap();
        let ended = world.db.transact(move |conn| {
            Box::pin(async move { secrets::delete(&id, &first.secret_id, &events::Context::server(), conn, now).await })
        });
        ended.await.unwrap();
        world.heard().await;
        app.refresh(&world, tokens.refresh())
            .await
            .assert_refusal(401, "invalid_client");
        assert_eq!(added.refresh(&world, tokens.refresh()).await.status, 200);
    }

    async fn a_token_request_is_a_form_of_utf_8_and_of_sane_size(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let (code, url) = (app.code(&world, &user, &[]).await, world.at("/token"));
        let secret = app.secret.as_ref().unwrap().expose();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("code_verifier", VERIFIER),
                ("redirect_uri", &app.redirect_uri),
                ("client_id", &app.id),
                ("client_secret", secret),
            ])
            .finish();
        let sent = |kind: &'static str, body: String| {
            answer(client().post(&url).header(CONTENT_TYPE, kind).body(body))
        };
        for kind in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
            "",
            "application/x-www-form-urlencoded; charset=iso-8859-1",
            "application/x-www-form-urlencodedx",
            "application/x-www-form-urlencoded, application/json",
        ] {
            sent(kind, form.clone())
                .await
                .assert_refusal(400, "invalid_request");
        }
        answer(client().post(&url).body(form.clone()))
            .await
            .assert_refusal(400, "invalid_request");
        for bad in ["%", "%4", "%zz", "%ff", "%c3%28", "%00", "a%00=b"] {
            sent(FORM, format!("{form}&extra={bad}"))
                .await
                .assert_refusal(400, "invalid_request");
        }
        for bad in [&b"extra=\xff"[..], b"extra=\0", b"\xc3\x28=1"] {
            let body = [form.as_bytes(), b"&", bad].concat();
            let answer = answer(client().post(&url).header(CONTENT_TYPE, FORM).body(body)).await;
            answer.assert_refusal(400, "invalid_request");
        }
        sent(FORM, format!("{form}&extra={}", "x".repeat(64 * 1024)))
            .await
            .assert_refusal(413, "invalid_request");
        sent(FORM, String::new())
            .await
            .assert_refusal(401, "invalid_client");
        // RFC 6749 §3.2: parameters come in the body.
        answer(
            client()
                .post(format!("{url}?{form}"))
                .header(CONTENT_TYPE, FORM)
                .body(""),
        )
        .await
        .assert_refusal(401, "invalid_client");

        for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
            let method = http::Method::from_bytes(method.as_bytes()).unwrap();
            let request = client()
                .request(method, format!("{url}?{form}"))
                .header(ACCEPT, "application/json");
            let answer = answer(request).await;
            assert_eq!(answer.status, 405, "{}", answer.body);
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        let answer = sent("Application/X-WWW-Form-Urlencoded; charset=UTF-8", form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn a_public_client_names_itself_in_the_body(world: World) {
        let (app, user) = (world.public_app().await, world.user().await);
        let tokens = grant(&app, &world, &user).await;
        let own = [("client_id", app.id.clone())];
        assert_eq!(refresh_by(&world, tokens.refresh(), &[], &own).await.status, 200);
        refresh_by(&world, tokens.refresh(), &[], &[])
            .await
            .assert_refusal(401, "invalid_client");
        for headers in [basic(&app.id, ""), basic(&app.id, "x")] {
            let answer = refresh_by(&world, tokens.refresh(), &[("authorization", headers)], &[]).await;
            answer.assert_refusal(401, "invalid_client");
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

async fn grant(app: &App, world: &World, user: &accounts::users::User) -> Tokens {
    app.grant(world, user, &[("scope", "openid offline_access")])
        .await
}

/// A refresh with nothing but these about the client.
async fn refresh_by(
    world: &World,
    refresh_token: &str,
    headers: &[(&'static str, String)],
    about: &[(&'static str, String)],
) -> Answer {
    let mut params = about.to_vec();
    params.extend([
        ("grant_type", "refresh_token".to_owned()),
        ("refresh_token", refresh_token.to_owned()),
    ]);
    post(world, "/token", headers, &params).await
}
