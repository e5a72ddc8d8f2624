//! Keys as those who run servers and those who verify tokens meet them: C045, C046, D7.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::app::{answer, header, userinfo};
use crate::harness::process::{Process, free_port};
use crate::harness::visitor::client;
use crate::harness::{App, Installation, World};
use crate::rotations::{Load, turn};

/// R21: from the end of the command until the last replica refuses.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

async fn kids(origin: &str) -> BTreeSet<String> {
    let set = answer(client().get(format!("{origin}/jwks"))).await.json();
    let keys = set["keys"].as_array().expect("keys").iter();
    keys.map(|key| key["kid"].as_str().expect("a kid").to_owned())
        .collect()
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().expect("a kid").to_owned()
}

/// Whether a server here takes the token.
async fn takes(origin: &str, token: &str) -> StatusCode {
    let request = client().get(format!("{origin}/userinfo")).bearer_auth(token);
    answer(request).await.status
}

struct Two {
    installation: Installation,
    origins: [String; 2],
    processes: [Process; 2],
}

impl Two {
    async fn on(database: db::Url) -> Self {
        let installation = Installation::on(database);
        let second = free_port();
        let origins = [installation.port, second].map(|port| format!("http://127.0.0.1:{port}"));
        let processes = [installation.start().await, installation.start_at(second).await];
        Self {
            installation,
            origins,
            processes,
        }
    }

    fn folder(&self) -> &Path {
        self.installation.folder.path()
    }

    async fn command(&self, arguments: &[&str]) -> Value {
        let ended = self.installation.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str(&ended.stdout).expect("JSON")
    }

    /// Until every server answers so; how long that took.
    async fn come_to<F: Future<Output = bool>>(&self, question: impl Fn(String) -> F) -> Duration {
        let began = Instant::now();
        for (origin, process) in self.origins.iter().zip(&self.processes) {
            while !question(origin.clone()).await {
                assert!(
                    began.elapsed() < Duration::from_secs(30),
                    "not heard of: {}",
                    process.stderr()
                );
                sleep(Duration::from_millis(5)).await;
            }
        }
        began.elapsed()
    }
}

