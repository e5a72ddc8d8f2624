//! A forgotten password: C067, C069, C070, C073, C074.

mod taken_back;
mod ways_on;

use std::time::Duration;

use accounts::passwords::HasherSettings;
use accounts::users::{self, User};
use futures_util::future::join_all;
use http::StatusCode;
use mail::{Relay, Sender, Smtp, Way};
use revocation::Act;

use crate::harness::app::userinfo;
use crate::harness::letters::{link, world_with};
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Letters, Visitor, World};

const NEW: &str = "another horse, another battery";
const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];
const SENT: &str = "<h1 tabindex=\"-1\" autofocus>Check your email</h1>";
const GONE: StatusCode = StatusCode::GONE;

/// Asks for a link to this address, without an app that waits.
async fn ask(visitor: &mut Visitor<'_>, address: &str) -> Answer {
    let page = visitor.get("/recover").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let answer = visitor.submit(&page.form().with("username", address)).await;
    visitor.follow(answer).await
}

/// A link that came for this user.
async fn mailed(world: &World, letters: &Letters, user: &User) -> String {
    let before = letters.links(user.email.shown());
    let answer = ask(&mut world.visitor(), user.email.shown()).await;
    assert!(answer.has(SENT), "{}", answer.body);
    letters.newest_link(user.email.shown(), before + 1).await
}

/// Follows a link and sets this password.
async fn set(visitor: &mut Visitor<'_>, link: &str, password: &str) -> Answer {
    let page = visitor.get(link).await;
    assert_eq!(page.status, 200, "{}", page.body);
    visitor.submit(&page.form().with("password", password)).await
}

fn href(page: &Answer, id: &str) -> String {
    let (_, rest) = page
        .body
        .split_once(&format!("id=\"{id}\" href=\""))
        .unwrap_or_else(|| panic!("no {id}: {}", page.body));
    rest.split('"').next().expect("an address").replace("&amp;", "&")
}

async fn reload(world: &World, user: &User) -> User {
    let mut conn = world.db.reader().await.expect("a connection");
    let user = users::by_sub(&user.sub, &mut conn).await.expect("the database");
    user.expect("the user")
}

async fn rows(world: &World, table: &str) -> i64 {
    let counts = world.row_counts().await;
    counts.iter().find(|(name, _)| name == table).expect("a table").1
}

