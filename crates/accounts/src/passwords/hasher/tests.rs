use std::future::ready;

use protocol::{ErrorCode, Secret};

use super::*;
use crate::passwords::Weakness;

const CHEAP: HasherSettings = HasherSettings {
    cost: Cost::LEAST,
    memory_budget_kib: 64,
    queue: 2,
};

fn password(text: &str) -> Password {
    Password::presented(&Secret::from(text)).unwrap()
}

/// Asks, and goes away without waiting for the answer.
async fn ask_and_leave(hasher: &Hasher, stored: Option<&StoredHash>) {
    tokio::select! {
        biased;
        outcome = hasher.verify(stored, password("x")) => panic!("nobody works: {outcome:?}"),
        () = ready(()) => {}
    }
}

fn take(hasher: &Hasher) -> Job {
    match hasher.0.queue.take(Some(Duration::ZERO)) {
        Taken::Work(job) => job,
        Taken::Idle | Taken::Closed => panic!("no job was queued"),
    }
}

#[tokio::test]
async fn a_password_is_told_from_another() {
    let hasher = Hasher::start(CHEAP).unwrap();
    let stored = hasher.hash(password("right")).await.unwrap();
    assert_eq!(StoredHash::parse(stored.as_str()).unwrap(), stored);
    assert_ne!(
        hasher.hash(password("right")).await.unwrap(),
        stored,
        "one salt for two"
    );
    for (given, expected) in [("right", Outcome::Right), ("Right", Outcome::Wrong)] {
        assert_eq!(hasher.verify(Some(&stored), password(given)).await, Ok(expected));
    }
}

