//! A PostgreSQL server of a test's own, to be stopped under a running server and started again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::process::free_port;

#[derive(Debug)]
pub(crate) struct Postgres {
    port: u16,
    folder: TempDir,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database");
        // PostgreSQL refuses to run as root, and its own user has to reach its folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("our own folder");
        let home = folder.path().join("home");
        match is_root() {
            true => succeed(Command::new("install").args(["-d", "-o", "postgres"]).arg(&home)),
            false => fs::create_dir(&home).expect("our own folder"),
        }
        let own = Self {
            port: free_port(),
            folder,
        };
        let options = [
            "--username",
            "postgres",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--no-sync",
        ];
        succeed(own.command("initdb").args(options));
        own.resume();
        own
    }

    pub(crate) fn url(&self) -> db::Url {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        url.parse().expect("a URL")
    }

    /// As when it crashes: connections are cut, nothing is finished.
    pub(crate) fn stop(&self) {
        succeed(self.command("pg_ctl").args(["stop", "--mode", "immediate"]));
    }

    pub(crate) fn resume(&self) {
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=60",
            self.port
        );
        let log = self.folder.path().join("home/log");
        let mut start = self.command("pg_ctl");
        succeed(
            start
                .args(["start", "--wait", "--silent", "--options", &settings, "--log"])
                .arg(log),
        );
    }

    fn command(&self, program: &str) -> Command {
        let home = self.folder.path().join("home");
        let program = programs().join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args([
                    "--reuid",
                    "postgres",
                    "--regid",
                    "postgres",
                    "--clear-groups",
                    "--",
                ]);
                command.arg(program);
                command
            }
            false => Command::new(program),
        };
        command.current_dir(&home).arg("--pgdata").arg(home.join("data"));
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = quiet(self.command("pg_ctl").args(["stop", "--mode", "immediate"])).status();
    }
}

/// Of the newest version that Debian installed, else wherever the shell finds them.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions.max_by_key(|version| {
        let name = version.file_name();
        name.to_str()
            .and_then(|name| name.parse::<u32>().ok())
            .unwrap_or(0)
    });
    newest
        .map(|version| version.path().join("bin"))
        .unwrap_or_default()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn succeed(command: &mut Command) {
    let status = quiet(command).status().expect("PostgreSQL is installed");
    assert!(status.success(), "{command:?}: {status}");
}

/// What it starts must not hold our pipes.
fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}
