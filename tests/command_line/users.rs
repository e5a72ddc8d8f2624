//! `user`.

use accounts::deletion;
use db::Database;
use protocol::Timestamp;
use serde_json::{Value, json};

use super::{Desk, column, desks, text, words};

#[tokio::test]
async fn a_user_is_created_listed_disabled_enabled_and_revoked() {
    for desk in desks().await {
        assert_eq!(desk.json("user list").await, json!([]));
        let create = [
            "user",
            "create",
            "--email",
            "Jane@Example.com",
            "--name",
            "Jane Doe",
            "--password-stdin",
        ];
        let jane = desk.json_of(&create, "correct horse\n").await;
        let sub = text(&jane, "sub");
        let expected = json!({
            "sub": sub, "email": "Jane@example.com", "email_verified": false, "name": "Jane Doe",
            "has_password": true, "disabled": false,
            "created_at": jane["created_at"], "updated_at": jane["created_at"],
        });
        assert_eq!(jane, expected);
        assert_eq!(desk.json("user list").await, json!([expected]));
        let line = desk.failure("user create --email jane@example.com").await;
        assert!(line.contains("jane@example.com"), "{line}");

        for id in [sub, "jANE@EXAMPLE.com"] {
            let disabled = desk.json(&format!("user disable {id}")).await;
            assert_eq!(disabled["disabled"], true);
            assert!(disabled["disabled_at"].is_i64(), "{disabled}");
            assert_eq!(
                (text(&disabled, "sub"), &disabled["approvals_ended"]),
                (sub, &json!(0))
            );
            assert_eq!(desk.json("user list").await[0]["disabled"], true);
            let lines = desk.run(&["user", "list"], "").await.stdout;
            assert!(lines.contains("disabled since"), "{lines}");

            let enabled = desk.json(&format!("user enable {id}")).await;
            assert_eq!(
                (&enabled["disabled"], enabled.get("disabled_at")),
                (&json!(false), None)
            );
            let revoked = desk.json(&format!("user revoke {id}")).await;
            assert_eq!(
                (&revoked["disabled"], &revoked["approvals_ended"]),
                (&json!(false), &json!(0))
            );
        }
        for command in ["disable", "enable", "revoke"] {
            for id in ["nobody", "nobody@example.com"] {
                let line = desk.failure(&format!("user {command} {id}")).await;
                assert!(line.contains(id), "{command}: {line}");
            }
        }
    }
}

#[tokio::test]
async fn a_password_comes_from_stdin_or_is_made_and_is_never_an_argument() {
    let [desk, _] = desks().await;
    let line = desk
        .failure_of(&words("user create --email a@a.test --password-stdin"), "short\n")
        .await;
    assert!(line.contains("at least 8"), "{line}");
    let wrong = desk
        .run(
            &words("user create --email a@a.test --password correct-horse"),
            "",
        )
        .await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert_eq!(desk.json("user list").await, json!([]));

    let made = desk
        .json("user create --email a@a.test --generate-password")
        .await;
    assert!(text(&made, "password").len() >= 20);
    let other = desk
        .run(&words("user create --email b@a.test --generate-password"), "")
        .await;
    assert!(
        other.stdout.contains("password") && other.stdout.contains("shown this once"),
        "{other:?}"
    );
    let none = desk.run(&words("user create --email c@a.test"), "").await;
    assert!(none.stdout.contains("There is no password"), "{none:?}");
    let list = desk.json("user list").await;
    assert!(!list.to_string().contains(text(&made, "password")));
    let has: Vec<&Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["has_password"])
        .collect();
    assert_eq!(has.iter().filter(|has| **has == true).count(), 2);
}

fn jane() -> Value {
    json!({
        "sub": "jane", "email": "jane@example.com", "email_verified": true, "name": "Jane Doe",
        "given_name": "Jane", "family_name": "Doe", "middle_name": "Q", "nickname": "J",
        "preferred_username": "j.doe", "profile": "https://example.com/j",
        "picture": "https://example.com/j.png", "website": "http://jane.example", "gender": "female",
        "birthdate": "0000-10-31", "zoneinfo": "America/Los_Angeles", "locale": "en-US",
        "phone_number": "+1 (425) 555-1212", "phone_number_verified": false,
        "address": {"country": "US"}, "updated_at": 1_311_280_970, "password": "correct horse",
    })
}

