use std::collections::BTreeSet;

use db::Database;
use db::testing::both;
use futures_util::future::join_all;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

async fn write(session: &str, client: &str, db: &Database) {
    const WRITE: &str = "INSERT INTO logout_notices (session_id, client_id, sub, ended_at, due_at) \
        VALUES ($1, $2, 'alex', $3, $3)";
    let (session, client) = (session.to_owned(), client.to_owned());
    let work = db.transact(move |conn| {
        Box::pin(async move {
            let now = NOW.as_secs();
            execute!(conn, sqlx::query(WRITE).bind(session).bind(client).bind(now)).map_err(db::Error::from)
        })
    });
    work.await.unwrap();
}

async fn taken(limit: usize, but: &[&str], db: &Database, now: Timestamp) -> Vec<Notice> {
    let but: Vec<ClientId> = but.iter().map(|id| ClientId::from(*id)).collect();
    let work = db.transact(move |conn| Box::pin(async move { take(limit, &but, conn, now).await }));
    work.await.unwrap()
}

fn names(notices: &[Notice]) -> BTreeSet<String> {
    let name = |notice: &Notice| format!("{} {}", notice.session_id.as_str(), notice.client_id);
    notices.iter().map(name).collect()
}

async fn due(db: &Database, now: Timestamp) -> bool {
    is_due(&mut db.reader().await.unwrap(), now).await.unwrap()
}

#[tokio::test]
async fn c056_what_one_has_taken_nobody_else_takes_until_its_lease_ends() {
    both(|db| async move {
        assert!(!due(&db, NOW).await);
        for n in 0..40 {
            write(&format!("s{n}"), "app", &db).await;
        }
        assert!(!due(&db, NOW - SECOND).await && due(&db, NOW).await);
        // Who finds rows of another on the way takes none, or those of a moment later.
        let mut all = Vec::new();
        for _ in 0..4 {
            let takers = (0..8).map(|_| taken(5, &[], &db, NOW));
            all.extend(join_all(takers).await.into_iter().flatten());
        }
        assert_eq!((all.len(), names(&all).len()), (40, 40), "each once");
        assert!(all.iter().all(|notice| notice.tries == 1));
        assert!(!due(&db, NOW).await && !due(&db, NOW + LEASE - SECOND).await);

        // Whoever took them has died.
        let again = taken(100, &[], &db, NOW + LEASE).await;
        assert_eq!(names(&again), names(&all));
        assert!(again.iter().all(|notice| notice.tries == 2));
    })
    .await;
}

#[tokio::test]
async fn who_was_told_is_told_no_more_and_who_was_not_is_told_in_time() {
    both(|db| async move {
        for session in ["told", "not told", "overtaken"] {
            write(session, "app", &db).await;
        }
        let first = taken(3, &[], &db, NOW).await;
        let of = |name: &str| {
            let found = first.iter().find(|notice| notice.session_id.as_str() == name);
            found.unwrap().clone()
        };
        let (told, not, over) = (of("told"), of("not told"), of("overtaken"));
        let later = NOW + LEASE;
        let work = db.transact(move |conn| {
            Box::pin(async move {
                done(&told, conn).await?;
                again(&not, NOW + SECOND, conn).await
            })
        });
        work.await.unwrap();
        assert!(!due(&db, NOW).await);
        assert_eq!(
            names(&taken(9, &[], &db, NOW + SECOND).await),
            ["not told app".to_owned()].into()
        );

        // The word of one who was too slow does not count.
        assert_eq!(
            names(&taken(9, &[], &db, later).await),
            ["overtaken app".to_owned()].into()
        );
        let work = db.transact(move |conn| Box::pin(async move { again(&over, NOW, conn).await }));
        work.await.unwrap();
        assert!(!due(&db, later).await);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_delays_nobody_else() {
    both(|db| async move {
        for n in 0..6 {
            write(&format!("dead{n}"), "dead", &db).await;
        }
        let first = taken(4, &[], &db, NOW).await;
        assert_eq!(first.len(), 4);
        let work = db.transact(move |conn| {
            Box::pin(async move {
                for notice in &first {
                    again(notice, NOW + SECOND, conn).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        work.await.unwrap();
        write("fresh", "alive", &db).await;
        // Busy clients are left out, and what was tried before comes last.
        assert_eq!(
            names(&taken(9, &["dead", "other"], &db, NOW).await),
            ["fresh alive".to_owned()].into()
        );
        write("newer", "alive", &db).await;
        let next = names(&taken(3, &[], &db, NOW + SECOND).await);
        assert!(
            next.contains("newer alive") && next.contains("dead4 dead") && next.contains("dead5 dead"),
            "{next:?}"
        );
    })
    .await;
}
