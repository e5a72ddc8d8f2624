use super::*;
use crate::run;

#[tokio::test]
async fn c105_sqlite_opens_with_the_pragmas_durability_needs() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::connect(&Url::Sqlite(folder.path().join("new/folder/t.db")))
        .await
        .unwrap();
    for (mut conn, query_only) in [(db.writer().await.unwrap(), 0), (db.reader().await.unwrap(), 1)] {
        let mode: (String,) =
            run!(&mut conn, |c| sqlx::query_as("PRAGMA journal_mode").fetch_one(c)).unwrap();
        assert_eq!(mode.0, "wal");
        for (pragma, expected) in [
            ("PRAGMA synchronous", 2),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA busy_timeout", 5000),
            ("PRAGMA query_only", query_only),
        ] {
            let value: (i64,) = run!(&mut conn, |c| sqlx::query_as(pragma).fetch_one(c)).unwrap();
            assert_eq!(value.0, expected, "{pragma}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_opens_a_new_file_beside_others_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    for turn in 0..300 {
        let url = Url::Sqlite(folder.path().join(format!("{turn}.db")));
        let opening = (0..4).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Database::connect(&url).await })
        });
        let opening: Vec<_> = opening.collect();
        for one in opening {
            let opened = one.await.unwrap();
            opened
                .unwrap_or_else(|error| panic!("{turn}: {error}"))
                .close()
                .await;
        }
    }
}

#[tokio::test]
async fn after_a_close_the_file_alone_is_the_whole_database() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copied) = (folder.path().join("t.db"), folder.path().join("copy.db"));
    let db = Database::connect(&Url::Sqlite(path.clone())).await.unwrap();
    db.migrate().await.unwrap();
    let expected = tables(&db).await;
    let _listening = db.listen("any").await.unwrap();
    db.close().await;
    let log = std::fs::metadata(beside(&path, "-wal"));
    assert!(
        log.is_err() || log.unwrap().len() == 0,
        "nothing is left to be played"
    );
    std::fs::copy(&path, &copied).unwrap();
    let copy = Database::connect(&Url::Sqlite(copied)).await.unwrap();
    assert!(expected > 10 && tables(&copy).await == expected);
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_extension(format!("db{suffix}"))
}

#[cfg(unix)]
#[tokio::test]
async fn after_opening_a_new_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let db = Database::connect(&Url::Sqlite(path.clone())).await.unwrap();
    db.migrate().await.unwrap();
    for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn after_failing_to_open_the_path_is_named_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = Database::connect(&Url::Sqlite(folder.path().into()))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&folder.path().display().to_string()),
        "{error}"
    );

    let Url::Postgres(url) = crate::testing::postgres_url().await else {
        panic!("a postgres:// URL")
    };
    let (server, name) = url.rsplit_once('/').unwrap();
    let (_, options) = name.split_once('?').unwrap_or((name, ""));
    let url = format!("{server}/nowhere?{options}");
    let error = Database::connect(&Url::Postgres(url))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"nowhere\" does not exist; make it"), "{error}");
}

#[tokio::test]
async fn after_leaving_nothing_stands_beside_the_file_whoever_listened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    for _ in 0..20 {
        let db = Database::connect(&Url::Sqlite(path.clone())).await.unwrap();
        db.migrate().await.unwrap();
        let mut listener = db.listen("any").await.unwrap();
        let listening = tokio::spawn(async move {
            loop {
                listener.heard(Duration::from_millis(250)).await.unwrap();
            }
        });
        db.transact(|conn| {
            Box::pin(async move {
                const WRITE: &str = "UPDATE schema_migrations SET name = name";
                crate::execute!(conn, sqlx::query(WRITE))?;
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
        db.leave().await;
        for suffix in ["-wal", "-shm"] {
            assert!(!beside(&path, suffix).exists(), "{suffix} is left");
        }
        assert!(
            !listening.is_finished(),
            "a database that is closed is no failure"
        );
        listening.abort();
    }
}

async fn tables(db: &Database) -> i64 {
    const COUNT: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
    let mut conn = db.reader().await.unwrap();
    let (count,): (i64,) = run!(&mut conn, |c| sqlx::query_as(COUNT).fetch_one(c)).unwrap();
    count
}

#[test]
fn a_url_names_one_of_two_databases() {
    for text in [
        "",
        "mysql://x",
        "sqlite://",
        "sqlite://:memory:",
        "data/x.db",
        "postgres://h:notaport/x",
    ] {
        assert!(text.parse::<Url>().is_err(), "{text}");
    }
    assert_eq!("sqlite://data/x.db".parse(), Ok(Url::Sqlite("data/x.db".into())));
    let url: Url = "postgres://u:canary@h/x".parse().unwrap();
    assert!(!format!("{url:?}").contains("canary"));
}
