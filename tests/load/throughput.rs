//! Requests per second of each kind through the real router with all middleware, each beside the bare "hello" of
//! the same run. Client and server share the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::client::{Connection, get, member};
use crate::place::Place;

const CONNECTIONS: usize = 64;
const ROUND: Duration = Duration::from_secs(2);
/// Odd, so that there is a middle one.
const ROUNDS: usize = 3;

/// What a prototype reached on two cores, client included; the aim is 70 % of it with everything switched on,
/// and below half of the aim the run fails.
struct Aim {
    name: &'static str,
    prototype: f64,
}

const fn aim(name: &'static str, prototype: f64) -> Aim {
    Aim { name, prototype }
}

pub(crate) fn run() -> bool {
    let mut fine = true;
    let postgres = std::env::var(db::testing::POSTGRES_VARIABLE).is_ok();
    fine &= on("SQLite, synchronous=FULL", false);
    if postgres {
        fine &= on("PostgreSQL", true);
    } else {
        println!(
            "PostgreSQL: not measured, {} is not set",
            db::testing::POSTGRES_VARIABLE
        );
    }
    fine
}

fn on(name: &str, postgres: bool) -> bool {
    let server = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let load = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let place = Arc::new(server.block_on(async {
        let url = match postgres {
            true => db::testing::postgres_url().await,
            false => db::testing::sqlite_url(),
        };
        Place::open(url).await
    }));
    let refresh = aim("refresh with rotation", if postgres { 0.30 } else { 0.17 });
    let redeem = aim("code redemption", if postgres { 0.20 } else { 0.14 });

    println!(
        "\n{name}, {CONNECTIONS} connections, median of {ROUNDS} rounds of {} s",
        ROUND.as_secs()
    );
    println!(
        "{:<28} {:>10} {:>8} {:>8}  fails below",
        "", "per second", "of hello", "aim"
    );
    let mut hellos = Vec::new();
    let mut rows: Vec<(Aim, Vec<f64>)> = vec![
        (aim("JWKS", 0.93), vec![]),
        (aim("discovery", 0.93), vec![]),
        (refresh, vec![]),
        (redeem, vec![]),
    ];
    for _ in 0..ROUNDS {
        let hello = fixed(&load, &place, get("/hello"));
        hellos.push(hello);
        for (aim, figures) in &mut rows {
            figures.push(
                match aim.name {
                    "JWKS" => fixed(&load, &place, get("/jwks")),
                    "discovery" => fixed(&load, &place, get("/.well-known/openid-configuration")),
                    "code redemption" => redemptions(&server, &load, &place),
                    _ => refreshes(&server, &load, &place),
                } / hello,
            );
        }
    }
    let hello = median(&mut hellos);
    println!("{:<28} {hello:>10.0} {:>8.2}", "hello", 1.0);
    let mut fine = true;
    for (aim, mut figures) in rows {
        let (ratio, wanted) = (median(&mut figures), aim.prototype * 0.7);
        let verdict = if ratio < wanted / 2.0 { "  FAILED" } else { "" };
        fine &= verdict.is_empty();
        println!(
            "{:<28} {:>10.0} {ratio:>8.3} {wanted:>8.3}  {:.3}{verdict}",
            aim.name,
            ratio * hello,
            wanted / 2.0
        );
    }
    fine
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The same request over and over.
fn fixed(load: &Runtime, place: &Arc<Place>, request: Vec<u8>) -> f64 {
    let (address, request) = (place.address, Arc::new(request));
    measure(load, move |stop, count| {
        let request = request.clone();
        async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(connection.send(&request).await.expect("an answer").status, 200);
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}

/// Each connection refreshes its own family, always with the newest token.
fn refreshes(server: &Runtime, load: &Runtime, place: &Arc<Place>) -> f64 {
    let starts: Vec<String> = server.block_on(async {
        let mut tokens = Vec::new();
        let mut connection = Connection::open(place.address).await.expect("a connection");
        for _ in 0..CONNECTIONS {
            let request = place.redemption(&place.code().await);
            let answer = connection.send(&request).await.expect("an answer");
            tokens.push(
                member(answer.body, "refresh_token")
                    .expect("a refresh token")
                    .to_owned(),
            );
        }
        tokens
    });
    let starts = Arc::new(std::sync::Mutex::new(starts));
    let (address, authorization) = (place.address, place.authorization.clone());
    measure(load, move |stop, count| {
        let mut token = starts
            .lock()
            .expect("not poisoned")
            .pop()
            .expect("one for each connection");
        let authorization = authorization.clone();
        async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            while !stop.load(Ordering::Relaxed) {
                let body = format!("grant_type=refresh_token&refresh_token={token}");
                let request = crate::client::post("/token", &authorization, &body);
                let answer = connection.send(&request).await.expect("an answer");
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
                token = member(answer.body, "refresh_token")
                    .expect("a successor")
                    .to_owned();
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}

/// Redeems codes made beforehand until they are used up; making them is not measured.
fn redemptions(server: &Runtime, load: &Runtime, place: &Arc<Place>) -> f64 {
    const CODES: usize = 6000;
    let requests: Vec<Vec<u8>> = server.block_on(async {
        let making: Vec<_> = (0..16)
            .map(|_| {
                let place = place.clone();
                tokio::spawn(async move {
                    let mut requests = Vec::new();
                    for _ in 0..CODES / 16 {
                        requests.push(place.redemption(&place.code().await));
                    }
                    requests
                })
            })
            .collect();
        let mut requests = Vec::new();
        for task in making {
            requests.extend(task.await.expect("codes"));
        }
        requests
    });
    let (total, address) = (requests.len(), place.address);
    let requests = Arc::new(std::sync::Mutex::new(requests));
    let started = Instant::now();
    load.block_on(async {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let requests = requests.clone();
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await.expect("a connection");
                    loop {
                        let Some(request) = requests.lock().expect("not poisoned").pop() else {
                            return;
                        };
                        let answer = connection.send(&request).await.expect("an answer");
                        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("redemptions");
        }
    });
    total as f64 / started.elapsed().as_secs_f64()
}

fn measure<F, W>(load: &Runtime, work: F) -> f64
where
    F: Fn(Arc<AtomicBool>, Arc<AtomicU64>) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    load.block_on(async {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| tokio::spawn(work(stop.clone(), count.clone())))
            .collect();
        // What the first requests of a connection cost is not what is asked.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (before, started) = (count.load(Ordering::Relaxed), Instant::now());
        tokio::time::sleep(ROUND).await;
        let rate = (count.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.expect("no request fails");
        }
        rate
    })
}
