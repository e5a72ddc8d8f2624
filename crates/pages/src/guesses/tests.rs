use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use accounts::passwords::{Cost, Hasher, HasherSettings, Password, StoredHash};
use accounts::users::{self, Draft};
use db::Database;
use http::HeaderValue;
use http::header::COOKIE;
use keyring::{Keyring, MasterKey, Policy};
use protocol::opaque::{self, Kind};
use protocol::{ClientAddress, Clock, Issuer, RequestId, Secret, Subject};

use super::*;
use crate::Proven;

const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(START.as_secs() + seconds)
}

/// A process of its own on this database.
async fn replica(db: &Database, master: &MasterKey) -> Guesses {
    let keyring = Keyring::open(db, master.clone(), Policy::default(), START);
    let issuer = Issuer::parse("https://id.example.com").unwrap();
    let front = Front::new(db.clone(), keyring.await.unwrap(), Clock::System, &issuer);
    Guesses::new(front, Attempts::limited())
}

fn from(network: usize) -> Context {
    let [_, a, b, c] = u32::try_from(network).unwrap().to_be_bytes();
    let address = std::net::IpAddr::from([a.wrapping_add(20), b, c, 7]);
    Context::request(RequestId::random(), Some(ClientAddress(address)))
}

fn address(text: &str) -> Email {
    Email::parse(text).unwrap()
}

async fn person(db: &Database) -> User {
    let draft = Draft::new(address("alex@example.com"));
    db.transact(|conn| Box::pin(async move { users::insert(draft, &Context::server(), conn, START).await }))
        .await
        .unwrap()
}

/// Whether a password would be looked at.
async fn guess(
    guesses: &Guesses,
    whose: (&Email, Option<&User>),
    network: usize,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Guess, Held> {
    let by = from(network);
    guesses.take(Some(whose), &by, headers, now).await.unwrap()
}

/// The browser after it was given this cookie.
fn holding(cookie: &HeaderValue) -> HeaderMap {
    let pair = cookie.to_str().unwrap().split(';').next().unwrap();
    [(COOKIE, HeaderValue::from_str(pair).unwrap())]
        .into_iter()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_of_a_hundred_thousand_guesses_at_one_account_few_are_verified_on_any_number_of_replicas() {
    const GUESSES: usize = 100_000;
    const AT_ONCE: usize = 16;
    const PER_SECOND: usize = 10_000;
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let replicas = Arc::new([replica(&db, &master).await, replica(&db, &master).await]);
        let hasher = Hasher::start(HasherSettings {
            cost: Cost::LEAST,
            ..HasherSettings::default()
        });
        let (hasher, user) = (hasher.unwrap(), person(&db).await);
        let (next, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let guessers = (0..AT_ONCE).map(|_| {
            let (replicas, hasher, user) = (replicas.clone(), hasher.clone(), user.clone());
            let (next, reached) = (next.clone(), reached.clone());
            tokio::spawn(async move {
                let nobody = HeaderMap::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= GUESSES {
                        return;
                    }
                    let now = at(i64::try_from(n / PER_SECOND).unwrap());
                    let whose = (&user.email, Some(&user));
                    match guess(&replicas[n % 2], whose, n % 5_000, &nobody, now).await {
                        Ok(guess) => {
                            let password = Password::presented(&Secret::from("a guess")).unwrap();
                            hasher.verify(None, password).await.unwrap();
                            drop(guess);
                        }
                        Err(Held::Account(_)) => drop(reached.fetch_add(1, Ordering::Relaxed)),
                        Err(Held::Network(_)) => {}
                    }
                }
            })
        });
        for guesser in guessers.collect::<Vec<_>>() {
            guesser.await.unwrap();
        }
        // In ten seconds none comes back; and each process lets through as much as it would for all people together.
        assert_eq!(hasher.taken(), 10);
        let reached = reached.load(Ordering::Relaxed);
        assert!(reached > 2_000, "only {reached} came as far as the account");
    })
    .await;
}

#[tokio::test]
async fn c070_known_and_unknown_names_are_counted_alike_by_what_a_look_up_compares() {
    db::testing::both(|db| async move {
        let guesses = replica(&db, &MasterKey::ephemeral()).await;
        let (user, nobody) = (person(&db).await, HeaderMap::new());
        let spellings = [
            "alex@example.com",
            "Alex@Example.COM",
            "ALEX@example.com",
            "\u{ff41}lex@example.com",
            "al\u{200b}ex@example.com",
            "alex@ex\u{ff41}mple.com",
        ];
        let strangers = spellings.map(|spelled| spelled.replace("lex", "lix").replace("LEX", "LIX"));
        for (names, user) in [(spellings.map(str::to_owned), Some(&user)), (strangers, None)] {
            let spelled: Vec<Email> = names.iter().filter_map(|name| Email::parse(name).ok()).collect();
            assert!(spelled.len() >= 5, "{spelled:?}");
            let mut passed = 0;
            for n in 0..30 {
                let whose = (&spelled[n % spelled.len()], user);
                match guess(&guesses, whose, n, &nobody, START).await {
                    Ok(_) => passed += 1,
                    Err(held) => assert_eq!((held.retry_after(), held.minutes()), (600, 10)),
                }
            }
            assert_eq!(passed, 10);
        }
        let rows: Vec<(String,)> = {
            let mut conn = db.reader().await.unwrap();
            db::run!(&mut conn, |c| sqlx::query_as("SELECT name FROM allowances")
                .fetch_all(c))
            .unwrap()
        };
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert!(!format!("{rows:?}").contains("example"), "{rows:?}");
    })
    .await;
}

