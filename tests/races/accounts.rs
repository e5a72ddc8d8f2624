//! Mailed links and addresses of new accounts: R07, R09, C073, C076.

use std::collections::BTreeMap;

use accounts::email::Email;
use accounts::links::{self, Purpose};
use accounts::passwords::HasherSettings;
use accounts::sign_ups::{self, Way};
use accounts::users::{self, Draft, User};
use events::Context;
use events::audit::Span;
use futures_util::future::join_all;
use protocol::SignUp;

use crate::harness::wire::Crowd;
use crate::harness::world::Own;
use crate::harness::{Answer, World};

const PARALLEL: usize = 100;
const ROUNDS: usize = 3;
const NEW: &str = "another horse, another battery";

/// Where accounts can be made: on each database, and as two processes on one.
async fn worlds() -> [World; 3] {
    let own = || Own {
        sign_up: Some(SignUp::Invitation),
        // Who is told to come back later has not lost a race.
        hasher: Some(HasherSettings {
            cost: accounts::passwords::Cost::LEAST,
            queue: 2000,
            ..HasherSettings::default()
        }),
        ..Own::default()
    };
    [
        World::here_with(db::testing::sqlite_url(), own()).await,
        World::here_with(db::testing::postgres_url().await, own()).await,
        World::replicas().await,
    ]
}

/// As it would be mailed.
async fn mailed(world: &World, purpose: Purpose, user: &User) -> String {
    let (user, now) = (user.clone(), world.now());
    let made = world
        .db
        .transact(move |conn| Box::pin(async move { links::make(purpose, &user, None, conn, now).await }));
    let path = match purpose {
        Purpose::Recovery => "/recover/password",
        Purpose::Email => "/verify",
        Purpose::Address => "/account/email/confirm",
        Purpose::Former => panic!("of an address, not of a user"),
    };
    format!(
        "{}{path}?link={}",
        world.issuer,
        made.await.expect("a link").expose()
    )
}

async fn invitation(world: &World, way: Way, address: &str) -> String {
    let (email, now) = (Email::parse(address).expect("an address"), world.now());
    let made = world
        .db
        .transact(move |conn| Box::pin(async move { sign_ups::make(way, &email, None, conn, now).await }));
    format!(
        "{}/signup/account?link={}",
        world.issuer,
        made.await.expect("a link").expose()
    )
}

/// Sends the form behind a link as often as the crowd is large, each time with another password, at one instant.
async fn confirmed(world: &World, link: &str, crowd: &mut Crowd) -> Vec<Answer> {
    let mut visitor = world.visitor();
    let page = visitor.get(link).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let requests: Vec<Vec<u8>> = (0..PARALLEL)
        .map(|n| visitor.posting(&page.form().with("password", &format!("{NEW} {n}"))))
        .collect();
    crowd.ask_each(|n| &requests[n]).await
}

/// The one that succeeded; all others were refused by the page of a link that was used.
fn winner(answers: &[Answer], done: &str) -> usize {
    let won: Vec<usize> = (0..answers.len()).filter(|n| answers[*n].status == 303).collect();
    let mut tally: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in answers {
        *tally.entry(answer.status.as_u16()).or_default() += 1;
    }
    // Whoever looked at the link before the winner used it, and at the address after, is told of the account.
    let (used, known) = (tally.get(&410).copied(), tally.get(&409).copied());
    let refused = used.unwrap_or_default() + known.unwrap_or_default();
    assert_eq!((won.len(), refused), (1, answers.len() - 1), "{tally:?}");
    assert!(answers[won[0]].location().expect("a redirect").starts_with(done));
    for answer in answers.iter().filter(|answer| answer.status != 303) {
        let words = match answer.status.as_u16() {
            409 if done.starts_with("/signup") => "<h1>You already have an account</h1>",
            _ => "<h1>This link no longer works</h1>",
        };
        assert!(answer.has(words), "{}", answer.body);
    }
    won[0]
}

