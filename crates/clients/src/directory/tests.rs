use db::testing::both;
use db::{Conn, execute};
use events::Context;
use http::HeaderMap;
use protocol::{Params, Secret, SigningAlg, Timestamp};
use tokio::time::timeout;

use super::*;
use crate::{Metadata, Trust, Vault, secrets};

const NOW: Timestamp = Timestamp::from_secs(1_000);
/// Far above what it takes on a loaded machine: whoever reaches it never hears.
const LIMIT: Duration = Duration::from_secs(20);

async fn directory(db: &Database) -> Directory {
    let changes = Watcher::start(db).await.unwrap();
    Directory::open(db, changes).await.unwrap()
}

/// A confidential client with a secret.
async fn register(id: &'static str, db: &Database) -> Secret {
    let work = db.transact(move |conn| {
        Box::pin(async move {
            let client = Client::new(id.into(), Trust::Trusted, Metadata::default(), NOW);
            records::insert(&client, &Context::server(), conn).await?;
            let added = secrets::add(&id.into(), &Vault::closed(), &Context::server(), conn, NOW).await?;
            Ok::<_, Error>(added.secret)
        })
    });
    work.await.unwrap()
}

async fn changed(
    db: &Database,
    work: impl for<'c> FnOnce(&'c mut Conn) -> db::BoxFuture<'c, Result<(), Error>> + Send + 'static,
) {
    db.transact(work).await.unwrap();
}

fn credentials(id: &str, secret: &str) -> Credentials {
    let body = format!("client_id={id}&client_secret={secret}");
    Credentials::from_request(&HeaderMap::new(), &Params::parse(body.as_bytes()).unwrap(), None).unwrap()
}

