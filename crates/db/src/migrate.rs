//! The schema: one set of migrations that runs verbatim on both databases.
//!
//! All missing migrations are applied in one transaction, under a lock, so that two processes that start on
//! an empty database make one schema, and a process killed half-way leaves none. They take the time that they need: the
//! bounds on a statement are for requests, and a table may be large. Another version may be serving meanwhile; whoever of
//! the two waits for the other's locks gives up first here, and tries again.

use std::time::Duration;

use tokio::time::sleep;

use crate::{Conn, Database, Error, Result, execute, run};

/// One file of `migrations/`.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

const RECORD: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
    (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sql_digest BIGINT NOT NULL)";
/// Changes nothing. On a SQLite file that cannot be written, reading would go well, and the first change fail.
const TRY: &str = "UPDATE schema_migrations SET name = name WHERE version = 0";
const APPLIED: &str = "SELECT version, sql_digest FROM schema_migrations ORDER BY version";
const APPLY: &str = "INSERT INTO schema_migrations (version, name, sql_digest) VALUES ($1, $2, $3)";
/// Any constant will do; this one spells "csmg". Whoever comes second waits for as long as the first takes.
const LOCK: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SELECT pg_advisory_xact_lock(1668508007); SET LOCAL lock_timeout = '3s'";
/// Requests that hold a table are answered within seconds; what holds it for longer has to be ended by an operator.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

impl Database {
    /// Applies what is missing and returns how many that were.
    ///
    /// # Errors
    /// When the schema is newer than this program or differs from what it applied, and when the database fails.
    pub async fn migrate(&self) -> Result<usize> {
        let mut tries = 1;
        loop {
            match self.transact(|conn| Box::pin(apply_missing(conn))).await {
                Err(error) if error.is_contention() && tries < TRIES => {
                    tracing::info!(tries, %error, "the schema is in use, and is brought up to date a little later");
                    tries += 1;
                    sleep(PAUSE).await;
                }
                Err(error) if error.is_read_only() => return Err(self.unwritable(error)),
                outcome => return outcome,
            }
        }
    }
}

impl Database {
    /// Whose file it is, is what an operator has to know.
    fn unwritable(&self, error: Error) -> Error {
        match self.file() {
            Some(path) => Error::Setup(format!(
                "{} cannot be written by this user; run this as the user of the server",
                path.display()
            )),
            None => error,
        }
    }
}

/// Statements without our own bound on how long one takes.
async fn at_leisure(sql: &'static str, conn: &mut Conn) -> Result<()> {
    match conn {
        Conn::Sqlite(inner) => {
            inner.count();
            sqlx::raw_sql(sql).execute(&mut **inner).await?;
        }
        Conn::Postgres(inner) => {
            inner.count();
            let outcome = sqlx::raw_sql(sql).execute(&mut **inner).await;
            inner.judged(outcome)?;
        }
    }
    Ok(())
}

async fn apply_missing(conn: &mut Conn) -> Result<usize> {
    if conn.is_postgres() {
        at_leisure(LOCK, conn).await?;
    }
    execute!(conn, sqlx::raw_sql(RECORD))?;
    execute!(conn, sqlx::query(TRY))?;
    let applied: Vec<(i64, i64)> = run!(conn, |c| sqlx::query_as(APPLIED).fetch_all(c))?;
    for (version, digest) in &applied {
        match MIGRATIONS.iter().find(|known| known.version == *version) {
            Some(known) if known.digest() == *digest => {}
            Some(known) => {
                return Err(Error::Setup(format!(
                    "migration {} was changed after it ran",
                    known.name
                )));
            }
            None => {
                return Err(Error::Setup(format!(
                    "the database has migration {version}, which this version of countersign does not know: \
                     it was made by a newer one"
                )));
            }
        }
    }
    let missing = MIGRATIONS
        .iter()
        .filter(|known| applied.iter().all(|(version, _)| *version != known.version));
    let mut count = 0;
    for migration in missing {
        at_leisure(migration.sql, conn).await?;
        execute!(
            conn,
            sqlx::query(APPLY)
                .bind(migration.version)
                .bind(migration.name)
                .bind(migration.digest())
        )?;
        count += 1;
    }
    Ok(count)
}

impl Migration {
    /// FNV-1a: tells an edited file from the one that ran. It guards against mistakes, not against attackers.
    fn digest(&self) -> i64 {
        let hash = self.sql.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        i64::from_ne_bytes(hash.to_ne_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::both;

    #[tokio::test]
    async fn migrating_twice_changes_nothing() {
        both(|db| async move { assert_eq!(db.migrate().await.unwrap(), 0) }).await;
    }

    #[tokio::test]
    async fn c111_a_schema_from_the_future_is_refused() {
        both(|db| async move {
            db.transact(|conn| {
                Box::pin(async move {
                    execute!(conn, sqlx::query(APPLY).bind(9999_i64).bind("x").bind(0_i64))?;
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
            assert!(db.migrate().await.unwrap_err().to_string().contains("newer"));
        })
        .await;
    }

    /// Holds what this statement locks for some time, on a connection of its own.
    fn hold(statement: &'static str, millis: u64, db: &Database) -> tokio::task::JoinHandle<Result<()>> {
        let db = db.clone();
        tokio::spawn(async move {
            let work = db.transact(move |conn| {
                Box::pin(async move {
                    execute!(conn, sqlx::query(statement))?;
                    sleep(Duration::from_millis(millis)).await;
                    Ok(())
                })
            });
            work.await
        })
    }

    #[tokio::test]
    async fn the_schema_waits_for_whoever_brings_it_up_to_date_and_for_whoever_uses_a_table() {
        const VERSION: i64 = 25;
        let url = crate::testing::postgres_url().await;
        let db = Database::connect(&url).await.unwrap();
        db.migrate().await.unwrap();
        db.transact(|conn| {
            Box::pin(async move {
                for undo in [
                    "ALTER TABLE sessions DROP COLUMN device_id",
                    "DROP TABLE devices",
                    "ALTER TABLE sign_ups DROP COLUMN invitation_id",
                    "DROP TABLE invitations",
                    "ALTER TABLE users DROP COLUMN imported_digest",
                ] {
                    execute!(conn, sqlx::query(undo))?;
                }
                let forget = "DELETE FROM schema_migrations WHERE version = $1";
                execute!(conn, sqlx::query(forget).bind(VERSION))?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        // The first for longer than a statement may take elsewhere, the other for longer than one try waits after that.
        let first = hold("SELECT pg_advisory_xact_lock(1668508007)", 5500, &db);
        let other = hold("LOCK TABLE users IN ROW SHARE MODE", 9500, &db);
        sleep(Duration::from_millis(300)).await;
        let (one, two) = tokio::join!(db.migrate(), db.migrate());
        assert!(first.is_finished() && other.is_finished(), "it did not wait");
        let mut applied = [one.unwrap(), two.unwrap()];
        applied.sort_unstable();
        assert_eq!(applied, [0, 1]);
        first.await.unwrap().unwrap();
        other.await.unwrap().unwrap();
    }

    #[test]
    fn versions_rise_one_by_one() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>());
    }
}