fn john() -> Value {
    json!({
        "email": "john@example.com",
        "password_hash": "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    })
}

#[tokio::test]
async fn an_import_of_users_may_be_repeated_and_is_done_whole_or_not_at_all() {
    for desk in desks().await {
        let imported = desk.import("user", &json!([jane(), john()])).await;
        let mut expected = jane();
        expected.as_object_mut().unwrap().remove("password");
        expected["has_password"] = true.into();
        expected["disabled"] = false.into();
        expected["created_at"] = imported[0]["created_at"].clone();
        expected["imported"] = "created".into();
        expected["password_kept"] = false.into();
        assert_eq!(imported[0], expected);
        assert_eq!(
            column(&imported, "email"),
            ["jane@example.com", "john@example.com"]
        );
        assert_eq!(imported[1]["has_password"], true);
        let again = desk.import("user", &json!([jane(), john()])).await;
        assert_eq!(column(&again, "imported"), ["updated", "updated"]);
        expected["imported"] = "updated".into();
        expected["password_kept"] = again[0]["password_kept"].clone();
        assert_eq!(again[0], expected);
        let before = desk.json("user list").await;
        assert_eq!(before.as_array().unwrap().len(), 2);

        let new = json!({"email": "new@example.com"});
        for (bad, member) in [
            (json!({"name": "Nobody"}), "email"),
            (
                json!({"email": "x@example.com", "birthdate": "31.10.1970"}),
                "birthdate",
            ),
            (
                json!({"email": "x@example.com", "password": "canary"}),
                "password",
            ),
            (
                json!({"email": "x@example.com", "password_hash": "canary"}),
                "password_hash",
            ),
            (json!({"email": "x@example.com", "is_admin": true}), "is_admin"),
            (json!({"email": "x@example.com", "name": null}), "name"),
            (
                json!({"sub": "jane", "email": "john@example.com"}),
                "john@example.com",
            ),
            (json!({"email": "NEW@example.com"}), "[0]"),
            (json!("new@example.com"), "map"),
        ] {
            let line = desk.import_failure("user", &json!([new, bad])).await;
            assert!(
                line.starts_with("[1]: ") && line.contains(member),
                "{bad}: {line}"
            );
            assert!(!line.contains("canary"), "{line}");
        }
        assert_eq!(
            desk.json("user list").await,
            before,
            "nothing of a bad file is kept"
        );
    }
}

#[tokio::test]
async fn an_account_that_is_to_be_deleted_is_shown_as_one_and_its_name_is_given_to_nobody_again() {
    for desk in desks().await {
        desk.import("user", &json!([jane(), john()])).await;
        let at = Timestamp::from_secs(2_000_000_000);
        let db = Database::connect(&desk.url()).await.unwrap();
        let work = db
            .transact(move |conn| Box::pin(async move { deletion::ask(&"jane".into(), 0, at, conn).await }));
        assert!(work.await.unwrap());
        let list = desk.json("user list").await;
        for user in list.as_array().unwrap() {
            let expected = (user["sub"] == "jane").then(|| json!(at));
            assert_eq!(user.get("delete_at"), expected.as_ref(), "{user}");
            assert_eq!(
                &desk.json(&format!("user show {}", text(user, "email"))).await,
                user
            );
        }
        let lines = desk.run(&["user", "list"], "").await.stdout;
        let marked: Vec<&str> = lines
            .lines()
            .filter(|line| line.contains("to be deleted after"))
            .collect();
        assert_eq!(
            marked,
            [format!("jane  jane@example.com  to be deleted after {at}")]
        );
        assert!(desk.failure("user show nobody").await.contains("nobody"));

        let work = db.transact(move |conn| {
            Box::pin(async move { deletion::carry_out(&"jane".into(), conn, at).await })
        });
        assert!(work.await.unwrap());
        db.close().await;
        let line = desk.import_failure("user", &jane()).await;
        assert!(
            line.contains("was deleted") && line.contains("leave `sub` out"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn an_imported_user_is_found_by_sub_else_by_address() {
    for desk in desks().await {
        let first = desk.import("user", &json!({"email": "jane@example.com"})).await;
        let sub = text(&first, "sub");
        let named = desk
            .import("user", &json!({"email": "JANE@example.com", "name": "Jane"}))
            .await;
        assert_eq!((text(&named, "sub"), text(&named, "name")), (sub, "Jane"));
        let moved = desk
            .import("user", &json!({"sub": sub, "email": "jane@new.example"}))
            .await;
        assert_eq!(
            (text(&moved, "sub"), text(&moved, "email")),
            (sub, "jane@new.example")
        );
        assert_eq!(desk.json("user list").await.as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_id_that_means_two_people_shuts_out_neither() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    let both = json!([
        {"sub": "jane@example.com", "email": "other@example.com"},
        {"sub": "jane", "email": "jane@example.com"},
    ]);
    desk.import("user", &both).await;
    let line = desk.failure("user disable jane@example.com").await;
    assert!(line.contains("jane@example.com"), "{line}");
    for id in ["jane", "other@example.com"] {
        assert_eq!(desk.json(&format!("user disable {id}")).await["disabled"], true);
    }
}
