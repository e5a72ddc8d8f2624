//! The database goes away under a running server and comes back: C109.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::harness::app::answer;
use crate::harness::postgres::Postgres;
use crate::harness::visitor::client;
use crate::harness::{Answer, World};

/// Well below what a request would wait for a connection, well above what it may take on a loaded machine.
const SOON: Duration = Duration::from_secs(7);
/// Whoever reaches it never comes back.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c109_without_its_database_the_server_says_so_serves_its_keys_and_recovers_by_itself() {
    let postgres = Postgres::start();
    let world = World::on(postgres.url()).await;
    let (app, user) = (world.app().await, world.user().await);
    let tokens = app
        .grant(&world, &user, &[("scope", "openid offline_access")])
        .await;
    let mut visitor = world.visitor();
    let sign_in = visitor.open(&app.url(&[])).await;
    let keys = get(&world, "/jwks").await;
    // Connections that lie idle when the server is cut off, each good for one surprise.
    let busy: Vec<_> = (0..12).map(|_| get(&world, "/readyz")).collect();
    futures_util::future::join_all(busy).await;

    for _ in 0..2 {
        postgres.stop();
        for _ in 0..3 {
            let began = Instant::now();
            assert_busy(&app.refresh(&world, tokens.refresh()).await, began);
            let began = Instant::now();
            assert_busy(&visitor.open(&app.url(&[])).await, began);
            let began = Instant::now();
            assert_busy(&visitor.sign_in(&sign_in, user.email.shown()).await, began);
            assert_eq!(
                get(&world, "/readyz").await.status,
                StatusCode::SERVICE_UNAVAILABLE
            );
            let published = get(&world, "/jwks").await;
            assert_eq!(
                (published.status, published.body),
                (StatusCode::OK, keys.body.clone())
            );
            assert_eq!(
                get(&world, "/.well-known/openid-configuration").await.status,
                StatusCode::OK
            );
            assert_eq!(get(&world, "/livez").await.status, StatusCode::OK);
        }

        postgres.resume();
        let deadline = Instant::now() + LIMIT;
        while get(&world, "/readyz").await.status != StatusCode::OK {
            assert!(Instant::now() < deadline, "it does not recover");
            sleep(Duration::from_millis(20)).await;
        }
        // From the first sign of life on nobody is turned away, whatever connection they are given.
        for _ in 0..20 {
            let refreshed = app.refresh(&world, tokens.refresh()).await;
            assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
        }
        let redirect = world.visitor().authorize(&app.url(&[]), user.email.shown()).await;
        app.tokens(&world, &redirect).await;
    }
}

#[track_caller]
fn assert_busy(answer: &Answer, began: Instant) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    let retry_after = answer
        .header("retry-after")
        .and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(retry_after.is_some(), "{:?}", answer.headers);
    let took = began.elapsed();
    assert!(took < SOON, "{took:?}");
}

async fn get(world: &World, path: &str) -> Answer {
    answer(client().get(world.at(path))).await
}
