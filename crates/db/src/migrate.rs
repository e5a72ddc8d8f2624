//! The schema: one set of migrations that runs verbatim on both databases.
//!
//! All missing migrations are applied in one transaction, under a lock, so that two processes that start on
//! an empty database make one schema, and a process killed half-way leaves none.

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
const APPLIED: &str = "SELECT version, sql_digest FROM schema_migrations ORDER BY version";
const APPLY: &str = "INSERT INTO schema_migrations (version, name, sql_digest) VALUES ($1, $2, $3)";
/// Any constant will do; this one spells "csmg".
const LOCK: &str = "SELECT pg_advisory_xact_lock(1668508007)";

impl Database {
    /// Applies what is missing and returns how many that were.
    ///
    /// # Errors
    /// When the schema is newer than this program or differs from what it applied, and when the database fails.
    pub async fn migrate(&self) -> Result<usize> {
        self.transact(|conn| Box::pin(apply_missing(conn))).await
    }
}

async fn apply_missing(conn: &mut Conn) -> Result<usize> {
    if conn.is_postgres() {
        execute!(conn, sqlx::query(LOCK))?;
    }
    execute!(conn, sqlx::raw_sql(RECORD))?;
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
        execute!(conn, sqlx::raw_sql(migration.sql))?;
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

    #[test]
    fn versions_rise_one_by_one() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>());
    }
}