with_mail! {
    async fn whoever_forgot_sets_another_password_and_goes_on_to_the_app(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let address = user.email.shown();
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let page = visitor.get(&href(&login, "login-forgot")).await;
        assert!(page.has("Forgot your password?"), "{}", page.body);
        let answer = visitor.submit(&page.form().with("username", address)).await;
        assert_eq!(answer.status, 303);
        let sent = visitor.follow(answer).await;
        assert!(sent.has(SENT) && sent.has(&format!("<bdi>{address}</bdi>")), "{}", sent.body);

        let letter = letters.newest(address, 1).await;
        assert_eq!(letter.letter.subject, "Set a new password for Countersign");
        assert!(!letter.letter.html.contains("<img") && !letter.letter.html.contains("url("));
        let link = link(&letter);
        assert!(link.starts_with(&format!("{}/recover/password?link=cs_ml_", world.issuer)), "{link}");
        let page = visitor.get(&link).await;
        assert!(page.has(&format!("name=\"username\" autocomplete=\"username\" value=\"{address}\" readonly")));
        assert!(page.has("autocomplete=\"new-password\""));
        let answer = visitor.submit(&page.form().with("password", NEW)).await;
        assert_eq!(answer.status, 303);
        let done = visitor.follow(answer).await;
        assert!(done.has("Your new password is set") && done.has("<bdi>Test app</bdi>"), "{}", done.body);

        // Nobody was signed in by that: the app gets its answer once the new password is given.
        let login = visitor.open(&href(&done, "onward")).await;
        let wrong = visitor.sign_in_with(&login, address, PASSWORD).await;
        assert!(wrong.has("That email or password"), "{}", wrong.body);
        let consent = visitor.sign_in_with(&wrong, address, NEW).await;
        let redirect = visitor.decide(&consent, "allow").await;
        assert_eq!(redirect.param("state").as_deref(), Some("st-ate"));
        app.tokens(&world, &redirect).await;

        let notice = letters.newest(address, 2).await;
        assert_eq!(notice.letter.subject, "Your Countersign password was changed");
        assert!(!notice.letter.text.contains("http"), "{}", notice.letter.text);
        assert_eq!(letters.settled().await, 2);
        assert_eq!(rows(&world, "mails").await, 0);
    }

    async fn c067_a_recovered_password_ends_sessions_apps_and_older_links(world: World, letters: Letters) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let address = user.email.shown();
        let (mut own, mut theirs) = (world.visitor(), world.visitor());
        let redirect = own.authorize(&app.url(OFFLINE), address).await;
        let tokens = app.tokens(&world, &redirect).await;
        let redirect = theirs.authorize(&app.url(OFFLINE), other.email.shown()).await;
        let others = app.tokens(&world, &redirect).await;
        let waiting = world.visitor().authorize(&app.url(&[]), address).await;
        let older = mailed(&world, &letters, &user).await;
        let link = mailed(&world, &letters, &user).await;

        let answer = set(&mut world.visitor(), &link, NEW).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
        assert_eq!(app.refresh(&world, tokens.refresh()).await.status, 400);
        assert_eq!(app.redeem(&world, &waiting.param("code").unwrap()).await.status, 400);
        assert!(own.open(&app.url(&[])).await.has("id=\"login-submit\""), "the session is over");
        let dead = world.visitor().get(&older).await;
        assert_eq!(dead.status, GONE);
        assert!(dead.has("This link no longer works"), "{}", dead.body);

        // And nothing of anybody else's.
        assert_eq!(userinfo(&world, others.access()).await.status, 200);
        assert!(!theirs.open(&app.url(&[])).await.has("id=\"login-submit\""));
        let trail = events::audit::newest(100, &mut world.db.reader().await.unwrap()).await.unwrap();
        let recovered: Vec<_> = trail.iter().filter(|event| event.kind == "password.recovered").collect();
        assert_eq!(recovered.len(), 1);
        assert_eq!(recovered[0].sub.as_deref(), Some(user.sub.as_str()));
        assert_eq!(recovered[0].details["approvals_ended"], 2);
        assert_eq!(recovered[0].address.as_deref(), Some("127.0.0.1"));
        assert!(!format!("{trail:?}").contains("cs_ml_"));
    }

    async fn c073_looking_at_a_link_uses_nothing_up_and_each_way_to_be_dead_has_its_page(world: World, letters: Letters) {
        let (user, off) = (world.user().await, world.user().await);
        let mut visitor = world.visitor();
        let fresh = mailed(&world, &letters, &user).await;
        for _ in 0..3 {
            let scanner = world.visitor().get(&fresh).await;
            assert_eq!(scanner.status, 200);
            assert!(scanner.header("cache-control") == Some("no-store"));
        }
        for password in ["short", "", &"x".repeat(257), "with\u{7}bell"] {
            let answer = set(&mut visitor, &fresh, password).await;
            assert_eq!(answer.status, 400, "{password}");
            assert!(answer.has("aria-invalid=\"true\"") && answer.has("Error: "), "{}", answer.body);
            assert!(password.is_empty() || !answer.has(&format!("value=\"{password}\"")));
        }
        assert_eq!(reload(&world, &user).await, user);

        let used = mailed(&world, &letters, &user).await;
        assert_eq!(set(&mut visitor, &used, NEW).await.status, 303);
        let expired = mailed(&world, &letters, &user).await;
        let disabled = mailed(&world, &letters, &off).await;
        world.end(Act::DisableUser(off.sub.clone())).await;
        world.pass(Duration::from_secs(30 * 60));
        let foreign = format!("{}/recover/password?link=cs_ml_x", world.issuer);
        let nothing = format!("{}/recover/password", world.issuer);
        for (link, status, title) in [
            (&used, GONE, "This link no longer works"),
            (&expired, GONE, "This link has expired"),
            (&disabled, StatusCode::FORBIDDEN, "This account is turned off"),
            (&foreign, StatusCode::NOT_FOUND, "We don't know this link"),
            (&nothing, StatusCode::NOT_FOUND, "We don't know this link"),
        ] {
            let page = world.visitor().get(link).await;
            assert_eq!(page.status, status, "{link}");
            assert!(page.has(&format!("<h1>{title}</h1>")), "{}", page.body);
            assert_eq!(page.has("id=\"link-new\""), status == GONE, "{}", page.body);
            assert!(!page.has(user.email.shown()) && !page.has(off.email.shown()));
        }

        // The form of a page that was open meanwhile fares no better.
        let late = mailed(&world, &letters, &user).await;
        let page = visitor.get(&late).await;
        world.pass(Duration::from_secs(30 * 60));
        let answer = visitor.submit(&page.form().with("password", NEW)).await;
        assert!(answer.status == GONE && answer.has("This link has expired"), "{}", answer.body);
        assert_eq!(letters.held(off.email.shown()).len(), 1);
        ask(&mut visitor, off.email.shown()).await;
        letters.settled().await;
        assert_eq!(letters.held(off.email.shown()).len(), 1, "who is disabled is sent nothing");
    }

    async fn r07_of_many_who_use_one_link_at_once_one_succeeds(world: World, letters: Letters) {
        let user = world.user().await;
        let link = mailed(&world, &letters, &user).await;
        let mut forms: Vec<(Visitor<'_>, Form)> = Vec::new();
        for n in 0..30 {
            let mut visitor = world.visitor();
            let page = visitor.get(&link).await;
            forms.push((visitor, page.form().with("password", &format!("password number {n}"))));
        }
        let answers = join_all(forms.iter_mut().map(|(visitor, form)| visitor.submit(form))).await;
        let won: Vec<usize> = (0..30).filter(|n| answers[*n].status == 303).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != won[0]) {
            assert_eq!(answer.status, GONE, "{n}: {}", answer.body);
        }
        assert_eq!(reload(&world, &user).await.epoch, user.epoch + 1);
        let app = world.app().await;
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let page = visitor.sign_in_with(&login, user.email.shown(), &format!("password number {}", won[0])).await;
        assert!(page.has("id=\"consent-allow\""), "{}", page.body);
        letters.newest(user.email.shown(), 2).await;
        assert_eq!(letters.settled().await, 2, "one link, one notice");
    }

    async fn a_link_that_is_opened_in_another_browser_works_there_and_leads_to_no_app(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let page = visitor.get(&href(&login, "login-forgot")).await;
        visitor.submit(&page.form().with("username", user.email.shown())).await;
        let link = link(&letters.newest(user.email.shown(), 1).await);
        let mut phone = visitor.elsewhere();
        let answer = set(&mut phone, &link, NEW).await;
        let done = phone.follow(answer).await;
        assert!(done.has("Your new password is set") && done.has("id=\"onward\""), "{}", done.body);
        assert!(!done.has("Test app") && done.has("in another browser, go back there"), "{}", done.body);
        // The first browser still has its sign-in page.
        let consent = visitor.sign_in_with(&login, user.email.shown(), NEW).await;
        assert!(consent.has("id=\"consent-allow\""), "{}", consent.body);
    }

    async fn who_was_imported_without_a_password_enters_by_a_link(world: World, letters: Letters) {
        let user = world.user_with(|draft| draft.password_hash = None).await;
        let link = mailed(&world, &letters, &user).await;
        let mut visitor = world.visitor();
        assert_eq!(set(&mut visitor, &link, NEW).await.status, 303);
        let login = visitor.open(&world.app().await.url(&[])).await;
        let page = visitor.sign_in_with(&login, user.email.shown(), NEW).await;
        assert!(page.has("id=\"consent-allow\""), "{}", page.body);
    }

    async fn c064_c087_only_our_own_form_in_its_own_browser_counts_and_no_field_of_others(world: World, letters: Letters) {
        let (user, eve) = (world.user().await, world.user().await);
        let link = mailed(&world, &letters, &user).await;
        let mut visitor = world.visitor();
        let (ask, password) = (visitor.get("/recover").await, visitor.get(&link).await);
        let forms = [
            ask.form().with("username", user.email.shown()),
            password.form().with("password", NEW),
        ];
        for form in &forms {
            for origin in ["https://evil.example", "null", "http://localhost:1"] {
                let answer = visitor.submit_from(form, &[("origin", origin)]).await;
                assert_eq!(answer.status, 403, "{origin}");
            }
            let elsewhere = visitor.elsewhere().submit(form).await;
            assert_eq!(elsewhere.status, 403, "another browser");
            let token = visitor.get("/recover").await.form().value("csrf").to_owned() + "A";
            assert_eq!(visitor.submit(&form.clone().with("csrf", &token)).await.status, 403);
        }
        assert_eq!(letters.settled().await, 1);
        assert_eq!(reload(&world, &user).await, user);

        let form = forms[1]
            .clone()
            .with("username", eve.email.shown())
            .with("sub", eve.sub.as_str())
            .with("email", "eve@evil.example")
            .with("email_verified", "false")
            .with("epoch", "99");
        assert_eq!(visitor.submit(&form).await.status, 303);
        assert_eq!(reload(&world, &eve).await, eve);
        let after = reload(&world, &user).await;
        assert_ne!(after.password_hash, user.password_hash);
        let expected = User { password_hash: after.password_hash.clone(), epoch: user.epoch + 1, ..user.clone() };
        assert_eq!(after, expected);
    }
}

