//! C070 and C071: a stranger neither guesses a password nor keeps its owner out, from however many networks, at
//! whichever process.

use std::time::Duration;

use accounts::passwords::StoredHash;
use accounts::users::User;
use futures_util::future::join_all;
use http::StatusCode;

use crate::harness::letters::world_with;
use crate::harness::process::{Process, free_port};
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Letters, Visitor, World};

const NEW: &str = "another horse, another battery";
const OFTEN: usize = 40;

/// With the bounds as they are, behind a proxy that tells of networks.
async fn worlds() -> [(World, Letters); 2] {
    let own = || Own {
        limits: Some("on"),
        proxies: Some("127.0.0.1"),
        ..Own::default()
    };
    [
        world_with(db::testing::sqlite_url(), own()).await,
        world_with(db::testing::postgres_url().await, own()).await,
    ]
}

/// Sends a form from a network.
async fn from(visitor: &mut Visitor<'_>, network: usize, form: &Form) -> Answer {
    let (origin, forwarded) = (visitor.origin().to_owned(), format!("203.0.{network}.7"));
    let headers = [
        ("origin", origin.as_str()),
        ("x-forwarded-for", forwarded.as_str()),
    ];
    visitor.submit_from(form, &headers).await
}

fn filled(page: &Answer, email: &str, password: &str) -> Form {
    page.form().with("username", email).with("password", password)
}

/// Guesses from many networks, in a browser of their own; how many were looked at, and the last refusal.
async fn besieged(world: &World, email: &str) -> (usize, Answer) {
    let mut stranger = world.visitor();
    let page = stranger.open("/account").await;
    let form = filled(&page, email, "not the password");
    let (mut looked_at, mut last) = (0, None);
    for network in 0..OFTEN {
        let answer = from(&mut stranger, network, &form).await;
        match answer.status {
            StatusCode::BAD_REQUEST => looked_at += 1,
            status => {
                assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.body);
                last = Some(answer);
            }
        }
    }
    (looked_at, last.expect("a refusal"))
}

async fn sign_in(visitor: &mut Visitor<'_>, user: &User, password: &str) -> Answer {
    let page = visitor.open("/account").await;
    let form = filled(&page, user.email.shown(), password);
    from(visitor, 250, &form).await
}

