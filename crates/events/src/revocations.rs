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
/// Above every number that anybody saw of a history which is over.
const BEYOND: &str = "UPDATE revocation_counter SET sequence = \
    CASE WHEN sequence < $1 THEN CAST($1 AS BIGINT) ELSE sequence END + $2 WHERE one = 1 RETURNING sequence";
const BEYOND_AND_NOTIFY: &str = "WITH next AS (UPDATE revocation_counter SET sequence = \
    GREATEST(sequence, $1) + $2 WHERE one = 1 RETURNING sequence) \
    SELECT sequence, pg_notify('countersign', 'revocations') FROM next";
const RECORD: &str = "INSERT INTO revocations (sequence, kind, subject, generation, until) \
    VALUES ($1, $2, $3, $4, $5)";
const TOLD: &str = "SELECT COUNT(*) FROM revocations WHERE kind = $1 AND subject = $2 AND until >= $3";
const COVERS: &str = "SELECT 1 FROM revocations WHERE (kind = 'approval' AND subject = $1) \
    OR (kind = 'client' AND subject = $2 AND generation > $3) OR (kind = 'token' AND subject = $4) \
    OR (kind = 'key' AND subject = $5) LIMIT 1";
const GENERATION: &str = "SELECT MAX(generation) FROM revocations WHERE kind = 'client' AND subject = $1";
const SINCE: &str = "SELECT sequence, kind, subject, generation, until FROM revocations \
    WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";
const STATE: &str = "SELECT f.generation, c.sequence FROM revocation_feed f \
    JOIN revocation_counter c ON c.one = f.one WHERE f.one = 1";
const PAGE: &str = "SELECT sequence, kind, subject, generation, until FROM revocations \
    WHERE sequence > $1 AND sequence <= $2 AND until > $3 ORDER BY sequence LIMIT $4";
const FORGET: &str = "DELETE FROM revocations WHERE sequence IN \
    (SELECT sequence FROM revocations WHERE until < $1 LIMIT $2)";

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

/// Records that one access token, which would live until `exp`, is void. A second time tells nothing new.
///
/// # Errors
/// When the database fails.
pub async fn token_ended(jti: &Jti, exp: Timestamp, conn: &mut Conn) -> db::Result<()> {
    let until = exp + LEEWAY;
    if is_told(Kind::Token, jti.as_str(), until, conn).await? {
        return Ok(());
    }
    let sequence = next(1, conn).await?;
    record(sequence, Kind::Token, jti.as_str(), None, until, conn).await
}

/// Records that what this key signed is void, whoever else believes it; no token by it lives beyond `until`.
///
/// # Errors
/// When the database fails.
pub async fn key_withdrawn(kid: &str, until: Timestamp, conn: &mut Conn) -> db::Result<()> {
    let until = until + LEEWAY;
    if is_told(Kind::Key, kid, until, conn).await? {
        return Ok(());
    }
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
    let (generation,): (Option<i64>,) = run!(conn, |c| sqlx::query_as(GENERATION)
        .bind(id.as_str())
        .fetch_one(c))?;
    Ok(generation.unwrap_or(1))
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
    pub sequence: i64,
    pub kind: Kind,
    pub subject: String,
    /// Of a client: tokens of smaller generations are void.
    pub generation: Option<i64>,
    /// From then on no token it concerns can be valid.
    pub until: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    kind: String,
    subject: String,
    generation: Option<i64>,
    until: i64,
}

impl TryFrom<Row> for Record {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        Ok(Self {
            sequence: row.sequence,
            kind: row.kind.parse().map_err(db::Error::corrupt)?,
            subject: row.subject,
            generation: row.generation,
            until: Timestamp::from_secs(row.until),
        })
    }
}

/// How far the records go, and of which history they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Another one begins when the database was restored to an older state.
    pub feed: String,
    /// Every record up to this number can be read.
    pub sequence: i64,
}

/// # Errors
/// When the database fails.
pub async fn state(conn: &mut Conn) -> db::Result<State> {
    let (feed, sequence) = run!(conn, |c| sqlx::query_as(STATE).fetch_one(c))?;
    Ok(State { feed, sequence })
}

/// After a record is past it is still told for so long, to those whose clock is behind.
const BEHIND: Duration = Duration::from_secs(10 * 60);

/// The next records after `held` and up to `last`, in the order of their numbers, at most `limit`: fewer when that
/// is all. Those that concern no token any more are left out.
///
/// # Errors
/// When the database fails.
pub async fn page(
    held: i64,
    last: i64,
    limit: u32,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Vec<Record>> {
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(PAGE)
        .bind(held)
        .bind(last)
        .bind((now - BEHIND).as_secs())
        .bind(i64::from(limit))
        .fetch_all(c))?;
    rows.into_iter().map(Record::try_from).collect()
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
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(SINCE)
        .bind(held)
        .bind(last)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(c))?;
    if rows.len() != expected {
        return Ok(None);
    }
    rows.into_iter()
        .map(Record::try_from)
        .collect::<db::Result<_>>()
        .map(Some)
}

/// Deletes records that concern no token any more, at most so many; says how many those were.
///
/// # Errors
/// When the database fails.
pub async fn forget(most: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(FORGET).bind(now.as_secs()).bind(i64::from(most))
    )?)
}

/// Room left out between two histories: whatever a replica has seen of the one that is over lies below it.
const GAP: i64 = 1 << 20;

/// Lets the sequence go on above this number and whatever else may have been seen. Whoever follows it finds numbers
/// missing, and forgets all that it remembers.
///
/// # Errors
/// When the database fails.
pub async fn go_beyond(seen: i64, conn: &mut Conn) -> db::Result<i64> {
    let statement = conn.either(BEYOND, BEYOND_AND_NOTIFY);
    let (last,): (i64,) = run!(conn, |c| sqlx::query_as(statement)
        .bind(seen)
        .bind(GAP)
        .fetch_one(c))?;
    conn.leave_mark(last);
    Ok(last)
}

/// Whether there is a record already that says as much.
async fn is_told(kind: Kind, subject: &str, until: Timestamp, conn: &mut Conn) -> db::Result<bool> {
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(TOLD)
        .bind(kind.as_str())
        .bind(subject)
        .bind(until.as_secs())
        .fetch_one(c))?;
    Ok(count > 0)
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

            let forgotten = db.transact(|conn| {
                Box::pin(async move { forget(1000, conn, Timestamp::from_secs(2301)).await })
            });
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
                    Box::pin(async move { forget(1000, conn, Timestamp::from_secs(now)).await })
                });
                assert_eq!(forget.await.unwrap(), forgotten, "{now}");
            }
        })
        .await;
    }
}
