//! `keys`.

use serde_json::Value;

use super::{Desk, column, desks, text};

const DAY: i64 = 24 * 60 * 60;

/// Those that sign, then those that read.
pub(super) const RINGS: [&str; 6] = ["RS256", "PS256", "ES256", "EdDSA", "RSA-OAEP-256", "ECDH-ES"];

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
        assert_eq!(column(&first, "alg"), RINGS);
        assert_eq!(column(&first, "use"), ["sig", "sig", "sig", "sig", "enc", "enc"]);
        assert_eq!(column(&first, "stage"), ["signing"; 6]);

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
        assert_eq!(lines.lines().count(), 7);
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

#[tokio::test]
async fn the_keys_to_which_apps_encrypt_turn_like_the_others() {
    for desk in desks().await {
        let first = desk.json("keys list").await;
        let announced = desk.json("keys rotate --alg ECDH-ES --alg ES256").await;
        assert_eq!(column(&announced["keys"], "alg"), ["ES256", "ECDH-ES"]);
        assert_eq!(column(&announced["keys"], "use"), ["sig", "enc"]);
        assert_eq!(column(&announced["keys"], "stage"), ["published"; 2]);
        let again = desk.json("keys rotate --alg ECDH-ES").await;
        let list = desk.json("keys list").await;
        let kinds = entries(&list, "ECDH-ES");
        assert_eq!(kinds.len(), 2, "the waiting one was replaced");
        assert_eq!(kinds[1]["kid"], again["keys"][0]["kid"]);
        assert_eq!(at(kinds[0], "retired_at"), at(kinds[1], "signs_at"));
        assert_eq!(entries(&list, "RSA-OAEP-256"), entries(&first, "RSA-OAEP-256"));
    }
}

#[tokio::test]
async fn in_an_emergency_keys_are_withdrawn_for_good_and_others_sign() {
    for desk in desks().await {
        let first = desk.json("keys list").await;
        let old = entries(&first, "ES256")[0]["kid"].as_str().unwrap().to_owned();
        let done = desk.json("keys rotate --emergency --alg ES256").await;
        assert_eq!(done["withdrawn"], serde_json::json!([old]));
        assert_eq!(column(&done["keys"], "alg"), ["ES256"]);
        assert_eq!(column(&done["keys"], "stage"), ["signing"]);
        let list = desk.json("keys list").await;
        let stages = column(&serde_json::json!(entries(&list, "ES256")), "stage").join(" ");
        assert_eq!(stages, "signing withdrawn");
        assert_eq!(entries(&list, "RS256"), entries(&first, "RS256"));

        let kid = done["keys"][0]["kid"].as_str().unwrap();
        let one = desk
            .json_of(&["keys", "rotate", "--emergency", "--kid", kid], "")
            .await;
        assert_eq!(one["withdrawn"], serde_json::json!([kid]));
        let line = desk.failure("keys rotate --emergency --kid nobody").await;
        assert!(line.contains("nobody") && line.contains("keys list"), "{line}");
        for wrong in [
            "keys rotate --emergency --now",
            "keys rotate --kid x",
            "keys rotate --emergency --kid x --alg ES256",
            "keys rotate --alg HS256",
        ] {
            assert_eq!(desk.run(&super::words(wrong), "").await.code, Some(2), "{wrong}");
        }
        let all = desk.json("keys rotate --emergency").await;
        assert_eq!(all["withdrawn"].as_array().unwrap().len(), 6);
        assert_eq!(column(&all["keys"], "alg"), RINGS);
        let kinds: Vec<Value> = desk
            .json("events list --limit 100")
            .await
            .as_array()
            .unwrap()
            .clone();
        let of = |kind: &str| kinds.iter().filter(|event| event["kind"] == kind).count();
        assert_eq!(of("signing_key.compromised"), 6);
        assert_eq!(of("decryption_key.compromised"), 2);
        let text = desk.run(&["keys", "list"], "").await.stdout;
        assert_eq!(text.matches("withdrawn").count(), 16, "stage and time: {text}");
    }
}

#[tokio::test]
async fn keys_from_before_are_imported_under_their_names() {
    for desk in desks().await {
        let key = jose_key("2024-a");
        desk.write("key.json", &key.to_string());
        let done = desk.json("keys import key.json").await;
        assert_eq!(column(&done["keys"], "kid"), ["2024-a"]);
        assert_eq!(column(&done["keys"], "stage"), ["published"]);
        let line = desk.failure("keys import key.json").await;
        assert!(
            line.contains("key.json") && line.contains("here already"),
            "{line}"
        );
        let other = jose_key("2024-b").to_string();
        let now = desk.json_of(&["keys", "import", "-", "--now"], &other).await;
        assert_eq!(column(&now["keys"], "kid"), ["2024-b"]);
        desk.write(
            "bad.pem",
            "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n",
        );
        let line = desk.failure("keys import bad.pem").await;
        assert!(line.contains("private"), "{line}");
        let line = desk.failure("keys import none.pem").await;
        assert!(line.contains("none.pem"), "{line}");
        desk.json("keys rotate --emergency --kid 2024-b").await;
        let line = desk.failure_of(&["keys", "import", "-"], &other).await;
        assert!(line.contains("emergency"), "{line}");
        let off = desk
            .run_with(
                &super::words("keys import key.json --alg EdDSA"),
                &[("COUNTERSIGN_KEYS_ALGS", "RS256,ES256")],
                "",
            )
            .await;
        assert_eq!(off.code, Some(1));
        assert!(!off.stderr.contains(key["d"].as_str().unwrap()), "{off:?}");
        let events = desk.json("events list --limit 100").await;
        let events = events.as_array().unwrap().iter();
        assert_eq!(
            events
                .filter(|event| event["kind"] == "signing_key.imported")
                .count(),
            2
        );
    }
}

