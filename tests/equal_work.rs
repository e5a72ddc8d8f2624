//! C069: for a name that somebody has, and for one that nobody has, the server does the same: as many passwords are
//! looked at, as many statements run, as many mails are queued, and the answer is the same.

use accounts::deletion;
use accounts::email::Email;
use accounts::former_addresses::{self, Left};
use accounts::passwords::StoredHash;
use accounts::users::{self, User};
use events::Context;

use crate::harness::letters::world_with;
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Visitor, World};
use protocol::SignUp;

/// Of bcrypt, cost 5: as a user comes who was imported.
const IMPORTED: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const WRONG: &str = "not the password at all";

/// What a request made the server do, and what it told.
#[derive(Debug, PartialEq, Eq)]
struct Work {
    statements: u64,
    hashes: u64,
    mails: i64,
    status: u16,
    cookies: usize,
    body: String,
}

/// People in every state in which an account can be, and what to type to be refused; and names that nobody has.
struct Names {
    known: Vec<(&'static str, String, &'static str)>,
    unknown: Vec<String>,
}

/// Only requests run statements here, and all bounds are as they are.
async fn worlds() -> [World; 2] {
    let own = || Own {
        limits: Some("on"),
        proxies: Some("127.0.0.1"),
        sign_up: Some(SignUp::Open),
        only_requests: true,
        ..Own::default()
    };
    [
        world_with(db::testing::sqlite_url(), own()).await.0,
        world_with(db::testing::postgres_url().await, own()).await.0,
    ]
}

async fn names(world: &World) -> Names {
    let user = world.user().await;
    let disabled = world.user().await;
    let now = world.now();
    let sub = disabled.sub.clone();
    let disable = world.db.transact(move |conn| {
        Box::pin(async move { users::set_disabled(&sub, Some(now), &Context::server(), conn, now).await })
    });
    assert!(disable.await.unwrap());
    let going = world.user().await;
    let (sub, epoch) = (going.sub.clone(), going.epoch);
    let ask = world.db.transact(move |conn| {
        Box::pin(async move { deletion::ask(&sub, epoch, now + deletion::GRACE, conn).await })
    });
    assert!(ask.await.unwrap());
    let bare = world.user_with(|draft| draft.password_hash = None).await;
    let hash = StoredHash::parse(IMPORTED).unwrap();
    let imported = world.user_with(|draft| draft.password_hash = Some(hash)).await;
    // The address that an account had until a moment ago.
    let former = world.user().await;
    let elsewhere = former.email.shown().replace('@', "@elsewhere.");
    let (before, to) = (former.clone(), Email::parse(&elsewhere).unwrap());
    let leave = world.db.transact(move |conn| {
        Box::pin(async move {
            users::change_email(&before.sub, before.epoch, &to, conn, now).await?;
            former_addresses::leave(&before, &to, conn, now).await
        })
    });
    assert!(matches!(leave.await.unwrap(), Left::Until(_)));
    let address = |user: &User| user.email.shown().to_owned();
    let known = vec![
        ("with another password", address(&user), WRONG),
        ("disabled, with the right password", address(&disabled), PASSWORD),
        ("disabled, with another", address(&disabled), WRONG),
        ("about to be deleted", address(&going), WRONG),
        ("without a password", address(&bare), PASSWORD),
        ("imported", address(&imported), WRONG),
        ("moved away from", address(&former), PASSWORD),
    ];
    let length = address(&user).len();
    let nobody = |n: usize| {
        let name = format!("nobody{n}{}@example.com", "x".repeat(length));
        let (local, domain) = name.split_once('@').unwrap();
        format!("{}@{domain}", &local[..length - domain.len() - 1])
    };
    let unknown: Vec<String> = (0..4).map(nobody).collect();
    for (_, name, _) in &known {
        assert_eq!(name.len(), unknown[0].len(), "answers are as long as the name");
    }
    Names { known, unknown }
}

/// What the server does for a form, sent from a network of its own.
async fn work(world: &World, visitor: &mut Visitor<'_>, form: &Form, name: &str) -> Work {
    let mails = async || {
        let counts = world.row_counts().await;
        counts
            .iter()
            .find(|(table, _)| table == "mails")
            .expect("a table")
            .1
    };
    let (origin, forwarded) = (
        world.issuer.clone(),
        format!("203.0.{}.7", protocol::random::bytes::<1>()[0]),
    );
    let headers = [("origin", &*origin), ("x-forwarded-for", &*forwarded)];
    let queued = mails().await;
    let (statements, hashes) = (world.db.statements(), world.hashes());
    let answer = visitor.submit_from(form, &headers).await;
    Work {
        statements: world.db.statements() - statements,
        hashes: world.hashes() - hashes,
        mails: mails().await - queued,
        status: answer.status.as_u16(),
        cookies: answer.headers.get_all("set-cookie").iter().count(),
        body: told(&answer, name),
    }
}

