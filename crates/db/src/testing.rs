//! Fresh databases for tests: every storage test runs on SQLite and on PostgreSQL.

use std::sync::atomic::{AtomicU64, Ordering};
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
        let db = open(&url).await;
        test(db.clone()).await;
        db.close().await;
        if let Url::Sqlite(path) = url {
            let _ = path.parent().map(std::fs::remove_dir_all);
        }
    }
}

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
    let folder = std::env::temp_dir().join(format!("countersign-test-{}", unique()));
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
    let name = format!("countersign_test_{}", unique());
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
