//! C108: whatever dies, and at whatever instant: nothing that was acknowledged is lost, no code and no generation is
//! used twice, and nothing that was acknowledged as revoked comes back.
//!
//! Workers sign in, get codes, redeem, refresh, revoke and act for themselves, and write every answer that they read
//! whole into a [`book`]. Something is killed at a random instant and started again, under load; then the work stops
//! and each worker holds its book against what is left. Each thing belongs to one worker, so the order of its lines is
//! the order in which it happened.

mod book;
mod lines;
mod worker;

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::harness::dice::Dice;
use crate::harness::postgres::Postgres;
use crate::harness::process::{Process, free_port};
use crate::harness::{App, Installation};
use book::Book;
use worker::Worker;

const WORKERS: usize = 6;
/// Answers between two deaths, at least: before the second, and after the first.
const LEAST: usize = 40;
/// Whoever reaches it gets no answers any more.
const LIMIT: Duration = Duration::from_secs(120);

/// What is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Victim {
    /// The one process that there is, on SQLite.
    TheProcess,
    /// One of two processes on one PostgreSQL.
    AReplica,
    /// PostgreSQL, under two processes.
    Postgres,
}

/// What was done, and what it cost.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) deaths: usize,
    pub(crate) sign_ins: usize,
    pub(crate) redemptions: usize,
    pub(crate) refreshes: usize,
    pub(crate) endings: usize,
    pub(crate) own_tokens: usize,
    /// Requests whose fate nobody was told: no answer, or 503.
    pub(crate) unanswered: usize,
    /// From the start of what had died to its being ready.
    pub(crate) slowest_start: Duration,
}

/// Kills so many times, and panics over the first line of a book that does not hold.
pub(crate) async fn hold(victim: Victim, deaths: usize, seed: u64) -> Report {
    let mut dice = Dice::new(seed);
    let mut scene = Scene::set(victim).await;
    let acknowledged = Arc::<AtomicUsize>::default();
    let mut workers = hire(&scene, &acknowledged, &mut dice).await;
    let mut slowest_start = Duration::ZERO;

    for _ in 0..deaths {
        let over = Arc::<AtomicBool>::default();
        let working = all(workers, |mut worker| {
            let over = over.clone();
            async move {
                worker.work_until(&over).await;
                worker
            }
        });
        more(&acknowledged, LEAST + dice.below(LEAST)).await;
        sleep(Duration::from_micros(dice.below(20_000) as u64)).await;
        scene.kill(&mut dice).await;
        // Sometimes whoever is left works alone for a while, sometimes not.
        sleep(Duration::from_millis(dice.below(200) as u64)).await;
        slowest_start = slowest_start.max(scene.revive().await);
        more(&acknowledged, LEAST).await;
        over.store(true, Ordering::Relaxed);

        let comparing = all(done(working).await, |mut worker| async move {
            worker.compare().await;
            worker
        });
        workers = done(comparing).await;
    }
    let auditing = all(workers, |mut worker| async move {
        worker.audit().await;
        worker
    });
    let workers = done(auditing).await;
    let total = |count: fn(&Book) -> usize| workers.iter().map(|worker| count(&worker.book)).sum();
    Report {
        deaths,
        sign_ins: total(|book| book.sign_ins),
        redemptions: total(|book| book.redemptions),
        refreshes: total(|book| book.refreshes),
        endings: total(|book| book.endings),
        own_tokens: total(|book| book.own_tokens),
        unanswered: workers.iter().map(Worker::unanswered).sum(),
        slowest_start,
    }
}

impl Report {
    /// A run in which something never happened has shown nothing about it.
    pub(crate) fn is_complete(&self) -> bool {
        let happened = [
            self.sign_ins,
            self.redemptions,
            self.refreshes,
            self.endings,
            self.own_tokens,
            self.unanswered,
        ];
        happened.iter().all(|times| *times > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>6} deaths, ready again after {:?} at most",
            self.deaths, self.slowest_start
        )?;
        writeln!(f, "{:>6} sign-ins", self.sign_ins)?;
        writeln!(f, "{:>6} codes redeemed", self.redemptions)?;
        writeln!(f, "{:>6} refreshes", self.refreshes)?;
        writeln!(f, "{:>6} tokens of machines", self.own_tokens)?;
        writeln!(f, "{:>6} endings acknowledged", self.endings)?;
        write!(f, "{:>6} requests whose fate nobody was told", self.unanswered)
    }
}

