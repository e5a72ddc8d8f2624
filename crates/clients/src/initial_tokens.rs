//! Initial access tokens: RFC 7591 §1.2 and §3. Whoever holds one may register a number of clients until it
//! expires.

use std::time::Duration;

use db::{Conn, execute, run};
use events::{Context, Event, audit};
use protocol::opaque::{self, Kind};
use protocol::{Secret, Timestamp};

/// What can be told about a token after it was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub token_id: String,
    /// Its last four characters.
    pub hint: String,
    pub uses_left: u32,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A new token, in the only moment in which it can be shown.
#[derive(Clone, Debug)]
pub struct Added {
    pub stored: Stored,
    pub token: Secret,
}

const INSERT: &str = "INSERT INTO initial_tokens (token_id, digest, hint, uses_left, created_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";

/// A new token for so many registrations within so long. Expects a connection inside a transaction.
///
/// # Errors
/// When the database fails.
pub async fn add(
    uses: u32,
    life: Duration,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Added> {
    let token = opaque::random(Kind::InitialAccess);
    let text = token.expose();
    let hint = text.get(text.len().saturating_sub(4)..).unwrap_or_default();
    let stored = Stored {
        token_id: protocol::random::id(),
        hint: hint.to_owned(),
        uses_left: uses,
        created_at: now,
        expires_at: now + life,
    };
    execute!(
        conn,
        sqlx::query(INSERT)
            .bind(stored.token_id.as_str())
            .bind(seal::digest(text))
            .bind(stored.hint.as_str())
            .bind(i64::from(uses))
            .bind(now.as_secs())
            .bind(stored.expires_at.as_secs())
    )?;
    let made = Event::InitialTokenMade {
        token_id: &stored.token_id,
        uses,
        expires_at: stored.expires_at,
    };
    audit::record(&made, by, conn, now).await?;
    Ok(Added { stored, token })
}

const CLAIM: &str = "UPDATE initial_tokens SET uses_left = uses_left - 1 \
    WHERE digest = $1 AND uses_left > 0 AND expires_at > $2 RETURNING token_id";

/// Takes one use of a token, in the transaction of the registration: one that fails takes none. `None` when it is
/// unknown, used up or expired.
///
/// # Errors
/// When the database fails.
pub async fn claim(presented: &Secret, conn: &mut Conn, now: Timestamp) -> db::Result<Option<String>> {
    if opaque::decode(Kind::InitialAccess, presented.expose()).is_none() {
        return Ok(None);
    }
    let claimed: Option<(String,)> = run!(conn, |c| sqlx::query_as(CLAIM)
        .bind(seal::digest(presented.expose()))
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(claimed.map(|(id,)| id))
}

const USABLE: &str =
    "SELECT token_id FROM initial_tokens WHERE digest = $1 AND uses_left > 0 AND expires_at > $2";

/// The token, if it could be claimed at this moment. Takes no use.
///
/// # Errors
/// When the database fails.
pub async fn usable(presented: &Secret, conn: &mut Conn, now: Timestamp) -> db::Result<Option<String>> {
    if opaque::decode(Kind::InitialAccess, presented.expose()).is_none() {
        return Ok(None);
    }
    let found: Option<(String,)> = run!(conn, |c| sqlx::query_as(USABLE)
        .bind(seal::digest(presented.expose()))
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(found.map(|(id,)| id))
}

#[derive(sqlx::FromRow)]
struct Row {
    token_id: String,
    hint: String,
    uses_left: i64,
    created_at: i64,
    expires_at: i64,
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self {
            uses_left: u32::try_from(row.uses_left).unwrap_or(0),
            created_at: Timestamp::from_secs(row.created_at),
            expires_at: Timestamp::from_secs(row.expires_at),
            token_id: row.token_id,
            hint: row.hint,
        }
    }
}

const LIST: &str = "SELECT token_id, hint, uses_left, created_at, expires_at FROM initial_tokens \
    WHERE uses_left > 0 AND expires_at > $1 ORDER BY created_at, token_id";

/// The tokens that can still be used, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, now: Timestamp) -> db::Result<Vec<Stored>> {
    let rows = run!(conn, |c| sqlx::query_as::<_, Row>(LIST)
        .bind(now.as_secs())
        .fetch_all(c))?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

const DELETE: &str = "DELETE FROM initial_tokens WHERE token_id = $1";

/// Ends a token; clients that it registered stay. Whether there was one. Expects a connection inside a
/// transaction.
///
/// # Errors
/// When the database fails.
pub async fn delete(token_id: &str, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    if execute!(conn, sqlx::query(DELETE).bind(token_id))? == 0 {
        return Ok(false);
    }
    audit::record(&Event::InitialTokenDeleted { token_id }, by, conn, now).await?;
    Ok(true)
}

const SWEEP: &str = "DELETE FROM initial_tokens WHERE token_id IN (SELECT token_id FROM initial_tokens \
    WHERE expires_at <= $1 OR uses_left = 0 ORDER BY token_id LIMIT $2)";

/// Forgets tokens that cannot be used any more, at most `limit`; says how many those were.
///
/// # Errors
/// When the database fails.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP).bind(now.as_secs()).bind(i64::from(limit))
    )?)
}

#[cfg(test)]
mod tests {
    use db::Database;
    use db::testing::both;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const LIFE: Duration = Duration::from_secs(60);

    async fn claimed(token: &Secret, db: &Database, now: Timestamp) -> bool {
        let token = token.clone();
        db.transact(move |conn| Box::pin(async move { claim(&token, conn, now).await }))
            .await
            .unwrap()
            .is_some()
    }

    async fn made(uses: u32, db: &Database) -> Added {
        db.transact(move |conn| {
            Box::pin(async move { add(uses, LIFE, &Context::command_line(), conn, NOW).await })
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_token_is_worth_its_uses_until_it_expires_or_is_deleted() {
        both(|db| async move {
            let (two, late, gone) = (made(2, &db).await, made(1, &db).await, made(1, &db).await);
            let one_less = Timestamp::from_secs(1_059);
            assert!(claimed(&two.token, &db, NOW).await && claimed(&two.token, &db, one_less).await);
            assert!(!claimed(&two.token, &db, NOW).await);
            assert!(!claimed(&late.token, &db, NOW + LIFE).await);
            let id = gone.stored.token_id.clone();
            let deleted = db.transact(move |conn| {
                Box::pin(async move {
                    let first = delete(&id, &Context::command_line(), conn, NOW).await?;
                    Ok::<_, db::Error>((first, delete(&id, &Context::command_line(), conn, NOW).await?))
                })
            });
            assert_eq!(deleted.await.unwrap(), (true, false));
            assert!(!claimed(&gone.token, &db, NOW).await);
            for other in ["", "x", opaque::random(Kind::RegistrationAccess).expose()] {
                assert!(!claimed(&Secret::from(other), &db, NOW).await);
            }

            let mut conn = db.reader().await.unwrap();
            assert_eq!(list(&mut conn, NOW).await.unwrap(), [late.stored]);
            assert_eq!(list(&mut conn, NOW + LIFE).await.unwrap(), []);
            drop(conn);
            let swept = db.transact(|conn| Box::pin(async move { sweep(9, conn, NOW + LIFE).await }));
            assert_eq!(swept.await.unwrap(), 2);
        })
        .await;
    }
}
