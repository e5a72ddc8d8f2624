//! Fresh databases for tests: every storage test runs on SQLite and on PostgreSQL.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Database, Url, execute};

/// A PostgreSQL server on which databases may be made: `postgres://…`. Set by `tests/run`.
pub const POSTGRES_VARIABLE: &str = "COUNTERSIGN_TEST_POSTGRES";

/// Runs the test on a fresh, migrated SQLite file, then on a fresh, migrated PostgreSQL database.
///
/// # Panics
/// When a database cannot be made: a storage test is never skipped.
pub async fn both<F: Future<Output = ()>>(test: impl Fn(Database) -> F) {
    for url in [sqlite_url(), postgres_url().await] {
        let _goes = temporary(&url);
        let db = open(&url).await;
        test(db.clone()).await;
        db.close().await;
    }
}

/// Deletes a test's database when it is dropped, whoever may still be connected.
#[derive(Debug)]
pub struct Temporary(Url);

/// For a database made by [`sqlite_url`] or [`postgres_url`].
pub fn temporary(url: &Url) -> Temporary {
    Temporary(url.clone())
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match &self.0 {
            Url::Sqlite(path) => {
                let made_here = |folder: &&Path| {
                    let name = folder.file_name().and_then(|name| name.to_str());
                    name.is_some_and(|name| name.starts_with(FOLDER))
                };
                // What remains is in the way of nobody.
                let _ = path.parent().filter(made_here).map(std::fs::remove_dir_all);
            }
            Url::Postgres(url) => {
                let name = url.rsplit('/').next().filter(|name| name.starts_with(PREFIX));
                if let (Some(name), Some(sweeper)) = (name, sweeper()) {
                    let _ = sweeper.send(name.to_owned());
                }
            }
        }
    }
}

/// A thread that drops databases, one after the other, while tests go on. It ends with the process.
fn sweeper() -> Option<&'static Sender<String>> {
    static SWEEPER: OnceLock<Option<Sender<String>>> = OnceLock::new();
    let start = || {
        let server: Url = std::env::var(POSTGRES_VARIABLE).ok()?.parse().ok()?;
        let (names, waiting) = mpsc::channel::<String>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        std::thread::spawn(move || {
            for name in waiting {
                let _ = runtime.block_on(drop_database(&server, &name));
            }
        });
        Some(names)
    };
    SWEEPER.get_or_init(start).as_ref()
}

async fn drop_database(server: &Url, name: &str) -> crate::Result<()> {
    let admin = Database::connect(server).await?;
    let mut conn = admin.reader().await?;
    let statement = sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    execute!(&mut conn, sqlx::query(statement))?;
    drop(conn);
    admin.close().await;
    Ok(())
}

const PREFIX: &str = "countersign_test_";
const FOLDER: &str = "countersign-test-";

#[expect(clippy::expect_used, reason = "a test without its database has to fail")]
async fn open(url: &Url) -> Database {
    let db = Database::connect(url).await.expect("the test database opens");
    db.migrate().await.expect("the migrations apply");
    db
}

/// A new SQLite file in a folder of its own.
///
/// # Panics
/// When the folder cannot be made.
#[expect(clippy::expect_used, reason = "a test without its database has to fail")]
pub fn sqlite_url() -> Url {
    let folder = std::env::temp_dir().join(format!("{FOLDER}{}", unique()));
    std::fs::create_dir_all(&folder).expect("a folder for the test database");
    Url::Sqlite(folder.join("test.db"))
}

/// A new, empty PostgreSQL database.
///
/// # Panics
/// When the server is not named or does not answer.
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test without its database has to fail"
)]
pub async fn postgres_url() -> Url {
    let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
        panic!("{POSTGRES_VARIABLE} names no PostgreSQL server; run the tests with tests/run");
    };
    let name = format!("{PREFIX}{}", unique());
    let server_url: Url = server.parse().expect("a valid postgres:// URL");
    let admin = Database::connect(&server_url)
        .await
        .expect("the PostgreSQL server answers");
    let mut conn = admin.reader().await.expect("a connection");
    let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    execute!(&mut conn, sqlx::query(statement)).expect("a new database");
    drop(conn);
    admin.close().await;
    let (base, _) = server.rsplit_once('/').expect("a URL with a database name");
    format!("{base}/{name}").parse().expect("a valid postgres:// URL")
}

/// Unlike any other in this process or another.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    format!(
        "{nanos}_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}
