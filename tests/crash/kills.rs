//! C108: the power fails again and again, and nothing that was acknowledged is lost, nor given twice.
//!
//! Workers sign in, get codes, redeem and refresh, and write down every answer that they read whole. The server is
//! killed at a random instant and started again on its files; then each line of that ledger is held against it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::header::SET_COOKIE;
use tokio::time::sleep;

use crate::harness::dice::Dice;
use crate::harness::wire::{Wire, get, post};
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, App, Installation};

const ROUNDS: usize = 8;
const WORKERS: usize = 6;
/// Answers of a round before its end may come, at least.
const LEAST: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c108_a_server_killed_at_any_instant_has_lost_nothing_on_sqlite() {
    kill_and_compare(db::testing::sqlite_url(), 0xC108).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c108_a_server_killed_at_any_instant_has_lost_nothing_on_postgres() {
    kill_and_compare(db::testing::postgres_url().await, 0xC108 + 1).await;
}

async fn kill_and_compare(database: db::Url, seed: u64) {
    let (mut dice, installation) = (Dice::new(seed), Installation::on(database));
    let mut server = installation.start().await;
    let acknowledged = Arc::<AtomicUsize>::default();
    let mut workers = hire(&installation, &acknowledged, &mut dice).await;

    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let enough = acknowledged.load(Ordering::Relaxed) + LEAST + dice.below(LEAST);
        let instant = Duration::from_micros(dice.below(20_000) as u64);
        let work = join_all(workers.iter_mut().map(Worker::work_until_it_ends));
        let death = async {
            while acknowledged.load(Ordering::Relaxed) < enough {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(instant).await;
            server.kill_dash_nine();
        };
        tokio::join!(work, death);
        let began = Instant::now();
        server = installation.start().await;
        slowest = slowest.max(began.elapsed());
        join_all(workers.iter_mut().map(Worker::compare)).await;
    }
    eprintln!("the slowest of {ROUNDS} restarts was ready after {slowest:?}");

    let total = |count: fn(&Ledger) -> usize| workers.iter().map(|it| count(&it.ledger)).sum::<usize>();
    let done = [
        ("sign-ins", total(|it| it.sign_ins)),
        ("redemptions", total(|it| it.redemptions)),
        ("refreshes", total(|it| it.refreshes)),
        ("answers lost", total(|it| it.lost)),
    ];
    eprintln!("{done:?}");
    assert!(done.iter().all(|(_, times)| *times > 0), "{done:?}");
}

/// A person and an app's back end in one.
struct Worker {
    issuer: String,
    app: App,
    email: String,
    /// Of the browser that signed in last.
    cookies: Cookies,
    ledger: Ledger,
    /// Answers that any worker read whole.
    acknowledged: Arc<AtomicUsize>,
    dice: Dice,
}

type Cookies = BTreeMap<String, String>;

/// What a worker knows from answers that it read whole.
#[derive(Default)]
struct Ledger {
    /// Browsers that signed in since the last comparison.
    signed_in: Vec<Cookies>,
    /// Codes that were never sent back.
    codes: Vec<String>,
    /// Codes that were sent back, without an answer.
    unanswered: Vec<String>,
    grants: Vec<Grant>,
    sign_ins: usize,
    redemptions: usize,
    refreshes: usize,
    lost: usize,
}

struct Grant {
    code: String,
    /// The newest that was read.
    refresh_token: String,
}

/// Apps of both kinds, and for each worker a user who has signed in and allowed.
async fn hire(installation: &Installation, acknowledged: &Arc<AtomicUsize>, dice: &mut Dice) -> Vec<Worker> {
    let world = installation.world().await;
    let apps = [world.app().await, world.public_app().await];
    let mut workers = Vec::new();
    for app in apps.iter().cycle().take(WORKERS) {
        let (user, mut visitor) = (world.user().await, world.visitor());
        visitor.authorize(&offline(app, &[]), user.email.shown()).await;
        workers.push(Worker {
            issuer: installation.issuer.clone(),
            app: app.clone(),
            email: user.email.shown().to_owned(),
            cookies: visitor.cookies,
            ledger: Ledger::default(),
            acknowledged: acknowledged.clone(),
            dice: dice.split(),
        });
    }
    // Whoever holds the file open would spare the next server the recovery of the log.
    world.db.close().await;
    workers
}

impl Worker {
    /// Works until the server is gone.
    async fn work_until_it_ends(&mut self) {
        let worked = async {
            let mut wire = Wire::connect(&self.issuer).await?;
            loop {
                match self.dice.below(16) {
                    0 => self.sign_in(&mut wire).await?,
                    1..=5 => self.authorize(&mut wire).await?,
                    6..=9 => self.redeem(&mut wire).await?,
                    _ => self.refresh(&mut wire).await?,
                }
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        };
        let ended: io::Result<()> = worked.await;
        assert!(ended.is_err(), "it works until the server is gone");
    }

    async fn sign_in(&mut self, wire: &mut Wire) -> io::Result<()> {
        let mut cookies = Cookies::new();
        let answer = ask(wire, &offline(&self.app, &[]), &mut cookies).await?;
        let page = ask(wire, &self.path(&answer), &mut cookies).await?;
        let form = page
            .form()
            .with("username", &self.email)
            .with("password", PASSWORD);
        let headers = [("origin", self.issuer.as_str()), ("cookie", &line(&cookies))];
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = wire.exchange(&post("/login", &headers, &fields)).await?;
        assert_eq!(answer.status, 303, "{}", answer.body);
        keep(&answer, &mut cookies);
        self.cookies = cookies.clone();
        self.ledger.signed_in.push(cookies);
        self.ledger.sign_ins += 1;
        Ok(())
    }

    async fn authorize(&mut self, wire: &mut Wire) -> io::Result<()> {
        let answer = ask(wire, &offline(&self.app, &[]), &mut self.cookies).await?;
        let code = answer.param("code");
        self.ledger
            .codes
            .push(code.unwrap_or_else(|| panic!("no code: {answer:?}")));
        Ok(())
    }

    async fn redeem(&mut self, wire: &mut Wire) -> io::Result<()> {
        let Some(code) = self.ledger.codes.pop() else {
            return Ok(());
        };
        self.ledger.unanswered.push(code.clone());
        let request = self.app.redemption(&code);
        let answer = self.token(&request, wire).await?;
        assert_eq!(answer.status, 200, "a fresh code: {}", answer.body);
        self.ledger.unanswered.pop();
        self.granted(code, &answer);
        Ok(())
    }

    fn granted(&mut self, code: String, answer: &Answer) {
        let refresh_token = refresh_token(answer);
        self.ledger.grants.push(Grant { code, refresh_token });
        self.ledger.redemptions += 1;
    }

    async fn refresh(&mut self, wire: &mut Wire) -> io::Result<()> {
        if self.ledger.grants.is_empty() {
            return Ok(());
        }
        let one = self.dice.below(self.ledger.grants.len());
        self.refresh_one(one, wire).await
    }

    async fn refresh_one(&mut self, one: usize, wire: &mut Wire) -> io::Result<()> {
        let request = self.app.refreshing(&self.ledger.grants[one].refresh_token);
        let answer = self.token(&request, wire).await?;
        assert_eq!(
            answer.status, 200,
            "the newest token that was read: {}",
            answer.body
        );
        self.ledger.grants[one].refresh_token = refresh_token(&answer);
        self.ledger.refreshes += 1;
        Ok(())
    }

    async fn token(&mut self, request: &[u8], wire: &mut Wire) -> io::Result<Answer> {
        let answer = wire.exchange(request).await;
        self.ledger.lost += usize::from(answer.is_err());
        answer
    }

    /// Holds the ledger against a server that was started again.
    async fn compare(&mut self) {
        let compared = self.try_compare().await;
        compared.expect("the server stays");
    }

    async fn try_compare(&mut self) -> io::Result<()> {
        let mut wire = Wire::connect(&self.issuer).await?;
        let wire = &mut wire;

        for mut cookies in std::mem::take(&mut self.ledger.signed_in) {
            let silently = offline(&self.app, &[("prompt", "none")]);
            let answer = ask(wire, &silently, &mut cookies).await?;
            assert!(answer.param("code").is_some(), "a sign-in was lost: {answer:?}");
        }
        // What was given, and whatever was under way on it, still goes on.
        for one in 0..self.ledger.grants.len() {
            self.refresh_one(one, wire).await?;
        }
        // A code that was claimed stays claimed, and its second coming ends what came of the first.
        if let Some(grant) = self.ledger.grants.pop() {
            for request in [
                self.app.redemption(&grant.code),
                self.app.refreshing(&grant.refresh_token),
            ] {
                assert_refused(&wire.exchange(&request).await?);
            }
        }
        while !self.ledger.codes.is_empty() {
            self.redeem(wire).await?;
        }
        for code in std::mem::take(&mut self.ledger.unanswered) {
            let answer = wire.exchange(&self.app.redemption(&code)).await?;
            match answer.status.as_u16() {
                200 => self.granted(code, &answer),
                _ => assert_refused(&answer),
            }
        }
        Ok(())
    }

    /// Where a redirect of ours leads.
    fn path(&self, answer: &Answer) -> String {
        let location = answer
            .location()
            .unwrap_or_else(|| panic!("no redirect: {answer:?}"));
        location
            .strip_prefix(&self.issuer)
            .unwrap_or(&location)
            .to_owned()
    }
}

fn offline(app: &App, changes: &[(&'static str, &str)]) -> String {
    app.url(&[&[("scope", "openid offline_access")], changes].concat())
}

async fn ask(wire: &mut Wire, target: &str, cookies: &mut Cookies) -> io::Result<Answer> {
    let answer = wire.exchange(&get(target, &[("cookie", &line(cookies))])).await?;
    keep(&answer, cookies);
    Ok(answer)
}

fn keep(answer: &Answer, cookies: &mut Cookies) {
    for cookie in answer.headers.get_all(SET_COOKIE) {
        let text = cookie.to_str().expect("a readable cookie");
        let pair = text.split(';').next().and_then(|pair| pair.split_once('='));
        let (name, value) = pair.expect("name=value");
        cookies.insert(name.to_owned(), value.to_owned());
    }
}

fn line(cookies: &Cookies) -> String {
    let pairs = cookies.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}

fn refresh_token(answer: &Answer) -> String {
    answer.json()["refresh_token"]
        .as_str()
        .expect("a refresh token")
        .to_owned()
}

fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error"], "invalid_grant");
}
