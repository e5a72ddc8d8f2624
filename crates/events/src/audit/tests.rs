use std::collections::BTreeSet;

use db::Database;
use db::testing::both;
use protocol::{Clock, RequestId};
use serde_json::json;

use super::*;
use crate::sign_ins;

const NOW: Timestamp = Timestamp::from_secs(1_000_000_000);

async fn written(event: Event<'static>, by: Context, db: &Database, now: Timestamp) -> db::Result<()> {
    db.transact(move |conn| Box::pin(async move { record(&event, &by, conn, now).await }))
        .await
}

fn resource(identifier: &'static str) -> Event<'static> {
    Event::ResourceCreated { identifier }
}

async fn trail(db: &Database) -> Vec<Recorded> {
    newest(1000, &mut db.reader().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn an_event_comes_back_with_who_what_and_where_from() {
    both(|db| async move {
        let (sub, client_id, session_id) = (Subject::from("s"), ClientId::from("c"), SessionId::from("e"));
        let (id, address) = (RequestId::random(), "198.51.100.7".parse().unwrap());
        let by = Context::request(id.clone(), Some(protocol::ClientAddress(address)));
        let work = db.transact(move |conn| {
            Box::pin(async move {
                let event = Event::ConsentGiven {
                    sub: &sub,
                    client_id: &client_id,
                    session_id: &session_id,
                    scope: &protocol::Scope::parse("openid email").unwrap(),
                    resources: &["urn:api".to_owned()],
                    claims: &["birthdate".to_owned()],
                };
                record(&event, &by, conn, NOW).await
            })
        });
        work.await.unwrap();
        let event = trail(&db).await.remove(0);
        let expected = json!({
            "event_id": event.event_id, "at": 1_000_000_000, "kind": "consent.given", "origin": "request",
            "sub": "s", "client_id": "c", "session_id": "e", "request_id": id.as_str(),
            "address": "198.51.100.7", "details": {"scope": "email openid", "resources": ["urn:api"], "claims": ["birthdate"]},
        });
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
    })
    .await;
}

#[tokio::test]
async fn the_trail_is_read_in_the_order_of_time_from_where_one_was() {
    both(|db| async move {
        for (name, at) in [
            ("urn:b", NOW),
            ("urn:c", NOW),
            ("urn:d", NOW + KEEP),
            ("urn:a", NOW - KEEP),
        ] {
            written(resource(name), Context::command_line(), &db, at)
                .await
                .unwrap();
        }
        let all = trail(&db).await;
        let names = |events: &[Recorded]| -> Vec<String> {
            let name = |event: &Recorded| event.details["identifier"].as_str().unwrap().to_owned();
            events.iter().map(name).collect()
        };
        assert_eq!(names(&all), ["urn:a", "urn:b", "urn:c", "urn:d"]);
        let mut conn = db.reader().await.unwrap();
        assert_eq!(names(&newest(2, &mut conn).await.unwrap()), ["urn:c", "urn:d"]);
        let next = after(&all[0].event_id, 2, &mut conn).await.unwrap();
        assert_eq!(names(&next), ["urn:b", "urn:c"]);
        assert_eq!(after(&all[3].event_id, 2, &mut conn).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn only_what_is_older_than_the_trail_reaches_back_is_deleted_in_small_batches() {
    both(|db| async move {
        for age in [0, 1, 2, 3, 4] {
            let at = NOW - KEEP - Duration::from_secs(age);
            written(resource("urn:x"), Context::server(), &db, at)
                .await
                .unwrap();
        }
        let swept = async |limit| {
            db.transact(move |conn| Box::pin(async move { sweep(limit, conn, NOW).await }))
                .await
                .unwrap()
        };
        assert_eq!([swept(3).await, swept(3).await, swept(3).await], [3, 1, 0]);
        assert_eq!(trail(&db).await[0].at, NOW - KEEP);
    })
    .await;
}

#[tokio::test]
async fn failures_of_a_window_are_one_event_for_each_network_and_account() {
    both(|db| async move {
        let by = |address: &str| {
            let address = protocol::ClientAddress(address.parse().unwrap());
            Context::request(RequestId::random(), Some(address))
        };
        let at = |secs| NOW + Duration::from_secs(secs);
        for (sub, address, when) in [
            (Some("alex"), "198.51.100.1", 10),
            (Some("alex"), "198.51.100.2", 20),
            (Some("alex"), "203.0.113.1", 30),
            (None, "198.51.100.1", 40),
            (None, "198.51.100.9", 50),
            (None, "198.51.100.9", 400),
        ] {
            let (sub, by) = (sub.map(Subject::from), by(address));
            let work = db.transact(move |conn| {
                Box::pin(async move { sign_ins::failed(sub.as_ref(), &by, conn, at(when)).await })
            });
            work.await.unwrap();
        }
        let settled = async |when| {
            let work =
                db.transact(move |conn| Box::pin(async move { sign_ins::settle(2, conn, at(when)).await }));
            work.await.unwrap()
        };
        assert_eq!(settled(60).await, 0, "the window is not over");
        // NOW lies 100 s into its window.
        assert_eq!(
            [settled(400).await, settled(400).await, settled(400).await],
            [2, 1, 0]
        );
        let seen: BTreeSet<_> = trail(&db)
            .await
            .into_iter()
            .map(|event| {
                assert_eq!((event.kind.as_str(), event.at), ("sign_in.failed", at(400)));
                let of = |name: &str| event.details[name].to_string();
                (event.sub.clone(), of("network"), of("failures"), of("last_at"))
            })
            .collect();
        let row = |sub: Option<&str>, network: &str, count: &str, last: u64| {
            (
                sub.map(str::to_owned),
                format!("\"{network}\""),
                count.to_owned(),
                at(last).as_secs().to_string(),
            )
        };
        let expected = [
            row(Some("alex"), "198.51.100.0/24", "2", 20),
            row(Some("alex"), "203.0.113.0/24", "1", 30),
            row(None, "198.51.100.0/24", "2", 50),
        ];
        assert_eq!(seen, expected.into_iter().collect());
    })
    .await;
}

#[test]
fn ids_sort_as_they_were_made() {
    for now in [Clock::System.now(), NOW] {
        let ids: Vec<String> = (0..100).map(|_| event_id(now)).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 34), "{ids:?}");
        assert!(event_id(now + Duration::from_secs(1)) > ids[99]);
    }
    assert!(event_id(Timestamp::from_secs(-5)) < event_id(Timestamp::from_secs(1)));
}
