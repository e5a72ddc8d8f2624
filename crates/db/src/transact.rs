//! Transactions that finish although the one who asked has gone.

use std::pin::Pin;

use tokio::task::JoinError;

use crate::{Conn, Database, Error, Result, execute};

pub type BoxFuture<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// Whose connections a transaction takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    Shared,
    Batches,
}

impl Database {
    /// Runs `work` in one transaction and commits when it returns `Ok`; an `Err` rolls everything back.
    ///
    /// The work runs in a task of its own: a client that hangs up drops the handler that waits here, and
    /// nothing else (the attack, or the accident, is a state change half done).
    ///
    /// # Errors
    /// What `work` returned, or the database's failure.
    pub async fn transact<T, E, F>(&self, work: F) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static,
    {
        self.transact_by(Lane::Shared, work).await
    }

    /// Runs work that writes with one statement at most, which is a transaction of its own then: it costs no round trip
    /// more. Like a transaction it finishes although the one who asked has gone.
    ///
    /// # Errors
    /// What `work` returned, or the database's failure.
    pub async fn write_at_once<T, E, F>(&self, work: F) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static,
    {
        let db = self.clone();
        let task = tokio::spawn(async move {
            let mut conn = db.writer().await?;
            let outcome = work(&mut conn).await;
            db.raise_mark(outcome.is_ok(), &mut conn);
            outcome
        });
        finished(task.await)
    }

    /// The same as [`Self::transact`] on a connection of this lane.
    pub(crate) async fn transact_by<T, E, F>(&self, lane: Lane, work: F) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static,
    {
        let db = self.clone();
        let task = tokio::spawn(async move {
            let mut conn = match lane {
                Lane::Shared => db.writer().await?,
                Lane::Batches => db.batch_writer().await?,
            };
            begin(&mut conn).await?;
            let outcome = work(&mut conn).await;
            let ended = match &outcome {
                Ok(_) => commit(&mut conn).await,
                // Its end is the end of the transaction.
                Err(_) if conn.is_broken() => Ok(()),
                Err(_) => rollback(&mut conn).await,
            };
            db.raise_mark(outcome.is_ok(), &mut conn);
            if ended.is_err() && !conn.is_broken() {
                // Its state is unknown: never hand it to the next request.
                discard(conn).await;
            }
            match (outcome, ended) {
                (Ok(_), Err(error)) => Err(E::from(error)),
                (outcome, _) => outcome,
            }
        });
        finished(task.await)
    }
}

impl Database {
    /// Of work that succeeded: a commit whose answer was lost may have happened.
    fn raise_mark(&self, has_succeeded: bool, conn: &mut Conn) {
        if let Some(number) = conn.mark().take()
            && has_succeeded
        {
            self.mark.raise(number);
        }
    }
}

fn finished<T, E: From<Error>>(
    task: std::result::Result<std::result::Result<T, E>, JoinError>,
) -> std::result::Result<T, E> {
    task.unwrap_or_else(|panic| {
        Err(E::from(Error::Setup(format!(
            "a transaction did not run to its end: {panic}"
        ))))
    })
}

async fn begin(conn: &mut Conn) -> Result<()> {
    // IMMEDIATE: a deferred transaction that turns from reading to writing fails at once when another process
    // holds the lock, and the busy timeout does not apply.
    let statement = conn.either("BEGIN IMMEDIATE", "BEGIN");
    execute!(conn, sqlx::query(statement))?;
    Ok(())
}

async fn commit(conn: &mut Conn) -> Result<()> {
    execute!(conn, sqlx::query("COMMIT"))?;
    Ok(())
}

async fn rollback(conn: &mut Conn) -> Result<()> {
    execute!(conn, sqlx::query("ROLLBACK"))?;
    Ok(())
}

