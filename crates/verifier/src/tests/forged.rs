//! Answers of the feed that are not to be believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jose::SigningKey;
use protocol::SigningAlg;
use serde_json::{Value, json};

use super::checklist::RawKey;
use super::feed::{eventually, eventually_at, following, of};
use super::issuer::{Issuer, START};
use super::revocations::Draft;
use crate::{Error, FeedError, LostFeed};

type Forgery = fn(&mut Draft);

/// What is no answer of this issuer, of now, whole.
const FORGERIES: &[(&str, Forgery)] = &[
    ("another number in the last line", |draft| {
        draft.tamper = |text| text.replace("\"records\":2", "\"records\":3");
    }),
    ("a record was taken out", |draft| {
        draft.tamper = |text| drop_line(&text, 1)
    }),
    ("a record was changed", |draft| {
        draft.tamper = |text| text.replace("\"a1\"", "\"a9\"")
    }),
    ("a space was added", |draft| {
        draft.tamper = |text| text.replacen(' ', "  ", 1).replacen('{', "{ ", 1)
    }),
    ("the last line is missing", |draft| {
        draft.tamper = |text| drop_line(&text, 3)
    }),
    ("the last line is cut", |draft| {
        draft.tamper = |text| text[..text.len() - 9].to_owned()
    }),
    ("a record follows the last line", |draft| {
        draft.tamper = |text| text + "{\"n\":16,\"approval\":\"a3\",\"until\":1900000000}\n";
    }),
    ("an empty line follows", |draft| draft.tamper = |text| text + "\n"),
    ("it is empty", |draft| draft.tamper = |_| String::new()),
    ("it is a page", |draft| {
        draft.tamper = |_| "<html>\n<body>\n</html>\n".to_owned()
    }),
    ("another typ", |draft| draft.typ = "at+jwt"),
    ("no typ of its own", |draft| draft.typ = "JWT"),
    ("another iss", |draft| {
        draft.seal["iss"] = "https://other.test".into()
    }),
    ("no iss", |draft| without(&mut draft.seal, "iss")),
    ("another issuer", |draft| {
        draft.head["issuer"] = "https://other.test".into()
    }),
    ("too old", |draft| draft.seal["iat"] = (START - 301).into()),
    ("of tomorrow", |draft| draft.seal["iat"] = (START + 61).into()),
    ("an odd time", |draft| draft.seal["iat"] = i64::MIN.into()),
    ("no time", |draft| without(&mut draft.seal, "iat")),
    ("another digest", |draft| draft.seal["digest"] = "AAAA".into()),
    ("another feed sealed", |draft| draft.seal["feed"] = "F.9".into()),
    ("another sequence sealed", |draft| {
        draft.seal["sequence"] = 99.into()
    }),
    ("another number of records", |draft| {
        draft.seal["records"] = 3.into()
    }),
    ("not from the beginning", |draft| {
        draft.head["after"] = 5.into();
        draft.seal["after"] = 5.into();
    }),
    ("not in order", |draft| draft.records.reverse()),
    ("a record twice", |draft| {
        draft.records[1] = draft.records[0].clone()
    }),
    ("beyond the sequence", |draft| {
        draft.head["sequence"] = 15.into();
        draft.seal["sequence"] = 15.into();
    }),
    ("an unknown kind of record", |draft| {
        draft.records[1] = json!({ "n": 16, "session": "s", "until": START + 9 }).to_string();
    }),
    ("noise among the records", |draft| {
        draft.records[1] = "noise".to_owned()
    }),
    ("a long line", |draft| draft.records[1] = " ".repeat(5000)),
    ("a feed without a name", |draft| {
        draft.head["feed"] = "".into();
        draft.seal["feed"] = "".into();
    }),
    ("a feed with a line in its name", |draft| {
        draft.head["feed"] = "F\r\nX: 1".into();
        draft.seal["feed"] = "F\r\nX: 1".into();
    }),
];

fn without(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}

fn drop_line(text: &str, number: usize) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.remove(number);
    lines.concat()
}

