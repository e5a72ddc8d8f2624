use db::Database;
use db::testing::both;

use super::*;

fn define(identifier: &str, scopes: &[(&str, &str)]) -> Result<ResourceServer, Error> {
    let own = |(token, text): &(&str, &str)| ((*token).to_owned(), (*text).to_owned());
    let scopes = scopes.iter().map(own).collect();
    ResourceServer::define(
        identifier,
        "Notes",
        SigningAlg::Es256,
        scopes,
        Timestamp::from_secs(1_000),
    )
}

async fn stored(db: &Database, resource: ResourceServer) -> Result<(), Error> {
    db.transact(move |conn| Box::pin(async move { insert(&resource, &Context::server(), conn).await }))
        .await
}

#[test]
fn an_identifier_is_an_absolute_uri_without_fragment() {
    for good in [
        "https://api.test",
        "https://api.test/notes?v=1",
        "http://localhost:8082",
        "urn:a:b",
        "api://x",
    ] {
        assert_eq!(define(good, &[]).unwrap().identifier, good);
    }
    let long = format!("https://api.test/{}", "x".repeat(512));
    for bad in [
        "",
        "api",
        "/api",
        "//api.test",
        "https://",
        "https:api.test",
        "HTTPS://api.test",
        "https://a@api.test",
        "https://@api.test",
        "https:///api.test",
        "https://api.test/#",
        "https://api.test/#f",
        "https://api.test/ x",
        "https://api.test/é",
        &long,
    ] {
        assert!(define(bad, &[]).is_err(), "{bad}");
    }
}

#[test]
fn a_scope_is_a_token_of_its_own_with_words_for_people() {
    assert!(define("urn:a:b", &[("notes.read", "Read your notes")]).is_ok());
    let long = "x".repeat(129);
    for bad in [
        ("openid", "Text"),
        ("offline_access", "Text"),
        ("revocations", "Text"),
        ("", "Text"),
        ("a b", "Text"),
        ("a\"", "Text"),
        (long.as_str(), "Text"),
        ("a", ""),
        ("a", "Te\u{202e}xt"),
    ] {
        assert!(define("urn:a:b", &[bad]).is_err(), "{bad:?}");
    }
    assert!(
        ResourceServer::define(
            "urn:a:b",
            " ",
            SigningAlg::Es256,
            BTreeMap::new(),
            Timestamp::from_secs(0)
        )
        .is_err()
    );
}

#[tokio::test]
async fn a_resource_server_comes_back_as_it_was_defined() {
    both(|db| async move {
        let notes = define(
            "https://notes.test",
            &[("notes.write", "Write"), ("notes.read", "Read")],
        )
        .unwrap();
        let behind = PublicKeys::Behind("https://notes.test/jwks".into());
        let notes = notes.with_keys(Some(behind.clone()));
        let bare = define("urn:bare", &[]).unwrap();
        stored(&db, bare.clone()).await.unwrap();
        stored(&db, notes.clone()).await.unwrap();

        let mut conn = db.reader().await.unwrap();
        assert_eq!(
            by_identifier("https://notes.test", &mut conn).await.unwrap(),
            Some(notes.clone())
        );
        assert_eq!(
            by_identifier("https://notes.test/", &mut conn).await.unwrap(),
            None
        );
        assert_eq!(list(&mut conn).await.unwrap(), [notes, bare]);
        drop(conn);

        let set = PublicKeys::Set(serde_json::json!({ "keys": [] }));
        for keys in [Some(set), None, Some(behind)] {
            let own = keys.clone();
            let changed = db.transact(move |conn| {
                Box::pin(async move {
                    let (by, now) = (Context::server(), Timestamp::from_secs(2_000));
                    assert!(!set_keys("urn:none", own.as_ref(), &by, conn, now).await?);
                    set_keys("urn:bare", own.as_ref(), &by, conn, now).await
                })
            });
            assert!(changed.await.unwrap());
            let read = by_identifier("urn:bare", &mut db.reader().await.unwrap()).await;
            assert_eq!(read.unwrap().unwrap().keys, keys);
        }
    })
    .await;
}

#[tokio::test]
async fn an_identifier_and_a_scope_belong_to_one_resource_server() {
    both(|db| async move {
        stored(&db, define("urn:one", &[("a", "A")]).unwrap())
            .await
            .unwrap();
        for (identifier, scopes) in [("urn:one", &[][..]), ("urn:two", &[("0", "Zero"), ("a", "A")])] {
            let error = stored(&db, define(identifier, scopes).unwrap())
                .await
                .unwrap_err();
            assert_eq!(error.code(), protocol::ErrorCode::InvalidRequest, "{identifier}");
        }
        assert_eq!(list(&mut db.reader().await.unwrap()).await.unwrap().len(), 1);

        let deletions = db.transact(|conn| {
            Box::pin(async move {
                let first = delete("urn:one", &Context::server(), conn, Timestamp::from_secs(0)).await?;
                Ok::<_, db::Error>((
                    first,
                    delete("urn:one", &Context::server(), conn, Timestamp::from_secs(0)).await?,
                ))
            })
        });
        assert_eq!(deletions.await.unwrap(), (true, false));
        stored(&db, define("urn:two", &[("a", "A")]).unwrap())
            .await
            .unwrap();
    })
    .await;
}