/// A private key on P-256.
fn jose_key(kid: &str) -> Value {
    use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let private = pair.private_key();
    let d: EcPrivateKeyBin<'_> = private.as_be_bytes().unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    serde_json::json!({
        "kty": "EC", "crv": "P-256", "kid": kid, "d": B64.encode(d.as_ref()), "x": B64.encode(x), "y": B64.encode(y),
    })
}

#[tokio::test]
async fn everything_is_resealed_and_the_master_key_may_come_from_a_setting() {
    for desk in desks().await {
        let before = desk.json("keys list").await;
        let done = desk.json("keys reseal").await;
        assert_eq!(done["resealed"], 4 + 2 + keyring::Purpose::ALL.len());
        assert_eq!(desk.json("keys list").await, before);
        let old = desk.path().join(done["old_key_file"].as_str().unwrap());
        let new = desk.path().join("keys/master.key");
        let text = desk.run(&["keys", "reseal"], "").await.stdout;
        assert!(text.contains("retired") && text.contains("Backups"), "{text}");

        // The file from before everything was resealed.
        std::fs::copy(&new, desk.path().join("newest")).unwrap();
        std::fs::copy(&old, &new).unwrap();
        let line = desk.failure("keys list").await;
        assert!(line.contains("was replaced"), "{line}");
        let by_file = |name: &'static str| [("COUNTERSIGN_MASTER_KEY_FILE", name)];
        let listed = desk
            .run_with(&["keys", "list", "--json"], &by_file("newest"), "")
            .await;
        assert_eq!(listed.code, Some(0), "{listed:?}");
        let shown = desk.run_with(&["config", "show"], &by_file("newest"), "").await;
        let secret = std::fs::read_to_string(desk.path().join("newest")).unwrap();
        assert!(!shown.stdout.contains(secret.trim()), "{shown:?}");
        let refused = desk.run_with(&["keys", "reseal"], &by_file("newest"), "").await;
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains("holds one key"), "{refused:?}");
        desk.write("both", &format!("{secret}{}\n", "A".repeat(43)));
        let done = desk
            .run_with(&["keys", "reseal", "--json"], &by_file("both"), "")
            .await;
        assert_eq!(done.code, Some(0), "{done:?}");
        let refused = desk.run_with(&["keys", "list"], &by_file("newest"), "").await;
        assert_eq!((refused.code, refused.stderr.lines().count()), (Some(1), 1));
        desk.write("damaged", "too short");
        let refused = desk.run_with(&["keys", "list"], &by_file("damaged"), "").await;
        assert!(
            refused.stderr.contains("COUNTERSIGN_MASTER_KEY_FILE"),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn rings_that_are_off_and_periods_that_cannot_be_are_refused_with_a_line() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    let with = |name: &'static str, value: &'static str| [(name, value)];
    for (name, value) in [
        ("COUNTERSIGN_KEYS_ANNOUNCE", "4m"),
        ("COUNTERSIGN_KEYS_ANNOUNCE", "90d"),
        ("COUNTERSIGN_KEYS_ANNOUNCE", "soon"),
        ("COUNTERSIGN_KEYS_ROTATE_AFTER", "59m"),
        ("COUNTERSIGN_KEYS_ROTATE_AFTER", "9999d"),
        ("COUNTERSIGN_KEYS_ALGS", "RS256"),
        ("COUNTERSIGN_KEYS_ALGS", "RS256,ES256,HS256"),
    ] {
        let ended = desk.run_with(&["keys", "list"], &with(name, value), "").await;
        assert_eq!(
            (ended.code, ended.stderr.lines().count()),
            (Some(1), 1),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("COUNTERSIGN_KEYS_"), "{ended:?}");
    }
    let narrow = with("COUNTERSIGN_KEYS_ALGS", "ES256 RS256");
    for command in [
        "keys rotate --alg PS256",
        "resource create --identifier https://api.test/ --alg EdDSA",
        "client create --name N --redirect-uri https://a.test/cb --id-token-alg PS256",
        "client create --name N --redirect-uri https://a.test/cb --userinfo-alg EdDSA",
    ] {
        let ended = desk.run_with(&super::words(command), &narrow, "").await;
        assert_eq!(
            (ended.code, ended.stderr.lines().count()),
            (Some(1), 1),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("COUNTERSIGN_KEYS_ALGS"), "{ended:?}");
    }
    let listed = desk.run_with(&["keys", "list", "--json"], &narrow, "").await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(
        column(&listed, "alg"),
        ["RS256", "ES256", "RSA-OAEP-256", "ECDH-ES"]
    );
    desk.write(
        "c.toml",
        "keys_algs = ['RS256', 'ES256', 'PS256']\nkeys_rotate_after = '30d'\nkeys_announce = '1h'\n",
    );
    let rotated = desk.json("keys rotate --config c.toml").await;
    assert_eq!(column(&rotated["keys"], "alg"), ["RS256", "PS256", "ES256"]);
    let first = &rotated["keys"][0];
    assert_eq!(at(first, "signs_at") - at(first, "published_at"), 60 * 60);
}
