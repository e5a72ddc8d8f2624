//! How much strangers may ask for, counted in the database, so that it is the same for any number of processes: C070.
//!
//! Each name (a network, an address that is asked about, everybody) has a bucket that empties with time: so many at
//! once, then one in each interval. It is one row with one instant, moved by one guarded statement, and gone when it is
//! empty. A refusal costs nothing, so whoever keeps trying is let in again as soon as anybody.

use std::time::Duration;

use db::{Conn, execute, run};
use protocol::Timestamp;

use crate::attempts::TooMany;

/// So many at once, and then one in each interval.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub at_once: u32,
    /// Whole seconds.
    pub every: Duration,
}

/// Clocks of replicas differ by less. A row that another of them filled lies further ahead than it could here: whoever
/// took that for a clock that was set back would hand out everything anew, as often as a stranger changes replicas.
const SKEW: i64 = 5 * 60;

// Where the clock was set back the row lies further ahead than it can: then it begins anew.
const TAKE: &str = "INSERT INTO allowances (name, spent_until) VALUES ($1, $2 + $3) \
    ON CONFLICT (name) DO UPDATE SET spent_until = $3 + CASE \
        WHEN allowances.spent_until > $2 AND allowances.spent_until <= $5 THEN allowances.spent_until \
        ELSE $2 END \
    WHERE allowances.spent_until <= $4 OR allowances.spent_until > $5 \
    RETURNING spent_until";
const SPENT_UNTIL: &str = "SELECT spent_until FROM allowances WHERE name = $1";

/// Takes one of what this name may have. Where something is asked for, expects to be inside the transaction of that; a
/// try that counts whatever comes of it stands alone ([`db::Database::write_at_once`]).
///
/// # Errors
/// When the database fails. [`TooMany`] is no such error: then nothing was taken, and the transaction is usable.
pub async fn take(
    name: &str,
    rate: Rate,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Result<(), TooMany>> {
    let every = rate.seconds()?;
    let further = i64::from(rate.at_once.saturating_sub(1)).saturating_mul(every);
    let latest = now.as_secs().saturating_add(further);
    let taken: Option<(i64,)> = run!(conn, |c| sqlx::query_as(TAKE)
        .bind(name)
        .bind(now.as_secs())
        .bind(every)
        .bind(latest)
        .bind(latest.saturating_add(every).saturating_add(SKEW))
        .fetch_optional(c))?;
    if taken.is_some() {
        return Ok(Ok(()));
    }
    let row: Option<(i64,)> = run!(conn, |c| sqlx::query_as(SPENT_UNTIL).bind(name).fetch_optional(c))?;
    let wait = row.map_or(1, |(until,)| until.saturating_sub(latest).max(1));
    Ok(Err(TooMany {
        retry_after: Duration::from_secs(u64::try_from(wait).unwrap_or(1)),
    }))
}

const GIVE_BACK: &str = "UPDATE allowances SET spent_until = spent_until - $2 WHERE name = $1";

/// Gives one back that was taken and not used.
///
/// # Errors
/// When the database fails.
pub async fn give_back(name: &str, rate: Rate, conn: &mut Conn) -> db::Result<()> {
    let every = rate.seconds()?;
    execute!(conn, sqlx::query(GIVE_BACK).bind(name).bind(every))?;
    Ok(())
}

const FORGET: &str = "DELETE FROM allowances WHERE name = $1";

/// Gives back all that was taken.
///
/// # Errors
/// When the database fails.
pub async fn forget(name: &str, conn: &mut Conn) -> db::Result<()> {
    execute!(conn, sqlx::query(FORGET).bind(name))?;
    Ok(())
}

impl Rate {
    fn seconds(self) -> db::Result<i64> {
        i64::try_from(self.every.as_secs()).map_err(db::Error::corrupt)
    }
}

const SWEEP: &str = "DELETE FROM allowances WHERE name IN \
    (SELECT name FROM allowances WHERE spent_until <= $1 ORDER BY spent_until LIMIT $2)";

/// Deletes what is as if it were not there, at most `limit`; says how many those were.
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

    const RATE: Rate = Rate {
        at_once: 3,
        every: Duration::from_secs(60),
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    async fn tried(name: &'static str, now: Timestamp, db: &Database) -> Result<(), u64> {
        let taken = db.transact(move |conn| Box::pin(async move { take(name, RATE, conn, now).await }));
        taken
            .await
            .unwrap()
            .map_err(|too_many| too_many.retry_after.as_secs())
    }

    #[tokio::test]
    async fn c070_so_many_at_once_then_one_in_each_interval_and_a_refusal_costs_nothing() {
        both(|db| async move {
            for _ in 0..3 {
                assert_eq!(tried("a", at(0), &db).await, Ok(()));
            }
            for _ in 0..10 {
                assert_eq!(tried("a", at(0), &db).await, Err(60));
            }
            assert_eq!(tried("a", at(59), &db).await, Err(1));
            assert_eq!(tried("b", at(59), &db).await, Ok(()));
            assert_eq!(tried("a", at(60), &db).await, Ok(()));
            assert_eq!(tried("a", at(60), &db).await, Err(60));
            for _ in 0..3 {
                assert_eq!(tried("a", at(1000), &db).await, Ok(()));
            }
            assert_eq!(tried("a", at(1000), &db).await, Err(60));
            // A clock that was wrong for a while keeps nobody out.
            assert_eq!(tried("a", at(0), &db).await, Ok(()));
        })
        .await;
    }

    #[tokio::test]
    async fn c070_replicas_whose_clocks_differ_hand_out_no_more_than_one_would() {
        both(|db| async move {
            let mut taken = 0;
            for _ in 0..100 {
                for ahead in [4, 0] {
                    taken += usize::from(tried("a", at(ahead), &db).await.is_ok());
                }
            }
            assert_eq!(taken, 3);
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_once_more() {
        both(|db| async move {
            for _ in 0..20 {
                assert_eq!(tried("a", at(0), &db).await, Ok(()));
                let given = db.transact(|conn| Box::pin(async move { give_back("a", RATE, conn).await }));
                given.await.unwrap();
            }
            for _ in 0..3 {
                assert_eq!(tried("a", at(0), &db).await, Ok(()));
            }
            assert_eq!(tried("a", at(0), &db).await, Err(60));
            let unknown = db.transact(|conn| Box::pin(async move { give_back("b", RATE, conn).await }));
            unknown.await.unwrap();
            assert_eq!(tried("b", at(0), &db).await, Ok(()));
        })
        .await;
    }

    #[tokio::test]
    async fn c070_whoever_was_refused_had_one_within_the_interval() {
        let db = Database::connect(&db::testing::sqlite_url()).await.unwrap();
        db.migrate().await.unwrap();
        let mut last = 0;
        for second in (0..3600).step_by(7) {
            match tried("a", at(second), &db).await {
                Ok(()) => last = second,
                Err(wait) => {
                    assert!(second - last < 60, "{second} {last}");
                    assert!((1..=60).contains(&wait), "{wait}");
                }
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn c070_of_many_at_once_as_many_pass_as_may() {
        both(|db| async move {
            let racers = (0..40).map(|_| {
                let db = db.clone();
                tokio::spawn(async move { tried("a", at(0), &db).await.is_ok() })
            });
            let mut passed = 0;
            for racer in racers.collect::<Vec<_>>() {
                passed += usize::from(racer.await.unwrap());
            }
            assert_eq!(passed, 3);
            let gone = db.transact(|conn| Box::pin(async move { sweep(10, conn, at(180)).await }));
            assert_eq!(gone.await.unwrap(), 1);
        })
        .await;
    }
}
