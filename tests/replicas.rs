//! What one process changes, the others hear of.

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::harness::app::{answer, basic};
use crate::harness::process::{Process, free_port, run};
use crate::harness::visitor::client;

/// Far above what it takes on a loaded machine: whoever reaches it never hears.
const LIMIT: Duration = Duration::from_secs(30);

/// A process with its log of changes, on a database that it shares.
struct Replica {
    process: Process,
    origin: String,
}

impl Replica {
    async fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let own = [
            ("COUNTERSIGN_ISSUER", origin.as_str()),
            ("RUST_LOG", "info,countersign_events=debug"),
        ];
        let environment = [environment, &own].concat();
        Self {
            process: Process::serve(folder, &[], &environment, port).await,
            origin,
        }
    }

    async fn keys(&self) -> Vec<String> {
        let jwks = answer(client().get(format!("{}/jwks", self.origin))).await.json();
        let kid = |key: &Value| key["kid"].as_str().expect("a kid").to_owned();
        let mut kids: Vec<String> = jwks["keys"].as_array().expect("keys").iter().map(kid).collect();
        kids.sort();
        kids
    }

    async fn comes_to(&self, expected: &[String]) {
        let deadline = Instant::now() + LIMIT;
        while self.keys().await != expected {
            assert!(
                Instant::now() < deadline,
                "not heard of: {}",
                self.process.stderr()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Notices that came, and not changes that were found by looking.
    fn notices(&self) -> usize {
        let log = self.process.stderr();
        let told = |line: &&str| line.contains("something changed") && line.contains("\"heard\":\"Notice\"");
        log.lines().filter(told).count()
    }

    async fn token(&self, id: &str, secret: &str) -> (StatusCode, String) {
        let request = client()
            .post(format!("{}/token", self.origin))
            .header("authorization", basic(id, secret))
            .form(&[("grant_type", "refresh_token"), ("refresh_token", "x")]);
        let refused = answer(request).await;
        let error = refused.json()["error"].as_str().expect("an error").to_owned();
        (refused.status, error)
    }

    /// Until the client is refused as such.
    async fn forgets(&self, id: &str, secret: &str) {
        let deadline = Instant::now() + LIMIT;
        while self.token(id, secret).await.0 != StatusCode::UNAUTHORIZED {
            assert!(
                Instant::now() < deadline,
                "not heard of: {}",
                self.process.stderr()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn command(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let arguments = [&["--json"], arguments].concat();
    let ended = run(folder, &arguments, environment, "").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// Everything that reaches a server from the command line, beside it.
async fn everything_is_heard_of(replicas: &[Replica], folder: &Path, environment: &[(&str, &str)]) {
    let command = async |arguments: &[&str]| command(folder, arguments, environment).await;
    let rotated = command(&["keys", "rotate", "--alg", "ES256"]).await;
    let mut expected = replicas[0].keys().await;
    let new = rotated["keys"][0]["kid"].as_str().expect("a kid").to_owned();
    if !expected.contains(&new) {
        expected.push(new);
        expected.sort();
    }
    for replica in replicas {
        replica.comes_to(&expected).await;
    }

    let uri = "https://app.example.com/cb";
    let app = command(&["client", "create", "--name", "N", "--redirect-uri", uri]).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (id, first) = (text(&app["client_id"]), text(&app["client_secret"]));
    for replica in replicas {
        // At once: no is asked again.
        assert_eq!(replica.token(&id, &first).await.1, "invalid_grant");
    }
    let added = command(&["client", "secret", "add", &id]).await;
    let second = text(&added["client_secret"]);
    let listed = command(&["client", "secret", "list", &id]).await;
    let listed = listed.as_array().expect("a list");
    let old = listed
        .iter()
        .find(|own| own["secret_id"] != added["secret_id"])
        .expect("two secrets");
    for replica in replicas {
        assert_eq!(replica.token(&id, &second).await.1, "invalid_grant");
    }
    command(&["client", "secret", "delete", &id, &text(&old["secret_id"])]).await;
    for replica in replicas {
        replica.forgets(&id, &first).await;
        assert_eq!(replica.token(&id, &second).await.1, "invalid_grant");
    }
    command(&["client", "delete", &id]).await;
    for replica in replicas {
        replica.forgets(&id, &second).await;
        // A look may come between one change and its notice, but not each time.
        assert!(
            replica.notices() > 0,
            "found by looking: {}",
            replica.process.stderr()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_postgres_hear_what_a_third_changes() {
    let folder = tempfile::tempdir().unwrap();
    let database = db::testing::postgres_url().await;
    let _temporary = db::testing::temporary(&database);
    let db::Url::Postgres(url) = database else {
        panic!("no PostgreSQL")
    };
    let environment = [("COUNTERSIGN_DATABASE_URL", url.as_str())];
    // Both start on the empty database.
    let (first, second) = tokio::join!(
        Replica::start(folder.path(), &environment),
        Replica::start(folder.path(), &environment)
    );
    assert_eq!(first.keys().await, second.keys().await, "one key ring was made");
    everything_is_heard_of(&[first, second], folder.path(), &environment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_on_sqlite_hears_what_the_command_line_changes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Replica::start(folder.path(), &[]).await;
    everything_is_heard_of(&[server], folder.path(), &[]).await;
}
