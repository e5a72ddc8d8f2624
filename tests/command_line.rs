//! The command line as operators and their scripts meet it: the real binary, on both databases.

mod clients;
mod dev;
mod imports;
mod keys;
mod passwords;
mod response_types;
mod settings;
mod users;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::process::{Ended, run};

/// A place where commands run: a folder and a database, both empty at first.
struct Desk {
    folder: TempDir,
    database: String,
    _temporary: Option<db::testing::Temporary>,
}

/// One desk for each kind of database.
async fn desks() -> [Desk; 2] {
    let database = db::testing::postgres_url().await;
    let temporary = db::testing::temporary(&database);
    let db::Url::Postgres(postgres) = database else {
        panic!("a postgres:// URL");
    };
    let [here, mut there] = ["sqlite://here.db".to_owned(), postgres].map(Desk::at);
    there._temporary = Some(temporary);
    [here, there]
}

impl Desk {
    fn at(database: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            database,
            _temporary: None,
        }
    }

    async fn run(&self, arguments: &[&str], stdin: &str) -> Ended {
        self.run_with(arguments, &[], stdin).await
    }

    async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], stdin: &str) -> Ended {
        let own = [("COUNTERSIGN_DATABASE_URL", self.database.as_str())];
        run(
            self.folder.path(),
            arguments,
            &[&own, environment].concat(),
            stdin,
        )
        .await
    }

    /// A command that has to succeed, in its JSON form.
    async fn json(&self, command: &str) -> Value {
        self.json_of(&words(command), "").await
    }

    async fn json_of(&self, arguments: &[&str], stdin: &str) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat(), stdin).await;
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}: {ended:?}"
        );
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
    }

    /// A command that has to fail; the one line that it says.
    async fn failure(&self, command: &str) -> String {
        self.failure_of(&words(command), "").await
    }

    async fn failure_of(&self, arguments: &[&str], stdin: &str) -> String {
        let ended = self.run(arguments, stdin).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{arguments:?}: {ended:?}"
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {ended:?}");
        ended
            .stderr
            .trim_end()
            .strip_prefix("error: ")
            .expect("a line that says so")
            .to_owned()
    }

    /// Imports records from a file.
    async fn import(&self, what: &str, records: &Value) -> Value {
        self.write("records.json", &records.to_string());
        self.json(&format!("{what} import records.json")).await
    }

    async fn import_failure(&self, what: &str, records: &Value) -> String {
        self.write("records.json", &records.to_string());
        self.failure(&format!("{what} import records.json")).await
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn url(&self) -> db::Url {
        match self.database.strip_prefix("sqlite://") {
            Some(name) => db::Url::Sqlite(self.path().join(name)),
            None => self.database.parse().unwrap(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().collect()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} of {value}"))
}

/// The values of a member of every object in an array.
fn column<'v>(list: &'v Value, member: &str) -> Vec<&'v str> {
    let rows = list.as_array().unwrap_or_else(|| panic!("an array: {list}"));
    rows.iter().map(|row| text(row, member)).collect()
}

#[tokio::test]
async fn every_command_has_help_and_refuses_what_it_does_not_know() {
    let desk = Desk::at("sqlite://here.db".to_owned());
    for command in [
        "",
        "serve",
        "migrate",
        "config",
        "config check",
        "config show",
        "keys",
        "keys list",
        "keys rotate",
        "keys import",
        "keys reseal",
        "client",
        "client create",
        "client update",
        "client trust",
        "client secret",
        "client secret add",
        "client secret list",
        "client secret delete",
        "client list",
        "client show",
        "client delete",
        "client import",
        "resource",
        "resource create",
        "resource list",
        "resource show",
        "resource delete",
        "user",
        "user create",
        "user list",
        "user show",
        "user disable",
        "user enable",
        "user revoke",
        "user import",
        "user invite",
        "user invitation",
        "user invitation list",
        "user invitation withdraw",
        "user verify",
        "passwords",
        "passwords build-filter",
    ] {
        let help = desk.run(&[&words(command)[..], &["--help"]].concat(), "").await;
        assert_eq!(
            (help.code, help.stderr.as_str()),
            (Some(0), ""),
            "{command}: {help:?}"
        );
        assert!(help.stdout.contains("Usage: countersign"), "{command}: {help:?}");

        let wrong = desk
            .run(&[&words(command)[..], &["--frobnicate"]].concat(), "")
            .await;
        assert_eq!(
            (wrong.code, wrong.stdout.as_str()),
            (Some(2), ""),
            "{command}: {wrong:?}"
        );
        assert!(wrong.stderr.contains("--frobnicate"), "{command}: {wrong:?}");
    }
    let left = fs::read_dir(desk.path()).unwrap().count();
    assert_eq!(left, 0, "help makes no files");
}

#[tokio::test]
async fn two_commands_on_an_empty_database_make_one_schema_and_one_key_ring() {
    for _ in 0..3 {
        for desk in desks().await {
            let (first, second, ..) = tokio::join!(
                desk.json("keys list"),
                desk.json("keys list"),
                desk.json("migrate"),
                desk.json("user list"),
            );
            assert_eq!(column(&first, "kid"), column(&second, "kid"));
            assert_eq!(column(&first, "alg"), keys::RINGS);
            assert_eq!(
                column(&desk.json("keys list").await, "kid"),
                column(&first, "kid")
            );
            assert_eq!(desk.json("migrate").await["applied"], 0);
        }
    }
}
