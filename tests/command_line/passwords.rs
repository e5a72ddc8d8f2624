//! `passwords`, and what a list of breached passwords changes.

use std::fs;

use super::{Desk, words};

const BREACHED: &str = "correct horse battery staple";
const GOOD: &str = "another horse, another battery";

fn line(password: &str, count: u64) -> String {
    let sha1: String = seal::sha1(password.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("{sha1}:{count}\n")
}

#[tokio::test]
async fn c074_a_list_of_breached_passwords_is_built_loaded_and_refused_when_it_is_damaged() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    let mut list = [line(BREACHED, 9), line("seldom", 2)];
    list.sort();
    desk.write("list", &list.concat());
    let built = desk.json("passwords build-filter list filter").await;
    assert_eq!((&built["passwords"], &built["left_out"]), (&2.into(), &0.into()));
    let bytes = fs::read(desk.path().join("filter")).unwrap();
    assert_eq!(built["bytes"], bytes.len());
    let fewer = desk.json("passwords build-filter list other --at-least 3").await;
    assert_eq!((&fewer["passwords"], &fewer["left_out"]), (&1.into(), &1.into()));
    assert!(!desk.path().join("here.db").exists(), "nothing was opened");

    let filter = [("COUNTERSIGN_BREACHED_PASSWORDS", "filter")];
    let create = words("user create --email a@a.test --password-stdin");
    let refused = desk.run_with(&create, &filter, BREACHED).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("known from a breach"), "{refused:?}");
    let taken = desk.run_with(&create, &filter, GOOD).await;
    assert_eq!(taken.code, Some(0), "{taken:?}");

    let issuer = ("COUNTERSIGN_ISSUER", "http://localhost:1");
    let whole = desk
        .run_with(&words("config check"), &[filter[0], issuer], "")
        .await;
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    for (name, bytes, says) in [
        ("filter", damaged.as_slice(), "is damaged"),
        ("filter", &bytes[..bytes.len() - 1], "is damaged"),
        ("filter", b"no filter", "is no filter"),
        ("nowhere", b"", "cannot be read"),
    ] {
        fs::write(desk.path().join("filter"), bytes).unwrap();
        let environment = [("COUNTERSIGN_BREACHED_PASSWORDS", name), issuer];
        for command in ["serve", "config check"] {
            let ended = desk.run_with(&words(command), &environment, "").await;
            assert_eq!(ended.code, Some(1), "{command}: {ended:?}");
            let line = ended.stderr.trim_end();
            assert!(
                line.starts_with("error: COUNTERSIGN_BREACHED_PASSWORDS: ") && line.contains(says),
                "{command}: {line}"
            );
            assert!(!line.contains('\n'), "{line}");
        }
    }
}

#[tokio::test]
async fn c074_a_password_on_stdin_is_judged_as_on_the_pages_and_what_is_imported_is_taken() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    for (password, says) in [
        ("short", "at least 8"),
        ("password123", "many people"),
        ("zaphod quill", "made of the name"),
        ("zq@example.com", "made of the name"),
        ("countersign", "made of the name"),
        (&"x".repeat(1 << 20), "at most 256"),
    ] {
        let create = [
            "user",
            "create",
            "--email",
            "zq@example.com",
            "--name",
            "Zaphod Quill",
            "--password-stdin",
        ];
        let line = desk.failure_of(&create, password).await;
        assert!(line.contains(says), "{line}");
    }
    // They have it already: it is changed when they can be asked.
    let user = serde_json::json!({"email": "zq@example.com", "password": "password123"});
    assert_eq!(desk.import("user", &user).await["has_password"], true);
}
