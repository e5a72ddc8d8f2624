//! Secrets as they are kept: those of clients and those of resource servers, each in a table of its own, alike.

use db::{Conn, execute, run};
use protocol::{Error, Secret, Timestamp};

/// How many secrets of one owner are accepted at once.
pub const MAX_ACTIVE: usize = 2;

/// What can be told about a secret after it was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub secret_id: String,
    /// Its last four characters, so that a person can tell two apart.
    pub hint: String,
    pub created_at: Timestamp,
}

/// A new secret, in the only moment in which it can be shown.
#[derive(Clone, Debug)]
pub struct Added {
    pub stored: Stored,
    pub secret: Secret,
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) secret_id: String,
    pub(crate) digest: String,
    pub(crate) hint: String,
    pub(crate) created_at: i64,
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self {
            secret_id: row.secret_id,
            hint: row.hint,
            created_at: Timestamp::from_secs(row.created_at),
        }
    }
}

/// The statements on a table of secrets.
pub(crate) struct Table {
    insert: &'static str,
    delete: &'static str,
    list: &'static str,
}

/// The table of this name, whose owner stands in this column.
macro_rules! table {
    ($name:literal, $owner:literal) => {
        $crate::secrets::stored::Table::new(
            concat!(
                "INSERT INTO ",
                $name,
                " (secret_id, ",
                $owner,
                ", digest, hint, created_at) VALUES ($1, $2, $3, $4, $5)"
            ),
            concat!(
                "DELETE FROM ",
                $name,
                " WHERE ",
                $owner,
                " = $1 AND secret_id = $2"
            ),
            concat!(
                "SELECT secret_id, digest, hint, created_at FROM ",
                $name,
                " WHERE ",
                $owner,
                " = $1 ORDER BY created_at, secret_id"
            ),
        )
    };
}
pub(crate) use table;

impl Table {
    pub(crate) const fn new(insert: &'static str, delete: &'static str, list: &'static str) -> Self {
        Self { insert, delete, list }
    }

    /// Keeps the digest of a secret. Expects the owner, with these secrets, to be held until the transaction
    /// ends.
    ///
    /// # Errors
    /// `invalid_request` when two are active already.
    pub(crate) async fn store(
        &self,
        owner: &str,
        secret: &Secret,
        active: &[Row],
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<Stored, Error> {
        if active.len() >= MAX_ACTIVE {
            return Err(Error::invalid_request(
                "there are two active secrets already; delete one first",
            ));
        }
        let text = secret.expose();
        let stored = Stored {
            secret_id: protocol::random::id(),
            hint: text
                .get(text.len().saturating_sub(4)..)
                .unwrap_or_default()
                .to_owned(),
            created_at: now,
        };
        let insert = execute!(
            conn,
            sqlx::query(self.insert)
                .bind(stored.secret_id.as_str())
                .bind(owner)
                .bind(seal::digest(text))
                .bind(stored.hint.as_str())
                .bind(now.as_secs())
        );
        insert.map_err(db::Error::from)?;
        Ok(stored)
    }

    /// Whether there was one to delete.
    pub(crate) async fn delete(&self, owner: &str, secret_id: &str, conn: &mut Conn) -> db::Result<bool> {
        let ended = execute!(conn, sqlx::query(self.delete).bind(owner).bind(secret_id))?;
        Ok(ended == 1)
    }

    /// Oldest first.
    pub(crate) async fn rows(&self, owner: &str, conn: &mut Conn) -> db::Result<Vec<Row>> {
        Ok(run!(conn, |c| sqlx::query_as::<_, Row>(self.list)
            .bind(owner)
            .fetch_all(c))?)
    }

    pub(crate) async fn list(&self, owner: &str, conn: &mut Conn) -> db::Result<Vec<Stored>> {
        let rows = self.rows(owner, conn).await?;
        Ok(rows.into_iter().map(Stored::from).collect())
    }

    /// The digests to compare a presented secret with.
    pub(crate) async fn digests(&self, owner: &str, conn: &mut Conn) -> db::Result<Vec<String>> {
        let rows = self.rows(owner, conn).await?;
        Ok(rows.into_iter().map(|row| row.digest).collect())
    }
}
