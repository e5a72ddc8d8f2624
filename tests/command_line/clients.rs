//! `client` and `resource`.

use serde_json::{Value, json};

use super::{Desk, column, desks, text, words};

const CREATE: &str = "client create --name Shop --redirect-uri https://a.test/cb";

#[tokio::test]
async fn a_client_is_created_shown_changed_listed_and_deleted() {
    for desk in desks().await {
        assert_eq!(desk.json("client list").await, json!([]));
        let created = desk
            .json(&format!(
                "{CREATE} https://b.test/cb --scope openid --contact a@a.test"
            ))
            .await;
        let id = text(&created, "client_id");
        assert!(text(&created, "client_secret").starts_with("cs_cs_"), "{created}");
        let mut expected = json!({
            "client_id": id, "client_id_issued_at": created["client_id_issued_at"], "trust": "trusted",
            "client_name": "Shop", "application_type": "web", "subject_type": "public",
            "redirect_uris": ["https://a.test/cb", "https://b.test/cb"],
            "token_endpoint_auth_method": "client_secret_basic", "require_pkce": true,
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "scope": "openid", "contacts": ["a@a.test"],
        });
        assert_eq!(desk.json(&format!("client show {id}")).await, expected);
        assert!(
            created["client_id_issued_at"]
                .as_i64()
                .is_some_and(|at| at > 1_700_000_000)
        );

        let update = [
            "client",
            "update",
            id,
            "--name",
            "New Shop",
            "--scope",
            "",
            "--no-pkce",
        ];
        let updated = desk.json_of(&update, "").await;
        expected["client_name"] = "New Shop".into();
        expected["require_pkce"] = false.into();
        expected.as_object_mut().unwrap().remove("scope");
        assert_eq!(updated, expected, "only what was given has changed");
        let update = format!(
            "client update {id} --pkce --redirect-uri https://c.test/cb --grant-type authorization_code"
        );
        expected["require_pkce"] = true.into();
        expected["redirect_uris"] = json!(["https://c.test/cb"]);
        expected["grant_types"] = json!(["authorization_code"]);
        assert_eq!(desk.json(&update).await, expected);

        assert_eq!(desk.json("client list").await, json!([expected]));
        let lines = desk.run(&["client", "list"], "").await.stdout;
        assert!(lines.starts_with(id) && lines.contains("New Shop"), "{lines}");

        let deleted = desk.json(&format!("client delete {id}")).await;
        assert_eq!(deleted, json!({ "client_id": id, "approvals_ended": 0 }));
        for command in ["show", "update", "trust", "delete", "secret add", "secret list"] {
            let line = desk.failure(&format!("client {command} {id}")).await;
            assert!(line.contains(id), "{command}: {line}");
        }
    }
}