#[tokio::test]
async fn c070_a_browser_in_which_the_password_was_known_has_a_budget_of_its_own() {
    db::testing::both(|db| async move {
        let guesses = replica(&db, &MasterKey::ephemeral()).await;
        let (user, nobody) = (person(&db).await, HeaderMap::new());
        let whose = (&user.email, Some(&user));
        let name = opaque::random(Kind::Device);
        let acquaint = |name: &Secret, proven: Proven<'_>, headers: &HeaderMap| {
            holding(&guesses.front.acquaint(name, proven, headers).unwrap())
        };
        let own = acquaint(&name, Proven::of(&user), &nobody);
        while guess(&guesses, whose, 1, &nobody, START).await.is_ok() {}
        // What was right is given back: the owner enters as often as they like.
        for _ in 0..20 {
            let right = guess(&guesses, whose, 2, &own, START).await.unwrap().was_right();
            let work = db.transact(move |conn| Box::pin(async move { right.give_back(conn).await }));
            work.await.unwrap();
        }
        let mut passed = 0;
        while guess(&guesses, whose, 3, &own, START).await.is_ok() {
            passed += 1;
        }
        assert_eq!(
            passed, 10,
            "whoever has the browser may guess as little as a stranger"
        );
        let held = guess(&guesses, whose, 4, &nobody, START).await.unwrap_err();
        assert_eq!(held.retry_after(), 600, "and has given strangers nothing");

        // Nor does anybody else's mark help, nor one of before the password was changed, nor a made up one.
        let changed = User {
            epoch: user.epoch + 1,
            ..user.clone()
        };
        while guess(&guesses, (&user.email, Some(&changed)), 5, &nobody, START)
            .await
            .is_ok()
        {}
        assert!(
            guess(&guesses, (&user.email, Some(&changed)), 6, &own, START)
                .await
                .is_err()
        );
        let (somebody, another) = (Subject::from("somebody"), opaque::random(Kind::Device));
        let stranger = Proven {
            sub: &somebody,
            epoch: 0,
            hash: None,
        };
        let other = acquaint(&another, stranger, &nobody);
        assert!(guess(&guesses, whose, 7, &other, START).await.is_err());
        // Of our own shape, with a name that we gave.
        let made_up = guesses.front.cookies.set_known(&format!(
            "{}.{}",
            guesses.front.device(&own).unwrap().expose(),
            "A".repeat(44)
        ));
        let made_up = holding(&made_up);
        assert!(guesses.front.device(&made_up).is_some());
        assert!(guess(&guesses, whose, 8, &made_up, START).await.is_err());
        let mut twice = own.clone();
        twice.append(COOKIE, other[COOKIE].clone());
        assert!(guess(&guesses, whose, 9, &twice, START).await.is_err());

        // Several people share a browser.
        let both = acquaint(&name, stranger, &own);
        assert_eq!(
            guesses.front.known(Some(&user), &both).unwrap(),
            guesses.front.known(Some(&user), &own).unwrap()
        );
        // By another name it is another browser.
        let renamed = acquaint(&another, stranger, &own);
        assert_eq!(guesses.front.known(Some(&user), &renamed).unwrap(), None);
        // The password changes, or is restored: the mark dies, and the two have met all the same. Only the newest counts.
        let restored = User {
            password_hash: Some(StoredHash::parse(HASH).unwrap()),
            ..user.clone()
        };
        for later in [&changed, &restored] {
            assert_eq!(guesses.front.known(Some(later), &own).unwrap(), None);
            let renewed = acquaint(&name, Proven::of(later), &own);
            assert!(guesses.front.known(Some(later), &renewed).unwrap().is_some());
            assert_eq!(guesses.front.known(Some(&user), &renewed).unwrap(), None);
        }
        for (sub, headers, has_met) in [
            (&user.sub, &own, true),
            (&user.sub, &both, true),
            (&somebody, &both, true),
            (&somebody, &own, false),
            (&user.sub, &other, false),
            (&user.sub, &renamed, false),
            (&user.sub, &made_up, false),
        ] {
            let acquaintance = guesses.front.acquaintance(sub, headers).unwrap().unwrap();
            assert_eq!(acquaintance.has_met, has_met, "{sub}");
        }
    })
    .await;
}

#[tokio::test]
async fn c070_a_refused_guess_is_not_counted_and_a_clock_that_was_wrong_keeps_nobody_out() {
    db::testing::both(|db| async move {
        let guesses = replica(&db, &MasterKey::ephemeral()).await;
        let (email, nobody) = (address("nobody@example.com"), HeaderMap::new());
        let mut passed = 0;
        for second in 0..600 {
            passed += usize::from(
                guess(&guesses, (&email, None), second, &nobody, at(0))
                    .await
                    .is_ok(),
            );
        }
        assert_eq!(passed, 10);
        let ask = async |now| guess(&guesses, (&email, None), 601, &nobody, now).await.map(drop);
        let held = ask(at(599)).await.unwrap_err();
        assert_eq!((held.retry_after(), held.minutes()), (1, 1));
        assert!(ask(at(600)).await.is_ok(), "as if nobody had asked meanwhile");
        assert!(ask(at(600)).await.is_err());
        // Forward for a while, and back.
        let year = 365 * 24 * 60 * 60;
        for _ in 0..10 {
            assert!(ask(at(year)).await.is_ok());
        }
        assert!(ask(at(year)).await.is_err());
        assert!(ask(at(700)).await.is_ok());
    })
    .await;
}