fn forget(visitor: &mut Visitor<'_>, word: &str) {
    visitor.cookies.retain(|name, _| !name.contains(word));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_guesses_from_many_networks_are_few_and_the_owner_enters_all_the_same() {
    for (world, letters) in worlds().await {
        let (user, other) = (world.user().await, world.user().await);
        let mut owner = world.visitor();
        assert_eq!(sign_in(&mut owner, &user, PASSWORD).await.status, 303);

        let before = world.hashes();
        for email in [user.email.shown(), "nobody@example.com"] {
            let (looked_at, refused) = besieged(&world, email).await;
            assert_eq!(looked_at, 10, "{email}");
            assert_eq!(refused.header("retry-after"), Some("600"));
            assert!(
                refused.has("Try again in 10 minutes, or reset your password."),
                "{}",
                refused.body
            );
            assert!(
                refused.has(&format!("value=\"{email}\"")),
                "still filled: {}",
                refused.body
            );
            assert!(refused.has("id=\"login-forgot\"") && !refused.has("not the password"));
        }
        assert_eq!(world.hashes() - before, 20, "what was refused was not looked at");

        // In another spelling it is the same account, and with the right password too.
        let shouted = user.email.shown().to_uppercase();
        let mut stranger = world.visitor();
        let page = stranger.open("/account").await;
        let answer = from(&mut stranger, 251, &filled(&page, &shouted, PASSWORD)).await;
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert_eq!(world.hashes() - before, 20);

        // A browser of the owner, signed out or not; and everybody else.
        forget(&mut owner, "cs_browser");
        assert_eq!(sign_in(&mut owner, &user, PASSWORD).await.status, 303);
        assert_eq!(sign_in(&mut world.visitor(), &other, PASSWORD).await.status, 303);

        // A new one enters with a new password, while it goes on.
        let mut device = world.visitor();
        assert_eq!(sign_in(&mut device, &user, PASSWORD).await.status, 429);
        let page = device.get("/recover").await;
        let sent = device
            .submit(&page.form().with("username", user.email.shown()))
            .await;
        assert_eq!(sent.status, 303);
        let link = letters.newest_link(user.email.shown(), 1).await;
        let page = device.get(&link).await;
        let set = device.submit(&page.form().with("password", NEW)).await;
        assert_eq!(set.status, 303, "{}", set.body);
        assert!(besieged(&world, user.email.shown()).await.0 <= 1);
        assert_eq!(sign_in(&mut device, &user, NEW).await.status, 303);
        assert_eq!(sign_in(&mut world.visitor(), &user, NEW).await.status, 429);
        // What was known of the old password counts no more.
        forget(&mut owner, "cs_browser");
        assert_eq!(sign_in(&mut owner, &user, NEW).await.status, 429);

        world.pass(Duration::from_secs(600));
        let mut owner = world.visitor();
        assert_eq!(sign_in(&mut owner, &user, NEW).await.status, 303);
        // Nor does a stranger in their own network, where they are known.
        let mut neighbour = world.visitor();
        let page = neighbour.open("/account").await;
        for n in 0..80 {
            let name = format!("nobody-{n}@example.com");
            from(&mut neighbour, 250, &filled(&page, &name, "not the password")).await;
        }
        assert_eq!(sign_in(&mut world.visitor(), &other, PASSWORD).await.status, 429);
        forget(&mut owner, "cs_browser");
        assert_eq!(sign_in(&mut owner, &user, NEW).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_a_browser_in_which_a_password_was_recovered_stays_known_when_others_sign_in_there() {
    for (world, letters) in worlds().await {
        let (user, other) = (world.user().await, world.user().await);
        let mut shared = world.visitor();
        let page = shared.get("/recover").await;
        let sent = shared
            .submit(&page.form().with("username", user.email.shown()))
            .await;
        assert_eq!(sent.status, 303);
        let page = shared
            .get(&letters.newest_link(user.email.shown(), 1).await)
            .await;
        let set = shared.submit(&page.form().with("password", NEW)).await;
        assert_eq!(set.status, 303, "{}", set.body);
        assert_eq!(sign_in(&mut shared, &other, PASSWORD).await.status, 303);
        forget(&mut shared, "cs_browser");
        besieged(&world, user.email.shown()).await;
        assert_eq!(sign_in(&mut world.visitor(), &user, NEW).await.status, 429);
        assert_eq!(sign_in(&mut shared, &user, NEW).await.status, 303);
        // It was theirs already when they signed in.
        assert!(letters.of_sign_ins(user.email.shown()).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_whoever_is_signed_in_in_a_browser_without_a_mark_leaves_a_siege_by_another_password() {
    for (world, _letters) in worlds().await {
        let user = world.user().await;
        let (mut owner, mut thief) = (world.visitor(), world.visitor());
        for visitor in [&mut owner, &mut thief] {
            assert_eq!(sign_in(visitor, &user, PASSWORD).await.status, 303);
            forget(visitor, "cs_known");
        }
        besieged(&world, user.email.shown()).await;
        // Also in the network of the one who asks.
        let mut neighbour = world.visitor();
        let page = neighbour.open("/account").await;
        for n in 0..80 {
            let name = format!("nobody-{n}@example.com");
            from(&mut neighbour, 9, &filled(&page, &name, "not the password")).await;
        }
        // A session that somebody else has is worth ten guesses, and takes none from another.
        let page = thief.open("/account/password").await;
        let form = page.form().with("password", NEW);
        let mut looked_at = 0;
        for network in 0..24 {
            let guess = form.clone().with("current", "not the password");
            looked_at += usize::from(from(&mut thief, network, &guess).await.status == 400);
        }
        assert_eq!(looked_at, 10);
        assert_eq!(
            from(&mut thief, 9, &form.with("current", PASSWORD)).await.status,
            429
        );
        let page = owner.open("/account/password").await;
        let form = page.form().with("current", PASSWORD).with("password", NEW);
        let answer = from(&mut owner, 9, &form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        // From now on the browser is known.
        forget(&mut owner, "cs_browser");
        assert_eq!(sign_in(&mut owner, &user, NEW).await.status, 303);
    }
}

/// Costs a second to look at, and is nobody's.
const SLOW: &str = "$2a$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Until this is so, or long enough.
async fn until(mut is_so: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..1_500 {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Whether the budget of some account is spent.
async fn is_spent(world: &World) -> bool {
    let mut conn = world.db.reader().await.expect("a connection");
    let by_then = (world.now() + Duration::from_secs(9 * 600)).as_secs();
    let found = "SELECT COUNT(*) FROM allowances WHERE name LIKE 'password of %' AND spent_until > $1";
    let (count,): (i64,) =
        db::run!(&mut conn, |c| sqlx::query_as(found).bind(by_then).fetch_one(c)).expect("a count");
    count > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_a_right_password_is_given_back_although_the_browser_hung_up() {
    for (world, _letters) in worlds().await {
        let user = world.user().await;
        // All threads that hash have something to do.
        let threads = std::thread::available_parallelism().expect("a number").get();
        let mut busy = Vec::new();
        for _ in 0..2 * threads {
            busy.push(
                world
                    .user_with(|draft| draft.password_hash = Some(StoredHash::parse(SLOW).expect("a hash")))
                    .await,
            );
        }
        let before = world.hashes();
        let slow = busy
            .iter()
            .map(async |user| sign_in(&mut world.visitor(), user, PASSWORD).await.status);
        let right = (0..10).map(async |_| sign_in(&mut world.visitor(), &user, PASSWORD).await.status);
        let hung_up = async {
            until(async || world.hashes() - before >= busy.len() as u64).await;
            tokio::select! {
                _ = join_all(right) => {}
                _ = until(async || is_spent(&world).await) => {}
            }
        };
        let (slow, ()) = tokio::join!(join_all(slow), hung_up);
        assert!(slow.iter().all(|status| *status == 400), "{slow:?}");
        let mut device = world.visitor();
        let enters = until(async || sign_in(&mut device, &user, PASSWORD).await.status == 303).await;
        assert!(enters, "ten right ones stay counted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_a_right_password_is_given_back_although_nothing_came_of_it() {
    for (world, _letters) in worlds().await {
        let user = world.user().await;
        let rename = async |from: &'static str, to: &'static str| {
            let statement = format!("ALTER TABLE {from} RENAME TO {to}");
            let renamed = world.db.transact(move |conn| {
                Box::pin(async move {
                    db::execute!(conn, sqlx::query(sqlx::AssertSqlSafe(statement)))?;
                    Ok::<_, db::Error>(())
                })
            });
            renamed.await.expect("another name");
        };
        rename("authentications", "elsewhere").await;
        for _ in 0..12 {
            assert_eq!(sign_in(&mut world.visitor(), &user, PASSWORD).await.status, 500);
        }
        rename("elsewhere", "authentications").await;
        assert_eq!(sign_in(&mut world.visitor(), &user, PASSWORD).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c071_the_pages_of_the_account_and_sign_in_have_one_budget() {
    for (world, _letters) in worlds().await {
        let user = world.user().await;
        let mut owner = world.visitor();
        assert_eq!(sign_in(&mut owner, &user, PASSWORD).await.status, 303);
        let before = world.hashes();
        let pages = [
            ("/account/password", "password", NEW),
            ("/account/email", "email", "other@example.com"),
            ("/account/delete", "email", user.email.shown()),
        ];
        let (mut looked_at, mut refused) = (0, 0);
        for network in 0..24 {
            let (path, field, value) = pages[network % 3];
            let page = owner.open(path).await;
            let form = page.form().with(field, value).with("current", "not the password");
            let answer = from(&mut owner, network, &form).await;
            match answer.status {
                StatusCode::BAD_REQUEST => looked_at += 1,
                status => {
                    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.body);
                    assert_eq!(answer.header("retry-after"), Some("600"));
                    assert!(answer.has("Too many passwords were tried. Try again in 10 minutes."));
                    assert!(path == "/account/password" || answer.has(&format!("value=\"{value}\"")));
                    refused += 1;
                }
            }
        }
        assert_eq!((looked_at, refused), (10, 14));
        assert_eq!(world.hashes() - before, 10);
        // In this browser the sign-in page has nothing left either, and strangers have spent nothing.
        forget(&mut owner, "cs_browser");
        assert_eq!(sign_in(&mut owner, &user, PASSWORD).await.status, 429);
        assert_eq!(besieged(&world, user.email.shown()).await.0, 10);

        // Who knows it is given back what they took.
        world.pass(Duration::from_secs(6000));
        for _ in 0..15 {
            assert_eq!(sign_in(&mut world.visitor(), &user, PASSWORD).await.status, 303);
        }
        let mut owner = world.visitor();
        sign_in(&mut owner, &user, PASSWORD).await;
        for _ in 0..15 {
            let page = owner.open("/account/password").await;
            let form = page.form().with("current", PASSWORD).with("password", "short");
            assert_eq!(from(&mut owner, 9, &form).await.status, 400);
        }
        // A password that is changed leaves the browser known.
        let page = owner.open("/account/password").await;
        let form = page.form().with("current", PASSWORD).with("password", NEW);
        assert_eq!(from(&mut owner, 9, &form).await.status, 303);
        besieged(&world, user.email.shown()).await;
        forget(&mut owner, "cs_browser");
        assert_eq!(sign_in(&mut owner, &user, NEW).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_two_processes_have_one_budget_for_an_account() {
    let folder = tempfile::tempdir().expect("a folder for the keys");
    let database = db::testing::postgres_url().await;
    let _goes = db::testing::temporary(&database);
    let db::Url::Postgres(url) = &database else {
        panic!("two processes need PostgreSQL")
    };
    let ports = [free_port(), free_port()];
    let issuer = format!("http://localhost:{}", ports[0]);
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_DATABASE_URL", url.as_str()),
        ("COUNTERSIGN_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let (_first, _second) = tokio::join!(
        Process::serve(folder.path(), &[], &environment, ports[0]),
        Process::serve(folder.path(), &[], &environment, ports[1]),
    );
    let mut worlds = Vec::new();
    for port in ports {
        let origin = format!("http://127.0.0.1:{port}");
        worlds.push(World::beside_at(&issuer, origin, &database).await);
    }
    let user = worlds[0].user().await;
    let mut owner = worlds[0].visitor();
    assert_eq!(sign_in(&mut owner, &user, PASSWORD).await.status, 303);
    let mut looked_at = 0;
    for world in &worlds {
        looked_at += besieged(world, user.email.shown()).await.0;
    }
    assert_eq!(looked_at, 10);
    // The owner's browser is known to the process that it has never met.
    let mut elsewhere = worlds[1].visitor();
    elsewhere.cookies = owner.cookies.clone();
    forget(&mut elsewhere, "cs_browser");
    assert_eq!(sign_in(&mut elsewhere, &user, PASSWORD).await.status, 303);
}
