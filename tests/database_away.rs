//! The database goes away under a running server and comes back, or has no room, or is there and cannot be reached:
//! C109.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Method, StatusCode};
use protocol::{Answers, path};
use tokio::time::{Instant, sleep};

use crate::harness::app::answer;
use crate::harness::postgres::Postgres;
use crate::harness::visitor::client;
use crate::harness::wall::Wall;
use crate::harness::{Answer, World};
use crate::matrix::world_with_every_page_on;

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

/// Every page, whoever asks for it: where it needs the database it says so on a page that needs none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c109_without_its_database_every_page_says_so_or_needs_none() {
    let postgres = Postgres::start();
    let world = world_with_every_page_on(postgres.url()).await;
    let user = world.user().await;
    let mut visitor = world.visitor();
    let login = visitor.open("/account").await;
    visitor.sign_in(&login, user.email.shown()).await;
    let cookies: Vec<String> = (visitor.cookies.iter())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let cookies = cookies.join("; ");
    postgres.stop();

    let pages = world
        .routes()
        .iter()
        .filter(|route| route.answers == Answers::Pages);
    let asked = pages.flat_map(|route| [Method::GET, Method::POST].map(|method| (route, method)));
    let told = asked.map(async |(route, method)| {
        let request = client()
            .request(method.clone(), world.at(&route.path.replace(['{', '}'], "")))
            .header("cookie", &cookies)
            .header("accept", "text/html")
            .header("origin", &world.issuer)
            .header("content-type", "application/x-www-form-urlencoded");
        (route.path.clone(), method, answer(request).await)
    });
    let mut missed = BTreeSet::new();
    for (path, method, page) in futures_util::future::join_all(told).await {
        let what = format!("{method} {path} {}", page.status);
        if page.status != StatusCode::SERVICE_UNAVAILABLE {
            assert!(!page.status.is_server_error(), "{what}: {}", page.body);
            continue;
        }
        assert_unavailable(&page);
        let id = page.header("x-request-id").expect("a name");
        for part in ["<h1>Busy just now</h1>", id, "<time datetime="] {
            assert!(page.has(part), "{what} lacks {part}: {}", page.body);
        }
        missed.insert(path);
    }
    let of_somebody = world.routes().iter().filter(|route| {
        let is_public = route.path == path::ACCOUNT_DELETED;
        route.path.starts_with(path::ACCOUNT) && !is_public
    });
    for route in of_somebody {
        assert!(missed.contains(&route.path), "{} needs no database?", route.path);
    }
}

/// The first to find out wait until a statement counts as lost, longer than for a database that is known to be away.
const FOUND_OUT: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c109_a_network_that_swallows_everything_is_found_out_and_got_over() {
    let (wall, database) = Wall::before(&db::testing::postgres_url().await).await;
    let world = World::on(database).await;
    let (app, user) = (world.app().await, world.user().await);
    let tokens = app
        .grant(&world, &user, &[("scope", "openid offline_access")])
        .await;
    // As many connections as there may be.
    let busy: Vec<_> = (0..64).map(|_| get(&world, "/readyz")).collect();
    futures_util::future::join_all(busy).await;

    wall.raise();
    let began = Instant::now();
    let first = (0..20).map(|_| app.refresh(&world, tokens.refresh()));
    for answer in futures_util::future::join_all(first).await {
        assert_unavailable(&answer);
    }
    assert!(began.elapsed() < FOUND_OUT, "{:?}", began.elapsed());
    for _ in 0..3 {
        let began = Instant::now();
        assert_busy(&app.refresh(&world, tokens.refresh()).await, began);
        assert_eq!(get(&world, "/jwks").await.status, StatusCode::OK);
    }

    wall.tear_down();
    let deadline = Instant::now() + LIMIT;
    while get(&world, "/readyz").await.status != StatusCode::OK {
        assert!(Instant::now() < deadline, "it does not recover");
        sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..20 {
        let refreshed = app.refresh(&world, tokens.refresh()).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
    }
}

/// SQLite's own limit stands for the end of the disk: it fails at the same place, by the same code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c109_on_a_full_disk_the_server_says_so_goes_on_reading_and_recovers_by_itself() {
    const MOST: usize = 500;
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let tokens = app
        .grant(&world, &user, &[("scope", "openid offline_access")])
        .await;
    let url = app.url(&[("scope", "openid offline_access")]);

    for _ in 0..2 {
        let mut refused = 0;
        for _ in 0..MOST {
            let mut visitor = world.visitor();
            let page = visitor.open(&url).await;
            // Not below what there is. A connection that found no room is replaced by one that knows no limit.
            limit(&world, "PRAGMA max_page_count = 1").await;
            let answer = visitor.sign_in(&page, user.email.shown()).await;
            if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                assert_unavailable(&answer);
                refused += 1;
            } else {
                assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
            }
            if refused == 3 {
                break;
            }
        }
        assert_eq!(refused, 3, "it never was full");
        for path in ["/jwks", "/.well-known/openid-configuration", "/livez"] {
            assert_eq!(get(&world, path).await.status, StatusCode::OK, "{path}");
        }
        let userinfo = crate::harness::app::userinfo(&world, tokens.access()).await;
        assert_eq!(userinfo.status, StatusCode::OK, "{}", userinfo.body);

        limit(&world, "PRAGMA max_page_count = 1000000").await;
        let redirect = world.visitor().authorize(&url, user.email.shown()).await;
        app.tokens(&world, &redirect).await;
        let refreshed = app.refresh(&world, tokens.refresh()).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
    }
}

/// On the one connection that writes.
async fn limit(world: &World, pages: &'static str) {
    let set = world.db.transact(move |conn| {
        Box::pin(async move {
            db::execute!(conn, sqlx::query(pages))?;
            Ok::<_, db::Error>(())
        })
    });
    set.await.expect("the database");
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    let seconds = answer.header("retry-after").map(str::parse::<u32>);
    assert!(matches!(seconds, Some(Ok(_))), "{:?}", answer.headers);
}

#[track_caller]
fn assert_busy(answer: &Answer, began: Instant) {
    assert_unavailable(answer);
    let took = began.elapsed();
    assert!(took < SOON, "{took:?}");
}

async fn get(world: &World, path: &str) -> Answer {
    answer(client().get(world.at(path))).await
}
