//! C102: no input makes the server fail or panic. Bad requests are bent from good ones, over every route, parameter,
//! header and cookie; bytes that are no HTTP come over bare sockets.

mod bend;
mod ground;
mod people;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use axum::Router;
use axum::body::to_bytes;
use countersign::listener::PeerAddress;
use futures_util::future::join_all;
use tower::ServiceExt as _;

use self::bend::bent;
use self::ground::{Draft, ground};
use crate::harness::World;
use crate::harness::app::userinfo;
use crate::harness::dice::Dice;
use crate::harness::wire::{HangUp, Wire, get, post};

/// On each database.
const REQUESTS: usize = 60_000;
const CALLERS: usize = 8;
const BROKEN: usize = 2_000;
const PEERS: usize = 16;

const REFUSALS: RangeInclusive<u16> = 400..=499;
/// What only the inside of a program knows.
const INNER: [&str; 6] = [
    "panicked",
    "SELECT ",
    "INSERT ",
    "sqlx",
    "src/",
    "stack backtrace",
];

on_both_databases! {
    async fn c102_sixty_thousand_bent_requests_meet_no_failure_and_no_panic(world: World) {
        let drafts = ground(&world).await;
        let mut dice = Dice::new(0xC102);
        let callers = (0..CALLERS).map(|_| {
            let caller = call(world.router(), drafts.clone(), REQUESTS / CALLERS, dice.split());
            tokio::spawn(caller)
        });
        let mut met: BTreeMap<u16, usize> = BTreeMap::new();
        for caller in join_all(callers).await {
            for (status, count) in caller.expect("no failure") {
                *met.entry(status).or_default() += count;
            }
        }
        eprintln!("{met:?}");
        assert_eq!(met.values().sum::<usize>(), REQUESTS);
        // The bent ones go deep enough to be told apart, and most of them are refused.
        for status in [200, 303, 400, 401, 403, 404, 405, 413, 414] {
            assert!(met.contains_key(&status), "no {status}: {met:?}");
        }
        let refused: usize = met.iter().filter(|(status, _)| REFUSALS.contains(status)).map(|(_, n)| n).sum();
        assert!(refused > REQUESTS / 2, "{met:?}");
        assert_still_serves(&world).await;
    }

    async fn c102_bytes_that_are_no_http_are_refused_or_left_without_an_answer(world: World) {
        let mut dice = Dice::new(0xC102 + 1);
        for bytes in MALFORMED {
            assert_refused(bytes, &told(&world, bytes).await);
        }
        let app = world.app().await;
        let requests = [
            get(&app.url(&[]), &[("cookie", "a=b"), ("accept", "text/html")]),
            app.redemption("cs_ac_x"),
            post("/login", &[("transfer-encoding", "chunked")], &[("flow", "x")]),
        ];
        let peers = (0..PEERS).map(|_| send_broken(&world, &requests, dice.split()));
        join_all(peers).await;
        assert_still_serves(&world).await;
    }
}

async fn assert_still_serves(world: &World) {
    let (app, user) = (world.app().await, world.user().await);
    let redirect = world.visitor().authorize(&app.url(&[]), user.email.shown()).await;
    let tokens = app.tokens(world, &redirect).await;
    assert_eq!(userinfo(world, tokens.access()).await.status, 200);
}

/// Sends a share of the bent requests and counts the answers by status.
async fn call(router: Router, drafts: Vec<Draft>, requests: usize, mut dice: Dice) -> BTreeMap<u16, usize> {
    let peer = PeerAddress(SocketAddr::from(([127, 0, 0, 1], 40_000)));
    let mut met = BTreeMap::new();
    for _ in 0..requests {
        let (draft, mut request) = bent(&drafts, &mut dice);
        request.extensions_mut().insert(peer);
        let Ok(response) = router.clone().oneshot(request).await;

        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let body = String::from_utf8_lossy(&body);
        assert!(status < 500, "{status} {body}\nto {draft:#?}");
        if REFUSALS.contains(&status) {
            let told = INNER.iter().find(|inner| body.contains(*inner));
            assert_eq!(told, None, "{status} {body}\nto {draft:#?}");
        }
        *met.entry(status).or_default() += 1;
    }
    met
}

/// What no parser may take for a request.
const MALFORMED: &[&[u8]] = &[
    b"\r\n\r\n\r\n",
    b"\0\0\0\0",
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost localhost\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
    b"GET / HTTP/1.1\r\na\0b: c\r\n\r\n",
    b"GET / HTTP/1.1\r\na: b\r\n folded: c\r\n\r\n",
    b"G\xffT / HTTP/1.1\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    b"POST /token HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"POST /token HTTP/1.1\r\ncontent-length: 1, 2\r\n\r\nab",
    b"POST /token HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n",
    b"POST /token HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST /token HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"USER anonymous\r\n",
];

/// Everything the server says to these bytes before it closes.
async fn told(world: &World, bytes: &[u8]) -> String {
    let mut wire = Wire::connect(world.origin()).await.expect("a connection");
    // It may have closed before all of them were sent.
    if wire.send(bytes).await.is_ok() {
        let _ = wire.finish_sending().await;
    }
    let told = wire.read_to_end().await;
    wire.hang_up(HangUp::Close);
    told
}

fn assert_refused(bytes: &[u8], told: &str) {
    let refused = told.is_empty() || told.starts_with("HTTP/1.1 4");
    assert!(refused, "{told}\nto {}", bytes.escape_ascii());
}

/// Requests with bytes changed, missing, or too many: whatever they are now, they are no reason to fail.
async fn send_broken(world: &World, requests: &[Vec<u8>], mut dice: Dice) {
    for _ in 0..BROKEN / PEERS {
        let mut bytes = requests[dice.below(requests.len())].clone();
        for _ in 0..=dice.below(4) {
            let (at, noise) = (dice.below(bytes.len()), dice.bytes(1 + dice.clone().below(8)));
            match dice.below(4) {
                0 => bytes[at] = noise[0],
                1 => drop(bytes.splice(at..at, noise)),
                2 => drop(bytes.drain(at..(at + noise.len()).min(bytes.len() - 1))),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let told = told(world, &bytes).await;
        assert!(
            !told.contains("HTTP/1.1 5"),
            "{told}\nto {}",
            bytes.escape_ascii()
        );
    }
}