async fn discard(conn: Conn) {
    if let Err(error) = conn.discard().await {
        tracing::warn!(%error, "a broken connection did not close cleanly");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Pools;
    use crate::run;
    use crate::testing::both;

    async fn count(db: &Database) -> i64 {
        let mut conn = db.reader().await.unwrap();
        let row: (i64,) = run!(&mut conn, |c| sqlx::query_as("SELECT COUNT(*) FROM scratch")
            .fetch_one(c))
        .unwrap();
        row.0
    }

    async fn scratch(db: &Database) {
        db.transact(|conn| {
            Box::pin(async move {
                execute!(conn, sqlx::query("CREATE TABLE scratch (n BIGINT)"))?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    }

    async fn insert(db: &Database, outcome: Result<()>) -> Result<()> {
        db.transact(|conn| {
            Box::pin(async move {
                execute!(conn, sqlx::query("INSERT INTO scratch VALUES (1)"))?;
                outcome
            })
        })
        .await
    }

    #[tokio::test]
    async fn an_error_leaves_nothing_behind_and_the_connection_usable() {
        both(|db| async move {
            scratch(&db).await;
            assert!(insert(&db, Err(Error::corrupt("x"))).await.is_err());
            assert_eq!(count(&db).await, 0);
            insert(&db, Ok(())).await.unwrap();
            assert_eq!(count(&db).await, 1);
        })
        .await;
    }

    #[tokio::test]
    async fn one_statement_alone_is_written_and_what_fails_leaves_the_connection_usable() {
        both(|db| async move {
            scratch(&db).await;
            let write = |statement: &'static str| {
                db.write_at_once(move |conn| {
                    Box::pin(async move { Ok::<_, Error>(execute!(conn, sqlx::query(statement))?) })
                })
            };
            assert!(
                write("INSERT INTO scratch VALUES (1) RETURNING nothing")
                    .await
                    .is_err()
            );
            assert_eq!(write("INSERT INTO scratch VALUES (1)").await.unwrap(), 1);
            assert_eq!(count(&db).await, 1);
            insert(&db, Ok(())).await.unwrap();
            assert_eq!(count(&db).await, 2);
        })
        .await;
    }

    #[tokio::test]
    async fn c107_a_transaction_finishes_although_the_caller_has_gone() {
        both(|db| async move {
            scratch(&db).await;
            let (started, wait) = tokio::sync::oneshot::channel();
            let (go, going) = tokio::sync::oneshot::channel::<()>();
            let own = db.clone();
            let caller = tokio::spawn(async move {
                own.transact(|conn| {
                    Box::pin(async move {
                        started.send(()).unwrap();
                        going.await.unwrap();
                        execute!(conn, sqlx::query("INSERT INTO scratch VALUES (1)"))?;
                        Ok::<_, Error>(())
                    })
                })
                .await
            });
            wait.await.unwrap();
            caller.abort();
            assert!(caller.await.unwrap_err().is_cancelled());
            go.send(()).unwrap();
            while count(&db).await == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn c105_sixty_four_writers_never_meet_a_lock() {
        both(|db| async move {
            scratch(&db).await;
            let writers: Vec<_> = (0..64)
                .map(|_| {
                    let db = db.clone();
                    tokio::spawn(async move { insert(&db, Ok(())).await })
                })
                .collect();
            for writer in writers {
                writer.await.unwrap().unwrap();
            }
            assert_eq!(count(&db).await, 64);
        })
        .await;
    }

    async fn backend(db: &Database) -> i64 {
        let mut conn = db.reader().await.unwrap();
        let row: (i64,) = run!(&mut conn, |c| sqlx::query_as("SELECT pg_backend_pid()::bigint")
            .fetch_one(c))
        .unwrap();
        row.0
    }

    /// Until a connection that was dropped lies in the pool again, another would be opened.
    async fn given_back(db: &Database) {
        let Pools::Postgres { shared, .. } = &db.pools else {
            panic!("not PostgreSQL")
        };
        while shared.num_idle() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    async fn postgres() -> Database {
        let db = Database::connect(&crate::testing::postgres_url().await)
            .await
            .unwrap();
        scratch(&db).await;
        given_back(&db).await;
        db
    }

    #[tokio::test]
    async fn c109_a_connection_to_a_server_that_became_read_only_is_not_used_again() {
        let db = postgres().await;
        // As after a failover: this connection leads to the old primary, a new one to the new.
        let mut conn = db.reader().await.unwrap();
        execute!(&mut conn, sqlx::query("SET default_transaction_read_only = on")).unwrap();
        drop(conn);
        given_back(&db).await;
        let before = backend(&db).await;
        given_back(&db).await;

        let refused = insert(&db, Ok(())).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
        insert(&db, Ok(())).await.unwrap();
        assert_ne!(backend(&db).await, before);
        assert_eq!(count(&db).await, 1);
    }

    #[tokio::test]
    async fn c109_one_connection_found_cut_spares_the_next_request_the_others() {
        let db = postgres().await;
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(db.reader().await.unwrap());
        }
        drop(held);
        const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let mut conn = db.reader().await.unwrap();
        execute!(&mut conn, sqlx::query(CUT)).unwrap();
        drop(conn);

        let mut failed = 0;
        for _ in 0..8 {
            failed += usize::from(insert(&db, Ok(())).await.is_err());
        }
        assert!(failed <= 1, "{failed} requests met a connection that was cut");
        assert_eq!(count(&db).await, 8 - failed as i64);
    }

    #[tokio::test]
    async fn c109_a_full_disk_is_told_as_such_and_passes() {
        let db = Database::connect(&crate::testing::sqlite_url()).await.unwrap();
        scratch(&db).await;
        let limit = async |pages: &'static str| {
            let mut conn = db.writer().await.unwrap();
            execute!(&mut conn, sqlx::query(pages)).unwrap();
        };
        const FILL: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 20000) \
            INSERT INTO scratch SELECT n FROM r";
        let fill = async || {
            db.transact(|conn| {
                Box::pin(async move {
                    execute!(conn, sqlx::query(FILL))?;
                    Ok::<_, Error>(())
                })
            })
            .await
        };
        limit("PRAGMA max_page_count = 10").await;
        let full = fill().await.unwrap_err();
        assert!(matches!(full, Error::Unavailable(_)), "{full}");
        assert_eq!(count(&db).await, 0, "and reading goes on");
        limit("PRAGMA max_page_count = 1000000").await;
        fill().await.unwrap();
        assert_eq!(count(&db).await, 20000);
    }

    #[tokio::test]
    async fn a_mark_is_raised_by_whatever_succeeds_and_by_nothing_else() {
        both(|db| async move {
            fn leave(number: i64, outcome: Result<()>, conn: &mut Conn) -> BoxFuture<'_, Result<()>> {
                conn.leave_mark(number);
                Box::pin(async move { outcome })
            }
            let failed = || Err(Error::corrupt("the work"));
            db.transact(|conn| leave(3, Ok(()), conn)).await.unwrap();
            assert_eq!(db.mark(), 3);
            db.write_at_once(|conn| leave(5, Ok(()), conn)).await.unwrap();
            assert_eq!(db.mark(), 5);
            let (one, other) = (failed(), failed());
            db.write_at_once(|conn| leave(7, one, conn)).await.unwrap_err();
            db.transact(|conn| leave(8, other, conn)).await.unwrap_err();
            db.transact(|_| Box::pin(async { Ok::<_, Error>(()) }))
                .await
                .unwrap();
            assert_eq!(db.mark(), 5);
        })
        .await;
    }
}
