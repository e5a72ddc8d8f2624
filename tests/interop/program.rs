//! An app in another language: a program that says where the browser has to go and hears where that ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::harness::rp;

/// Far above what a program takes to its next line on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    input: ChildStdin,
    lines: UnboundedReceiver<Value>,
    errors: NamedTempFile,
    _folder: TempDir,
}

impl Program {
    /// With openid-client.
    pub(super) fn openid_client(task: &Value) -> Self {
        // Node finds packages from the folder it is in, and the program is not among them.
        let mut command = Command::new("node");
        command
            .args([
                "--input-type=module",
                "--eval",
                include_str!("openid_client/app.mjs"),
            ])
            .current_dir(installed("COUNTERSIGN_TEST_OPENID_CLIENT"));
        Self::start(command, "NODE_EXTRA_CA_CERTS", task)
    }

    /// With Authlib.
    pub(super) fn authlib(task: &Value) -> Self {
        let mut command = Command::new(installed("COUNTERSIGN_TEST_AUTHLIB").join("bin/python"));
        command.args(["-I", "-c", include_str!("authlib/app.py")]);
        Self::start(command, "REQUESTS_CA_BUNDLE", task)
    }

    /// Nothing of the tests' own environment reaches it but the way to programs; whom it trusts, it reads from the
    /// file that `trust` names.
    fn start(mut command: Command, trust: &str, task: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let errors = NamedTempFile::new_in(folder.path()).expect("a file");
        let mut child = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env(trust, rp::root_file(folder.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.reopen().expect("a file"))
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", command.get_program().display()));

        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (tell, lines) = unbounded_channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        let mut program = Self {
            input: child.stdin.take().expect("stdin is piped"),
            child,
            lines,
            errors,
            _folder: folder,
        };
        program.tell(&task.to_string());
        program
    }

    /// Where it sends the browser.
    pub(super) async fn sends(&mut self) -> String {
        let message = self.next().await;
        match message["open"].as_str() {
            Some(url) => url.to_owned(),
            None => panic!("the app sends the browser nowhere: {message:#}"),
        }
    }

    pub(super) fn tell(&mut self, line: &str) {
        // Where nobody listens any more, the next answer tells why.
        let _ = writeln!(self.input, "{line}");
    }

    /// What it found, having come to the end.
    pub(super) async fn done(mut self) -> Value {
        let mut message = self.next().await;
        match message["done"].take() {
            Value::Null => panic!("the app did not come to the end: {message:#}"),
            found => found,
        }
    }

    /// What it would not accept.
    pub(super) async fn refused(mut self) -> Value {
        let mut message = self.next().await;
        match message["refused"].take() {
            Value::Null => panic!("the app accepts: {message:#}"),
            refused => refused,
        }
    }

    async fn next(&mut self) -> Value {
        match timeout(PATIENCE, self.lines.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => panic!("the app broke off:\n{}", self.said()),
            Err(_) => panic!(
                "the app says nothing for {} s:\n{}",
                PATIENCE.as_secs(),
                self.said()
            ),
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.errors.path()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that tests/setup.sh filled.
fn installed(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        panic!("{variable} names no folder with a library: start the tests with tests/run")
    });
    assert!(folder.is_dir(), "{variable}={}: no such folder", folder.display());
    folder
}