async fn deaf(directory: &Directory) {
    while directory.is_fresh() {
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_known_is_answered_from_memory_alone() {
    both(|db| async move {
        let secret = register("a", &db).await;
        let directory = directory(&db).await;
        // Without its table nobody can ask the database.
        changed(&db, |conn| {
            Box::pin(async move {
                execute!(conn, sqlx::raw_sql("ALTER TABLE clients RENAME TO gone"))
                    .map_err(db::Error::from)?;
                Ok(())
            })
        })
        .await;
        let own = credentials("a", secret.expose());
        assert_eq!(directory.authenticate(&own).await.unwrap().id.as_str(), "a");
        assert!(directory.client(&"a".into()).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn what_was_registered_a_moment_ago_works_at_once() {
    both(|db| async move {
        // Nobody follows the changes.
        let directory = directory(&db).await;
        let secret = register("new", &db).await;
        let own = credentials("new", secret.expose());
        assert!(directory.authenticate(&own).await.is_ok());
        assert!(directory.client(&"new".into()).await.unwrap().is_some());
        assert!(directory.client(&"none".into()).await.unwrap().is_none());

        let added = db.transact(|conn| {
            Box::pin(async move {
                secrets::add(&"new".into(), &Vault::closed(), &Context::server(), conn, NOW).await
            })
        });
        let second = credentials("new", added.await.unwrap().secret.expose());
        assert!(directory.authenticate(&second).await.is_ok());

        assert!(!directory.admits_origin("https://a.test").await);
        assert!(directory.resource("urn:api").await.unwrap().is_none());
        changed(&db, |conn| {
            Box::pin(async move {
                let by = Context::server();
                let uri =
                    protocol::RedirectUri::register("https://a.test/cb", protocol::ApplicationType::Web);
                let metadata = Metadata {
                    redirect_uris: vec![uri?],
                    ..Metadata::default()
                };
                records::update(&"new".into(), metadata, &by, conn, NOW).await?;
                let api = ResourceServer::define("urn:api", "API", SigningAlg::Es256, [].into(), NOW)?;
                resources::insert(&api, &by, conn).await
            })
        })
        .await;
        assert!(directory.admits_origin("https://a.test").await);
        assert!(directory.resource("urn:api").await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn whoever_is_unknown_costs_no_look_at_the_records() {
    both(|db| async move {
        register("a", &db).await;
        let directory = directory(&db).await;
        changed(&db, |conn| {
            Box::pin(async move {
                for statement in [
                    "ALTER TABLE clients RENAME TO gone",
                    "ALTER TABLE client_origins RENAME TO gone_origins",
                    "ALTER TABLE resource_servers RENAME TO gone_servers",
                ] {
                    execute!(conn, sqlx::raw_sql(statement)).map_err(db::Error::from)?;
                }
                Ok(())
            })
        })
        .await;
        for n in 0..100 {
            let name = format!("none-{n}");
            assert!(directory.client(&name.as_str().into()).await.unwrap().is_none());
            assert!(directory.resource(&name).await.unwrap().is_none());
            assert!(!directory.admits_origin(&name).await);
            let unknown = directory.authenticate(&credentials(&name, "x")).await;
            let wrong = directory.authenticate(&credentials("a", &name)).await;
            assert_eq!(
                unknown.unwrap_err().description(),
                wrong.unwrap_err().description()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn every_change_is_followed() {
    both(|db| async move {
        let first = register("a", &db).await;
        let directory = directory(&db).await;
        let following = tokio::spawn(directory.clone().follow());
        let becomes = async |expected: fn(&Snapshot) -> bool| {
            let seen = async {
                while !expected(&directory.0.held.load()) {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(LIMIT, seen).await.expect("the change is followed");
        };
        let a = || ClientId::from("a");

        changed(&db, |conn| {
            Box::pin(async move {
                secrets::add(&"a".into(), &Vault::closed(), &Context::server(), conn, NOW)
                    .await
                    .map(drop)
            })
        })
        .await;
        becomes(|held| {
            held.client(&"a".into())
                .is_some_and(|entry| entry.digests.len() == 2)
        })
        .await;

        changed(&db, |conn| {
            Box::pin(async move {
                let old = secrets::list(&"a".into(), conn).await?.remove(0);
                secrets::delete(&"a".into(), &old.secret_id, &Context::server(), conn, NOW).await
            })
        })
        .await;
        becomes(|held| {
            held.client(&"a".into())
                .is_some_and(|entry| entry.digests.len() == 1)
        })
        .await;
        let kept = directory.authenticate(&credentials("a", first.expose())).await;
        let known = secrets::list(&a(), &mut db.reader().await.unwrap())
            .await
            .unwrap();
        assert_eq!(kept.is_ok(), first.expose().ends_with(&known[0].hint));

        changed(&db, |conn| {
            Box::pin(async move {
                records::set_trust(&"a".into(), Trust::Unverified, &Context::server(), conn, NOW).await?;
                Ok(())
            })
        })
        .await;
        becomes(|held| {
            held.client(&"a".into())
                .is_some_and(|entry| entry.record.trust == Trust::Unverified)
        })
        .await;

        changed(&db, |conn| {
            Box::pin(async move {
                let api = ResourceServer::define("urn:api", "API", SigningAlg::Es256, [].into(), NOW)?;
                resources::insert(&api, &Context::server(), conn).await
            })
        })
        .await;
        becomes(|held| held.resource("urn:api").is_some()).await;
        changed(&db, |conn| {
            Box::pin(async move {
                resources::delete("urn:api", &Context::server(), conn, NOW).await?;
                Ok(())
            })
        })
        .await;
        becomes(|held| held.resource("urn:api").is_none()).await;
        following.abort();
    })
    .await;
}

#[tokio::test]
async fn c024_a_directory_that_hears_nothing_asks_the_database() {
    both(|db| async move {
        let secret = register("a", &db).await;
        let directory = directory(&db).await;
        changed(&db, |conn| {
            Box::pin(async move {
                for statement in ["ALTER TABLE changes RENAME TO gone", "DELETE FROM clients"] {
                    execute!(conn, sqlx::raw_sql(statement)).map_err(db::Error::from)?;
                }
                Ok(())
            })
        })
        .await;
        deaf(&directory).await;
        assert!(directory.client(&"a".into()).await.unwrap().is_none());
        assert!(
            directory
                .authenticate(&credentials("a", secret.expose()))
                .await
                .is_err()
        );
    })
    .await;
}
