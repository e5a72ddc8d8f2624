//! Revocation records: what resource servers and our own endpoints must stop accepting before it expires.
//!
//! Written in the transaction of the act that ends something. The sequence is one counter row, updated after
//! everything else in that transaction, so a reader who has seen a number has seen every smaller one; no two
//! clocks are compared.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::access_token::Claims;
use protocol::{ApprovalId, ClientId, Jti, Timestamp, wire_enum};

wire_enum! {
    /// What a record names.
    pub enum Kind {
        Approval => "approval",
        Client => "client",
        Token => "token",
        /// A signing key that was withdrawn before its time.
        Key => "key",
    }
}

/// How long after the last `exp` a record still matters: leeway and skew of those who verify.
const LEEWAY: Duration = Duration::from_secs(5 * 60);

const NEXT: &str = "UPDATE revocation_counter SET sequence = sequence + $1 WHERE one = 1 RETURNING sequence";
const NEXT_AND_NOTIFY: &str = "WITH next AS \
    (UPDATE revocation_counter SET sequence = sequence + $1 WHERE one = 1 RETURNING sequence) \
    SELECT sequence, pg_notify('countersign', 'revocations') FROM next";
const RECORD: &str = "INSERT INTO revocations (sequence, kind, subject, generation, until) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, subject) DO UPDATE SET \
    sequence = excluded.sequence, generation = excluded.generation, until = excluded.until";
const COVERS: &str = "SELECT 1 FROM revocations WHERE (kind = 'approval' AND subject = $1) \
    OR (kind = 'client' AND subject = $2 AND generation > $3) OR (kind = 'token' AND subject = $4) \
    OR (kind = 'key' AND subject = $5) LIMIT 1";
const GENERATION: &str = "SELECT generation FROM revocations WHERE kind = 'client' AND subject = $1";
const SINCE: &str = "SELECT kind, subject, generation FROM revocations \
    WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";
const FORGET: &str = "DELETE FROM revocations WHERE until < $1";

/// Records that these approvals have ended. Each comes with the latest `exp` of its access tokens; one whose
/// tokens have all expired needs no record.
///
/// # Errors
/// When the database fails.
pub async fn approvals_ended(
    ended: &[(ApprovalId, Timestamp)],
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let live: Vec<_> = ended
        .iter()
        .filter(|(_, access_until)| *access_until + LEEWAY > now)
        .collect();
    if live.is_empty() {
        return Ok(());
    }
    let last = next(live.len(), conn).await?;
    for (sequence, (id, access_until)) in (1..=last).rev().zip(live) {
        let until = *access_until + LEEWAY;
        record(sequence, Kind::Approval, id.as_str(), None, until, conn).await?;
    }
    Ok(())
}

/// Records that tokens of a client with a smaller generation are void.
///
/// # Errors
/// When the database fails.
pub async fn client_ended(
    id: &ClientId,
    generation: i64,
    until: Timestamp,
    conn: &mut Conn,
) -> db::Result<()> {
    let sequence = next(1, conn).await?;
    record(
        sequence,
        Kind::Client,
        id.as_str(),
        Some(generation),
        until + LEEWAY,
        conn,
    )
    .await
}

/// Records that one access token, which would live until `exp`, is void.
///
/// # Errors
/// When the database fails.
pub async fn token_ended(jti: &Jti, exp: Timestamp, conn: &mut Conn) -> db::Result<()> {
    let sequence = next(1, conn).await?;
    record(sequence, Kind::Token, jti.as_str(), None, exp + LEEWAY, conn).await
}

/// Records that what this key signed is void, whoever else believes it; no token by it lives beyond `until`.
///
/// # Errors
/// When the database fails.
pub async fn key_withdrawn(kid: &str, until: Timestamp, conn: &mut Conn) -> db::Result<()> {
    let until = until + LEEWAY;
    let sequence = next(1, conn).await?;
    record(sequence, Kind::Key, kid, None, until, conn).await
}

/// Something ended of which no record can tell: a number is left out, and whoever finds it missing forgets all
/// that it remembers.
///
/// # Errors
/// When the database fails.
pub async fn without_record(conn: &mut Conn) -> db::Result<()> {
    next(1, conn).await.map(drop)
}

/// The smallest generation of a client that no record covers: one whose id was used before begins there.
///
/// # Errors
/// When the database fails.
pub async fn first_generation(id: &ClientId, conn: &mut Conn) -> db::Result<i64> {
    let row: Option<(Option<i64>,)> = run!(conn, |c| sqlx::query_as(GENERATION)
        .bind(id.as_str())
        .fetch_optional(c))?;
    Ok(row.and_then(|(generation,)| generation).unwrap_or(1))
}

/// Whether a record covers this token, which names this key as its signer.
///
/// # Errors
/// When the database fails: then nobody may assume that none does.
pub async fn covers(token: &Claims, kid: Option<&str>, conn: &mut Conn) -> db::Result<bool> {
    let found: Option<(i32,)> = run!(conn, |c| sqlx::query_as(COVERS)
        .bind(token.approval.as_str())
        .bind(token.client_id.as_str())
        .bind(token.client_generation)
        .bind(token.jti.as_str())
        .bind(kid)
        .fetch_optional(c))?;
    Ok(found.is_some())
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: Kind,
    pub subject: String,
    /// Of a client: tokens of smaller generations are void.
    pub generation: Option<i64>,
}

