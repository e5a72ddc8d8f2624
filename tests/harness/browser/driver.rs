//! The chromedriver process behind a browser, and what it is told to start.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use fantoccini::wd::Capabilities;
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{Look, STEP};

/// How long a page or a script may take, in milliseconds: less than a step, so that it is said which.
const PATIENCE: u32 = 100_000;

/// A chromedriver of our own, on a port that the kernel chose.
#[derive(Debug)]
pub(super) struct Driver {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Driver {
    pub(super) async fn start(profile: &Path) -> Self {
        let program =
            std::env::var_os("COUNTERSIGN_TEST_CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let mut child = Command::new(&program)
            .arg("--port=0")
            .env("XDG_CONFIG_HOME", profile)
            .env("XDG_CACHE_HOME", profile)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));

        let output = child.stdout.take().expect("stdout is piped");
        let (tell, told) = oneshot::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            if let Some(port) = lines.find_map(|line| port_in(&line)) {
                let _ = tell.send(port);
            }
            // A pipe that nobody reads fills up and stops the driver.
            lines.for_each(drop);
        });

        let mut driver = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        match timeout(STEP, told).await {
            Ok(Ok(port)) => driver.address.set_port(port),
            _ => panic!("{} does not say its port", program.display()),
        }
        driver
    }

    /// Without fantoccini, whose connection dies with the runtime of the test.
    pub(super) fn quit(&self, session: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let host = self.address;
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        stream.read_exact(&mut [0])
    }
}

impl Drop for Driver {
    /// Chromium listens to the driver through a pipe and ends when that closes.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port_in(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?
        .1
        .trim_end_matches('.')
        .parse()
        .ok()
}

pub(super) fn capabilities(profile: &Path, look: Look) -> Capabilities {
    let arguments = [
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-breakpad".to_owned(),
        "--remote-debugging-pipe".to_owned(),
        format!("--window-size={},{}", look.width, look.height),
        format!("--user-data-dir={}", profile.display()),
    ];
    let mut options = json!({
        "args": arguments,
        // A bubble that offers to keep or to change a password covers the page.
        "prefs": { "credentials_enable_service": false, "profile.password_manager_leak_detection": false },
    });
    if let Ok(binary) = std::env::var("COUNTERSIGN_TEST_CHROMIUM") {
        options["binary"] = json!(binary);
    }

    let capabilities = json!({
        "browserName": "chrome",
        "timeouts": { "implicit": 0, "pageLoad": PATIENCE, "script": PATIENCE },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "goog:chromeOptions": options,
    });
    match capabilities {
        Value::Object(members) => members,
        _ => Capabilities::new(),
    }
}