fn all<F>(workers: Vec<Worker>, work: impl Fn(Worker) -> F) -> Vec<JoinHandle<Worker>>
where
    F: Future<Output = Worker> + Send + 'static,
{
    workers
        .into_iter()
        .map(|worker| tokio::spawn(work(worker)))
        .collect()
}

async fn done(tasks: Vec<JoinHandle<Worker>>) -> Vec<Worker> {
    let mut workers = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(worker) => workers.push(worker),
            Err(panicked) => resume_unwind(panicked.into_panic()),
        }
    }
    workers
}

/// Until so many more answers have come.
async fn more(acknowledged: &AtomicUsize, count: usize) {
    let enough = acknowledged.load(Ordering::Relaxed) + count;
    let come = async {
        while acknowledged.load(Ordering::Relaxed) < enough {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, come).await.expect("answers go on");
}

/// What may die, and what stands around it.
struct Scene {
    installation: Installation,
    ports: Vec<u16>,
    /// None: dead.
    replicas: Vec<Option<Process>>,
    /// PostgreSQL of its own, where that is what dies.
    postgres: Option<Arc<Postgres>>,
}

impl Scene {
    async fn set(victim: Victim) -> Self {
        let postgres = match victim {
            Victim::Postgres => Some(Arc::new(
                spawn_blocking(Postgres::start).await.expect("PostgreSQL"),
            )),
            Victim::TheProcess | Victim::AReplica => None,
        };
        let installation = Installation::on(match (victim, &postgres) {
            (Victim::TheProcess, _) => db::testing::sqlite_url(),
            (_, Some(own)) => own.url(),
            (_, None) => db::testing::postgres_url().await,
        });
        let ports = match victim {
            Victim::TheProcess => vec![installation.port],
            Victim::AReplica | Victim::Postgres => vec![installation.port, free_port()],
        };
        let mut replicas = Vec::new();
        for port in &ports {
            replicas.push(Some(installation.start_at(*port).await));
        }
        Self {
            installation,
            ports,
            replicas,
            postgres,
        }
    }

    async fn kill(&mut self, dice: &mut Dice) {
        match &self.postgres {
            Some(postgres) => {
                let postgres = postgres.clone();
                spawn_blocking(move || postgres.stop()).await.expect("it stops");
            }
            None => {
                let which = dice.below(self.replicas.len());
                let mut process = self.replicas[which].take().expect("it lives");
                process.kill_dash_nine();
            }
        }
    }

    /// Says how long that took.
    async fn revive(&mut self) -> Duration {
        let began = Instant::now();
        if let Some(postgres) = self.postgres.clone() {
            spawn_blocking(move || postgres.resume())
                .await
                .expect("it starts");
        }
        for (port, replica) in self.ports.iter().zip(&mut self.replicas) {
            if replica.is_none() {
                *replica = Some(self.installation.start_at(*port).await);
            }
        }
        began.elapsed()
    }

    fn origins(&self) -> Vec<String> {
        self.ports
            .iter()
            .map(|port| format!("http://127.0.0.1:{port}"))
            .collect()
    }
}

/// Apps of both kinds, a machine, and for each worker a user who has signed in and allowed.
async fn hire(scene: &Scene, acknowledged: &Arc<AtomicUsize>, dice: &mut Dice) -> Vec<Worker> {
    let world = scene.installation.world().await;
    let apps = [world.app().await, world.public_app().await];
    let api = world.resource(protocol::SigningAlg::Es256).await;
    let machine = world.machine(api.scopes.keys().next().expect("a scope")).await;
    let mut workers = Vec::new();
    for app in apps.iter().cycle().take(WORKERS) {
        let (user, mut visitor) = (world.user().await, world.visitor());
        visitor.authorize(&offline(app, &[]), user.email.shown()).await;
        let person = worker::Person {
            email: user.email.shown().to_owned(),
            cookies: visitor.cookies,
        };
        let lines = lines::Lines::new(&scene.origins(), dice.split(), acknowledged.clone());
        let apps = worker::Apps {
            issuer: scene.installation.issuer.clone(),
            app: app.clone(),
            machine: machine.clone(),
            api: api.identifier.clone(),
        };
        workers.push(Worker::new(apps, person, lines, dice.split()));
    }
    // Whoever holds the file open would spare the next server the recovery of the log.
    world.db.close().await;
    workers
}

fn offline(app: &App, changes: &[(&'static str, &str)]) -> String {
    app.url(&[&[("scope", "openid offline_access")], changes].concat())
}
