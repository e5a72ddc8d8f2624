//! The queue: who takes a row moves it on in the same statement, so two replicas do not send it at once, and one that
//! dies with it leaves it to the others when the lease ends. A person may still get a mail twice, when the process dies
//! between the relay's answer and the deletion; both copies then have one Message-ID.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::Timestamp;

use crate::Sealer;

/// For so long nobody else takes what one has taken. Longer than an attempt can last.
pub(crate) const LEASE: Duration = Duration::from_secs(90);

/// One mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Taken {
    pub(crate) mail_id: String,
    pub(crate) sealed_by: String,
    pub(crate) sealed: String,
    pub(crate) expires_at: i64,
    /// How often, this time included. Names whoever holds it.
    pub(crate) tries: i64,
}

/// Of mails that wait, which go first: whoever fills the queue from outside must not keep an owner waiting. A version that
/// knew two places put what is asked for now into the first, and what is later into the second; nothing waits long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Of what was done with an account, or by an operator: strangers have no part in it.
    First,
    /// What a stranger may have asked for, about an account that there is as far as is known.
    Asked,
    /// To whomever a stranger named.
    Later,
    /// Of which an operator may have queued any number.
    Last,
}

impl Place {
    fn number(self) -> i64 {
        match self {
            Self::First => 0,
            Self::Asked => 1,
            Self::Later => 2,
            Self::Last => 3,
        }
    }
}

const PUT: &str = "INSERT INTO mails (mail_id, sealed_by, sealed, queued_at, expires_at, due_at, place) \
    VALUES ($1, $2, $3, $4, $5, $4, $6)";

/// Queues a mail, to be sent within this time or never. Expects the connection to be inside the transaction of the act
/// that the mail is about.
///
/// # Errors
/// When the database fails, or there is no key: then the act has to fail as well.
pub async fn put(
    content: &[u8],
    (within, place): (Duration, Place),
    sealer: &Sealer,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let mail_id = protocol::random::id();
    let (sealed_by, sealed) = sealer.seal(&mail_id, content)?;
    execute!(
        conn,
        sqlx::query(PUT)
            .bind(&mail_id)
            .bind(&sealed_by)
            .bind(&sealed)
            .bind(now.as_secs())
            .bind((now + within).as_secs())
            .bind(place.number())
    )?;
    Ok(())
}

const TAKE: &str = "UPDATE mails SET due_at = $1, tries = tries + 1 WHERE mail_id IN \
    (SELECT mail_id FROM mails WHERE due_at <= $2 ORDER BY place, tries, due_at LIMIT $3) \
    RETURNING mail_id, sealed_by, sealed, expires_at, tries";
/// What another replica is taking is left to it: nobody waits, and no two wait for each other.
const TAKE_UNLOCKED: &str = "WITH due AS MATERIALIZED (SELECT mail_id FROM mails WHERE due_at <= $2 \
    ORDER BY place, tries, due_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
    UPDATE mails m SET due_at = $1, tries = m.tries + 1 FROM due \
    WHERE m.mail_id = due.mail_id AND m.due_at <= $2 \
    RETURNING m.mail_id, m.sealed_by, m.sealed, m.expires_at, m.tries";

/// Takes mails that are due, at most `limit`. In each place, what was never tried comes first.
pub(crate) async fn take(limit: usize, conn: &mut Conn, now: Timestamp) -> db::Result<Vec<Taken>> {
    let statement = conn.either(TAKE, TAKE_UNLOCKED);
    let limit = i64::try_from(limit).map_err(db::Error::corrupt)?;
    Ok(run!(conn, |c| sqlx::query_as(statement)
        .bind((now + LEASE).as_secs())
        .bind(now.as_secs())
        .bind(limit)
        .fetch_all(c))?)
}

const IS_DUE: &str = "SELECT 1 FROM mails WHERE due_at <= $1 LIMIT 1";

/// Whether any is due. Looking keeps no writer busy.
pub(crate) async fn is_due(conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let found: Option<(i32,)> = run!(conn, |c| sqlx::query_as(IS_DUE)
        .bind(now.as_secs())
        .fetch_optional(c))?;
    Ok(found.is_some())
}

const DONE: &str = "DELETE FROM mails WHERE mail_id = $1";

/// It was sent, or never will be.
pub(crate) async fn done(mail: &Taken, conn: &mut Conn) -> db::Result<()> {
    execute!(conn, sqlx::query(DONE).bind(&mail.mail_id))?;
    Ok(())
}

const AGAIN: &str = "UPDATE mails SET due_at = $3 WHERE mail_id = $1 AND tries = $2";