#[tokio::test]
async fn what_is_no_whole_answer_of_this_issuer_and_of_now_is_refused() {
    let issuer = Issuer::start().await;
    for approval in ["a1", "a2"] {
        issuer.revocations.end(json!({ "approval": approval }), START);
    }
    let discover = || following(&issuer).when_feed_is_lost(LostFeed::Introspect);
    for _ in 0..2 {
        // The whole is taken as it is, so it is the forgery that is refused.
        assert_eq!(discover().await.unwrap().feed().unwrap().records, 2);
    }
    for (what, forge) in FORGERIES {
        issuer.revocations.with(|book| book.forge = *forge);
        match discover().await {
            Err(Error::FeedLost(Some(cause))) => {
                assert!(
                    matches!(*cause, FeedError::Unreadable(_) | FeedError::Seal(_)),
                    "{what}: {cause}"
                );
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_strangers_and_withdrawn_keys_have_sealed_is_refused() {
    let issuer = Issuer::start().await;
    issuer.revocations.end(json!({ "approval": "a1" }), START);
    let own = issuer.sealed(0);
    let refused = async |text: String| {
        issuer.revocations.with(|book| book.text = Some(text));
        let outcome = following(&issuer).when_feed_is_lost(LostFeed::Introspect).await;
        assert!(matches!(outcome, Err(Error::FeedLost(Some(_)))), "{outcome:?}");
    };
    // Another key, once of its own name and once of the name of ours.
    let kid = issuer.keys.lock().unwrap()[0].kid().to_owned();
    let stranger = SigningKey::generate(SigningAlg::Es256).unwrap();
    let alike = SigningKey::from_pkcs8(SigningAlg::Es256, kid, &stranger.to_pkcs8().unwrap()).unwrap();
    for key in [stranger, alike] {
        let kept = std::mem::replace(&mut issuer.keys.lock().unwrap()[0], key);
        let text = issuer.sealed(0);
        issuer.keys.lock().unwrap()[0] = kept;
        refused(text).await;
    }
    // Another algorithm, by a key of the issuer.
    issuer
        .keys
        .lock()
        .unwrap()
        .insert(0, SigningKey::generate(SigningAlg::EdDsa).unwrap());
    let text = issuer.sealed(0);
    refused(text).await;
    issuer.keys.lock().unwrap().remove(0);

    issuer.revocations.with(|book| book.text = Some(own));
    let verifier = following(&issuer).await.unwrap();
    assert_eq!(verifier.feed().unwrap().records, 1);
    // A key that was withdrawn seals nothing more, although the issuer goes on to publish it.
    let kid = issuer.keys.lock().unwrap()[0].kid().to_owned();
    issuer.revocations.with(|book| book.text = None);
    let n = issuer.revocations.end(json!({ "key": kid }), START);
    eventually_at(&verifier, n).await;
    issuer.revocations.with(|book| book.feed = "F.2".to_owned());
    issuer.revocations.cut();
    eventually("refused", async || {
        let status = verifier.feed().unwrap();
        status.problem.is_some_and(|problem| problem.contains("seal"))
    })
    .await;
    assert_eq!(verifier.feed().unwrap().records, 2);
    // Not even where it is met for the first time.
    let outcome = following(&issuer).when_feed_is_lost(LostFeed::Introspect).await;
    assert!(matches!(outcome, Err(Error::FeedLost(Some(_)))), "{outcome:?}");
}

#[tokio::test]
async fn a_seal_that_does_not_name_its_key_is_refused() {
    let issuer = Issuer::start().await;
    let raw = RawKey::of(&issuer, "raw");
    let whole = issuer.sealed(0);
    let (head, last) = whole.trim_end().rsplit_once('\n').unwrap();
    let mut last: Value = serde_json::from_str(last).unwrap();
    let payload = last["jws"].as_str().unwrap().split('.').nth(1).unwrap();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    // The only key there is.
    issuer.keys.lock().unwrap().clear();
    for (header, is_believed) in [
        (r#"{"alg":"ES256","kid":"raw","typ":"revocations+jwt"}"#, true),
        (r#"{"alg":"ES256","typ":"revocations+jwt"}"#, false),
    ] {
        last["jws"] = raw.sign(header, &payload).into();
        issuer
            .revocations
            .with(|book| book.text = Some(format!("{head}\n{last}\n")));
        let outcome = following(&issuer).when_feed_is_lost(LostFeed::Introspect).await;
        assert_eq!(outcome.is_ok(), is_believed, "{outcome:?}");
    }
}

#[tokio::test]
async fn an_older_snapshot_of_the_same_feed_is_refused() {
    let issuer = Issuer::start().await;
    let older = issuer.sealed(0);
    let verifier = following(&issuer).await.unwrap();
    let n = issuer.revocations.end(json!({ "approval": "a1" }), START);
    eventually_at(&verifier, n).await;

    issuer.revocations.with(|book| {
        book.text = Some(older);
        book.status = Some(StatusCode::GONE);
    });
    issuer.revocations.cut();
    let has_met = async |what: &str| {
        eventually(what, async || {
            let status = verifier.feed().unwrap();
            status.problem.is_some_and(|problem| problem.contains(what))
        })
        .await;
    };
    has_met("its whole is needed again").await;
    issuer.revocations.with(|book| book.status = None);
    has_met("older than what we hold").await;
    let token = issuer.token(&of("a1", "c", 0, "t"));
    assert!(matches!(verifier.verify(&token).await, Err(Error::Revoked)));
}
