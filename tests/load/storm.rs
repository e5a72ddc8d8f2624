//! C075: two thousand people sign in at one instant, again and again, and an app goes on refreshing its token.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::runtime::Builder;

use crate::harness::World;
use crate::harness::app::Tokens;
use crate::harness::wire::Crowd;

const STORM: usize = 2_000;
const STORMS: usize = 5;
const ALONE: usize = 500;
const AIM: Duration = Duration::from_millis(50);

pub(crate) fn run() -> bool {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(storms())
}

async fn storms() -> bool {
    let world = World::process(&[("RUST_LOG", "warn")]).await;
    let (app, user) = (world.app().await, world.user().await);
    world.heard().await;
    let tokens = app
        .grant(&world, &user, &[("scope", "openid offline_access")])
        .await;
    let mut current = tokens.refresh().to_owned();
    let mut refresh = async |times: &mut Vec<Duration>| {
        let began = Instant::now();
        let answer = app.refresh(&world, &current).await;
        times.push(began.elapsed());
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let body = answer.json();
        current = Tokens { body }.refresh().to_owned();
    };
    let mut alone = Vec::new();
    for _ in 0..ALONE {
        refresh(&mut alone).await;
    }

    let mut visitor = world.visitor();
    let page = visitor.open(&app.url(&[])).await;
    let guess = visitor.guess(&page, user.email.shown());
    let mut during = Vec::new();
    let (mut checked, mut busy) = (0, 0);
    for _ in 0..STORMS {
        let mut crowd = Crowd::gather(&world, STORM).await;
        let over = AtomicBool::new(false);
        let storm = async {
            let answers = crowd.ask(&guess).await;
            over.store(true, Ordering::Relaxed);
            answers
        };
        let refreshing = async {
            while !over.load(Ordering::Relaxed) {
                refresh(&mut during).await;
            }
        };
        let (answers, ()) = tokio::join!(storm, refreshing);
        let of = |status| answers.iter().filter(|answer| answer.status == status).count();
        checked += of(StatusCode::BAD_REQUEST);
        busy += of(StatusCode::SERVICE_UNAVAILABLE);
    }

    println!(
        "\n{STORMS} storms of {STORM} sign-ins: {checked} passwords checked, {busy} told to come back, \
         at most {} MiB resident",
        world.peak_memory() / 1024
    );
    let p99 = |name: &str, times: &mut Vec<Duration>| {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "{name:<28} median {:>5.1} ms   p99 {:>5.1} ms   of {}",
            at(50),
            at(99),
            times.len()
        );
        times[(times.len() - 1) * 99 / 100]
    };
    p99("refresh alone", &mut alone);
    let worst = p99("refresh in the storms", &mut during);
    println!("{:<28} aim: p99 under {} ms", "", AIM.as_millis());
    worst < AIM * 2
}