/// The page without what is never twice the same.
fn told(answer: &Answer, name: &str) -> String {
    let mut text = answer.body.replace(name, "NAME");
    if !text.is_empty() {
        for (field, value) in answer.form().fields {
            text = text.replace(&value, &field);
        }
    }
    let id = answer.header("x-request-id").unwrap_or("none");
    text.replace(id, "ID")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c069_a_sign_in_costs_the_same_whoever_has_the_name() {
    for world in worlds().await {
        let (app, names) = (world.app().await, names(&world).await);
        for url in [app.url(&[]), "/account".to_owned()] {
            let mut visitor = world.visitor();
            let form = visitor.open(&url).await.form();
            let mut guess = async |name: &str, password: &str| {
                let form = form.clone().with("username", name).with("password", password);
                work(&world, &mut visitor, &form, name).await
            };
            let expected = guess(&names.unknown[0], WRONG).await;
            assert_eq!((expected.status, expected.hashes), (400, 1), "{}", expected.body);
            assert!(expected.statements >= 5, "{}", expected.statements);
            for name in &names.unknown {
                assert_eq!(guess(name, WRONG).await, expected, "{name}");
            }
            for (who, name, password) in &names.known {
                assert_eq!(guess(name, password).await, expected, "{who}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c069_a_guess_too_many_costs_the_same_whoever_has_the_name() {
    for world in worlds().await {
        let names = names(&world).await;
        let mut visitor = world.visitor();
        let form = visitor.open("/account").await.form();
        let mut refused = Vec::new();
        let unknown = names.unknown.iter().take(1).map(|name| ("nobody", name, WRONG));
        let known = names
            .known
            .iter()
            .map(|(who, name, password)| (*who, name, *password));
        for (who, name, password) in unknown.chain(known) {
            let form = form.clone().with("username", name).with("password", password);
            let mut last = work(&world, &mut visitor, &form, name).await;
            for _ in 0..10 {
                last = work(&world, &mut visitor, &form, name).await;
            }
            refused.push((who, last));
        }
        let (_, expected) = refused.first().expect("a refusal");
        assert_eq!((expected.status, expected.hashes), (429, 0));
        for (who, work) in &refused {
            assert_eq!(work, expected, "{who}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c069_asking_for_a_link_or_an_account_costs_the_same_whoever_has_the_address() {
    for world in worlds().await {
        let names = names(&world).await;
        for page in ["/recover", "/signup"] {
            let mut visitor = world.visitor();
            let form = visitor.get(page).await.form();
            let mut ask = async |name: &str| {
                let form = form.clone().with("username", name);
                work(&world, &mut visitor, &form, name).await
            };
            let expected = ask(&names.unknown[0]).await;
            assert_eq!((expected.status, expected.hashes, expected.mails), (303, 0, 1));
            assert!(expected.statements >= 5, "{}", expected.statements);
            for name in &names.unknown[1..] {
                assert_eq!(ask(name).await, expected, "{page} {name}");
            }
            let mut asked = Vec::new();
            for (who, name, _) in &names.known {
                if asked.contains(&name) {
                    continue;
                }
                assert_eq!(ask(name).await, expected, "{page} {who}");
                asked.push(name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c069_wanting_another_address_costs_the_same_whoever_has_it() {
    for world in worlds().await {
        let names = names(&world).await;
        let mut works = Vec::new();
        for name in names
            .unknown
            .iter()
            .chain(names.known.iter().map(|(_, name, _)| name))
        {
            let user = world.user().await;
            let mut visitor = world.visitor();
            let page = visitor.open("/account").await;
            visitor.sign_in(&page, user.email.shown()).await;
            let form = visitor.get("/account/email").await.form();
            let form = form.with("email", name).with("current", PASSWORD);
            works.push(work(&world, &mut visitor, &form, name).await);
        }
        assert_eq!((works[0].status, works[0].hashes, works[0].mails), (303, 1, 1));
        for work in &works {
            assert_eq!(*work, works[0]);
        }
    }
}
