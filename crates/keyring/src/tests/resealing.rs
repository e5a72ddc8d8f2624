//! D7: a new master key under running servers, broken off anywhere.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::master::{self, Setting, Source};
use crate::reseal::{Progress, Reseal};

async fn master(source: impl Into<Source>, db: &Database) -> Result<MasterKey, master::Error> {
    MasterKey::open(source, db, START).await
}

/// Without the rings whose keys take long to open.
fn policy() -> Policy {
    Policy {
        algs: [SigningAlg::Es256, SigningAlg::EdDsa].into_iter().collect(),
        ..Policy::default()
    }
}

async fn opened(folder: &Path, db: &Database) -> Keyring {
    let master = master(folder, db).await.unwrap();
    Keyring::open(db, master, policy(), START).await.unwrap()
}

fn steps<'r>(master: &'r MasterKey, db: &'r Database, by: &'r events::Context) -> Reseal<'r> {
    Reseal {
        master,
        db,
        by,
        now: START,
        done: Resealed::default(),
    }
}

/// What must be the same before and after.
fn shown(keyring: &Keyring) -> (String, String, Vec<String>) {
    let secrets = Purpose::ALL.iter().map(|purpose| {
        let secret = keyring.secret(*purpose).unwrap();
        format!("{} {:?}", secret.id, seal::mac(&secret.key, &[b"same"]))
    });
    let published = keyring.published(START);
    (
        String::from_utf8(published.json.to_vec()).unwrap(),
        kid(keyring, START),
        secrets.collect(),
    )
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every sealed value of the database, and the master key that each names.
async fn sealed(db: &Database) -> Vec<(String, String)> {
    const ALL: &str = "SELECT master_key_id, sealed_private FROM signing_keys WHERE withdrawn_at IS NULL \
        UNION ALL SELECT master_key_id, sealed_private FROM decryption_keys WHERE withdrawn_at IS NULL \
        UNION ALL SELECT master_key_id, sealed FROM purpose_secrets";
    let mut conn = db.reader().await.unwrap();
    run!(&mut conn, |c| sqlx::query_as(ALL).fetch_all(c)).unwrap()
}

#[tokio::test]
async fn c047_everything_is_sealed_anew_and_servers_go_on() {
    db::testing::both(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let (running, other) = (opened(folder.path(), &db).await, opened(folder.path(), &db).await);
        let by = events::Context::command_line();
        let stolen = kid(&running, START);
        running
            .withdraw(Suspect::Keys(vec![stolen]), &by, START)
            .await
            .unwrap();
        let (expected, before) = (shown(&running), sealed(&db).await);
        let old_file = fs::read(folder.path().join("master.key")).unwrap();

        let command = opened(folder.path(), &db).await;
        let done = command.reseal(&by, START).await.unwrap();
        assert_eq!(done.resealed, before.len());
        let after = sealed(&db).await;
        assert!(after.iter().all(|(id, _)| *id == done.master_key_id));
        assert!(
            before
                .iter()
                .all(|(id, _)| Some(id) == done.retired_master_key_id.as_ref())
        );
        assert!(
            after
                .iter()
                .all(|(_, sealed)| before.iter().all(|(_, old)| old != sealed))
        );
        // Who runs takes it over, and makes what is made from now on under the new one.
        for keyring in [&running, &other, &command] {
            keyring.refresh().await.unwrap();
            assert_eq!(shown(keyring), expected);
        }
        other
            .rotate(&[SigningAlg::Es256], Start::Announced, &by, START)
            .await
            .unwrap();
        assert!(sealed(&db).await.iter().all(|(id, _)| *id == done.master_key_id));
        // Who starts finds the new one in its place, and the old one beside it.
        let kept = done.old_key_file.unwrap();
        assert_eq!(fs::read(&kept).unwrap(), old_file);
        assert_eq!(files(folder.path()).len(), 2);
        assert_eq!(shown(&opened(folder.path(), &db).await).2, expected.2);
        // The old one alone is of no use.
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("master.key"), &old_file).unwrap();
        let refused = master(elsewhere.path(), &db).await.unwrap_err();
        assert!(matches!(refused, master::Error::Retired { .. }), "{refused}");
        assert_eq!(refused.to_string().lines().count(), 1);

        let again = command.reseal(&by, START).await.unwrap();
        assert_ne!(again.master_key_id, done.master_key_id);
        assert_eq!(again.retired_master_key_id, Some(done.master_key_id));
        running.refresh().await.unwrap();
        assert_eq!(shown(&running).2, expected.2);
    })
    .await;
}

