use accounts::sessions::{self, Acr, Amr, SignIn, SignedIn};
use accounts::users;
use db::testing::both;
use db::{Conn, Database, run};
use events::Context;
use protocol::{Secret, Subject};
use tokio::sync::oneshot;

use super::scene::{NOW, person};
use crate::{Outcome, end_here};

async fn sign_in(sub: Subject, presented: Option<Secret>, db: Database) -> db::Result<Option<SignedIn>> {
    let work = db.transact(move |conn| {
        Box::pin(async move {
            let proof = SignIn {
                presented,
                device: None,
                epoch: users::by_sub(&sub, conn).await?.unwrap().epoch,
                sub,
                persistent: true,
                user_agent: String::new(),
                flow_id: None,
                flow_cookie: None,
                acr: Acr::Pwd,
                amr: vec![Amr::Pwd],
            };
            sessions::sign_in(proof, &Context::server(), conn, NOW).await
        })
    });
    work.await
}

/// Until so many wait for what another holds.
async fn until_waiting(count: i64, db: &Database) {
    const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..30_000 {
        let mut conn = db.reader().await.unwrap();
        let (waiting,): (i64,) = run!(&mut conn, |c| sqlx::query_as(WAITING).fetch_one(c)).unwrap();
        drop(conn);
        if waiting >= count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("nobody waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_out_and_in_again_in_one_browser_at_once_is_refused_neither() {
    both(|db| async move {
        let sub = person(&db).await.sub;
        let first = sign_in(sub.clone(), None, db.clone()).await.unwrap().unwrap();
        let (session, cookie) = (first.session.session_id, first.cookie);
        // Both come while a third looks at the session, so that each has what it takes first.
        let (release, released) = oneshot::channel::<()>();
        let (hold, held) = oneshot::channel::<()>();
        let is_postgres = matches!(db.reader().await.unwrap(), Conn::Postgres(_));
        let looking = is_postgres.then(|| {
            let (db, session) = (db.clone(), session.clone());
            tokio::spawn(async move {
                let work = db.transact(move |conn| {
                    Box::pin(async move {
                        let lock = "SELECT session_id FROM sessions WHERE session_id = $1 FOR UPDATE";
                        let _: (String,) =
                            run!(conn, |c| sqlx::query_as(lock).bind(session.as_str()).fetch_one(c))?;
                        hold.send(()).unwrap();
                        let _ = released.await;
                        Ok::<_, db::Error>(())
                    })
                });
                work.await.unwrap();
            })
        });
        let ending = {
            let (db, sub, session, cookie) = (db.clone(), sub.clone(), session, cookie.clone());
            if looking.is_some() {
                held.await.unwrap();
            }
            tokio::spawn(async move {
                let work = db.transact(move |conn| {
                    Box::pin(async move {
                        end_here((session, sub), Some(&cookie), &Context::server(), conn, NOW).await
                    })
                });
                work.await
            })
        };
        if looking.is_some() {
            until_waiting(1, &db).await;
        }
        let entering = tokio::spawn(sign_in(sub, Some(cookie), db.clone()));
        if let Some(looking) = looking {
            until_waiting(2, &db).await;
            release.send(()).unwrap();
            looking.await.unwrap();
        }
        let (outcome, _) = ending.await.unwrap().unwrap();
        assert_eq!(outcome, Outcome::Ended(0));
        assert!(entering.await.unwrap().unwrap().is_some());
    })
    .await;
}
