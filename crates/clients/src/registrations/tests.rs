use db::Database;
use db::testing::both;
use events::Context;
use protocol::{ClientAddress, Error, RequestId};

use super::quota::{self, Hours};
use super::*;
use crate::{Client, Metadata, Trust, records};

const NOW: Timestamp = Timestamp::from_secs(7_200);

async fn registered(vouched: Vouched, db: &Database) -> (ClientId, Secret) {
    db.transact(move |conn| {
        Box::pin(async move {
            let client = Client::new(ClientId::random(), Trust::Unverified, Metadata::default(), NOW);
            records::insert(&client, &Context::server(), conn).await?;
            let token = insert(&client.id, &vouched, conn, NOW).await?;
            Ok::<_, db::Error>((client.id, token))
        })
    })
    .await
    .unwrap()
}

async fn renewed(id: &ClientId, token: &Secret, db: &Database, now: Timestamp) -> Renewal {
    let (id, token) = (id.clone(), token.clone());
    db.transact(move |conn| Box::pin(async move { renew(&id, token.expose(), conn, now).await }))
        .await
        .unwrap()
}

async fn holder(id: &ClientId, token: &Secret, db: &Database) -> Option<Vouched> {
    let mut conn = db.reader().await.unwrap();
    held_by(id, token.expose(), &mut conn).await.unwrap()
}

#[tokio::test]
async fn c060_a_token_is_worth_one_client_until_it_is_replaced() {
    both(|db| async move {
        let (id, token) = registered(Vouched::ByNobody, &db).await;
        let by_token = Vouched::ByToken("t".to_owned());
        let (other_id, other) = registered(by_token.clone(), &db).await;
        assert_eq!(holder(&id, &token, &db).await, Some(Vouched::ByNobody));
        assert_eq!(holder(&other_id, &other, &db).await, Some(by_token));
        assert_eq!(holder(&id, &other, &db).await, None);
        assert_eq!(holder(&"unknown".into(), &token, &db).await, None);

        let Renewal::Renewed(next) = renewed(&id, &token, &db, NOW).await else {
            panic!("the right token was refused")
        };
        assert_eq!(holder(&id, &token, &db).await, None);
        assert_eq!(holder(&id, &next, &db).await, Some(Vouched::ByNobody));
        for (id, wrong) in [(&id, &token), (&id, &other), (&"unknown".into(), &next)] {
            assert!(matches!(renewed(id, wrong, &db, NOW).await, Renewal::Refused));
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_changes_only_so_often_in_an_hour() {
    both(|db| async move {
        let (id, mut token) = registered(Vouched::ByNobody, &db).await;
        for _ in 0..CHANGES_PER_HOUR {
            let Renewal::Renewed(next) = renewed(&id, &token, &db, NOW).await else {
                panic!("too few changes are admitted")
            };
            token = next;
        }
        let almost = Timestamp::from_secs(NOW.as_secs() + 3_599);
        assert!(matches!(
            renewed(&id, &token, &db, almost).await,
            Renewal::TooMany
        ));
        assert!(holder(&id, &token, &db).await.is_some(), "it stays as it was");
        assert!(matches!(
            renewed(&id, &token, &db, NOW + HOUR).await,
            Renewal::Renewed(_)
        ));
    })
    .await;
}

async fn taken(hours: Hours, address: &str, db: &Database, now: Timestamp) -> Result<(), Error> {
    let address = address.parse().ok().map(ClientAddress);
    let by = Context::request(RequestId::random(), address);
    db.transact(move |conn| Box::pin(async move { quota::take(hours, &by, conn, now).await }))
        .await
}

#[tokio::test]
async fn c059_a_network_registers_only_so_many_in_an_hour_and_refusals_leave_no_row() {
    both(|db| async move {
        for n in 0..30 {
            taken(Hours::Counted, &format!("198.51.100.{n}"), &db, NOW)
                .await
                .unwrap();
        }
        let refused = taken(Hours::Counted, "198.51.100.99", &db, NOW)
            .await
            .unwrap_err();
        assert_eq!(refused.status(), http::StatusCode::TOO_MANY_REQUESTS);
        taken(Hours::Counted, "203.0.113.1", &db, NOW).await.unwrap();
        taken(Hours::Free, "198.51.100.99", &db, NOW).await.unwrap();
        taken(Hours::Counted, "198.51.100.99", &db, NOW + HOUR)
            .await
            .unwrap();

        let mut conn = db.reader().await.unwrap();
        let count = "SELECT COUNT(*) FROM registration_counts";
        let (rows,): (i64,) = run!(&mut conn, |c| sqlx::query_as(count).fetch_one(c)).unwrap();
        assert_eq!(
            rows, 5,
            "two networks and all in one hour, one and all in the next"
        );
        drop(conn);
        let swept = db.transact(|conn| Box::pin(async move { quota::sweep(9, conn, NOW + HOUR).await }));
        assert_eq!(swept.await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn c059_all_networks_together_register_only_so_many_in_an_hour() {
    both(|db| async move {
        let mut refused = 0;
        for n in 0..650 {
            let address = format!("10.{}.{}.1", n / 250, n % 250);
            refused += i64::from(taken(Hours::Counted, &address, &db, NOW).await.is_err());
        }
        assert_eq!(refused, 50);
    })
    .await;
}

#[tokio::test]
async fn c059_only_so_many_wait_for_their_first_use_whatever_the_hours_say() {
    both(|db| async move {
        // As many as there may be, in one statement: the numbers come from a table that has them.
        let fill = "INSERT INTO clients (client_id, version, generation, trust, metadata, created_at, updated_at) \
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
            SELECT 'c' || i, 1, 1, 'unverified', '{}', 0, 0 FROM n";
        let unused = "INSERT INTO registrations SELECT client_id, 'd', NULL, 0, 0, 9 FROM clients";
        let filled = db.transact(move |conn| {
            Box::pin(async move {
                execute!(conn, sqlx::query(fill))?;
                Ok::<_, db::Error>(execute!(conn, sqlx::query(unused))?)
            })
        });
        assert_eq!(filled.await.unwrap(), 5_000);
        assert!(taken(Hours::Free, "198.51.100.1", &db, NOW).await.is_err());
        let used = "UPDATE registrations SET unused_until = NULL WHERE client_id = 'c1'";
        let used = db.transact(move |conn| {
            Box::pin(async move { Ok::<_, db::Error>(execute!(conn, sqlx::query(used))?) })
        });
        used.await.unwrap();
        taken(Hours::Free, "198.51.100.1", &db, NOW).await.unwrap();
    })
    .await;
}
