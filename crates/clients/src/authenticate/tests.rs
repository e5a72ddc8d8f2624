use axum::response::IntoResponse as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Database;
use db::testing::both;
use events::Context;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use protocol::{ErrorCode, SigningAlg, Timestamp};

use super::*;
use crate::{Metadata, Trust, Vault};

const NOW: Timestamp = Timestamp::from_secs(1_000);
/// A secret as other servers make them, with every character that encoding could change.
const FOREIGN: &str = "p+l%us &=/secret:%41";

fn basic(user: &str, password: &str) -> HeaderMap {
    authorization(&format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
}

fn authorization(value: &str) -> HeaderMap {
    [(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]
        .into_iter()
        .collect()
}

fn body(text: &str) -> Params {
    Params::parse(text.as_bytes()).unwrap()
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What the request says, as `method id secret…`, or the error code with `*` for a Basic challenge.
fn read(headers: &HeaderMap, text: &str) -> String {
    match Credentials::from_request(headers, &body(text), None) {
        Ok(read) => {
            let secrets = read.secrets.iter().map(|secret| format!(" {}", secret.expose()));
            format!(
                "{} {}{}",
                read.method,
                read.client_id,
                secrets.collect::<String>()
            )
        }
        Err(error) => {
            let code = error.code();
            let challenged = error.into_response().headers().contains_key(WWW_AUTHENTICATE);
            format!("{code}{}", if challenged { "*" } else { "" })
        }
    }
}

fn asserted(assertion: &str) -> String {
    format!(
        "client_assertion_type={}&client_assertion={assertion}",
        encoded(JWT_BEARER)
    )
}

fn unsigned(alg: &str, sub: &str) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(serde_json::json!({ "alg": alg }));
    format!("{header}.{}.AA", part(serde_json::json!({ "sub": sub })))
}

#[test]
fn a_request_uses_one_method_in_its_proper_form() {
    let none = HeaderMap::new();
    let plain = basic("a", "s");
    let mut twice = plain.clone();
    twice.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpz"));
    let binary: HeaderMap = [(AUTHORIZATION, HeaderValue::from_bytes(b"Basic \xff").unwrap())]
        .into_iter()
        .collect();
    let (bad, refused) = ("invalid_request", "invalid_client*");
    for (headers, text, expected) in [
        (&none, "client_id=a", "none a"),
        (&none, "client_id=a&client_secret=", "none a"),
        (&none, "client_id=a&client_secret=s%2B", "client_secret_post a s+"),
        (&none, "", "invalid_client"),
        (&none, "client_secret=s", bad),
        (&none, "client_id=a&client_assertion=x", "invalid_client"),
        (&none, "client_id=a&client_assertion_type=x", "invalid_client"),
        (&none, &asserted("x"), "invalid_client"),
        (&none, &asserted(&unsigned("none", "a")), "invalid_client"),
        (&none, &asserted(&unsigned("ES256", "a")), "private_key_jwt a"),
        (
            &none,
            &asserted(&unsigned("ES256", "https://api.test")),
            "private_key_jwt https://api.test",
        ),
        (&none, &asserted(&unsigned("ES256", "a\0")), "invalid_client"),
        (
            &none,
            &format!("client_id=b&{}", asserted(&unsigned("ES256", "a"))),
            "private_key_jwt b",
        ),
        (
            &none,
            &asserted(&unsigned("ES256", "a")).replace("bearer", "BEARER"),
            "invalid_client",
        ),
        (&plain, &asserted(&unsigned("ES256", "a")), bad),
        (&none, "client_id=a&client_secret=s&client_assertion=x", bad),
        (&plain, "", "client_secret_basic a s"),
        (&plain, "client_id=a", "client_secret_basic a s"),
        (&plain, "client_id=b", bad),
        (&plain, "client_id=a&client_secret=s", bad),
        (&plain, "client_secret=other", bad),
        (&plain, "client_assertion_type=x", bad),
        (&authorization("bASIC YTpz"), "", "client_secret_basic a s"),
        (&authorization("Basic   YTpz"), "", "client_secret_basic a s"),
        (&basic("a%2Db", "s%2Bt"), "", "client_secret_basic a-b s+t s%2Bt"),
        (&basic("a", "s:t"), "", "client_secret_basic a s:t"),
        (&basic("a", "s=t&u"), "", "client_secret_basic a s=t&u"),
        (&basic("a", ""), "", refused),
        (&basic("a", ""), "client_id=a", refused),
        (&basic("", "s"), "", bad),
        (&basic("a%00", "s"), "", bad),
        (&authorization("Bearer x"), "client_id=a", refused),
        (&authorization("Basic"), "", bad),
        (&authorization("Basic "), "", bad),
        (&authorization("Basic !!"), "", bad),
        (&authorization("Basic YTp"), "", bad),
        (
            &authorization(&format!("Basic {}", STANDARD.encode("no colon"))),
            "",
            bad,
        ),
        (
            &authorization(&format!("Basic {}", STANDARD.encode(b"a:\xff"))),
            "",
            bad,
        ),
        (&binary, "", bad),
        (&twice, "", bad),
    ] {
        assert_eq!(read(headers, text), expected, "{headers:?} {text}");
    }
}

#[test]
fn c100_credentials_do_not_show_their_secret() {
    let read = Credentials::from_request(&basic("a", "canary"), &Params::default(), None).unwrap();
    assert!(!format!("{read:?}").contains("canary"));
}

/// Clients registered with each method; the confidential ones have a secret of ours, `b` also a foreign one.
async fn prepare(db: &Database) -> String {
    let work = db.transact(|conn| {
        Box::pin(async move {
            let by = Context::server();
            for (id, method) in [
                ("b", ClientAuthMethod::ClientSecretBasic),
                ("p", ClientAuthMethod::ClientSecretPost),
                ("n", ClientAuthMethod::None),
            ] {
                let metadata = Metadata {
                    token_endpoint_auth_method: method,
                    ..Metadata::default()
                };
                records::insert(&Client::new(id.into(), Trust::Trusted, metadata, NOW), &by, conn).await?;
            }
            let added = secrets::add(&"b".into(), &Vault::closed(), &by, conn, NOW).await?;
            secrets::adopt(&"b".into(), &FOREIGN.into(), &Vault::closed(), &by, conn, NOW).await?;
            secrets::adopt(&"p".into(), &added.secret, &Vault::closed(), &by, conn, NOW).await?;
            Ok::<_, Error>(added.secret.expose().to_owned())
        })
    });
    work.await.unwrap()
}

async fn outcome(db: &Database, headers: &HeaderMap, text: &str) -> Result<Arc<Client>, Error> {
    let credentials = Credentials::from_request(headers, &body(text), None)?;
    authenticate(&credentials, &mut db.reader().await.unwrap()).await
}

#[tokio::test]
async fn the_truth_table_of_registered_and_used_methods() {
    both(|db| async move {
        let right = &prepare(&db).await;
        let none = HeaderMap::new();
        let mut texts = Vec::new();
        for (id, secret, with_secret, without) in [
            ("b", right.as_str(), true, false),
            ("p", right, true, false),
            ("n", right, false, true),
            ("unknown", right, false, false),
            ("b", "wrong", false, false),
            ("p", "wrong", false, false),
            ("p", FOREIGN, false, false),
            ("n", "wrong", false, true),
            ("b", NO_DIGEST, false, false),
            ("b", FOREIGN, true, false),
            ("B", right, false, false),
        ] {
            let header = basic(id, &encoded(secret));
            let post = format!("client_id={id}&client_secret={}", encoded(secret));
            for (headers, text, expected) in [
                (&header, String::new(), with_secret),
                (&none, post, with_secret),
                (&none, format!("client_id={id}"), without),
            ] {
                match outcome(&db, headers, &text).await {
                    Ok(client) => assert!(expected && client.id.as_str() == id, "{id} {secret} {text}"),
                    Err(error) => {
                        assert!(!expected, "{id} {secret} {text}: {error}");
                        assert_eq!(error.code(), ErrorCode::InvalidClient);
                        assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
                        texts.push(error.description().to_owned());
                        let challenge = error.into_response().headers().get(WWW_AUTHENTICATE).cloned();
                        assert_eq!(
                            challenge.is_some(),
                            headers.contains_key(AUTHORIZATION),
                            "{id} {text}"
                        );
                    }
                }
            }
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "a refusal says what was wrong: {texts:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_encode_its_secret_gets_in() {
    both(|db| async move {
        prepare(&db).await;
        assert!(outcome(&db, &basic("b", FOREIGN), "").await.is_ok());
        assert!(
            outcome(&db, &basic("b", &FOREIGN.replace('+', " ")), "")
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn a_secret_counts_from_its_first_moment_to_its_last() {
    both(|db| async move {
        let old = prepare(&db).await;
        let p = ClientId::from("p");
        let added = db.transact(|conn| {
            Box::pin(async move {
                secrets::add(&"p".into(), &Vault::closed(), &Context::server(), conn, NOW).await
            })
        });
        let new = added.await.unwrap();
        for secret in [old.as_str(), new.secret.expose()] {
            assert!(outcome(&db, &basic("p", secret), "").await.is_ok());
        }

        let listed = secrets::list(&p, &mut db.reader().await.unwrap()).await.unwrap();
        let first = listed
            .into_iter()
            .find(|own| own.secret_id != new.stored.secret_id)
            .unwrap();
        let deleted = db.transact(|conn| {
            Box::pin(async move {
                secrets::delete(&"p".into(), &first.secret_id, &Context::server(), conn, NOW).await
            })
        });
        deleted.await.unwrap();
        assert!(outcome(&db, &basic("p", &old), "").await.is_err());
        assert!(outcome(&db, &basic("p", new.secret.expose()), "").await.is_ok());
    })
    .await;
}

#[test]
fn the_stand_in_for_a_digest_has_its_length_and_equals_none() {
    assert_eq!(NO_DIGEST.len(), seal::digest("").len());
    assert!(!matches_one(&["a".into()], &[]));
    assert!(matches_one(&["a".into()], &["x".to_owned(), seal::digest("a")]));
}

#[tokio::test]
async fn a_resource_server_speaks_by_its_form_encoded_identifier_and_is_no_client() {
    const API: &str = "https://api.test/v1?a=b";
    both(|db| async move {
        let work = db.transact(|conn| {
            Box::pin(async move {
                for identifier in [API, "urn:api"] {
                    let api = ResourceServer::define(identifier, "API", SigningAlg::Es256, [].into(), NOW)?;
                    resources::insert(&api, &Context::server(), conn).await?;
                }
                let added = resources::secrets::add(API, &Context::server(), conn, NOW).await?;
                Ok::<_, Error>(added.secret.expose().to_owned())
            })
        });
        let right = &work.await.unwrap();
        prepare(&db).await;
        let none = HeaderMap::new();
        for (id, secret, expected) in [
            (API, right.as_str(), true),
            (API, "wrong", false),
            (API, "", false),
            ("https://api.test/v1", right, false),
            ("HTTPS://api.test/v1?a=b", right, false),
            ("urn:api", right, false),
            ("urn:none", right, false),
            ("b", right, false),
        ] {
            let post = format!("client_id={}&client_secret={}", encoded(id), encoded(secret));
            let header = (basic(&encoded(id), &encoded(secret)), String::new());
            for (headers, text) in [header, (none.clone(), post)] {
                // Another refusal: a header without a secret.
                let Ok(credentials) = Credentials::from_request(&headers, &body(&text), None) else {
                    assert_eq!(secret, "");
                    continue;
                };
                let mut conn = db.reader().await.unwrap();
                let caller = identify(&credentials, &mut conn).await;
                match caller {
                    Ok(Caller::ResourceServer(api)) => assert!(expected && api.identifier == API, "{id}"),
                    Ok(Caller::Client(client)) => panic!("{} is no resource server", client.id),
                    Err(error) => assert!(!expected && error.code() == ErrorCode::InvalidClient, "{id}"),
                }
                let as_client = authenticate(&credentials, &mut conn).await;
                assert_eq!(as_client.unwrap_err().code(), ErrorCode::InvalidClient, "{id}");
            }
        }
    })
    .await;
}
