use db::run;
use db::testing::both;
use tokio::time::timeout;

use super::*;

/// Far above what it takes on a loaded machine: whoever reaches it never hears.
const LIMIT: Duration = Duration::from_secs(20);

async fn change(topic: Topic, outcome: db::Result<()>, db: &Database) -> db::Result<()> {
    db.transact(move |conn| {
        Box::pin(async move {
            bump(topic, conn).await?;
            bump(topic, conn).await?;
            outcome
        })
    })
    .await
}

async fn versions(db: &Database) -> Versions {
    Versions::read(&mut db.reader().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_change_is_heard_of_when_it_commits_and_by_its_topic() {
    both(|db| async move {
        let mut watcher = Watcher::start(&db).await.unwrap();
        let before = versions(&db).await;
        change(Topic::Clients, Err(db::Error::corrupt("x")), &db)
            .await
            .unwrap_err();
        assert_eq!(versions(&db).await, before, "what did not happen is no news");

        change(Topic::Clients, Ok(()), &db).await.unwrap();
        timeout(LIMIT, watcher.differs(Topic::Clients, before.of(Topic::Clients)))
            .await
            .expect("the change is heard of");
        for topic in Topic::ALL {
            let rose = versions(&db).await.of(*topic) > before.of(*topic);
            assert_eq!(rose, *topic == Topic::Clients, "{topic}");
        }
        assert!(watcher.is_fresh(Duration::from_secs(1)));
    })
    .await;
}

#[tokio::test]
async fn a_commit_is_heard_and_not_only_found_by_looking() {
    both(|db| async move {
        let mut listener = db.listen(CHANNEL).await.unwrap();
        assert_eq!(
            listener.heard(Duration::from_millis(150)).await.unwrap(),
            Heard::Silence
        );
        change(Topic::Keys, Ok(()), &db).await.unwrap();
        assert_eq!(listener.heard(LIMIT).await.unwrap(), Heard::Notice);
    })
    .await;
}

#[tokio::test]
async fn a_listener_that_is_cut_off_listens_again_and_catches_up() {
    let db = Database::connect(&db::testing::postgres_url().await)
        .await
        .unwrap();
    db.migrate().await.unwrap();
    const CUT: &str = "SELECT pg_terminate_backend(pid), pid::bigint FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'countersign listener'";
    let mut watcher = Watcher::start(&db).await.unwrap();
    for _ in 0..3 {
        let before = versions(&db).await.of(Topic::Clients);
        let mut conn = db.reader().await.unwrap();
        let cut: Vec<(bool, i64)> = run!(&mut conn, |c| sqlx::query_as(CUT).fetch_all(c)).unwrap();
        drop(conn);
        assert_eq!(cut.iter().map(|(done, _)| *done).collect::<Vec<_>>(), [true]);
        // Nobody may be listening just now.
        change(Topic::Clients, Ok(()), &db).await.unwrap();
        timeout(LIMIT, watcher.differs(Topic::Clients, before))
            .await
            .expect("it catches up");
    }
}

#[tokio::test]
async fn who_changes_a_topic_waits_for_whoever_holds_it() {
    both(|db| async move {
        let (held, wait) = tokio::sync::oneshot::channel();
        let other = db.clone();
        let holder = tokio::spawn(async move {
            let work = other.transact(|conn| {
                Box::pin(async move {
                    lock(Topic::Keys, conn).await?;
                    let before = Versions::read(conn).await?;
                    held.send(()).unwrap();
                    sleep(Duration::from_millis(100)).await;
                    Ok::<_, db::Error>(Versions::read(conn).await? == before)
                })
            });
            work.await
        });
        wait.await.unwrap();
        change(Topic::Keys, Ok(()), &db).await.unwrap();
        assert!(holder.await.unwrap().unwrap());
    })
    .await;
}

#[test]
fn silence_grows_until_the_next_beat() {
    let pulse = Pulse::new();
    std::thread::sleep(Duration::from_millis(30));
    assert!(pulse.silence() >= Duration::from_millis(30));
    pulse.beat();
    assert!(pulse.silence() < Duration::from_millis(30));
}
