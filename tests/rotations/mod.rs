//! R20, C045: keys turn again and again under load, and nobody who keeps to `Cache-Control` meets a token that he cannot
//! verify.
//!
//! The clock of the server is moved, between two requests and never within one: a day passes in a second. Verifiers are
//! as lazy as they may be: each fetches the set when its time is over and not before.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use events::Context;
use futures_util::future::join_all;
use jws::{Alg, KeySet, Typ, Unverified};
use keyring::{Policy, Start};
use protocol::{SigningAlg, Timestamp};
use tokio::sync::RwLock;

use crate::harness::app::answer;
use crate::harness::visitor::client;
use crate::harness::world::Own;
use crate::harness::{App, World};

/// Tokens that verifiers still meet. The oldest that are alive count most: they are by keys that have retired.
const REMEMBERED: usize = 400;

/// How hard it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) rotations: usize,
    pub(crate) announce: Duration,
    /// By which the clock moves at once.
    pub(crate) step: Duration,
    pub(crate) signers: usize,
    pub(crate) verifiers: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) signed: u64,
    pub(crate) verified: u64,
    pub(crate) fetched: u64,
    pub(crate) failures: Vec<String>,
    /// Keys that signed something, by what they are called.
    pub(crate) keys: usize,
    took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.verified as f64 / self.took.as_secs_f64();
        write!(
            f,
            "{} tokens by {} keys, {} verifications ({rate:.0}/s), {} fetches of the set, {} failures",
            self.signed,
            self.keys,
            self.verified,
            self.fetched,
            self.failures.len()
        )
    }
}

struct Scene {
    world: World,
    machine: App,
    apis: Vec<(String, String)>,
    /// Held while anything is done that has one instant.
    moment: RwLock<()>,
    issued: Mutex<Vec<(String, Timestamp)>>,
    report: Mutex<Report>,
    verified: AtomicU64,
    over: AtomicBool,
}

/// Turns every ring of a server of its own so often, under this load.
pub(crate) async fn turn(database: db::Url, load: Load) -> Report {
    let policy = Policy {
        announce: load.announce,
        ..Policy::default()
    };
    let world = World::here_with(
        database,
        Own {
            policy: Some(policy),
            ..Own::default()
        },
    )
    .await;
    let mut apis = Vec::new();
    for alg in SigningAlg::ALL {
        let api = world.resource(*alg).await;
        let scope = api.scopes.keys().next().expect("a scope").clone();
        apis.push((api.identifier, scope));
    }
    let scopes: Vec<&str> = apis.iter().map(|(_, scope)| scope.as_str()).collect();
    let machine = world.machine(&scopes.join(" ")).await;
    let scene = Scene {
        world,
        machine,
        apis,
        moment: RwLock::new(()),
        issued: Mutex::default(),
        report: Mutex::default(),
        verified: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let began = Instant::now();
    let signers = (0..load.signers).map(|number| scene.sign(number));
    let verifiers = (0..load.verifiers).map(|number| scene.verify(number));
    tokio::join!(
        scene.rotate(&load, policy),
        join_all(signers),
        join_all(verifiers)
    );
    let mut report = scene.report.into_inner().expect("not poisoned");
    report.verified = scene.verified.into_inner();
    report.keys = scene.world.keyring().calendar(scene.world.now()).len();
    report.took = began.elapsed();
    report
}

impl Scene {
    async fn rotate(&self, load: &Load, policy: Policy) {
        for _ in 0..load.rotations {
            let moment = self.moment.write().await;
            let by = Context::command_line();
            let rotated =
                self.world
                    .keyring()
                    .rotate(SigningAlg::ALL, Start::Announced, &by, self.world.now());
            rotated.await.expect("rotated");
            drop(moment);
            let mut left = policy.announce + policy.keep + load.step;
            while !left.is_zero() {
                let step = left.min(load.step);
                left -= step;
                let moment = self.moment.write().await;
                self.world.pass(step);
                drop(moment);
                // For the others to do something in this minute.
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        self.over.store(true, Ordering::SeqCst);
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    async fn sign(&self, number: usize) {
        for (resource, scope) in self.apis.iter().cycle().skip(number) {
            if !self.goes_on() {
                return;
            }
            let moment = self.moment.read().await;
            let given = self.machine.for_itself(&self.world, resource, scope).await;
            let now = self.world.now();
            drop(moment);
            assert_eq!(given.status, 200, "{}", given.body);
            let token = given.json()["access_token"].as_str().expect("a token").to_owned();
            let end = now + protocol::access_token::LIFE;
            let mut issued = self.issued.lock().expect("not poisoned");
            issued.retain(|(_, end)| *end > now);
            if issued.len() >= REMEMBERED {
                // Any but the oldest.
                let at = REMEMBERED / 2;
                issued.remove(at);
            }
            issued.push((token, end));
            self.report.lock().expect("not poisoned").signed += 1;
        }
    }

    async fn verify(&self, number: usize) {
        let mut held: Option<(KeySet, Timestamp)> = None;
        let mut at = number;
        while self.goes_on() {
            let moment = self.moment.read().await;
            let now = self.world.now();
            let keys = match held.take() {
                Some((keys, until)) if now < until => (keys, until),
                _ => self.fetch(now).await,
            };
            let some: Vec<String> = {
                let issued = self.issued.lock().expect("not poisoned");
                let alive = issued.iter().filter(|(_, end)| *end > now);
                let all: Vec<&String> = alive.map(|(token, _)| token).collect();
                at += 7;
                let newest = all.last().copied();
                let others = (0..15).filter_map(|step| all.get((at + step * 11) % all.len().max(1)).copied());
                newest.into_iter().chain(others).cloned().collect()
            };
            for token in some {
                let parsed = Unverified::parse(&token).expect("a token");
                let verdict = parsed.verify(&keys.0, Alg::ALL, Typ::Is("at+jwt"));
                self.verified.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = verdict {
                    let mut report = self.report.lock().expect("not poisoned");
                    report.failures.push(format!("{now}: {error}: {token}"));
                }
            }
            held = Some(keys);
            drop(moment);
            tokio::task::yield_now().await;
        }
    }

    /// The set, and until when it may be kept.
    async fn fetch(&self, now: Timestamp) -> (KeySet, Timestamp) {
        let set = answer(client().get(self.world.at("/jwks"))).await;
        let cache = set.header("cache-control").expect("how long it may be kept");
        let seconds = cache
            .split(',')
            .find_map(|word| word.trim().strip_prefix("max-age="));
        let seconds: u64 = seconds.and_then(|word| word.parse().ok()).expect("max-age");
        self.report.lock().expect("not poisoned").fetched += 1;
        let keys = KeySet::parse(set.body.as_bytes(), None).expect("a key set");
        (keys, now + Duration::from_secs(seconds))
    }
}