/// R21.
async fn drill(database: db::Url) {
    let two = Two::on(database).await;
    let world = two.installation.world().await;
    let (app, user) = (world.app().await, world.user().await);
    let tokens = app.grant(&world, &user, &[]).await;
    let (old, id_token) = (tokens.access().to_owned(), tokens.text("id_token").to_owned());
    for origin in &two.origins {
        // Twice, so that it is remembered.
        for _ in 0..2 {
            assert_eq!(takes(origin, &old).await, StatusCode::OK);
        }
    }
    let stolen = kids(&two.origins[0]).await;

    let done = two.command(&["keys", "rotate", "--emergency"]).await;
    let refused = two
        .come_to(|origin| {
            let old = old.clone();
            async move { takes(&origin, &old).await == StatusCode::UNAUTHORIZED }
        })
        .await;
    assert!(refused < REFUSED_WITHIN, "{refused:?}");
    two.come_to(|origin| {
        let stolen = stolen.clone();
        async move { kids(&origin).await.is_disjoint(&stolen) }
    })
    .await;
    let withdrawn: BTreeSet<String> = serde_json::from_value(done["withdrawn"].clone()).expect("kids");
    assert_eq!(withdrawn, stolen);
    for origin in &two.origins {
        assert_eq!(takes(origin, &old).await, StatusCode::UNAUTHORIZED);
        assert_eq!(kids(origin).await.len(), stolen.len());
    }
    // People go on: their sessions and refresh tokens are no signatures.
    let fresh = app.grant(&world, &user, &[]).await;
    for token in [fresh.access(), fresh.text("id_token")] {
        assert!(!stolen.contains(&kid(token)));
        assert!(kids(&two.origins[1]).await.contains(&kid(token)));
    }
    for origin in &two.origins {
        assert_eq!(takes(origin, fresh.access()).await, StatusCode::OK);
    }
    assert!(stolen.contains(&kid(&id_token)));
    let told: Vec<(String,)> = {
        let mut conn = world.db.reader().await.expect("the database");
        db::run!(&mut conn, |c| sqlx::query_as(
            "SELECT subject FROM revocations WHERE kind = 'key'"
        )
        .fetch_all(c))
        .expect("records")
    };
    let told: BTreeSet<String> = told.into_iter().map(|(kid,)| kid).collect();
    assert!(told.contains(&kid(&old)) && told.is_subset(&stolen), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c046_in_an_emergency_both_replicas_refuse_the_stolen_key_and_sign_by_another_on_postgres() {
    drill(db::testing::postgres_url().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c046_in_an_emergency_both_processes_refuse_the_stolen_key_and_sign_by_another_on_sqlite() {
    drill(db::testing::sqlite_url()).await;
}

on_both_databases! {
    async fn c046_a_hint_by_a_withdrawn_key_is_none(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let consent = visitor.sign_in(&page, user.email.shown()).await;
        let redirect = visitor.decide(&consent, "allow").await;
        let id_token = app.tokens(&world, &redirect).await.text("id_token").to_owned();
        let ask = |hint: &str| app.url(&[("prompt", "none"), ("id_token_hint", hint)]);
        let good = visitor.open(&ask(&id_token)).await;
        assert!(good.param("code").is_some(), "{good:?}");

        let suspect = keyring::Suspect::Keys(vec![kid(&id_token)]);
        let by = events::Context::command_line();
        world.keyring().withdraw(suspect, &by, world.now()).await.expect("withdrawn");
        let refused = visitor.open(&ask(&id_token)).await;
        assert!(refused.param("code").is_none(), "{refused:?}");
        // Not for the time being: never again.
        world.pass(Duration::from_secs(24 * 60 * 60));
        world.keyring().maintain(world.now()).await.expect("the rings");
        let refused = visitor.open(&ask(&id_token)).await;
        assert!(refused.param("code").is_none(), "{refused:?}");
    }
}

/// D7: servers that run learn the new master key while everything is sealed anew under them.
async fn resealed_under_two(database: db::Url) {
    let two = Two::on(database).await;
    let world = two.installation.world().await;
    let (app, user) = (world.app().await, world.user().await);
    let tokens = app
        .grant(&world, &user, &[("scope", "openid offline_access")])
        .await;
    let refresh = tokens.text("refresh_token").to_owned();
    let before = kids(&two.origins[0]).await;

    let prepared = two.command(&["keys", "reseal", "--prepare"]).await;
    assert_eq!(prepared, json!({ "prepared": true }));
    let done = two.command(&["keys", "reseal"]).await;
    assert!(done["resealed"].as_u64().expect("a number") > 10, "{done}");
    let kept = done["old_key_file"].as_str().expect("a file");
    assert!(two.folder().join(kept).exists(), "{kept}");

    // Both go on, sign by what they held, and by what is sealed under the new key only.
    assert_eq!(app.refresh(&world, &refresh).await.status, StatusCode::OK);
    let rotated = two.command(&["keys", "rotate", "--alg", "ES256"]).await;
    let new = rotated["keys"][0]["kid"].as_str().expect("a kid").to_owned();
    two.come_to(|origin| {
        let new = new.clone();
        async move { kids(&origin).await.contains(&new) }
    })
    .await;
    for process in &two.processes {
        let log = process.stderr();
        assert!(!log.contains("could not be read"), "{log}");
    }
    assert_eq!(takes(&two.origins[1], tokens.access()).await, StatusCode::OK);

    // And so does whoever starts.
    let Two {
        installation,
        processes,
        ..
    } = two;
    drop(processes);
    let _again = installation.start().await;
    let mut expected = before;
    expected.insert(new);
    assert_eq!(kids(&installation.issuer).await, expected);
    assert_eq!(userinfo(&world, tokens.access()).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_postgres_go_on_while_everything_is_resealed() {
    resealed_under_two(db::testing::postgres_url().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_sqlite_go_on_while_everything_is_resealed() {
    resealed_under_two(db::testing::sqlite_url()).await;
}

/// Killed as an operator's machine dies: at any instant, several times, with servers beside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resealing_killed_at_any_instant_loses_nothing() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let two = Two::on(database).await;
        let before = kids(&two.origins[0]).await;
        for millis in [0, 3, 6, 10, 15, 20, 30, 45, 60, 90] {
            let mut command = two.installation.begin(&["keys", "reseal"]);
            sleep(Duration::from_millis(millis)).await;
            command.kill_dash_nine();
            let listed = two.command(&["keys", "list"]).await;
            let listed = listed.as_array().expect("a list").iter();
            let kids: BTreeSet<&str> = listed.map(|key| key["kid"].as_str().expect("a kid")).collect();
            assert!(
                before.iter().all(|kid| kids.contains(kid.as_str())),
                "{millis} ms"
            );
        }
        let done = two.command(&["keys", "reseal"]).await;
        assert!(!two.folder().join("keys/master.next.key").exists(), "{done}");
        // Servers have lost nothing either, and hear what comes.
        let rotated = two.command(&["keys", "rotate", "--alg", "EdDSA"]).await;
        let new = rotated["keys"][0]["kid"].as_str().expect("a kid").to_owned();
        two.come_to(|origin| {
            let new = new.clone();
            async move { kids(&origin).await.contains(&new) }
        })
        .await;
        assert!(kids(&two.origins[1]).await.is_superset(&before));
    }
}

/// What a server says of an algorithm whose ring is off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discovery_and_registration_know_of_no_algorithm_that_is_switched_off() {
    let environment = [
        ("COUNTERSIGN_KEYS_ALGS", "RS256,ES256"),
        ("COUNTERSIGN_REGISTRATION", "open"),
    ];
    let world = World::process(&environment).await;
    let metadata = answer(client().get(world.at("/.well-known/openid-configuration")))
        .await
        .json();
    for member in [
        "id_token_signing_alg_values_supported",
        "userinfo_signing_alg_values_supported",
    ] {
        assert_eq!(metadata[member], json!(["RS256", "ES256", "HS256"]), "{member}");
    }
    // What clients sign by is theirs.
    let theirs = metadata["request_object_signing_alg_values_supported"]
        .as_array()
        .expect("a list");
    assert!(theirs.contains(&json!("PS256")));
    let set = answer(client().get(world.at("/jwks"))).await.json();
    let keys = set["keys"].as_array().expect("keys").iter();
    let algs: BTreeSet<&str> = keys
        .filter(|key| key["use"] == "sig")
        .map(|key| key["alg"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(algs.len(), 2, "{set}");

    let register = |members: Value| {
        let mut document = json!({ "redirect_uris": ["https://app.example.com/cb"] });
        let given = members.as_object().expect("members").clone();
        document.as_object_mut().expect("an object").extend(given);
        client().post(world.at("/register")).json(&document)
    };
    for member in ["id_token_signed_response_alg", "userinfo_signed_response_alg"] {
        for (alg, status) in [
            ("PS256", StatusCode::BAD_REQUEST),
            ("EdDSA", StatusCode::BAD_REQUEST),
            ("ES256", StatusCode::CREATED),
        ] {
            let given = answer(register(json!({ member: alg }))).await;
            assert_eq!(given.status, status, "{member} {alg}: {}", given.body);
            if status == StatusCode::BAD_REQUEST {
                let error = given.json();
                assert_eq!(error["error"], "invalid_client_metadata");
                let said = error["error_description"].as_str().expect("a description");
                assert!(
                    said.contains(member) && said.contains("COUNTERSIGN_KEYS_ALGS"),
                    "{said}"
                );
            }
        }
    }
}

/// An app registered for an algorithm that was switched off later is told so; nothing breaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_registered_for_a_ring_that_was_switched_off_is_told_and_loses_no_code() {
    let world = World::process(&[("COUNTERSIGN_KEYS_ALGS", "RS256,ES256")]).await;
    let user = world.user().await;
    let app: App = world
        .app_with(json!({ "id_token_signed_response_alg": "EdDSA" }))
        .await;
    let code = app.code(&world, &user, &[]).await;
    for _ in 0..2 {
        let refused = app.redeem(&world, &code).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
        let error = refused.json();
        assert_eq!(error["error"], "unauthorized_client");
        let said = error["error_description"].as_str().expect("a description");
        assert!(
            said.contains("COUNTERSIGN_KEYS_ALGS") && said.contains("EdDSA"),
            "{said}"
        );
    }
}

/// R20, the short form. The long one is a program: `tests/load/run rotations`.
async fn twenty_rotations(database: db::Url) {
    let load = Load {
        rotations: 20,
        // The least that the settings admit: the time for which the set may be kept.
        announce: keyring::JWKS_MAX_AGE,
        step: Duration::from_secs(50),
        signers: 3,
        verifiers: 3,
    };
    let report = turn(database, load).await;
    eprintln!("{report}");
    assert_eq!(report.failures, [] as [String; 0], "{report}");
    assert!(report.keys >= 20 * 4 && report.verified > 1000, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c045_twenty_rotations_under_load_and_no_verifier_meets_an_unknown_key_on_sqlite() {
    twenty_rotations(db::testing::sqlite_url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c045_twenty_rotations_under_load_and_no_verifier_meets_an_unknown_key_on_postgres() {
    twenty_rotations(db::testing::postgres_url().await).await;
}