#[tokio::test]
async fn broken_off_after_any_step_it_goes_on_from_there() {
    db::testing::both(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let expected = shown(&opened(folder.path(), &db).await);
        let by = events::Context::command_line();
        for stop_after in 0.. {
            let running = opened(folder.path(), &db).await;
            let own = master(folder.path(), &db).await.unwrap();
            let mut run = steps(&own, &db, &by);
            run.prepare().await.unwrap();
            let mut finished = false;
            for _ in 0..stop_after {
                finished = run.step().await.unwrap() == Progress::Done;
            }
            // Killed. Whoever starts now, and whoever ran, has every key and secret.
            drop(run);
            running.refresh().await.unwrap();
            assert_eq!(shown(&running), expected, "{stop_after}");
            let fresh = opened(folder.path(), &db).await;
            assert_eq!(shown(&fresh), expected, "{stop_after}");
            // Something new meanwhile, by a server that has heard of nothing yet.
            let used = running.secret(Purpose::Code).unwrap().id;

            let done = fresh.reseal(&by, START).await.unwrap();
            assert!(sealed(&db).await.iter().all(|(id, _)| *id == done.master_key_id));
            assert_eq!(fresh.secret(Purpose::Code).unwrap().id, used);
            assert!(!folder.path().join("master.next.key").exists());
            assert_eq!(shown(&opened(folder.path(), &db).await), expected, "{stop_after}");
            if finished {
                assert!(stop_after > 5, "{stop_after} steps");
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_row_made_under_the_old_key_while_it_goes_is_not_lost() {
    db::testing::both(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let late = opened(folder.path(), &db).await;
        let own = master(folder.path(), &db).await.unwrap();
        let by = events::Context::command_line();
        // Sealed under the old one, as by a server that is in the middle of it.
        let before = late
            .new_record(SigningAlg::Es256, START + DAY, START)
            .await
            .unwrap();
        let after = late
            .new_record(SigningAlg::Es256, START + 2 * DAY, START)
            .await
            .unwrap();
        let insert = |record: records::Record| {
            let (db, by) = (db.clone(), by.clone());
            async move {
                let work = db.transact(move |conn| {
                    Box::pin(async move {
                        records::lock(conn).await?;
                        records::insert((&record, records::Origin::Made), &by, conn, START).await
                    })
                });
                work.await
            }
        };
        let mut run = steps(&own, &db, &by);
        run.prepare().await.unwrap();
        let mut inserted = false;
        let mut written = Some(before);
        while run.step().await.unwrap() == Progress::More {
            let old = late.0.master.current().id.clone();
            let left = sealed(&db).await.iter().any(|(id, _)| *id == old);
            // The moment before the old one is retired.
            if !left && let Some(record) = written.take() {
                insert(record).await.unwrap();
                inserted = true;
            }
        }
        assert!(inserted);
        let done = run.done.master_key_id.clone();
        assert!(sealed(&db).await.iter().all(|(id, _)| *id == done));
        let refused = insert(after).await.unwrap_err();
        assert!(matches!(refused, Error::MasterKeyChanged), "{refused}");
        // Who has not heard of it hears of it, and does it again.
        late.rotate(&[SigningAlg::EdDsa], Start::Announced, &by, START)
            .await
            .unwrap_err();
        late.refresh().await.unwrap();
        late.rotate(&[SigningAlg::EdDsa], Start::Announced, &by, START)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn two_who_reseal_at_once_come_to_one_end() {
    db::testing::both(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let expected = shown(&opened(folder.path(), &db).await);
        let mut runs = Vec::new();
        for _ in 0..3 {
            let keyring = opened(folder.path(), &db).await;
            runs.push(tokio::spawn(async move {
                keyring.reseal(&events::Context::command_line(), START).await
            }));
        }
        for run in runs {
            run.await.unwrap().unwrap();
        }
        let end = opened(folder.path(), &db).await;
        assert_eq!(shown(&end), expected);
        let ids: std::collections::BTreeSet<String> =
            sealed(&db).await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 1);
        assert!(!folder.path().join("master.next.key").exists());
    })
    .await;
}

/// The machine that everything was copied to has a file that the other one has renamed.
#[tokio::test]
async fn a_next_key_that_another_machine_has_used_is_not_taken_for_a_new_one() {
    db::testing::both(|db| async move {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let by = events::Context::command_line();
        let first = opened(here.path(), &db).await;
        first.prepare_reseal(&by, START).await.unwrap();
        for file in files(here.path()) {
            fs::copy(here.path().join(&file), there.path().join(&file)).unwrap();
        }
        let done = first.reseal(&by, START).await.unwrap();
        fs::copy(here.path().join("master.key"), there.path().join("master.key")).unwrap();
        assert_eq!(files(there.path()), ["master.key", "master.next.key"]);

        let again = opened(there.path(), &db).await.reseal(&by, START).await.unwrap();
        assert_ne!(again.master_key_id, done.master_key_id);
        assert_eq!(again.retired_master_key_id, Some(done.master_key_id));
        assert!(sealed(&db).await.iter().all(|(id, _)| *id == again.master_key_id));
    })
    .await;
}

/// A file that looks left over while another run is under way is what everything is being sealed under.
#[tokio::test]
async fn the_next_key_of_a_run_under_way_is_never_taken_away() {
    db::testing::both(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let expected = shown(&opened(folder.path(), &db).await);
        let (own, other) = (
            master(folder.path(), &db).await.unwrap(),
            master(folder.path(), &db).await.unwrap(),
        );
        let by = events::Context::command_line();
        let (mut run, late) = (steps(&own, &db, &by), steps(&other, &db, &by));
        run.prepare().await.unwrap();
        loop {
            let next = fs::read(folder.path().join("master.next.key")).ok();
            late.make(folder.path().to_owned()).await.unwrap();
            match next {
                Some(next) => {
                    assert_eq!(fs::read(folder.path().join("master.next.key")).unwrap(), next);
                }
                None => break,
            }
            run.step().await.unwrap();
        }
        assert_eq!(shown(&opened(folder.path(), &db).await), expected);
    })
    .await;
}

#[tokio::test]
async fn one_of_two_keys_is_not_enough_and_the_line_says_which_is_missing() {
    db::testing::both(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        drop(opened(folder.path(), &db).await);
        let own = master(folder.path(), &db).await.unwrap();
        let by = events::Context::command_line();
        let mut run = steps(&own, &db, &by);
        run.prepare().await.unwrap();
        // Made and not used yet: whoever lacks it starts.
        let (first, next) = (
            folder.path().join("master.key"),
            folder.path().join("master.next.key"),
        );
        let elsewhere = tempfile::tempdir().unwrap();
        fs::copy(&first, elsewhere.path().join("master.key")).unwrap();
        assert!(master(elsewhere.path(), &db).await.is_ok());
        assert_eq!(run.step().await.unwrap(), Progress::More);
        for (only, there) in [
            (&first, "master.key"),
            (&next, "master.key"),
            (&next, "master.next.key"),
        ] {
            let elsewhere = tempfile::tempdir().unwrap();
            fs::copy(only, elsewhere.path().join(there)).unwrap();
            let refused = master(elsewhere.path(), &db).await.unwrap_err();
            assert!(matches!(refused, master::Error::OneOfTwo { .. }), "{refused}");
            let line = refused.to_string();
            assert!(
                line.contains("master.next.key") && line.lines().count() == 1,
                "{line}"
            );
        }
        let both = tempfile::tempdir().unwrap();
        fs::copy(&first, both.path().join("master.key")).unwrap();
        fs::copy(&next, both.path().join("master.next.key")).unwrap();
        assert!(master(both.path(), &db).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_setting_holds_the_key_or_both_of_them() {
    db::testing::both(|db| async move {
        let [old, new, stranger] = [0; 3].map(|_| URL_SAFE_NO_PAD.encode(seal::Key::random().bytes()));
        let setting = |text: &str| Source::Setting(Setting::parse(text).unwrap());
        let keyring = |text: String| {
            let db = db.clone();
            let source = setting(&text);
            async move {
                let master = master(source, &db).await?;
                Ok::<_, master::Error>(Keyring::open(&db, master, policy(), START).await.unwrap())
            }
        };
        let first = keyring(old.clone()).await.unwrap();
        let expected = shown(&first);
        let by = events::Context::command_line();
        assert!(matches!(first.reseal(&by, START).await, Err(Error::NoSecondKey)));
        let refused = keyring(stranger.clone()).await.unwrap_err();
        assert!(matches!(refused, master::Error::Wrong { .. }), "{refused}");
        assert!(
            refused.to_string().contains("COUNTERSIGN_MASTER_KEY"),
            "{refused}"
        );

        let both = keyring(format!("{old}\n{new}\n")).await.unwrap();
        let done = both.reseal(&by, START).await.unwrap();
        assert_eq!(done.resealed, sealed(&db).await.len());
        assert_eq!(done.old_key_file, None);
        assert!(sealed(&db).await.iter().all(|(id, _)| *id == done.master_key_id));
        assert_eq!(shown(&both), expected);
        assert_eq!(shown(&keyring(new.clone()).await.unwrap()), expected);
        assert_eq!(shown(&keyring(format!("{new} {old}")).await.unwrap()), expected);
        let refused = keyring(old).await.unwrap_err();
        assert!(matches!(refused, master::Error::Retired { .. }), "{refused}");
        for bad in ["", "short", &format!("{new} {stranger} {new}")] {
            assert!(Setting::parse(bad).is_err(), "{bad:?}");
        }
        assert!(!format!("{:?}", setting(&new)).contains(&new[..8]));
    })
    .await;
}

#[tokio::test]
async fn c046_a_server_that_lacks_the_new_master_key_still_refuses_what_was_withdrawn() {
    db::testing::both(|db| async move {
        let (folder, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let operator = opened(folder.path(), &db).await;
        fs::copy(folder.path().join("master.key"), apart.path().join("master.key")).unwrap();
        let lagging = opened(apart.path(), &db).await;
        let by = events::Context::command_line();
        operator.reseal(&by, START).await.unwrap();
        let expected = shown(&lagging);
        let refused = lagging.refresh().await.unwrap_err();
        assert!(matches!(refused, Error::Master(_)), "{refused}");
        assert_eq!(shown(&lagging), expected, "it goes on with what it holds");

        let stolen = kid(&lagging, START);
        let suspect = Suspect::Keys(vec![stolen.clone()]);
        operator.withdraw(suspect, &by, START).await.unwrap();
        lagging.refresh().await.unwrap_err();
        assert!(!String::from_utf8_lossy(&lagging.published(START).json).contains(&stolen));
        assert!(
            lagging.signer(SigningAlg::EdDsa, START).is_ok(),
            "the other rings sign"
        );
        // The file makes it whole.
        fs::copy(
            folder.path().join("master.key"),
            apart.path().join("master.next.key"),
        )
        .unwrap();
        lagging.refresh().await.unwrap();
        assert_eq!(kid(&lagging, START), kid(&operator, START));
    })
    .await;
}
