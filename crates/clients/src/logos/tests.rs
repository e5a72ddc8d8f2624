use db::Database;
use db::testing::both;
use events::Context;

use super::*;
use crate::{Metadata, records};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const SECOND: Duration = Duration::from_secs(1);
const LOGO: &str = "https://a.test/logo.png";

fn metadata(logo_uri: Option<&str>) -> Metadata {
    Metadata {
        logo_uri: logo_uri.map(str::to_owned),
        ..Metadata::default()
    }
}

async fn register(id: &str, trust: Trust, logo_uri: Option<&str>, db: &Database) -> Client {
    let client = Client::new(id.into(), trust, metadata(logo_uri), NOW);
    let own = client.clone();
    let work = db
        .transact(move |conn| Box::pin(async move { records::insert(&own, &Context::server(), conn).await }));
    work.await.unwrap();
    client
}

async fn update(id: &str, logo_uri: Option<&str>, db: &Database) -> Client {
    let (id, metadata) = (ClientId::from(id), metadata(logo_uri));
    let work = db.transact(move |conn| {
        Box::pin(async move { records::update(&id, metadata, &Context::server(), conn, NOW).await })
    });
    work.await.unwrap().unwrap()
}

async fn set_trust(id: &str, trust: Trust, db: &Database) {
    let id = ClientId::from(id);
    let work = db.transact(move |conn| {
        Box::pin(async move { records::set_trust(&id, trust, &Context::server(), conn, NOW).await })
    });
    assert!(work.await.unwrap());
}

async fn taken(db: &Database, now: Timestamp) -> Option<Wanted> {
    let due = is_due(&mut db.reader().await.unwrap(), now).await.unwrap();
    let work = db.transact(move |conn| Box::pin(async move { take(conn, now).await }));
    let taken = work.await.unwrap();
    assert_eq!(taken.is_some(), due);
    taken
}

async fn settled(wanted: &Wanted, picture: Option<&'static str>, db: &Database) {
    let wanted = wanted.clone();
    let work = db.transact(move |conn| {
        Box::pin(async move { settle(&wanted, picture.map(str::as_bytes), conn).await })
    });
    work.await.unwrap();
}

async fn shown(client: &Client, db: &Database) -> Option<Digest> {
    of(client, &mut db.reader().await.unwrap()).await.unwrap()
}

async fn served(digest: &Digest, db: &Database) -> Option<Vec<u8>> {
    picture(digest, &mut db.reader().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn c054_a_picture_is_shown_once_it_is_fetched_and_as_long_as_its_url_is_registered() {
    both(|db| async move {
        register("plain", Trust::Trusted, None, &db).await;
        assert_eq!(taken(&db, NOW).await, None);
        let client = register("a", Trust::Trusted, Some(LOGO), &db).await;
        assert_eq!(shown(&client, &db).await, None);
        let wanted = taken(&db, NOW).await.unwrap();
        assert_eq!((wanted.logo_uri.as_str(), wanted.tries), (LOGO, 1));
        settled(&wanted, Some("picture"), &db).await;
        assert_eq!(taken(&db, NOW + LEASE).await, None);
        let digest = shown(&client, &db).await.unwrap();
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest.clone()));
        assert_eq!(served(&digest, &db).await.unwrap(), b"picture");

        // What else changes leaves it alone; another URL is another picture.
        let same = update("a", Some(LOGO), &db).await;
        assert_eq!(shown(&same, &db).await, Some(digest.clone()));
        let other = update("a", Some("https://a.test/other.png"), &db).await;
        assert_eq!(
            (shown(&other, &db).await, served(&digest, &db).await),
            (None, None)
        );
        // What was on the way for the old one is not taken for the new one.
        settled(&wanted, Some("picture"), &db).await;
        assert_eq!(shown(&other, &db).await, None);
        assert_eq!(
            taken(&db, NOW).await.unwrap().logo_uri,
            "https://a.test/other.png"
        );
        update("a", None, &db).await;
        assert_eq!(taken(&db, NOW + LEASE).await, None);
    })
    .await;
}

#[tokio::test]
async fn c054_an_app_that_nobody_vouches_for_has_no_picture_and_none_is_fetched() {
    both(|db| async move {
        let mut client = register("a", Trust::Unverified, Some(LOGO), &db).await;
        assert_eq!(taken(&db, NOW).await, None);
        set_trust("a", Trust::Trusted, &db).await;
        client.trust = Trust::Trusted;
        let wanted = taken(&db, NOW).await.unwrap();
        settled(&wanted, Some("picture"), &db).await;
        let digest = shown(&client, &db).await.unwrap();

        set_trust("a", Trust::Unverified, &db).await;
        client.trust = Trust::Unverified;
        assert_eq!(
            (shown(&client, &db).await, served(&digest, &db).await),
            (None, None)
        );
        set_trust("a", Trust::Trusted, &db).await;
        assert_eq!(taken(&db, NOW).await, None, "it is there");
        assert_eq!(served(&digest, &db).await.unwrap(), b"picture");
    })
    .await;
}

#[tokio::test]
async fn c054_who_is_trusted_no_more_before_the_picture_came_gets_none() {
    both(|db| async move {
        register("a", Trust::Trusted, Some(LOGO), &db).await;
        set_trust("a", Trust::Unverified, &db).await;
        assert_eq!(taken(&db, NOW).await, None);
    })
    .await;
}

#[tokio::test]
async fn what_one_is_fetching_nobody_else_fetches_and_what_failed_is_tried_again_in_time() {
    both(|db| async move {
        register("a", Trust::Trusted, Some(LOGO), &db).await;
        let first = taken(&db, NOW).await.unwrap();
        assert_eq!(taken(&db, NOW + LEASE - SECOND).await, None);
        // Whoever took it has died.
        let second = taken(&db, NOW + LEASE).await.unwrap();
        assert_eq!(second.tries, 2);
        let work = db.transact(move |conn| {
            Box::pin(async move {
                // The word of one who was too slow does not count.
                again(&first, NOW, conn).await?;
                again(&second, NOW + LEASE + SECOND, conn).await
            })
        });
        work.await.unwrap();
        assert_eq!(taken(&db, NOW + LEASE).await, None);
        let third = taken(&db, NOW + LEASE + SECOND).await.unwrap();
        settled(&third, None, &db).await;
        assert_eq!(taken(&db, NOW + LEASE + LEASE + LEASE).await, None, "given up");
    })
    .await;
}

#[test]
fn a_name_that_no_picture_has_is_none() {
    for text in [
        "",
        "x",
        &"g".repeat(32),
        &"A".repeat(32),
        &"a".repeat(31),
        "../../../../../../../../../../../etc",
    ] {
        assert_eq!(Digest::parse(text), None, "{text}");
    }
}