#[tokio::test]
async fn a_client_may_be_public_native_or_without_pkce() {
    let [desk, _] = desks().await;
    let public = desk
        .json(&format!("{CREATE} http://127.0.0.1/cb --public --native"))
        .await;
    assert_eq!(public.get("client_secret"), None, "{public}");
    assert_eq!(text(&public, "token_endpoint_auth_method"), "none");
    assert_eq!(text(&public, "application_type"), "native");
    assert_eq!(public["require_pkce"], true);

    // It gets a secret with the need for one, and loses it with that.
    let id = text(&public, "client_id");
    let update =
        format!("client update {id} --web --redirect-uri https://a.test/cb --auth-method client_secret_post");
    let confidential = desk.json(&update).await;
    assert!(text(&confidential, "client_secret").starts_with("cs_cs_"));
    desk.json(&format!("client update {id} --public")).await;
    assert_eq!(desk.json(&format!("client secret list {id}")).await, json!([]));
    let line = desk.failure(&format!("client secret add {id}")).await;
    assert!(line.contains("public"), "{line}");

    let weak = desk.json(&format!("{CREATE} --no-pkce")).await;
    assert_eq!(weak["require_pkce"], false);

    for (arguments, code) in [
        ("--public --no-pkce", 2),
        ("--public --auth-method client_secret_basic", 2),
        ("--auth-method none --no-pkce", 1),
        ("--redirect-uri http://a.test/cb", 1),
        ("--logo-uri javascript:alert(1)", 1),
        ("--grant-type refresh_token", 1),
    ] {
        let ended = desk.run(&words(&format!("{CREATE} {arguments}")), "").await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(code), ""),
            "{arguments}: {ended:?}"
        );
    }
    assert_eq!(desk.json("client list").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_client_whose_secret_signs_is_given_one_for_it_and_keeps_the_last() {
    for desk in desks().await {
        let jwt = desk
            .json(&format!("{CREATE} --auth-method client_secret_jwt"))
            .await;
        assert!(text(&jwt, "client_secret").len() >= 64, "{jwt}");

        let created = desk.json(CREATE).await;
        let id = text(&created, "client_id");
        let update = format!("client update {id} --id-token-alg HS256 --userinfo-alg ES256");
        let updated = desk.json(&update).await;
        assert_eq!(text(&updated, "id_token_signed_response_alg"), "HS256");
        assert_eq!(text(&updated, "userinfo_signed_response_alg"), "ES256");
        let secret = text(&updated, "client_secret");
        assert!(secret.len() >= 64, "{updated}");
        assert!(
            desk.json(&update).await.get("client_secret").is_none(),
            "said once"
        );
        let list = desk.json(&format!("client secret list {id}")).await;
        let hints = column(&list, "hint");
        let at = hints
            .iter()
            .position(|hint| secret.ends_with(hint))
            .expect("its hint");
        let readable = column(&list, "secret_id")[at];
        let line = desk
            .failure(&format!("client secret delete {id} {readable}"))
            .await;
        assert!(line.contains("HS256"), "{line}");
        desk.json(&format!(
            "client secret delete {id} {}",
            column(&list, "secret_id")[1 - at]
        ))
        .await;
        let added = desk.json(&format!("client secret add {id}")).await;
        assert!(text(&added, "client_secret").len() >= 64);
        desk.json(&format!("client secret delete {id} {readable}")).await;

        for (arguments, word) in [
            ("--id-token-alg HS256 --public", "secret"),
            ("--id-token-encryption ECDH-ES A128GCM", "jwks"),
            ("--userinfo-encryption RSA1_5 A128GCM", "RSA-OAEP-256"),
            (
                "--auth-method client_secret_jwt --auth-signing-alg ES256",
                "HS256",
            ),
        ] {
            let line = desk.failure(&format!("{CREATE} {arguments}")).await;
            assert!(line.contains(word), "{arguments}: {line}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_moment_in_which_none_works() {
    for desk in desks().await {
        let created = desk.json(CREATE).await;
        let id = text(&created, "client_id");
        let list = desk.json(&format!("client secret list {id}")).await;
        let [first] = column(&list, "secret_id")[..] else {
            panic!("{list}")
        };
        assert!(text(&created, "client_secret").ends_with(column(&list, "hint")[0]));
        let line = desk.failure(&format!("client secret delete {id} {first}")).await;
        assert!(line.contains("last secret"), "{line}");

        let added = desk.json(&format!("client secret add {id}")).await;
        assert!(text(&added, "client_secret").starts_with("cs_cs_"));
        assert_ne!(added["client_secret"], created["client_secret"]);
        assert_eq!(added["client_id"], created["client_id"]);
        let line = desk.failure(&format!("client secret add {id}")).await;
        assert!(line.contains("two active secrets"), "{line}");

        let deleted = desk.json(&format!("client secret delete {id} {first}")).await;
        assert_eq!(deleted, json!({ "client_id": id, "secret_id": first }));
        let list = desk.json(&format!("client secret list {id}")).await;
        assert_eq!(column(&list, "secret_id"), [text(&added, "secret_id")]);
        let line = desk.failure(&format!("client secret delete {id} {first}")).await;
        assert!(line.contains("no secret with this id"), "{line}");
    }
}

fn record(id: &str, name: &str) -> Value {
    json!({
        "client_id": id, "client_secret": format!("made-elsewhere-for-{id}"), "client_name": name,
        "redirect_uris": [format!("https://{id}.test/cb")],
    })
}

#[tokio::test]
async fn an_import_of_clients_may_be_repeated_and_is_done_whole_or_not_at_all() {
    for desk in desks().await {
        let both = json!([record("one", "One"), record("two", "Two")]);
        let imported = desk.import("client", &both).await;
        assert_eq!(column(&imported, "client_id"), ["one", "two"]);
        assert_eq!(column(&imported, "trust"), ["trusted", "trusted"]);
        assert!(!imported.to_string().contains("made-elsewhere"), "{imported}");
        assert_eq!(desk.import("client", &both).await, imported);
        let secrets = desk.json("client secret list one").await;
        assert_eq!(column(&secrets, "hint"), ["-one"]);

        let before = desk.json("client list").await;
        let duplicate = json!([record("three", "Three"), record("three", "Again")]);
        let alien = json!([record("three", "Three"), {"client_id": "four", "redirect_uris": ["nonsense"]}]);
        let unclear =
            json!([{"client_id": "one", "redirect_uris": ["https://a.test/cb"], "trust": "absolute"}]);
        for (records, index, member) in [
            (duplicate, "[1]: ", "client_id of [0]"),
            (alien, "[1]: ", "redirect_uris"),
            (unclear, "[0]: ", "trust"),
            (json!([record("three", "Three"), 7]), "[1]: ", "object"),
            (
                json!({"client_id": "five", "redirect_uris": 5}),
                "",
                "redirect_uris",
            ),
        ] {
            let line = desk.import_failure("client", &records).await;
            assert!(line.starts_with(index) && line.contains(member), "{line}");
        }
        assert_eq!(
            desk.json("client list").await,
            before,
            "nothing of a bad file is kept"
        );

        // One object is answered by one, which has a secret when none was brought along.
        let one = desk
            .import(
                "client",
                &json!({"redirect_uris": ["https://a.test/cb"], "trust": "unverified"}),
            )
            .await;
        assert!(text(&one, "client_secret").starts_with("cs_cs_"));
        assert_eq!(text(&one, "trust"), "unverified");
        let id = text(&one, "client_id");
        let list = desk.json("client list").await;
        let again = desk.json_of(&["client", "import", "-"], &list.to_string()).await;
        assert_eq!(again, list, "a list can be imported, and raises nobody's trust");
        assert_eq!(
            text(&desk.json(&format!("client trust {id}")).await, "trust"),
            "trusted"
        );
    }
}

#[tokio::test]
async fn c058_no_client_has_the_id_of_a_user_and_no_user_that_of_a_client() {
    for desk in desks().await {
        desk.import("client", &record("client", "Client")).await;
        desk.import("user", &json!({"sub": "user", "email": "a@a.test"}))
            .await;
        let line = desk.import_failure("client", &record("user", "Posing")).await;
        assert!(line.contains("client_id"), "{line}");
        let line = desk
            .import_failure("user", &json!({"sub": "client", "email": "b@a.test"}))
            .await;
        assert!(line.contains("sub"), "{line}");
    }
}

#[tokio::test]
async fn a_resource_server_is_created_shown_listed_and_deleted() {
    for desk in desks().await {
        let scope = "notes.read=Read your notes";
        let create = [
            "resource",
            "create",
            "--identifier",
            "https://api.test/notes",
            "--scope",
            scope,
        ];
        let created = desk.json_of(&create, "").await;
        let expected = json!({
            "identifier": "https://api.test/notes", "name": "api.test", "alg": "ES256",
            "scopes": {"notes.read": "Read your notes"}, "created_at": created["created_at"],
        });
        let mut once = created.clone();
        let members = once.as_object_mut().unwrap();
        assert_eq!(members.remove("client_id"), Some(json!("https://api.test/notes")));
        let secret = members.remove("client_secret");
        assert!(secret.is_some_and(|it| it.as_str().is_some_and(|it| it.starts_with("cs_cs_"))));
        assert_eq!(once, expected);
        assert!(desk.failure_of(&create, "").await.contains("already"));
        let taken = desk
            .failure_of(
                &["resource", "create", "--identifier", "urn:b", "--scope", scope],
                "",
            )
            .await;
        assert!(taken.contains("notes.read"), "{taken}");
        let plain = desk
            .json("resource create --identifier urn:a --alg RS256 --name Plain")
            .await;
        assert_eq!((text(&plain, "alg"), text(&plain, "name")), ("RS256", "Plain"));

        assert_eq!(desk.json("resource show https://api.test/notes").await, expected);
        let list = desk.json("resource list").await;
        assert_eq!(list.as_array().unwrap().len(), 2);
        let deleted = desk.json("resource delete urn:a").await;
        assert_eq!(deleted, json!({"identifier": "urn:a"}));
        for command in ["show", "delete"] {
            let line = desk.failure(&format!("resource {command} urn:a")).await;
            assert!(line.contains("urn:a"), "{line}");
        }
        assert_eq!(desk.json("resource list").await, json!([expected]));
    }
}

#[tokio::test]
async fn no_resource_server_has_the_identifier_of_the_issuer() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    let create = words("resource create --identifier https://sso.test");
    let issuer = [("COUNTERSIGN_ISSUER", "https://sso.test")];
    let refused = desk.run_with(&create, &issuer, "").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("issuer"), "{refused:?}");
    assert_eq!(desk.json("resource list").await, json!([]));
}

#[tokio::test]
async fn an_initial_access_token_is_made_listed_and_ended() {
    for desk in desks().await {
        assert_eq!(desk.json("client token list").await, json!([]));
        let made = desk.json("client token create --uses 3 --expires 2").await;
        assert!(
            text(&made, "initial_access_token").starts_with("cs_ia_"),
            "{made}"
        );
        assert_eq!(made["uses_left"], 3);
        let life = made["expires_at"].as_i64().unwrap() - made["created_at"].as_i64().unwrap();
        assert_eq!(life, 2 * 24 * 60 * 60);
        let id = text(&made, "token_id");
        let listed = desk.json("client token list").await;
        assert_eq!(column(&listed, "token_id"), [id]);
        assert!(!listed.to_string().contains("cs_ia_"), "{listed}");
        let once = desk.json("client token create").await;
        assert_eq!(once["uses_left"], 1);

        desk.json(&format!("client token delete {id}")).await;
        assert!(
            desk.failure(&format!("client token delete {id}"))
                .await
                .contains(id)
        );
        for arguments in ["--uses 0", "--expires 0", "--uses x"] {
            let ended = desk
                .run(&words(&format!("client token create {arguments}")), "")
                .await;
            assert_eq!(ended.code, Some(2), "{arguments}: {ended:?}");
        }
    }
}
