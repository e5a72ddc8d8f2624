//! The real binary as an operator runs it: in a folder, with an environment, and with an end.
//!
//! For what only a process shows: exit codes, standard streams, signals, and several servers on one database.
//! Nothing of the tests' own environment reaches it but the way to programs and temporary files.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// Far above what it takes on a loaded machine: whoever reaches it hangs.
const LIMIT: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// A command that ran to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end: `arguments` without the name of the binary, `stdin` whole.
pub(crate) async fn run(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    stdin: &str,
) -> Ended {
    let mut process = Process::spawn(folder, arguments, environment, stdin);
    let status = process.wait().await;
    Ended {
        code: status.code(),
        stdout: process.stdout.text(),
        stderr: process.stderr.text(),
    }
}

/// A port that no other test of this run is given. Below the kernel's own range, so that no outgoing
/// connection takes it before the server does; the process id keeps two runs apart.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();

    let next = NEXT.get_or_init(|| AtomicU16::new((std::process::id() % 600) as u16 * 20));
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        // A name like localhost is tried on both.
        let taken = |host: &str| {
            TcpListener::bind((host, port)).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
        };
        if !taken("127.0.0.1") && !taken("::1") {
            return port;
        }
    }
    panic!("every port is taken")
}

impl Process {
    /// `countersign serve` on this port of 127.0.0.1, returned once it says that it is ready.
    pub(crate) async fn serve(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        port: u16,
    ) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let arguments = [&["serve"], arguments].concat();
        let environment = [environment, &[("COUNTERSIGN_LISTEN", listen.as_str())]].concat();
        let process = Self::spawn(folder, &arguments, &environment, "");
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .expect("a plain client");
        process.ready(&client, &format!("http://{listen}/readyz")).await
    }

    /// `countersign serve` with a certificate for localhost, asked by somebody who trusts that.
    pub(crate) async fn serve_https(
        folder: &Path,
        environment: &[(&str, &str)],
        port: u16,
        client: &reqwest::Client,
    ) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let environment = [environment, &[("COUNTERSIGN_LISTEN", listen.as_str())]].concat();
        let process = Self::spawn(folder, &["serve"], &environment, "");
        process
            .ready(client, &format!("https://localhost:{port}/readyz"))
            .await
    }

    async fn ready(mut self, client: &reqwest::Client, url: &str) -> Self {
        let process = &mut self;
        let deadline = Instant::now() + LIMIT;
        while !client
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            if let Some(status) = process.child.try_wait().expect("its status can be asked") {
                panic!(
                    "the server ended before it was ready, {status}:\n{}",
                    process.stderr.rest()
                );
            }
            if Instant::now() > deadline {
                panic!(
                    "the server is not ready after {} s:\n{}",
                    LIMIT.as_secs(),
                    process.stderr.text()
                );
            }
            sleep(GLANCE).await;
        }
        self
    }

    /// What it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Its log so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The most memory that it ever held, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a Linux system");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = peak.and_then(|text| text.split_whitespace().next()?.parse().ok());
        number.expect("a number of KiB")
    }

    /// As when the power fails: it is given no time for anything.
    pub(crate) fn kill_dash_nine(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        self.stdout.rest();
        self.stderr.rest();
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &id])
            .status()
            .expect("a shell");
        assert!(sent.success(), "SIGTERM reached nobody");
        self.wait().await
    }

    /// A command that has begun: `arguments` without the name of the binary, `stdin` whole.
    pub(crate) fn spawn(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        stdin: &str,
    ) -> Self {
        fs::create_dir_all(folder).expect("its folder");
        let inherited = ["PATH", "TMPDIR"]
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .env_clear()
            .envs(inherited)
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");

        let mut input = child.stdin.take().expect("stdin is piped");
        let stdin = stdin.to_owned();
        // Whoever does not read its input may leave it: a broken pipe is no failure.
        thread::spawn(move || input.write_all(stdin.as_bytes()));
        let stdout = Captured::from(child.stdout.take().expect("stdout is piped"));
        let stderr = Captured::from(child.stderr.take().expect("stderr is piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    async fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("its status can be asked") {
                self.stdout.rest();
                self.stderr.rest();
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "no end after {} s:\n{}",
                LIMIT.as_secs(),
                self.stderr.text()
            );
            sleep(GLANCE).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One stream, read by a thread as it comes: a pipe that nobody reads would stop the process.
#[derive(Debug)]
struct Captured {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn from(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let mut text = shared.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end of the stream, which comes with the end of the process.
    fn rest(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not fail");
        }
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_asked_to_stop_leaves_in_good_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = serve(folder.path()).await;

        assert_eq!(server.terminate().await.code(), Some(0), "{}", server.stderr());
        assert_ne!(server.stderr(), "", "it logs");
        assert_eq!(server.stdout(), "", "logs go to standard error");
        let left = fs::read_dir(folder.path().join("data")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(
            left,
            ["countersign.db"],
            "a log that stays would be played on top of a backup"
        );
    }

    #[tokio::test]
    async fn a_server_that_was_killed_starts_again_on_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = serve(folder.path()).await;

        server.kill_dash_nine();
        serve(folder.path()).await;
    }

    #[tokio::test]
    async fn a_server_without_an_issuer_refuses_to_start_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let ended = run(folder.path(), &["serve"], &[], "").await;

        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("COUNTERSIGN_ISSUER"), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }

    async fn serve(folder: &Path) -> Process {
        let port = free_port();
        let issuer = format!("http://127.0.0.1:{port}");
        Process::serve(folder, &[], &[("COUNTERSIGN_ISSUER", &issuer)], port).await
    }
}
