//! The database was restored to an older state, or a server took over that had not heard everything.
//!
//! What ended in between lives again, and nobody can say what that was. So what can be made anew at little cost dies
//! (D6): sessions and unused codes from before this moment; and resource servers are told that the records they hold
//! are of a history that is over, so that each reads them all. What people allowed apps beyond their sessions goes on:
//! a refresh token that the older state does not know is refused by itself.
//!
//! Only what cannot be forged counts as evidence; of any number of replicas that find it, one acts.

use db::{Conn, Database, execute, run};
use events::{Context, Event, audit, revocations};
use protocol::Timestamp;

/// What shows that the database was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// This number of the sequence was read by ourselves, and the database does not reach it.
    Sequence(i64),
    /// The database says that it is this one (`Database::origin`), and was another.
    Origin(String),
    /// A refresh token that we made is newer than its family, of an approval from this time. One from before the last
    /// restore says nothing new: it is behind because of it, however often it has moved on since. (Else one person with
    /// old tokens would sign everybody out again and again.)
    RefreshToken(Timestamp),
}

const BEGIN: &str = "UPDATE revocation_feed SET generation = $1 WHERE one = 1 AND generation = ''";

/// Names the history of a database in which no server has run yet; any number of them may try.
///
/// # Errors
/// When the database fails.
pub async fn begin_feed(db: &Database) -> db::Result<()> {
    if !revocations::state(&mut db.reader().await?).await?.feed.is_empty() {
        return Ok(());
    }
    let begun = db.transact(|conn| {
        Box::pin(async move {
            execute!(conn, sqlx::query(BEGIN).bind(protocol::random::id()))?;
            Ok(())
        })
    });
    begun.await
}

/// Judges the evidence and, if it counts, begins another history. Says whether it did.
///
/// # Errors
/// When the database fails: then nothing was changed.
pub async fn restored(evidence: Evidence, by: &Context, db: &Database, now: Timestamp) -> db::Result<bool> {
    if !Held::read(&mut db.reader().await?).await?.is_news(&evidence) {
        return Ok(false);
    }
    let by = by.clone();
    db.transact(move |conn| Box::pin(async move { begin_anew(evidence, &by, conn, now).await }))
        .await
}

/// What the evidence is compared with.
struct Held {
    epoch: Timestamp,
    origin: Option<String>,
    sequence: i64,
}

const HELD: &str = "SELECT f.epoch, f.origin, c.sequence FROM revocation_feed f \
    JOIN revocation_counter c ON c.one = f.one WHERE f.one = 1";
/// Of two who found the same evidence, the second waits, and then finds it explained.
const LOCK: &str = "SELECT one FROM revocation_feed WHERE one = 1 FOR UPDATE";

impl Held {
    async fn read(conn: &mut Conn) -> db::Result<Self> {
        let (epoch, origin, sequence): (i64, Option<String>, i64) =
            run!(conn, |c| sqlx::query_as(HELD).fetch_one(c))?;
        Ok(Self {
            epoch: Timestamp::from_secs(epoch),
            origin,
            sequence,
        })
    }

    /// Whether it shows a restore, or is to be written down for the first time.
    fn is_news(&self, evidence: &Evidence) -> bool {
        match evidence {
            Evidence::Origin(_) if self.origin.is_none() => true,
            _ => self.is_refuted_by(evidence),
        }
    }

    fn is_refuted_by(&self, evidence: &Evidence) -> bool {
        match evidence {
            Evidence::Sequence(seen) => self.sequence < *seen,
            Evidence::Origin(now) => self.origin.as_ref().is_some_and(|held| held != now),
            Evidence::RefreshToken(let_in_at) => *let_in_at > self.epoch,
        }
    }
}

const ORIGIN: &str = "UPDATE revocation_feed SET origin = $1 WHERE one = 1";
const ANEW: &str = "UPDATE revocation_feed SET generation = $1, epoch = $2 WHERE one = 1";
/// A code that was used may be unused again.
const END_CODES: &str = "UPDATE codes SET expires_at = $1 WHERE claimed_at IS NULL AND expires_at > $1";

