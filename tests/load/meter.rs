//! Counts what a number of connections get answered. Each sends its next request when it has its answer; nothing
//! is pipelined.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::client::Connection;

/// What the first requests of a connection cost is not what is asked.
const WARM_UP: Duration = Duration::from_millis(200);
const ROUND: Duration = Duration::from_millis(800);

pub(crate) struct Meter {
    /// As the binary has it: a thread for each core.
    pub(crate) server: Runtime,
    load: Runtime,
    pub(crate) connections: usize,
}

/// One measurement under way.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<(AtomicBool, AtomicU64)>);

impl Running {
    pub(crate) fn goes_on(&self) -> bool {
        !self.0.0.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) {
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }

    fn counted(&self) -> u64 {
        self.0.1.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            server: runtime(None),
            load: runtime(Some(1)),
            connections: 128,
        }
    }

    /// Runs what is asked of the client's side.
    pub(crate) fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.load.block_on(work)
    }

    /// Requests per second when the connections send these again and again.
    pub(crate) fn rate(&self, address: SocketAddr, requests: Vec<Vec<u8>>) -> f64 {
        let (requests, next) = (Arc::new(requests), AtomicU64::new(0));
        self.rate_of(move |running| {
            let (requests, mine) = (requests.clone(), next.fetch_add(1, Ordering::Relaxed));
            async move {
                let request = &requests[mine as usize % requests.len()];
                let mut connection = Connection::open(address).await.expect("a connection");
                while running.goes_on() {
                    send(&mut connection, request).await;
                    running.count();
                }
            }
        })
    }

    /// Each of these requests once, as fast as they are answered.
    pub(crate) fn rate_until_used_up(&self, address: SocketAddr, requests: Vec<Vec<u8>>) -> f64 {
        let (total, requests) = (requests.len(), Arc::new(Mutex::new(requests)));
        let started = Instant::now();
        self.load.block_on(async {
            let tasks: Vec<_> = (0..self.connections)
                .map(|_| {
                    let requests = requests.clone();
                    tokio::spawn(async move {
                        let mut connection = Connection::open(address).await.expect("a connection");
                        loop {
                            let next = requests.lock().expect("not poisoned").pop();
                            let Some(request) = next else { return };
                            send(&mut connection, &request).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no request fails");
            }
        });
        total as f64 / started.elapsed().as_secs_f64()
    }

    /// What `work` counts per second, done by each connection.
    pub(crate) fn rate_of<F, W>(&self, work: F) -> f64
    where
        F: Fn(Running) -> W,
        W: Future<Output = ()> + Send + 'static,
    {
        let running = Running::default();
        self.load.block_on(async {
            let tasks: Vec<_> = (0..self.connections)
                .map(|_| tokio::spawn(work(running.clone())))
                .collect();
            tokio::time::sleep(WARM_UP).await;
            let (before, started) = (running.counted(), Instant::now());
            tokio::time::sleep(ROUND).await;
            let rate = (running.counted() - before) as f64 / started.elapsed().as_secs_f64();
            running.stop();
            for task in tasks {
                task.await.expect("no request fails");
            }
            rate
        })
    }
}

async fn send(connection: &mut Connection, request: &[u8]) {
    let answer = connection.send(request).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
}

fn runtime(threads: Option<usize>) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().expect("a runtime")
}

/// The middle one.
pub(crate) fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