/// Everything that is kept of who asked.
async fn kept(world: &World) -> Vec<String> {
    let mut conn = world.db.reader().await.expect("a connection");
    let rows = "SELECT sealed FROM mails UNION ALL SELECT name FROM allowances";
    let rows: Vec<(String,)> = db::run!(&mut conn, |c| sqlx::query_as(rows).fetch_all(c)).expect("the rows");
    rows.into_iter().map(|(text,)| text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c069_a_known_and_an_unknown_name_are_answered_alike_after_the_same_work() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        // A relay that is away: what is queued stays, and can be counted.
        let relay = Relay::parse("smtp://127.0.0.1:9").unwrap();
        let sender = Sender::parse("no-reply@example.com").unwrap();
        let own = Own {
            mail: Some(Way::Smtp(Smtp::new(&relay, sender, b"").unwrap())),
            limits: Some("on"),
            ..Own::default()
        };
        let world = World::here_with(database, own).await;
        let user = world.user().await;
        let known = user.email.shown().to_owned();
        let unknown = known.replace("alex-", "jane-");
        let mut traces = Vec::new();
        for address in [&known, &unknown] {
            let before = world.row_counts().await;
            let mut visitor = world.visitor();
            let page = visitor.get("/recover").await;
            let answer = visitor.submit(&page.form().with("username", address)).await;
            let after = world.row_counts().await;
            let sent = visitor.follow(answer.clone()).await;
            assert!(sent.has(SENT), "{}", sent.body);
            // What the sender does is for nobody to see: it looks the person up.
            let queued: i64 = after
                .iter()
                .zip(&before)
                .filter(|((table, _), _)| table == "mails" || table == "allowances")
                .map(|((_, after), (_, before))| after - before)
                .sum();
            let body = sent
                .body
                .replace(address.as_str(), "ADDRESS")
                .replace(sent.form().value("csrf"), "CSRF");
            let names = |answer: &Answer| {
                let names = answer.headers.iter();
                names
                    .map(|(name, value)| (name.to_string(), value.len()))
                    .collect::<Vec<_>>()
            };
            traces.push((answer.status, names(&answer), sent.status, names(&sent), body));
            // One mail, and the counts: of the network and all (new with the first), and of the address.
            assert_eq!(queued, if traces.len() == 1 { 4 } else { 2 }, "{address}");
        }
        assert_eq!(traces[0], traces[1]);
        let kept = kept(&world).await;
        assert!(!kept.iter().any(|text| text.contains('@')), "{kept:?}");
        let sealed: Vec<usize> = kept.iter().take(2).map(String::len).collect();
        assert_eq!(sealed[0], sealed[1], "{kept:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c069_nobody_is_looked_up_and_nothing_is_hashed_while_somebody_waits_for_the_answer() {
    let own = Own {
        // Whatever would be hashed is refused.
        hasher: Some(HasherSettings {
            queue: 0,
            ..HasherSettings::default()
        }),
        ..Own::default()
    };
    let (world, _letters) = world_with(db::testing::postgres_url().await, own).await;
    let user = world.user().await;
    let mut visitor = world.visitor();
    let page = visitor.get("/recover").await;
    let mut conn = world.db.reader().await.expect("a connection");
    for statement in ["BEGIN", "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"] {
        db::execute!(&mut conn, sqlx::query(statement)).expect("the lock");
    }
    // Whoever looks at the table of users now, waits.
    for address in [user.email.shown(), "nobody@example.com"] {
        let form = page.form().with("username", address);
        let answer = tokio::time::timeout(Duration::from_secs(5), visitor.submit(&form)).await;
        assert_eq!(answer.expect("an answer without the table").status, 303);
    }
    db::execute!(&mut conn, sqlx::query("ROLLBACK")).expect("the end of the lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c074_a_password_is_judged_before_it_is_hashed() {
    let own = Own {
        hasher: Some(HasherSettings {
            queue: 0,
            ..HasherSettings::default()
        }),
        ..Own::default()
    };
    let (world, letters) = world_with(db::testing::sqlite_url(), own).await;
    let user = world.user().await;
    let link = mailed(&world, &letters, &user).await;
    let mut visitor = world.visitor();
    for (password, status) in [("1234567", 400), (&*"x".repeat(257), 400), (NEW, 503)] {
        let answer = set(&mut visitor, &link, password).await;
        assert_eq!(answer.status, status, "{password}");
    }
    let busy = set(&mut visitor, &link, NEW).await;
    assert!(busy.has("We're busy just now") && busy.headers.contains_key("retry-after"));
    assert_eq!(
        visitor.get(&link).await.status,
        200,
        "the link is as good as before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_links_are_asked_for_within_bounds_and_nobody_is_locked_out_by_a_stranger() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            limits: Some("on"),
            proxies: Some("127.0.0.1"),
            ..Own::default()
        };
        let (world, letters) = world_with(database, own).await;
        let user = world.user().await;
        let address = user.email.shown();
        let mut visitor = world.visitor();
        let form = visitor.get("/recover").await.form();
        let mut from = async |network: u8, address: &str| {
            let (origin, forwarded) = (world.issuer.clone(), format!("203.0.{network}.7"));
            let form = form.clone().with("username", address);
            let headers = [("origin", &*origin), ("x-forwarded-for", &*forwarded)];
            visitor.submit_from(&form, &headers).await
        };
        // Of one address only so many, from wherever, in whatever spelling, known or not.
        for (name, spelled) in [
            (address, address.to_uppercase()),
            ("nobody@example.com", "Nobody@EXAMPLE.com".to_owned()),
        ] {
            for network in 0..3 {
                assert_eq!(from(network, name).await.status, 303);
            }
            let before = rows(&world, "allowances").await;
            let refused = from(9, &spelled).await;
            assert_eq!(
                rows(&world, "allowances").await,
                before,
                "a refusal leaves nothing"
            );
            assert_eq!(refused.status, 429, "{}", refused.body);
            assert_eq!(refused.header("retry-after"), Some("1200"));
            assert!(
                refused.has(&format!("value=\"{spelled}\"")),
                "still filled: {}",
                refused.body
            );
            assert!(refused.has("Too many links were asked for"), "{}", refused.body);
            assert!(
                refused.has("<title>Error: ") && refused.has("There is a problem"),
                "{}",
                refused.body
            );
        }
        // Of one network only so many.
        let mut passed = 0;
        for n in 0..25 {
            passed += usize::from(from(100, &format!("somebody{n}@example.com")).await.status == 303);
        }
        assert_eq!(passed, 20);
        assert_eq!(from(101, "somebody@example.com").await.status, 303);

        // The stranger keeps asking; what the owner was sent works all the time.
        let mut sent = 3;
        letters.newest(address, sent).await;
        for _ in 0..8 {
            world.pass(Duration::from_secs(10 * 60));
            sent += usize::from(from(50, address).await.status == 303);
            let link = link(&letters.newest(address, sent).await);
            assert_eq!(world.visitor().get(&link).await.status, 200);
        }
        assert_eq!(sent, 3 + 4, "one in twenty minutes");
        let link = link(&letters.newest(address, sent).await);
        assert_eq!(set(&mut world.visitor(), &link, NEW).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typed_address_that_is_none_is_sent_nothing_and_adds_no_header() {
    let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
    let user = world.user().await;
    let mut visitor = world.visitor();
    for typed in [
        "",
        "alex",
        &format!("{}\r\nBcc: eve@evil.example", user.email.shown()),
        &format!("{},eve@evil.example", user.email.shown()),
        &format!("{}> <eve@evil.example", user.email.shown()),
        &"a".repeat(10_000),
    ] {
        let page = visitor.get("/recover").await;
        let answer = visitor.submit(&page.form().with("username", typed)).await;
        assert_eq!(answer.status, 400, "{typed:.80}");
        assert!(answer.has("aria-invalid=\"true\""), "{}", answer.body);
    }
    assert_eq!(rows(&world, "mails").await, 0);
    assert_eq!(letters.settled().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_mail_no_recovery_is_offered_and_its_page_says_whom_to_ask() {
    let world = World::sqlite().await;
    let mut visitor = world.visitor();
    let login = visitor.open(&world.app().await.url(&[])).await;
    assert!(!login.has("login-forgot") && !login.has("/recover"));
    let page = visitor.get("/recover").await;
    assert_eq!(page.status, 200);
    assert!(
        page.has("Ask the people who run it for a new password"),
        "{}",
        page.body
    );
    assert!(!page.has("<form"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c097_a_link_leads_to_the_issuer_whatever_host_a_request_names() {
    let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
    let user = world.user().await;
    let mut visitor = world.visitor();
    let form = visitor.get("/recover").await.form();
    let origin = world.issuer.clone();
    let headers = [
        ("origin", origin.as_str()),
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
    ];
    let form = form.with("username", user.email.shown());
    assert_eq!(visitor.submit_from(&form, &headers).await.status, 303);
    let letter = letters.newest(user.email.shown(), 1).await;
    assert!(!letter.letter.text.contains("evil") && !letter.letter.html.contains("evil"));
    assert!(link(&letter).starts_with(&world.issuer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_looking_around_writes_nothing() {
    let (world, _letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
    world.user().await;
    let before = world.row_counts().await;
    for path in [
        "/recover",
        "/recover?flow=x",
        "/recover/sent",
        "/recover/sent?to=x&flow=y",
        "/recover/password",
        "/recover/password?link=cs_ml_x",
        "/recover/account",
        "/recover/account?link=cs_ml_x",
        "/recover/done",
        "/recover/done?flow=x",
        "/verify",
        "/verify?link=x",
        "/verify/sent",
        "/verify/done",
    ] {
        let answer = world.visitor().get(path).await;
        assert!(!answer.status.is_server_error(), "{path}: {}", answer.status);
        let post = Form {
            action: path.to_owned(),
            fields: Vec::new(),
        };
        let answer = world.visitor().submit(&post).await;
        assert!(
            [403, 405].contains(&answer.status.as_u16()),
            "{path}: {}",
            answer.status
        );
    }
    assert_eq!(world.row_counts().await, before);
}
