//! The audit trail: C092.

use db::{Conn, execute};
use events::audit::{self, Recorded};
use events::{Context, sign_ins};
use http::StatusCode;
use keyring::Start;
use protocol::SigningAlg;
use revocation::Act;

use crate::harness::World;
use crate::harness::process::run;
use crate::harness::world::PASSWORD;

async fn trail(world: &World) -> Vec<Recorded> {
    let mut conn = world.db.reader().await.expect("a connection");
    audit::newest(10_000, &mut conn).await.expect("the trail")
}

/// The kinds of the events about this person or this app, in the order of time.
async fn kinds(world: &World, about: &str) -> Vec<String> {
    let is_about = |event: &Recorded| {
        [&event.sub, &event.client_id]
            .into_iter()
            .any(|it| it.as_deref() == Some(about))
    };
    let trail = trail(world).await.into_iter();
    trail.filter(is_about).map(|event| event.kind).collect()
}

async fn statement(world: &World, statement: &'static str) {
    let work = world.db.transact(move |conn: &mut Conn| {
        Box::pin(async move {
            execute!(conn, sqlx::raw_sql(statement))?;
            Ok::<_, db::Error>(())
        })
    });
    work.await.expect("a valid statement");
}

async fn count(world: &World, table: &str) -> i64 {
    let counts = world.row_counts().await;
    let count = counts.iter().find(|(name, _)| name == table);
    count.expect("a table").1
}