/// Every record after `held` and up to `last`; `None` when numbers are missing, or there are more than `limit`:
/// then something has ended that nobody is told by name.
///
/// # Errors
/// When the database fails.
pub async fn since(held: i64, last: i64, limit: usize, conn: &mut Conn) -> db::Result<Option<Vec<Record>>> {
    let expected = usize::try_from(last.saturating_sub(held)).ok();
    let Some(expected) = expected.filter(|expected| *expected <= limit) else {
        return Ok(None);
    };
    let rows: Vec<(String, String, Option<i64>)> = run!(conn, |c| sqlx::query_as(SINCE)
        .bind(held)
        .bind(last)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(c))?;
    if rows.len() != expected {
        return Ok(None);
    }
    let record = |(kind, subject, generation): (String, String, Option<i64>)| {
        let kind = kind.parse().map_err(db::Error::corrupt)?;
        Ok(Record {
            kind,
            subject,
            generation,
        })
    };
    rows.into_iter().map(record).collect::<db::Result<_>>().map(Some)
}

/// Deletes records that concern no token any more.
///
/// # Errors
/// When the database fails.
pub async fn forget(conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(conn, sqlx::query(FORGET).bind(now.as_secs()))?)
}

/// Takes `count` numbers and returns the last of them.
async fn next(count: usize, conn: &mut Conn) -> db::Result<i64> {
    let count = i64::try_from(count).map_err(db::Error::corrupt)?;
    let statement = conn.either(NEXT, NEXT_AND_NOTIFY);
    let (last,): (i64,) = run!(conn, |c| sqlx::query_as(statement).bind(count).fetch_one(c))?;
    // What this process answers from now on contradicts nothing of what it answers to this transaction.
    conn.leave_mark(last);
    Ok(last)
}

async fn record(
    sequence: i64,
    kind: Kind,
    subject: &str,
    generation: Option<i64>,
    until: Timestamp,
    conn: &mut Conn,
) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(RECORD)
            .bind(sequence)
            .bind(kind.as_str())
            .bind(subject)
            .bind(generation)
            .bind(until.as_secs())
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::access_token::Audience;
    use protocol::{Jti, Scope, Subject};

    use super::*;

    fn token(approval: &str, generation: i64) -> Claims {
        Claims {
            iss: "https://id.example.com".into(),
            sub: Subject::from("sub"),
            aud: Audience::One("aud".into()),
            exp: Timestamp::from_secs(2000),
            iat: Timestamp::from_secs(1000),
            jti: Jti::from("jti"),
            client_id: ClientId::from("client"),
            scope: Scope::default(),
            approval: ApprovalId::from(approval),
            client_generation: generation,
            auth_time: None,
            acr: None,
            roles: Vec::new(),
            cnf: None,
        }
    }

    async fn in_transaction(db: &db::Database, ended: Vec<(ApprovalId, Timestamp)>, now: Timestamp) {
        db.transact(move |conn| Box::pin(async move { approvals_ended(&ended, conn, now).await }))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_record_covers_its_own_approval_until_it_is_forgotten() {
        db::testing::both(|db| async move {
            let now = Timestamp::from_secs(1500);
            let ended = ["a", "b"].map(|id| (ApprovalId::from(id), Timestamp::from_secs(2000)));
            in_transaction(&db, ended.to_vec(), now).await;
            in_transaction(
                &db,
                vec![(ApprovalId::from("past"), Timestamp::from_secs(10))],
                now,
            )
            .await;

            let mut conn = db.reader().await.unwrap();
            for (approval, expected) in [("a", true), ("b", true), ("c", false), ("past", false)] {
                assert_eq!(
                    covers(&token(approval, 0), None, &mut conn).await.unwrap(),
                    expected,
                    "{approval}"
                );
            }
            let sequences: Vec<(i64,)> = run!(&mut conn, |c| sqlx::query_as(
                "SELECT sequence FROM revocations ORDER BY sequence"
            )
            .fetch_all(c))
            .unwrap();
            assert_eq!(sequences, [(1,), (2,)]);
            drop(conn);

            let forgotten =
                db.transact(|conn| Box::pin(async move { forget(conn, Timestamp::from_secs(2301)).await }));
            assert_eq!(forgotten.await.unwrap(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn a_client_record_covers_smaller_generations_only() {
        db::testing::both(|db| async move {
            db.transact(|conn| {
                Box::pin(async move {
                    client_ended(&ClientId::from("client"), 3, Timestamp::from_secs(2000), conn).await
                })
            })
            .await
            .unwrap();
            let mut conn = db.reader().await.unwrap();
            assert!(covers(&token("x", 2), None, &mut conn).await.unwrap());
            assert!(!covers(&token("x", 3), None, &mut conn).await.unwrap());
            for (id, first) in [("client", 3), ("other", 1)] {
                assert_eq!(first_generation(&id.into(), &mut conn).await.unwrap(), first);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_token_record_covers_that_token_alone() {
        db::testing::both(|db| async move {
            let exp = Timestamp::from_secs(2000);
            for _ in 0..2 {
                let ended = db.transact(move |conn| {
                    Box::pin(async move { token_ended(&Jti::from("jti"), exp, conn).await })
                });
                ended.await.unwrap();
            }
            let mut conn = db.reader().await.unwrap();
            let other = Claims {
                jti: Jti::from("other"),
                ..token("x", 1)
            };
            assert!(covers(&token("x", 1), Some("kid"), &mut conn).await.unwrap());
            assert!(!covers(&other, None, &mut conn).await.unwrap());
            drop(conn);
            for (now, forgotten) in [(2300, 0), (2301, 1)] {
                let forget = db.transact(move |conn| {
                    Box::pin(async move { forget(conn, Timestamp::from_secs(now)).await })
                });
                assert_eq!(forget.await.unwrap(), forgotten, "{now}");
            }
        })
        .await;
    }
}
