//! Which database this is: looked at to notice that another one, or an older state of it, has taken its place.
//!
//! PostgreSQL begins a new timeline when a standby is promoted or a backup is brought back to some point, and each
//! cluster and each database has a number of its own. SQLite tells nothing of the kind.

use sqlx::error::DatabaseError;

use crate::{Database, Error, Result, run};

/// The timeline as the log is being written, which the last checkpoint may not know yet.
const ORIGIN: &str = "SELECT s.system_identifier::text || '/' || d.oid::text || '/' || \
    substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) \
    FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()";

impl Database {
    /// What names the database server, the database and its timeline. `None` where nobody tells: on SQLite, on
    /// servers that only speak PostgreSQL's protocol, and where the role may not ask.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn origin(&self) -> Result<Option<String>> {
        let mut conn = self.reader().await?;
        if !conn.is_postgres() {
            return Ok(None);
        }
        let told: sqlx::Result<(String,)> = run!(&mut conn, |c| sqlx::query_as(ORIGIN).fetch_one(c));
        match told {
            Ok((origin,)) => Ok(Some(origin)),
            Err(sqlx::Error::Database(error)) if is_unknown(&*error) => Ok(None),
            Err(error) => Err(Error::from(error)),
        }
    }
}

/// No such function, table or column, or no right to ask; recovery, while a standby is being promoted.
fn is_unknown(error: &dyn DatabaseError) -> bool {
    let code = error.code();
    code.is_some_and(|code| ["42883", "42P01", "42703", "42501", "0A000", "55000"].contains(&&*code))
}

#[cfg(test)]
mod tests {
    use crate::testing::{both, postgres_url};
    use crate::{Conn, Database};

    #[tokio::test]
    async fn postgres_tells_which_database_this_is_and_always_the_same() {
        both(|db| async move {
            let is_postgres = matches!(db.reader().await.unwrap(), Conn::Postgres(_));
            let first = db.origin().await.unwrap();
            assert_eq!(first.is_some(), is_postgres);
            assert_eq!(db.origin().await.unwrap(), first);
        })
        .await;
        let (one, other) = (postgres_url().await, postgres_url().await);
        let one = Database::connect(&one).await.unwrap().origin().await.unwrap();
        let other = Database::connect(&other).await.unwrap().origin().await.unwrap();
        assert!(
            one.is_some() && one != other,
            "another database of the same server"
        );
    }
}