everywhere! {
    async fn c092_what_a_person_and_an_app_do_is_in_the_trail(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let redirect = world.visitor().authorize(&app.url(&[]), user.email.shown()).await;
        let code = redirect.code();
        let tokens = app.tokens(&world, &redirect).await;
        assert_eq!(app.redeem(&world, &code).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(app.redeem(&world, &code).await.status, StatusCode::BAD_REQUEST);

        let trail = trail(&world).await;
        let of = |kind: &str| {
            let mut own = trail.iter().filter(|event| event.kind == kind && event.sub.as_deref() == Some(user.sub.as_str()));
            let event = own.next().unwrap_or_else(|| panic!("no {kind}: {trail:?}"));
            assert_eq!(own.next(), None, "one act, one event");
            event
        };
        assert_eq!(of("user.created").origin, "server");
        for kind in ["sign_in.succeeded", "consent.given", "approval.ended"] {
            let event = of(kind);
            assert_eq!(event.origin, "request");
            assert_eq!(event.address.as_deref(), Some("127.0.0.1"));
            assert!(event.request_id.is_some());
        }
        assert_eq!(of("sign_in.succeeded").session_id, of("consent.given").session_id);
        assert_eq!(of("consent.given").client_id.as_deref(), Some(app.id.as_str()));
        assert_eq!(of("consent.given").details["scope"], "email openid profile");
        assert_eq!(of("approval.ended").client_id.as_deref(), Some(app.id.as_str()));
        assert_eq!(of("approval.ended").details["reason"], "code_replayed");

        // Nothing in it opens anything.
        let text = format!("{trail:?}");
        let secrets = [code.as_str(), tokens.access(), app.secret.as_ref().expect("a secret").expose(), PASSWORD];
        for secret in secrets {
            assert!(!text.contains(secret));
        }
    }

    async fn c092_what_an_operator_does_is_in_the_trail(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        app.grant(&world, &user, &[]).await;
        let resource = world.resource(SigningAlg::Rs256).await;
        world.update(&app, serde_json::json!({ "client_name": "Other", "redirect_uris": [app.redirect_uri] })).await;
        world.update(&app, serde_json::json!({ "client_name": "Other", "redirect_uris": [app.redirect_uri] })).await;
        world.trust(&app, clients::Trust::Unverified).await;
        world.end(Act::RevokeUser(user.sub.clone())).await;
        world.end(Act::DisableUser(user.sub.clone())).await;
        world.end(Act::DeleteClient(app.id.as_str().into())).await;

        let created = ["client.created", "client.secret_added", "consent.given"];
        let changed = ["client.updated", "client.trust_set", "client.deleted"];
        assert_eq!(kinds(&world, &app.id).await, [created, changed].concat(), "an update that changes nothing is none");
        let person = ["user.created", "sign_in.succeeded", "consent.given", "user.revoked", "user.disabled"];
        assert_eq!(kinds(&world, user.sub.as_str()).await, person);
        let trail = trail(&world).await;
        let made = trail.iter().find(|event| event.details["identifier"] == resource.identifier.as_str());
        assert_eq!(made.expect("its event").kind, "resource.created");
        for kind in ["master_key.made", "purpose_secret.made", "signing_key.published"] {
            assert!(trail.iter().any(|event| event.kind == kind && event.origin == "server"), "no {kind}");
        }
    }
}

on_both_databases! {
    async fn c092_an_act_whose_event_cannot_be_written_does_not_happen(world: World) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let consent = visitor.sign_in(&page, user.email.shown()).await;
        let mut stranger = world.visitor();
        let login = stranger.open(&app.url(&[])).await;
        let code = app.code(&world, &other, &[("scope", "openid offline_access")]).await;
        let tokens = app.redeem(&world, &code).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
        let refresh_token = tokens.json()["refresh_token"].as_str().expect("a refresh token").to_owned();
        let keys = world.keyring().calendar(world.now()).len();

        statement(&world, "ALTER TABLE audit_events RENAME TO elsewhere").await;
        let before = world.row_counts().await;
        let refused = |status: StatusCode| assert!(status.is_server_error(), "{status}");
        refused(stranger.sign_in(&login, user.email.shown()).await.status);
        refused(visitor.decide(&consent, "allow").await.status);
        refused(app.redeem(&world, &code).await.status);
        let now = world.now();
        let (id, sub) = (app.id.clone(), other.sub.clone());
        let by = Context::command_line();
        for act in [Act::DeleteClient(id.as_str().into()), Act::DisableUser(sub.clone()), Act::RevokeUser(sub)] {
            assert!(revocation::perform(act, &by, &world.db, now).await.is_err());
        }
        let registered = world.db.transact(move |conn| {
            Box::pin(async move {
                let document = serde_json::json!({ "redirect_uris": ["https://a.test/cb"] });
                registry::register(&document, clients::Trust::Trusted, &clients::Vault::closed(), &Context::command_line(), conn, now).await
            })
        });
        assert!(registered.await.is_err());
        let rotated = world.keyring().rotate(&[SigningAlg::Es256], Start::Now, &by, now).await;
        assert!(rotated.is_err());
        assert_eq!(world.row_counts().await, before);

        // What did not happen can happen now, and what was not ended goes on.
        statement(&world, "ALTER TABLE elsewhere RENAME TO audit_events").await;
        assert_eq!(world.keyring().calendar(now).len(), keys);
        assert_eq!(app.refresh(&world, &refresh_token).await.status, StatusCode::OK);
        assert!(visitor.decide(&consent, "allow").await.param("code").is_some());
        assert!(stranger.sign_in(&login, user.email.shown()).await.param("code").is_some());
        assert_eq!(app.redeem(&world, &code).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(app.refresh(&world, &refresh_token).await.status, StatusCode::BAD_REQUEST);
    }

    async fn c069_failed_sign_ins_at_known_and_unknown_names_are_counted_alike(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        for n in 0..3 {
            for name in [user.email.shown(), &format!("nobody-{n}@example.com")] {
                let answer = visitor.sign_in_with(&page, name, "not the password").await;
                assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            }
        }
        // The window may turn in between: then there are two of each.
        let rows = count(&world, "sign_in_failures").await;
        assert!([2, 4].contains(&rows), "{rows}");
        assert!(kinds(&world, user.sub.as_str()).await.iter().all(|kind| kind != "sign_in.failed"));

        world.pass(sign_ins::WINDOW * 2);
        let now = world.now();
        let settled = world.db.transact(move |conn| Box::pin(async move { sign_ins::settle(100, conn, now).await }));
        settled.await.expect("the database");
        let failed: Vec<Recorded> = trail(&world).await.into_iter().filter(|event| event.kind == "sign_in.failed").collect();
        for sub in [Some(user.sub.as_str()), None] {
            let own = failed.iter().filter(|event| event.sub.as_deref() == sub);
            let total: i64 = own.map(|event| event.details["failures"].as_i64().expect("a count")).sum();
            assert_eq!(total, 3, "{sub:?}: {failed:?}");
        }
        assert!(failed.iter().all(|event| event.details["network"] == "127.0.0.0/24"));
        assert_eq!(count(&world, "sign_in_failures").await, 0);
    }
}

#[tokio::test]
async fn an_operator_reads_the_trail_and_goes_on_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let command = async |arguments: &[&str]| {
        let ended = run(folder.path(), &[&["--json"], arguments].concat(), &[], "").await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()
    };
    assert_eq!(command(&["events", "list"]).await, serde_json::json!([]));
    let user = command(&["user", "create", "--email", "alex@example.com"]).await;
    command(&["user", "disable", "alex@example.com"]).await;
    command(&["user", "enable", "alex@example.com"]).await;

    let events = command(&["events", "list"]).await;
    let events = events.as_array().unwrap();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["user.created", "user.disabled", "user.enabled"]);
    assert!(
        events
            .iter()
            .all(|event| event["sub"] == user["sub"] && event["origin"] == "command_line")
    );

    let first = events[0]["event_id"].as_str().unwrap();
    let next = command(&["events", "list", "--after", first, "--limit", "1"]).await;
    assert_eq!(next, serde_json::json!([events[1]]));
    let text = run(folder.path(), &["events", "list", "--limit", "1"], &[], "")
        .await
        .stdout;
    assert!(
        text.contains("user.enabled") && text.lines().count() == 1,
        "{text}"
    );
}
