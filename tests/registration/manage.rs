//! The client configuration endpoint: RFC 7592.

use super::*;
use crate::at_rest::loot::Loot;

everywhere! {
    async fn a_client_reads_what_it_registered(world: World) {
        let own = Itself::new(&world, &with(json!({ "initiate_login_uri": "https://app.example.com/start" }))).await;
        let read = own.read(&world, own.token()).await;
        assert_eq!(read.status, 200, "{}", read.body);
        assert_eq!(read.header("content-type"), Some("application/json"));
        assert_eq!(read.header("cache-control"), Some("no-store"));
        let mut expected = own.0.clone();
        // Only its digest is kept.
        expected.as_object_mut().unwrap().retain(|name, _| !name.starts_with("client_secret"));
        assert_eq!(read.json(), expected);
        assert_eq!(read.json()["initiate_login_uri"], "https://app.example.com/start");
    }

    async fn c060_a_change_replaces_everything_and_the_token(world: World) {
        let own = Itself::new(&world, &with(json!({ "tos_uri": "https://app.example.com/tos" }))).await;
        let id = own.text("client_id");
        let document = with(json!({ "client_id": id, "client_secret": own.text("client_secret"), "client_name": "Pages" }));
        let changed = own.manage(&world, Method::PUT, own.token(), Some(&document)).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
        let now = Itself(changed.json());
        assert_eq!((now.text("client_name"), now.0.get("tos_uri")), ("Pages", None));
        assert_eq!(now.text("client_id"), id);
        assert_ne!(now.token(), own.token());
        for (method, document) in [(Method::GET, None), (Method::PUT, Some(&document)), (Method::DELETE, None)] {
            let old = own.manage(&world, method.clone(), own.token(), document).await;
            assert_eq!((old.status.as_u16(), &old.json()["error"]), (401, &json!("invalid_token")), "{method}");
        }
        assert_eq!(own.read(&world, now.token()).await.json()["client_name"], "Pages");
        // The secret is the one it was.
        world.heard().await;
        let user = world.user().await;
        own.app().grant(&world, &user, &[]).await;
    }

    async fn c060_a_token_opens_its_own_registration_only_and_tells_nothing_of_others(world: World) {
        let (own, other) = (Itself::new(&world, &usual()).await, Itself::new(&world, &usual()).await);
        let ordinary = world.app().await;
        let at = |id: &str| Itself(json!({ "registration_client_uri": format!("{}/register/{id}", world.issuer) }));
        let document = with(json!({ "client_id": other.text("client_id") }));
        let mut bodies = std::collections::BTreeSet::new();
        for target in [&other, &at(&ordinary.id), &at("unknown"), &at("%00"), &at("a%2Fb")] {
            for (method, document) in [(Method::GET, None), (Method::PUT, Some(&document)), (Method::DELETE, None)] {
                for token in [own.token(), "x", "cs_ra_x", ordinary.secret.as_ref().unwrap().expose()] {
                    let answer = target.manage(&world, method.clone(), token, document).await;
                    assert_eq!(answer.status, 401, "{method} {target:?}: {}", answer.body);
                    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer error=\"invalid_token\""));
                    bodies.insert(answer.body);
                }
            }
        }
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        let bare = answer(client().get(world.route(other.text("registration_client_uri")))).await;
        assert_eq!((bare.status.as_u16(), bare.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(other.read(&world, other.token()).await.status, 200);
    }

    async fn a_change_keeps_id_and_secret_and_one_that_fails_keeps_the_token(world: World) {
        let own = Itself::new(&world, &usual()).await;
        let id = own.text("client_id");
        for members in [
            json!({}),
            json!({ "client_id": "admin" }),
            json!({ "client_id": id, "client_secret": "a secret of its own wish" }),
            json!({ "client_id": id, "redirect_uris": ["javascript:alert(1)"] }),
            json!({ "client_id": id, "grant_types": ["client_credentials"], "response_types": [] }),
            json!({ "client_id": id, "software_statement": "a.b.c" }),
        ] {
            let answer = own.manage(&world, Method::PUT, own.token(), Some(&with(members.clone()))).await;
            assert_eq!(answer.status, 400, "{members}: {}", answer.body);
        }
        let mut expected = own.0.clone();
        expected.as_object_mut().unwrap().retain(|name, _| !name.starts_with("client_secret"));
        assert_eq!(own.read(&world, own.token()).await.json(), expected);
    }

    async fn a_client_that_deletes_itself_is_gone_with_its_tokens(world: World) {
        let own = Itself::new(&world, &usual()).await;
        let (app, user) = (own.app(), world.user().await);
        let tokens = app.grant(&world, &user, &[]).await;
        let deleted = own.manage(&world, Method::DELETE, own.token(), None).await;
        assert_eq!((deleted.status.as_u16(), deleted.body.as_str()), (204, ""));
        assert_eq!(deleted.header("cache-control"), Some("no-store"));
        assert_eq!(own.read(&world, own.token()).await.status, 401);
        assert_eq!(crate::harness::app::userinfo(&world, tokens.access()).await.status, 401);
        world.heard().await;
        assert_eq!(app.refresh(&world, "cs_rt_x").await.json()["error"], "invalid_client");
    }
}

async fn trusted(world: &World, own: &Itself) {
    let (id, now) = (own.text("client_id").into(), world.now());
    let done = world.db.transact(move |conn| {
        Box::pin(async move {
            let by = events::Context::command_line();
            clients::records::set_trust(&id, Trust::Trusted, &by, conn, now).await
        })
    });
    assert!(done.await.expect("the database"));
    world.heard().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_trust_ends_when_people_would_see_another_client() {
    for world in on_terms(open()).await {
        let own = Itself::new(&world, &usual()).await;
        trusted(&world, &own).await;
        let id = own.text("client_id");
        let grants = |answer: &Answer| answer.json()["grant_types"].as_array().unwrap().len();
        let quiet = with(json!({ "client_id": id, "contacts": ["other@example.com"] }));
        let changed = own.manage(&world, Method::PUT, own.token(), Some(&quiet)).await;
        assert_eq!(grants(&changed), 2, "still trusted: {}", changed.body);
        let token = Itself(changed.json()).token().to_owned();
        let loud = with(json!({ "client_id": id, "client_name": "Your bank" }));
        let changed = own.manage(&world, Method::PUT, &token, Some(&loud)).await;
        assert_eq!(grants(&changed), 1, "a stranger again: {}", changed.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c060_of_the_tokens_of_registration_only_digests_are_kept() {
    for world in on_terms(open()).await {
        let own = Itself::new(&world, &usual()).await;
        let document = with(json!({ "client_id": own.text("client_id") }));
        let changed = own
            .manage(&world, Method::PUT, own.token(), Some(&document))
            .await;
        let newest = Itself(changed.json()).token().to_owned();
        let initial = initial_token(&world, 2).await.expose().to_owned();
        let loot = Loot::of_tables(&world).await;
        for token in [own.token(), &newest, &initial] {
            let (_, bare) = token.split_at("cs_ra_".len());
            assert!(!loot.holds(bare.as_bytes()), "{token}");
        }
        for token in [newest, initial] {
            assert!(loot.holds(seal::digest(&token).as_bytes()));
        }
        assert!(
            !loot.holds(seal::digest(own.token()).as_bytes()),
            "it was replaced"
        );
    }
}