async fn begin_anew(evidence: Evidence, by: &Context, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    // A transaction on SQLite is the only writer already.
    if conn.is_postgres() {
        execute!(conn, sqlx::query(LOCK))?;
    }
    let held = Held::read(conn).await?;
    let shows = held.is_refuted_by(&evidence);
    if let Evidence::Origin(origin) = &evidence {
        execute!(conn, sqlx::query(ORIGIN).bind(origin))?;
    }
    if !shows {
        return Ok(false);
    }
    let feed = protocol::random::id();
    execute!(conn, sqlx::query(ANEW).bind(&feed).bind(now.as_secs()))?;
    let codes_ended = execute!(conn, sqlx::query(END_CODES).bind(now.as_secs()))?;
    let event = Event::DatabaseRestored {
        feed: &feed,
        evidence: evidence.as_str(),
        codes_ended,
    };
    audit::record(&event, by, conn, now).await?;
    // Numbers that somebody has seen mean nothing else: the history goes on above them.
    let seen = match evidence {
        Evidence::Sequence(seen) => seen,
        Evidence::Origin(_) | Evidence::RefreshToken(_) => held.sequence,
    };
    revocations::go_beyond(seen, conn).await?;
    tracing::warn!(
        evidence = evidence.as_str(),
        "the database was restored to an older state, or taken over by a server that lacked the newest: sessions and \
         codes from before have ended, and resource servers read all revocations anew"
    );
    Ok(true)
}

impl Evidence {
    /// For people.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Sequence(_) => "sequence",
            Self::Origin(_) => "origin",
            Self::RefreshToken(_) => "refresh_token",
        }
    }
}

#[cfg(test)]
mod tests {
    use db::testing::both;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    async fn tell(evidence: Evidence, db: &Database) -> bool {
        restored(evidence, &Context::server(), db, NOW).await.unwrap()
    }

    async fn state(db: &Database) -> revocations::State {
        revocations::state(&mut db.reader().await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn each_kind_of_evidence_counts_once() {
        both(|db| async move {
            begin_feed(&db).await.unwrap();
            let first = state(&db).await;
            begin_feed(&db).await.unwrap();
            assert_eq!(state(&db).await, first);
            assert!(!first.feed.is_empty());

            for (evidence, shows) in [
                (Evidence::Sequence(first.sequence), false),
                (Evidence::Origin("a".into()), false),
                (Evidence::Origin("a".into()), false),
                (Evidence::Origin("b".into()), true),
                (Evidence::Origin("b".into()), false),
                (Evidence::RefreshToken(NOW), false),
                (
                    Evidence::RefreshToken(Timestamp::from_secs(NOW.as_secs() + 1)),
                    true,
                ),
            ] {
                let before = state(&db).await;
                assert_eq!(tell(evidence.clone(), &db).await, shows, "{evidence:?}");
                let after = state(&db).await;
                assert_eq!(after != before, shows, "{evidence:?}");
                assert_eq!(after.feed != before.feed, shows);
                assert_eq!(after.sequence > before.sequence, shows);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn of_many_who_saw_higher_numbers_one_begins_anew_above_all_of_them() {
        both(|db| async move {
            begin_feed(&db).await.unwrap();
            let before = state(&db).await;
            let told = (100..116).map(|seen| {
                let db = db.clone();
                tokio::spawn(async move { tell(Evidence::Sequence(seen), &db).await })
            });
            let mut acted = 0;
            for told in told.collect::<Vec<_>>() {
                acted += usize::from(told.await.unwrap());
            }
            assert_eq!(acted, 1);
            let after = state(&db).await;
            assert!(after.sequence > 116, "{after:?}");
            assert_ne!(after.feed, before.feed);
            let trail = audit::newest(100, &mut db.reader().await.unwrap()).await.unwrap();
            let told: Vec<_> = trail
                .iter()
                .filter(|event| event.kind == "database.restored")
                .collect();
            assert_eq!(told.len(), 1);
            assert_eq!(told[0].details["feed"], after.feed.as_str());
        })
        .await;
    }
}