#[tokio::test]
async fn the_standard_cost_is_the_one_promised() {
    let hasher = Hasher::start(HasherSettings::default()).unwrap();
    let stored = hasher.hash(password("right")).await.unwrap();
    assert!(stored.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_eq!(
        hasher.verify(Some(&stored), password("right")).await,
        Ok(Outcome::Right)
    );
}

#[tokio::test]
async fn c069_an_unknown_user_costs_what_a_wrong_password_costs() {
    let hasher = Hasher::with_threads(0, CHEAP).unwrap();
    let mut worker = worker(&hasher);
    let known = worker.hash(b"right").unwrap();
    let mut costs = Vec::new();
    for stored in [Some(&known), None] {
        ask_and_leave(&hasher, stored).await;
        let Job::Verify {
            against, password, ..
        } = take(&hasher)
        else {
            panic!("another kind of work")
        };
        assert_eq!(worker.verify(&against, password.bytes()), Ok(Outcome::Wrong));
        let (cost, _) = against.as_str().rsplit_once("p=1$").unwrap();
        costs.push((cost.to_owned(), against.as_str().len()));
    }
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test]
async fn c069_the_hash_of_nothing_lets_nobody_in() {
    let hasher = Hasher::start(CHEAP).unwrap();
    for text in ["", "right", "x"] {
        assert_eq!(hasher.verify(None, password(text)).await, Ok(Outcome::Wrong));
    }
}

#[tokio::test]
async fn c075_who_finds_the_queue_full_is_told_at_once_to_come_back() {
    let hasher = Hasher::with_threads(0, CHEAP).unwrap();
    for _ in 0..CHEAP.queue {
        ask_and_leave(&hasher, None).await;
    }
    let overloaded = hasher.verify(None, password("x")).await.unwrap_err();
    assert_eq!(hasher.hash(password("x")).await, Err(overloaded));
    assert_eq!(
        protocol::Error::from(overloaded).code(),
        ErrorCode::TemporarilyUnavailable
    );
}

#[tokio::test]
async fn an_asker_who_has_gone_costs_nothing() {
    let hasher = Hasher::with_threads(0, CHEAP).unwrap();
    ask_and_leave(&hasher, None).await;
    let mut worker = worker(&hasher);
    worker.answer(take(&hasher));
    assert!(worker.memory.is_empty());
}

#[tokio::test]
async fn hashes_of_another_cost_are_noticed_only_when_the_password_is_right() {
    let hasher = Hasher::start(CHEAP).unwrap();
    let right = password("password");
    for text in [
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4".to_owned(),
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8".to_owned(),
        bcrypt::hash("password", 4).unwrap(),
    ] {
        let stored = StoredHash::parse(&text).unwrap();
        assert_eq!(
            hasher.verify(Some(&stored), right.clone()).await,
            Ok(Outcome::RightButOutdated)
        );
        assert_eq!(
            hasher.verify(Some(&stored), password("Password")).await,
            Ok(Outcome::Wrong)
        );
    }
}

#[tokio::test]
async fn the_threads_end_with_the_last_hasher() {
    let hasher = Hasher::start(CHEAP).unwrap();
    let stored = hasher.clone().hash(password("x")).await.unwrap();
    assert_eq!(
        hasher.verify(Some(&stored), password("x")).await,
        Ok(Outcome::Right)
    );
    let queue = Arc::downgrade(&hasher.0.queue);
    drop(hasher);
    while queue.strong_count() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn c075_threads_are_bounded_by_cores_and_by_memory() {
    for (cores, budget_mib, expected) in [(2, 256, 2), (64, 256, 13), (64, 19, 1), (1, 256, 1), (8, 0, 1)] {
        let settings = HasherSettings {
            memory_budget_kib: budget_mib * 1024,
            ..HasherSettings::default()
        };
        assert_eq!(
            settings.threads(cores),
            expected,
            "{cores} cores, {budget_mib} MiB"
        );
    }
}

fn worker(hasher: &Hasher) -> Worker {
    Worker {
        queue: hasher.0.queue.clone(),
        cost: Cost::LEAST,
        large: Arc::default(),
        memory: Memory::default(),
    }
}

#[tokio::test]
async fn c074_what_a_person_chooses_is_judged_before_it_is_hashed() {
    let hasher = Hasher::start(CHEAP).unwrap();
    let choose = async |text: &str| {
        let about = About::of(["alex@example.com"]);
        hasher.choose(&Secret::from(text), about).await
    };
    for (text, bad) in [
        ("short", BadPassword::TooShort),
        (&*"x".repeat(257), BadPassword::TooLong),
        ("with\0a NUL", BadPassword::Control),
        ("password", BadPassword::Weak(Weakness::Common)),
        ("alexalex", BadPassword::Weak(Weakness::Repeats)),
        ("alex@example", BadPassword::Weak(Weakness::AboutThem)),
    ] {
        assert_eq!(choose(text).await.err(), Some(Unchosen::Bad(bad)), "{text}");
    }
    let stored = choose("correct horse battery staple").await.unwrap();
    let right = hasher.verify(Some(&stored), password("correct horse battery staple"));
    assert_eq!(right.await, Ok(Outcome::Right));
}

#[tokio::test]
async fn c074_what_is_known_from_a_breach_is_refused_to_whoever_chooses_it_and_signs_in_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (list, filter) = (folder.path().join("list"), folder.path().join("filter"));
    let text = "correct horse battery staple";
    let sha1 = seal::sha1(text.as_bytes())
        .map(|byte| format!("{byte:02X}"))
        .concat();
    std::fs::write(&list, format!("{sha1}:9\n")).unwrap();
    crate::passwords::breached::build(&list, &filter, 1).unwrap();
    let hasher = Hasher::start(CHEAP)
        .unwrap()
        .refusing(Breached::open(&filter).unwrap());

    let refused = hasher.choose(&Secret::from(text), About::default()).await;
    assert_eq!(refused.err(), Some(Unchosen::Bad(BadPassword::Breached)));
    hasher
        .choose(&Secret::from("another horse, another battery"), About::default())
        .await
        .unwrap();
    let stored = hasher.hash(password(text)).await.unwrap();
    assert_eq!(
        hasher.verify(Some(&stored), password(text)).await,
        Ok(Outcome::Right)
    );

    // A list that cannot be read is no reason to let everything pass.
    std::fs::File::options()
        .write(true)
        .open(&filter)
        .unwrap()
        .set_len(0)
        .unwrap();
    let unread = hasher.choose(&Secret::from(text), About::default()).await;
    assert_eq!(unread.err(), Some(Unchosen::Unjudged));
}