/// To be tried again then. Nothing happens where somebody else has taken it since.
pub(crate) async fn again(mail: &Taken, due_at: Timestamp, conn: &mut Conn) -> db::Result<()> {
    execute!(
        conn,
        sqlx::query(AGAIN)
            .bind(&mail.mail_id)
            .bind(mail.tries)
            .bind(due_at.as_secs())
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use db::Database;
    use db::testing::both;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn sealer() -> Sealer {
        let key = seal::Key::random();
        Sealer::new(move |_| Some(("k1".to_owned(), key.clone())))
    }

    async fn queued(count: usize, db: &Database) {
        queued_at(Place::First, count, db).await;
    }

    async fn queued_at(place: Place, count: usize, db: &Database) {
        let sealer = sealer();
        db.transact(move |conn| {
            Box::pin(async move {
                for n in 0..count {
                    put(format!("mail {n}").as_bytes(), (LEASE, place), &sealer, conn, NOW).await?;
                }
                Ok::<_, db::Error>(())
            })
        })
        .await
        .unwrap();
    }

    async fn taken(db: &Database, now: Timestamp) -> Vec<Taken> {
        db.transact(move |conn| Box::pin(async move { take(3, conn, now).await }))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn whoever_takes_a_mail_has_it_until_the_lease_ends_or_it_is_given_back() {
        both(|db| async move {
            queued(1, &db).await;
            assert!(is_due(&mut db.reader().await.unwrap(), NOW).await.unwrap());
            let first = taken(&db, NOW).await;
            assert_eq!((first.len(), first[0].tries), (1, 1));
            assert_eq!(taken(&db, NOW).await, []);
            let second = taken(&db, NOW + LEASE).await;
            assert_eq!((second.len(), second[0].tries), (1, 2));

            // Who lost it has no say any more.
            for (mail, due_now) in [(first[0].clone(), false), (second[0].clone(), true)] {
                db.transact(move |conn| Box::pin(async move { again(&mail, NOW, conn).await }))
                    .await
                    .unwrap();
                let due = is_due(&mut db.reader().await.unwrap(), NOW).await.unwrap();
                assert_eq!(due, due_now);
            }
            let mail = taken(&db, NOW).await.remove(0);
            db.transact(move |conn| Box::pin(async move { done(&mail, conn).await }))
                .await
                .unwrap();
            assert_eq!(taken(&db, NOW + 2 * LEASE).await, []);
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_who_take_at_once_each_mail_goes_to_one() {
        both(|db| async move {
            queued(40, &db).await;
            let takers = (0..20).map(|_| {
                let db = db.clone();
                tokio::spawn(async move { taken(&db, NOW).await })
            });
            let mut all = Vec::new();
            for taker in takers.collect::<Vec<_>>() {
                all.extend(taker.await.unwrap());
            }
            // Whoever found rows held by others left them.
            loop {
                match taken(&db, NOW).await {
                    rest if rest.is_empty() => break,
                    rest => all.extend(rest),
                }
            }
            let ids: BTreeSet<&str> = all.iter().map(|mail| mail.mail_id.as_str()).collect();
            assert_eq!((all.len(), ids.len()), (40, 40));
        })
        .await;
    }

    #[tokio::test]
    async fn c070_what_concerns_an_account_goes_before_what_strangers_asked_for_and_that_before_a_mass() {
        both(|db| async move {
            queued_at(Place::Last, 50, &db).await;
            queued_at(Place::Later, 50, &db).await;
            queued_at(Place::Asked, 4, &db).await;
            let strangers = taken(&db, NOW).await;
            queued(2, &db).await;
            let next = taken(&db, NOW).await;
            let last = taken(&db, NOW).await;
            let places = async |all: &[Taken]| {
                let mut conn = db.reader().await.unwrap();
                let mut places = Vec::new();
                for mail in all {
                    let place = "SELECT place FROM mails WHERE mail_id = $1";
                    let row = run!(&mut conn, |c| sqlx::query_as(place)
                        .bind(&mail.mail_id)
                        .fetch_one(c));
                    let (place,): (i64,) = row.unwrap();
                    places.push(place);
                }
                places.sort_unstable();
                places
            };
            assert_eq!(places(&strangers).await, [1, 1, 1]);
            assert_eq!(places(&next).await, [0, 0, 1]);
            assert_eq!(places(&last).await, [2, 2, 2]);
            // Also when it was tried before.
            assert_eq!(places(&taken(&db, NOW + LEASE).await).await, [0, 0, 1]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_mail_of_an_act_that_failed_was_never_queued() {
        both(|db| async move {
            let sealer = sealer();
            let failed = db.transact(move |conn| {
                Box::pin(async move {
                    put(b"mail", (LEASE, Place::First), &sealer, conn, NOW).await?;
                    Err::<(), _>(db::Error::corrupt("the act"))
                })
            });
            failed.await.unwrap_err();
            assert_eq!(taken(&db, NOW).await, []);

            let keyless = Sealer::new(|_| None);
            let unsealed = db.transact(move |conn| {
                Box::pin(async move { put(b"x", (LEASE, Place::First), &keyless, conn, NOW).await })
            });
            unsealed.await.unwrap_err();
        })
        .await;
    }
}
