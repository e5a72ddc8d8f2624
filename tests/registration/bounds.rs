//! What strangers can make grow, and what they cannot send.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::harness::wire::{Wire, request};

async fn rows(world: &World, table: &str) -> i64 {
    let all = world.row_counts().await;
    all.into_iter()
        .find(|(name, _)| name == table)
        .expect("the table")
        .1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c059_ten_thousand_attempts_leave_as_many_rows_as_there_may_be() {
    const ATTEMPTS: usize = 10_000;
    let terms = Terms {
        hours: Hours::Counted,
        ..open()
    };
    for world in on_terms(terms).await {
        let (body, turn) = (usual().to_string(), AtomicUsize::new(0));
        let bytes = request(
            "POST",
            "/register",
            &[("content-type", "application/json")],
            body.as_bytes(),
        );
        let stranger = async || {
            let mut wire = Wire::connect(world.origin()).await.expect("a connection");
            let mut made = 0;
            while turn.fetch_add(1, Ordering::Relaxed) < ATTEMPTS {
                let answer = wire.exchange(&bytes).await.expect("an answer");
                match answer.status.as_u16() {
                    201 => made += 1,
                    429 => {
                        let after = answer.header("retry-after").expect("when to come again");
                        assert!(after.parse::<u32>().is_ok_and(|secs| secs > 0 && secs <= 3_600));
                    }
                    other => panic!("{other}: {}", answer.body),
                }
            }
            made
        };
        let made: i64 = join_all((0..16).map(|_| stranger())).await.into_iter().sum();
        assert_eq!(made, 30, "all came from one network");
        for table in ["clients", "registrations", "client_secrets"] {
            assert_eq!(rows(&world, table).await, made, "{table}");
        }
        assert_eq!(rows(&world, "registration_counts").await, 2);
        // Another hour, another thirty.
        world.pass(Duration::from_secs(3_600));
        assert_eq!(post(&world, &usual()).await.status, 201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c059_a_client_that_nobody_used_goes_and_one_that_was_used_stays() {
    for world in on_terms(open()).await {
        let (used, unused) = (
            Itself::new(&world, &usual()).await,
            Itself::new(&world, &usual()).await,
        );
        let ordinary = world.app().await;
        let user = world.user().await;
        used.app().grant(&world, &user, &[]).await;
        let day = Duration::from_secs(24 * 60 * 60);
        world.pass(3 * day - Duration::from_secs(1));
        let expire = async || {
            revocation::expire_unused(100, &world.db, world.now())
                .await
                .expect("the database")
        };
        assert_eq!(expire().await, 0);
        world.pass(Duration::from_secs(1));
        assert_eq!(expire().await, 1);
        assert_eq!(unused.read(&world, unused.token()).await.status, 401);
        assert_eq!(used.read(&world, used.token()).await.status, 200);
        world.pass(400 * day);
        assert_eq!(expire().await, 0);
        world.heard().await;
        ordinary.grant(&world, &user, &[]).await;
        used.app().grant(&world, &user, &[]).await;
    }
}

everywhere! {
    async fn c057_what_is_no_document_is_refused_and_not_stored(world: World) {
        let before = world.row_counts().await;
        let post = async |kind: &'static str, body: Vec<u8>| {
            let request = client().post(world.at("/register")).header("content-type", kind).body(body);
            answer(request).await
        };
        let json = "application/json";
        let deep = format!("{{\"redirect_uris\": {}1{}}}", "[".repeat(17), "]".repeat(17));
        let long = format!("{{\"client_name\": \"{}\"}}", "x".repeat(64 * 1024));
        for (kind, body, status, error) in [
            ("text/plain", usual().to_string(), 400, "invalid_request"),
            ("application/x-www-form-urlencoded", "a=b".to_owned(), 400, "invalid_request"),
            (json, String::new(), 400, "invalid_client_metadata"),
            (json, "[]".to_owned(), 400, "invalid_client_metadata"),
            (json, "null".to_owned(), 400, "invalid_client_metadata"),
            (json, format!("{} x", usual()), 400, "invalid_client_metadata"),
            (json, "{\"scope\": \"a\", \"scope\": \"b\"}".to_owned(), 400, "invalid_client_metadata"),
            (json, deep, 400, "invalid_client_metadata"),
            (json, long, 413, "invalid_request"),
        ] {
            let answer = post(kind, body.into_bytes()).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            assert_eq!(answer.json()["error"], error, "{}", answer.body);
        }
        let answer = post(json, b"{\"client_name\": \"\xff\"}".to_vec()).await;
        assert_eq!(answer.status, 400);
        let same = |rows: Vec<(String, i64)>| -> Vec<_> {
            rows.into_iter().filter(|(table, _)| table.starts_with("registration")).collect()
        };
        // Others use the same two processes meanwhile.
        if world.origin() == world.origin() {
            assert_eq!(same(world.row_counts().await), same(before));
        }
    }
}
