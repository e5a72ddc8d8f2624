//! `keys`.

use serde_json::Value;

use super::{Desk, column, desks, text};

const DAY: i64 = 24 * 60 * 60;

fn entries<'v>(list: &'v Value, alg: &str) -> Vec<&'v Value> {
    let all = list.as_array().unwrap();
    all.iter().filter(|entry| entry["alg"] == alg).collect()
}

fn at(entry: &Value, member: &str) -> i64 {
    entry[member]
        .as_i64()
        .unwrap_or_else(|| panic!("{member} of {entry}"))
}

#[tokio::test]
async fn a_rotated_key_is_announced_a_day_before_it_signs_and_replaces_the_one_announced() {
    for desk in desks().await {
        let first = desk.json("keys list").await;
        assert_eq!(column(&first, "alg"), ["RS256", "PS256", "ES256", "EdDSA"]);
        assert_eq!(column(&first, "stage"), ["signing"; 4]);

        let rotated = desk.json("keys rotate").await;
        // A key of the type OKP only for whoever asks.
        assert_eq!(column(&rotated["keys"], "alg"), ["RS256", "PS256", "ES256"]);
        let okp = desk.json("keys rotate --alg EdDSA").await;
        assert_eq!(column(&okp["keys"], "alg"), ["EdDSA"]);
        for key in rotated["keys"].as_array().unwrap() {
            assert_eq!(text(key, "stage"), "published");
            assert_eq!(at(key, "signs_at") - at(key, "published_at"), DAY);
        }
        let again = desk.json("keys rotate --alg ES256").await;
        assert_eq!(column(&again["keys"], "alg"), ["ES256"]);

        let list = desk.json("keys list").await;
        let (rsa, ec) = (entries(&list, "RS256"), entries(&list, "ES256"));
        assert_eq!((rsa.len(), ec.len()), (2, 2));
        assert_eq!(ec[0]["kid"], entries(&first, "ES256")[0]["kid"]);
        assert_eq!(
            ec[1]["kid"], again["keys"][0]["kid"],
            "the announced one was replaced"
        );
        assert_eq!(rsa[1]["kid"], rotated["keys"][0]["kid"], "the other ring stands");
        assert_eq!(at(ec[0], "retired_at"), at(ec[1], "signs_at"));
        assert!(at(ec[0], "gone_at") > at(ec[0], "retired_at"));
    }
}

#[tokio::test]
async fn a_key_may_sign_at_once() {
    for desk in desks().await {
        let first = desk.json("keys list").await;
        // Two keys of one second would have no order.
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let rotated = desk.json("keys rotate --now --alg ES256").await;
        assert_eq!(column(&rotated["keys"], "stage"), ["signing"]);
        let list = desk.json("keys list").await;
        assert_eq!(entries(&list, "RS256"), entries(&first, "RS256"));
        let ec = entries(&list, "ES256");
        assert_eq!(
            (text(ec[0], "stage"), text(ec[1], "stage")),
            ("retired", "signing")
        );
        assert_eq!(ec[0]["kid"], entries(&first, "ES256")[0]["kid"]);

        let lines = desk.run(&["keys", "list"], "").await.stdout;
        assert_eq!(lines.lines().count(), 5);
        assert!(
            lines.contains("retired") && lines.contains("signs from"),
            "{lines}"
        );
        assert!(!lines.contains("PRIVATE"));
    }
}

#[tokio::test]
async fn a_database_without_its_master_key_is_refused_with_one_line() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    desk.json("keys list --keys-dir somewhere").await;
    assert!(desk.path().join("somewhere/master.key").exists());
    let line = desk.failure("keys list").await;
    assert!(
        line.contains("keys/master.key") && line.contains("restore"),
        "{line}"
    );
    assert!(!desk.path().join("keys/master.key").exists());

    let other = Desk::at("sqlite://here.db".to_owned());
    other.json("keys list").await;
    let folder = other.path().join("keys");
    let line = desk
        .failure_of(&["keys", "rotate", "--keys-dir", folder.to_str().unwrap()], "")
        .await;
    assert!(line.contains("not the one"), "{line}");
}
