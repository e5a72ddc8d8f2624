//! How soon the binary is ready and how much memory it holds when idle.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::client::{Connection, get};
use crate::throughput::On;

const READY_AIM: Duration = Duration::from_millis(150);
const IDLE_AIM_MIB: f64 = 30.0;
const PORT: u16 = 32_123;

/// Ends with its value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(on: &On) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let database = match runtime.block_on(on.url()) {
        db::Url::Sqlite(path) => format!("sqlite://{}", path.display()),
        db::Url::Postgres(url) => url,
    };
    println!("\n{}: start and idle memory of the binary", on.name);
    let start = || start(folder.path(), &database, &runtime);
    let first = start();
    drop(first.0);
    println!(
        "{:<28} {:>6.0} ms",
        "ready, first start",
        first.1.as_secs_f64() * 1e3
    );
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..5 {
        drop(last.take());
        let (server, time) = start();
        times.push(time);
        last = Some(server);
    }
    times.sort_unstable();
    let ready = times[times.len() / 2];
    std::thread::sleep(Duration::from_secs(3));
    let server = last.expect("a running server");
    let idle = resident_mib(server.0.id());
    println!(
        "{:<28} {:>6.0} ms (aim: under {})",
        "ready, later starts",
        ready.as_secs_f64() * 1e3,
        READY_AIM.as_millis()
    );
    println!(
        "{:<28} {idle:>6.1} MiB (aim: under {IDLE_AIM_MIB})",
        "resident when idle"
    );
    ready < READY_AIM * 2 && idle < IDLE_AIM_MIB * 2.0
}

fn start(folder: &Path, database: &str, runtime: &Runtime) -> (Server, Duration) {
    let listen = format!("127.0.0.1:{PORT}");
    let began = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("serve")
        .env_clear()
        .env("COUNTERSIGN_ISSUER", format!("http://localhost:{PORT}"))
        .env("COUNTERSIGN_LISTEN", &listen)
        .env("COUNTERSIGN_DATABASE_URL", database)
        .current_dir(folder)
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let server = Server(child);
    runtime.block_on(async {
        let address = listen.parse().expect("an address");
        loop {
            if let Ok(mut connection) = Connection::open(address).await
                && connection
                    .send(&get("/readyz"))
                    .await
                    .is_ok_and(|answer| answer.status == 200)
            {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the server does not become ready"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    (server, began.elapsed())
}

fn resident_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a Linux system");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("VmRSS");
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .expect("a number");
    kib / 1024.0
}