async fn events_of(world: &World, user: &User, kind: &str) -> usize {
    let mut conn = world.db.reader().await.expect("a connection");
    let all = Span {
        since: user.created_at,
        before: None,
        limit: 100,
    };
    let events = events::audit::of_user(&user.sub, all, &mut conn)
        .await
        .expect("the trail");
    events.iter().filter(|event| event.kind == kind).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_c073_of_a_hundred_who_confirm_one_mailed_link_at_once_one_succeeds() {
    for world in worlds().await {
        let mut crowd = Crowd::gather(&world, PARALLEL).await;
        for round in 1..=ROUNDS {
            let user = world.user_with(|draft| draft.email_verified = Some(false)).await;
            let link = mailed(&world, Purpose::Email, &user).await;
            winner(&confirmed(&world, &link, &mut crowd).await, "/verify/done");
            assert_eq!(
                events_of(&world, &user, "email.verified").await,
                1,
                "round {round}"
            );

            let link = mailed(&world, Purpose::Recovery, &user).await;
            let won = winner(&confirmed(&world, &link, &mut crowd).await, "/recover/done");
            assert_eq!(
                events_of(&world, &user, "password.recovered").await,
                1,
                "round {round}"
            );
            let mut visitor = world.visitor();
            for n in [won, (won + 1) % PARALLEL] {
                let page = visitor.open("/account").await;
                let next = visitor
                    .sign_in_with(&page, user.email.shown(), &format!("{NEW} {n}"))
                    .await;
                assert_eq!(
                    next.has("<h1>Your account</h1>"),
                    n == won,
                    "round {round}: {}",
                    next.body
                );
                visitor = visitor.elsewhere();
            }

            let address = format!("zoe-{}", user.email.shown());
            let link = invitation(&world, Way::Invited, &address).await;
            winner(&confirmed(&world, &link, &mut crowd).await, "/signup/done");
            let mut conn = world.db.reader().await.expect("a connection");
            let made = users::by_email(&Email::parse(&address).expect("an address"), &mut conn).await;
            let made = made.expect("the database").expect("an account");
            drop(conn);
            assert_eq!(events_of(&world, &made, "user.created").await, 1, "round {round}");
        }
    }
}

/// By links that were mailed and handed over, spelled in every way that means one address, and by an operator beside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r09_c076_of_a_thousand_who_register_one_address_at_once_one_has_an_account() {
    const CROWD: usize = 1000;
    const LINKS: usize = 20;
    const OPERATORS: usize = 20;
    for world in worlds().await {
        let unique = protocol::random::id().to_lowercase().replace(['_', '-'], "x");
        let spellings = [
            format!("zoe-{unique}@example.com"),
            format!("ZOE-{}@EXAMPLE.COM", unique.to_uppercase()),
            format!("\u{FF5A}\u{FF4F}\u{FF45}-{unique}@example.com"),
            format!("zoe-{unique}@example\u{3002}com"),
        ];
        let mut visitor = world.visitor();
        let mut requests = Vec::new();
        for n in 0..LINKS {
            let way = [Way::Invited, Way::Handed][n % 2];
            let link = invitation(&world, way, &spellings[n % spellings.len()]).await;
            let page = visitor.get(&link).await;
            assert_eq!(page.status, 200, "{}", page.body);
            requests.push(visitor.posting(&page.form().with("name", "Zoe").with("password", NEW)));
        }
        let mut crowd = Crowd::gather(&world, CROWD).await;
        let operators = (0..OPERATORS).map(|n| {
            let (email, now) = (
                Email::parse(&spellings[n % spellings.len()]).expect("an address"),
                world.now(),
            );
            world.db.transact(move |conn| {
                Box::pin(async move {
                    users::insert(Draft::new(email), &Context::command_line(), conn, now).await
                })
            })
        });
        let (answers, created) = tokio::join!(crowd.ask_each(|n| &requests[n % LINKS]), join_all(operators));

        let mut tally: BTreeMap<u16, usize> = BTreeMap::new();
        for answer in &answers {
            *tally.entry(answer.status.as_u16()).or_default() += 1;
        }
        let created_by_operators = created.iter().filter(|created| created.is_ok()).count();
        let won = tally.get(&303).copied().unwrap_or_default() + created_by_operators;
        assert_eq!(won, 1, "{tally:?}");
        let refused: usize = [409, 410].iter().filter_map(|status| tally.get(status)).sum();
        assert_eq!(
            refused,
            CROWD - tally.get(&303).copied().unwrap_or_default(),
            "{tally:?}"
        );
        for error in created.into_iter().filter_map(Result::err) {
            assert!(matches!(error, users::Error::EmailTaken(_)), "{error}");
        }
        let mut conn = world.db.reader().await.expect("a connection");
        let (rows,): (i64,) = db::run!(&mut conn, |c| sqlx::query_as(
            "SELECT COUNT(*) FROM users WHERE email_canonical LIKE $1"
        )
        .bind(format!("%{unique}%"))
        .fetch_one(c))
        .expect("a count");
        assert_eq!(rows, 1);
    }
}
