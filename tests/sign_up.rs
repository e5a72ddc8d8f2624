//! Getting an account: C064, C069, C070, C073, C074, C076, C077, C087; OpenID Connect Prompt Create.

/// The same on each database.
macro_rules! open_to_all {
    ($(async fn $name:ident($world:ident: World, $letters:ident: Letters) $body:block)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
                let ($world, $letters) = crate::sign_up::open_with(database, $crate::harness::world::Own::default()).await;
                $body
            }
        }
    )+};
}

mod apps;
mod invitations;
mod own;

use std::time::Duration;

use accounts::claims::Claim;
use accounts::email::Email;
use accounts::passwords::HasherSettings;
use accounts::users::{self, User};
use futures_util::future::join_all;
use http::StatusCode;
use mail::{Relay, Sender, Smtp, Way};
use protocol::SignUp;

use crate::harness::app::payload;
use crate::harness::letters::{link, world_with};
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Letters, Visitor, World};

const NEW: &str = "another horse, another battery";
const SENT: &str = "<h1 tabindex=\"-1\" autofocus>Check your email</h1>";

/// Everybody may make an account.
async fn open_with(database: db::Url, own: Own) -> (World, Letters) {
    let own = Own {
        sign_up: Some(SignUp::Open),
        ..own
    };
    world_with(database, own).await
}

async fn ask(visitor: &mut Visitor<'_>, address: &str) -> Answer {
    let page = visitor.get("/signup").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let answer = visitor.submit(&page.form().with("username", address)).await;
    visitor.follow(answer).await
}

/// A link that came for this address.
async fn mailed(world: &World, letters: &Letters, address: &str) -> String {
    let before = letters.links(address);
    let answer = ask(&mut world.visitor(), address).await;
    assert!(answer.has(SENT), "{}", answer.body);
    letters.newest_link(address, before + 1).await
}

/// Follows a link and makes the account.
async fn make(visitor: &mut Visitor<'_>, link: &str, name: &str, password: &str) -> Answer {
    let page = visitor.get(link).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let form = page.form().with("name", name).with("password", password);
    visitor.submit(&form).await
}

async fn user(world: &World, address: &str) -> Option<User> {
    let mut conn = world.db.reader().await.expect("a connection");
    let email = Email::parse(address).expect("an address");
    users::by_email(&email, &mut conn).await.expect("the database")
}

fn href(page: &Answer, id: &str) -> String {
    let (_, rest) = page
        .body
        .split_once(&format!("id=\"{id}\" href=\""))
        .unwrap_or_else(|| panic!("no {id}: {}", page.body));
    rest.split('"').next().expect("an address").replace("&amp;", "&")
}

open_to_all! {
    async fn whoever_is_new_makes_an_account_and_goes_on_to_the_app(world: World, letters: Letters) {
        let app = world.app().await;
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[("scope", "openid profile email")])).await;
        let page = visitor.get(&href(&login, "login-create")).await;
        assert!(page.has("<h1>Create an account</h1>") && page.has("<bdi>Test app</bdi>"), "{}", page.body);
        let answer = visitor.submit(&page.form().with("username", "Zoe@Example.com")).await;
        assert_eq!(answer.status, 303);
        let sent = visitor.follow(answer).await;
        assert!(sent.has(SENT) && sent.has("<bdi>Zoe@example.com</bdi>"), "{}", sent.body);

        let letter = letters.newest("Zoe@example.com", 1).await;
        assert_eq!(letter.letter.subject, "Create your Countersign account");
        assert!(!letter.letter.html.contains("<img") && !letter.letter.html.contains("url("));
        let link = link(&letter);
        assert!(link.starts_with(&format!("{}/signup/account?link=cs_ml_", world.issuer)), "{link}");
        for _ in 0..2 {
            let page = world.visitor().get(&link).await;
            assert_eq!(page.status, 200, "looking at it uses nothing up");
        }
        assert_eq!(user(&world, "zoe@example.com").await, None);

        let page = visitor.get(&link).await;
        assert!(page.has("autocomplete=\"new-password\"") && page.has("autocomplete=\"name\""), "{}", page.body);
        assert!(page.has("name=\"username\" autocomplete=\"username\" value=\"Zoe@example.com\" readonly"));
        let form = page.form().with("name", " Zoe\u{308} \u{202E}Example ").with("password", NEW);
        let answer = visitor.submit(&form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        // A second click does not lose the app.
        let again = visitor.submit(&form).await;
        again.assert_page(410, "This link no longer works");
        let login = visitor.get(&href(&again, "signup-sign-in")).await;
        assert!(login.has("<bdi>Test app</bdi>"), "{}", login.body);
        let consent = visitor.follow(answer).await;
        assert!(consent.has("id=\"consent-allow\""), "signed in: {}", consent.body);
        let redirect = visitor.decide(&consent, "allow").await;
        assert_eq!(redirect.param("state").as_deref(), Some("st-ate"));
        let tokens = app.tokens(&world, &redirect).await;
        let made = user(&world, "zoe@example.com").await.expect("an account");
        assert_eq!(payload(tokens.text("id_token"))["sub"], made.sub.as_str());
        assert!(made.email_verified && made.epoch == 0);
        assert_eq!(made.email.shown(), "Zoe@example.com");
        assert_eq!(made.claims.text(Claim::Name), Some("Zoë Example"));

        // And signs in with that from now on.
        let mut elsewhere = world.visitor();
        let login = elsewhere.open(&app.url(&[])).await;
        let next = elsewhere.sign_in_with(&login, "zoe@example.com", NEW).await;
        assert!(next.sent().is_some() || next.has("consent-allow"), "{}", next.body);
        assert_eq!(letters.settled().await, 1);
        let trail = events::audit::newest(100, &mut world.db.reader().await.unwrap()).await.unwrap();
        let created: Vec<_> = trail.iter().filter(|event| event.kind == "user.created").collect();
        assert_eq!(created.len(), 1);
        assert_eq!((created[0].sub.as_deref(), created[0].address.as_deref()), (Some(made.sub.as_str()), Some("127.0.0.1")));
        assert!(!format!("{trail:?}").contains("cs_ml_"));
    }

    async fn c073_a_link_that_is_followed_in_another_browser_makes_the_account_and_signs_nobody_in(world: World, letters: Letters) {
        let app = world.app().await;
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let page = visitor.get(&href(&login, "login-create")).await;
        visitor.submit(&page.form().with("username", "zoe@example.com")).await;
        let link = link(&letters.newest("zoe@example.com", 1).await);

        let mut phone = visitor.elsewhere();
        let before = phone.cookies.len();
        let answer = make(&mut phone, &link, "", NEW).await;
        assert_eq!(answer.status, 303);
        let done = phone.follow(answer).await;
        assert!(done.has("<h1>Your account is ready</h1>") && done.has("go back there"), "{}", done.body);
        assert!(phone.cookies.keys().all(|name| !name.contains("browser")), "{before} {:?}", phone.cookies);
        assert!(phone.open(&app.url(&[])).await.has("id=\"login-submit\""), "no session");
        let made = user(&world, "zoe@example.com").await.expect("an account");
        assert_eq!(made.claims.text(Claim::Name), None);
        // The first browser still has its sign-in page.
        let consent = visitor.sign_in_with(&login, "zoe@example.com", NEW).await;
        assert!(consent.has("id=\"consent-allow\""), "{}", consent.body);
    }

    async fn whoever_has_an_account_is_told_so_in_their_mailbox_only(world: World, letters: Letters) {
        let (app, known) = (world.app().await, world.user().await);
        let address = known.email.shown();
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let page = visitor.get(&href(&login, "login-create")).await;
        let answer = visitor.submit(&page.form().with("username", &address.to_uppercase())).await;
        let sent = visitor.follow(answer).await;
        assert!(sent.has(SENT) && !sent.has("already"), "{}", sent.body);

        // To the address that the account has, not to the one that was typed.
        let letter = letters.newest(address, 1).await;
        assert_eq!(letters.settled().await, 1);
        assert_eq!(letter.letter.subject, "You already have a Countersign account");
        let reset = format!("{}/recover", world.issuer);
        assert!(letter.letter.text.lines().any(|line| line == reset), "{}", letter.letter.text);
        assert!(letter.letter.html.contains(&format!("href=\"{reset}\"")), "{}", letter.letter.html);
        let link = link(&letter);
        let page = visitor.get(&link).await;
        assert_eq!(page.status, 200);
        assert!(page.has("<h1>You already have an account</h1>") && !page.has("name=\"password\""), "{}", page.body);
        assert!(visitor.get(&href(&page, "signup-recover")).await.has("Forgot your password?"));
        let login = visitor.get(&href(&page, "signup-sign-in")).await;
        let consent = visitor.sign_in(&login, address).await;
        assert!(consent.has("id=\"consent-allow\""), "{}", consent.body);
        // In another browser there is no app that waits.
        let mut phone = visitor.elsewhere();
        let page = phone.get(&link).await;
        let login = phone.get(&href(&page, "signup-sign-in")).await;
        assert!(login.asks_to_sign_in() && !login.has("Test app"), "{}", login.body);
        let home = phone.sign_in(&login, address).await;
        assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
        let after = user(&world, address).await.expect("the user");
        assert_eq!(after, known);
    }

    async fn c073_each_way_for_a_link_to_be_dead_has_its_page(world: World, letters: Letters) {
        let address = "zoe@example.com";
        let fresh = mailed(&world, &letters, address).await;
        let other = mailed(&world, &letters, address).await;
        let expired = mailed(&world, &letters, "late@example.com").await;
        let mut visitor = world.visitor();
        let open = visitor.get(&expired).await;
        let twice = visitor.get(&other).await;
        assert_eq!(make(&mut visitor, &fresh, "Zoe", NEW).await.status, 303);
        let made = user(&world, address).await;
        // The form of a page that was open meanwhile fares no better.
        let answer = visitor.submit(&twice.form().with("name", "Eve").with("password", "mq8d-x2vw Ziegen")).await;
        assert!(answer.status == 409 && answer.has("You already have an account"), "{}", answer.body);
        world.pass(Duration::from_secs(30 * 60));
        let answer = visitor.submit(&open.form().with("password", NEW)).await;
        assert!(answer.status == 410 && answer.has("This link has expired"), "{}", answer.body);
        let foreign = format!("{}/signup/account?link=cs_ml_x", world.issuer);
        let recovery = fresh.replace("/signup/account", "/recover/password");
        for (link, status, title) in [
            (&fresh, StatusCode::GONE, "This link no longer works"),
            (&expired, StatusCode::GONE, "This link has expired"),
            (&foreign, StatusCode::NOT_FOUND, "We don't know this link"),
            (&format!("{}/signup/account", world.issuer), StatusCode::NOT_FOUND, "We don't know this link"),
            (&recovery, StatusCode::NOT_FOUND, "We don't know this link"),
        ] {
            let page = world.visitor().get(link).await;
            assert_eq!(page.status, status, "{link}");
            assert!(page.has(&format!("<h1>{title}</h1>")), "{}", page.body);
            assert!(!page.has(address) && !page.has("late@"), "{}", page.body);
        }
        assert_eq!(user(&world, address).await, made);
        assert_eq!(user(&world, "late@example.com").await, None);
    }

    async fn r07_r09_of_many_who_register_one_address_at_once_by_one_link_or_several_one_succeeds(world: World, letters: Letters) {
        let links = [
            mailed(&world, &letters, "zoe@example.com").await,
            mailed(&world, &letters, "ZOE@example.com").await,
        ];
        let mut forms: Vec<(Visitor<'_>, Form)> = Vec::new();
        for n in 0..24 {
            let mut visitor = world.visitor();
            let page = visitor.get(&links[n % 2]).await;
            let form = page.form().with("name", &format!("Zoe {n}")).with("password", &format!("{NEW} {n}"));
            forms.push((visitor, form));
        }
        let answers = join_all(forms.iter_mut().map(|(visitor, form)| visitor.submit(form))).await;
        let won: Vec<usize> = (0..24).filter(|n| answers[*n].status == 303).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != won[0]) {
            assert!([409, 410].contains(&answer.status.as_u16()), "{n}: {} {}", answer.status, answer.body);
            assert!(answer.has("You already have an account") || answer.has("no longer works"), "{}", answer.body);
        }
        let made = user(&world, "zoe@example.com").await.expect("an account");
        assert_eq!(made.claims.text(Claim::Name), Some(&*format!("Zoe {}", won[0])));
        let counts = world.row_counts().await;
        assert_eq!(counts.iter().find(|(table, _)| table == "users").unwrap().1, 1);
    }

    async fn c076_what_looks_like_an_account_is_that_account_or_refused(world: World, letters: Letters) {
        let first = mailed(&world, &letters, "user@example.com").await;
        assert_eq!(make(&mut world.visitor(), &first, "", NEW).await.status, 303);
        let mut visitor = world.visitor();
        let mut taken = 0;
        for lookalike in [
            "USER@EXAMPLE.COM",
            " user@example.com ",
            "u\u{17F}er@example.com",
            "ｕｓｅｒ@example.com",
            "𝓊𝓈𝑒𝓇@example.com",
            "us\u{435}r@example.com",
            "us\u{200B}er@example.com",
            "us\u{AD}er@example.com",
            "user@ex\u{E4}mple.com@example.com",
            "user@example.com\u{202E}",
        ] {
            let page = visitor.get("/signup").await;
            let answer = visitor.submit(&page.form().with("username", lookalike)).await;
            if answer.status == 400 {
                assert!(answer.has("aria-invalid=\"true\""), "{lookalike}");
                continue;
            }
            assert_eq!(answer.status, 303, "{lookalike}");
            taken += 1;
            let link = letters.newest_link("user@example.com", 1 + taken).await;
            let page = visitor.get(&link).await;
            assert!(page.has("You already have an account"), "{lookalike}: {}", page.body);
        }
        let counts = world.row_counts().await;
        assert_eq!(counts.iter().find(|(table, _)| table == "users").unwrap().1, 1);
    }

    async fn c064_c087_only_our_own_form_counts_and_no_field_of_others(world: World, letters: Letters) {
        let eve = world.user().await;
        let link = mailed(&world, &letters, "zoe@example.com").await;
        let mut visitor = world.visitor();
        let (asking, finish) = (visitor.get("/signup").await, visitor.get(&link).await);
        let forms = [
            asking.form().with("username", "other@example.com"),
            finish.form().with("password", NEW),
        ];
        let before = world.row_counts().await;
        for form in &forms {
            for origin in ["https://evil.example", "null", "http://localhost:1"] {
                let answer = visitor.submit_from(form, &[("origin", origin)]).await;
                assert_eq!(answer.status, 403, "{origin}");
            }
            assert_eq!(visitor.elsewhere().submit(form).await.status, 403, "another browser");
            let token = asking.form().value("csrf").to_owned() + "A";
            assert_eq!(visitor.submit(&form.clone().with("csrf", &token)).await.status, 403);
        }
        let crossed = forms[1].clone().with("csrf", asking.form().value("csrf"));
        assert_eq!(visitor.submit(&crossed).await.status, 403);
        assert_eq!(world.row_counts().await, before);

        let form = forms[1]
            .clone()
            .with("username", eve.email.shown())
            .with("email", "eve@evil.example")
            .with("sub", eve.sub.as_str())
            .with("epoch", "99")
            .with("email_verified", "false")
            .with("preferred_username", "root");
        assert_eq!(visitor.submit(&form).await.status, 303);
        let made = user(&world, "zoe@example.com").await.expect("an account");
        assert_ne!(made.sub, eve.sub);
        assert!(made.email_verified && made.epoch == 0 && made.claims.text(Claim::PreferredUsername).is_none());
        assert_eq!(user(&world, eve.email.shown()).await, Some(eve));
        assert_eq!(user(&world, "eve@evil.example").await, None);
    }

    async fn c074_a_new_password_is_judged_and_what_was_typed_stays(world: World, letters: Letters) {
        let link = mailed(&world, &letters, "zaphod.quill@example.com").await;
        let mut visitor = world.visitor();
        for (name, password, words, at) in [
            ("Zoe", "", "Enter a password", "new-password"),
            ("Zoe", "1234567", "Use 8 characters or more", "new-password"),
            ("Zoe", &*"x".repeat(257), "Use 256 characters or fewer", "new-password"),
            ("Zoe", "password", "Many people have this password", "new-password"),
            ("Betelgeuse", "betelgeuse", "Your name, your email", "new-password"),
            ("Zoe", "zaphodquill", "Your name, your email", "new-password"),
            ("Zo\u{7}e", NEW, "characters that can be typed", "name"),
            (&*"x".repeat(257), NEW, "characters that can be typed", "name"),
        ] {
            let answer = make(&mut visitor, &link, name, password).await;
            assert_eq!(answer.status, 400, "{password}");
            assert!(answer.has(&format!("<a href=\"#{at}\">")) && answer.has(words), "{}", answer.body);
            assert!(answer.has(&format!("id=\"{at}-fault\"")), "{}", answer.body);
            assert!(answer.has("<title>Error: "), "{}", answer.body);
            assert!(name.contains('\u{7}') || answer.has(&format!("value=\"{name}\"")), "{}", answer.body);
            assert!(password.is_empty() || !answer.has(&format!("value=\"{password}\"")), "{}", answer.body);
        }
        assert_eq!(user(&world, "zaphod.quill@example.com").await, None);
        assert_eq!(make(&mut visitor, &link, "<b>Zoe</b> & co", NEW).await.status, 303);
        let made = user(&world, "zaphod.quill@example.com").await.expect("an account");
        let hash = made.password_hash.expect("a password");
        assert!(hash.as_str().starts_with("$argon2id$"), "{}", hash.as_str());
    }

    async fn prompt_create_leads_to_a_new_account_and_a_session_that_was_there_is_none(world: World, letters: Letters) {
        let (app, known) = (world.app().await, world.user().await);
        let document = world.visitor().get("/.well-known/openid-configuration").await.json();
        assert!(document["prompt_values_supported"].as_array().unwrap().contains(&"create".into()), "{document}");

        let mut visitor = world.visitor();
        visitor.authorize(&app.url(&[]), known.email.shown()).await;
        let create = app.url(&[("prompt", "create"), ("login_hint", "zoe@example.com")]);
        let page = visitor.open(&create).await;
        assert!(page.has("<h1>Create an account</h1>") && page.has("value=\"zoe@example.com\""), "{}", page.body);
        visitor.submit(&page.form().with("username", "zoe@example.com")).await;
        let link = link(&letters.newest("zoe@example.com", 1).await);
        let answer = make(&mut visitor, &link, "Zoe", NEW).await;
        let consent = visitor.follow(answer).await;
        assert!(consent.has("zoe@example.com") && !consent.has(known.email.shown()), "{}", consent.body);
        let redirect = visitor.decide(&consent, "allow").await;
        let tokens = app.tokens(&world, &redirect).await;
        let made = user(&world, "zoe@example.com").await.expect("an account");
        assert_eq!(payload(tokens.text("id_token"))["sub"], made.sub.as_str());

        // Whoever has an account after all signs in, which answers the request as well.
        let page = visitor.open(&app.url(&[("prompt", "create"), ("state", "again")])).await;
        let login = visitor.get(&href(&page, "signup-sign-in")).await;
        let next = visitor.sign_in(&login, known.email.shown()).await;
        assert_eq!(next.param("state").as_deref(), Some("again"), "{}", next.body);
        // Nobody can be asked silently.
        let refused = visitor.get(&app.url(&[("prompt", "none create")])).await;
        assert_eq!(refused.param("error").as_deref(), Some("invalid_request"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_accounts_are_made_by_others_nothing_offers_one() {
    for (mode, title) in [
        (None, "You can't create an account here"),
        (Some(SignUp::Invitation), "You need an invitation"),
    ] {
        let own = Own {
            sign_up: mode,
            ..Own::default()
        };
        let (world, letters) = world_with(db::testing::sqlite_url(), own).await;
        let app = world.app().await;
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        assert!(!login.has("login-create"), "{}", login.body);
        let flow = login.form().value("flow").to_owned();
        let page = visitor.get(&format!("/signup?flow={flow}")).await;
        assert_eq!(page.status, 403);
        assert!(page.has(title) && !page.has("<form"), "{}", page.body);
        let back = visitor.get(&href(&page, "signup-sign-in")).await;
        assert!(back.has("id=\"login-submit\""), "{}", back.body);

        let refused = visitor.get(&app.url(&[("prompt", "create")])).await;
        assert_eq!(refused.param("error").as_deref(), Some("invalid_request"));
        let document = visitor.get("/.well-known/openid-configuration").await.json();
        assert!(
            !document["prompt_values_supported"].to_string().contains("create"),
            "{document}"
        );
        assert_eq!(letters.settled().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c069_a_known_and_an_unknown_address_are_answered_alike_after_the_same_work() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        // A relay that is away: what is queued stays, and can be counted.
        let relay = Relay::parse("smtp://127.0.0.1:9").unwrap();
        let sender = Sender::parse("no-reply@example.com").unwrap();
        let own = Own {
            mail: Some(Way::Smtp(Smtp::new(&relay, sender, b"").unwrap())),
            limits: Some("on"),
            sign_up: Some(SignUp::Open),
            ..Own::default()
        };
        let world = World::here_with(database, own).await;
        let known = world.user().await.email.shown().to_owned();
        let unknown = known.replace("alex-", "jane-");
        let mut traces = Vec::new();
        for address in [&known, &unknown] {
            let before = world.row_counts().await;
            let mut visitor = world.visitor();
            let page = visitor.get("/signup").await;
            let answer = visitor.submit(&page.form().with("username", address)).await;
            let after = world.row_counts().await;
            let sent = visitor.follow(answer.clone()).await;
            assert!(sent.has(SENT), "{}", sent.body);
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
            assert_eq!(queued, if traces.len() == 1 { 5 } else { 3 }, "{address}");
        }
        assert_eq!(traces[0], traces[1]);
        let mut conn = world.db.reader().await.unwrap();
        let rows = "SELECT sealed FROM mails UNION ALL SELECT sealed FROM sign_ups UNION ALL SELECT name FROM allowances";
        let rows: Vec<(String,)> = db::run!(&mut conn, |c| sqlx::query_as(rows).fetch_all(c)).unwrap();
        assert!(!rows.iter().any(|(text,)| text.contains('@')), "{rows:?}");
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
    let (world, _letters) = open_with(db::testing::postgres_url().await, own).await;
    let known = world.user().await;
    let mut visitor = world.visitor();
    let page = visitor.get("/signup").await;
    let mut conn = world.db.reader().await.expect("a connection");
    for statement in ["BEGIN", "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"] {
        db::execute!(&mut conn, sqlx::query(statement)).expect("the lock");
    }
    // Whoever looks at the table of users now, waits.
    for address in [known.email.shown(), "nobody@example.com"] {
        let form = page.form().with("username", address);
        let answer = tokio::time::timeout(Duration::from_secs(5), visitor.submit(&form)).await;
        assert_eq!(answer.expect("an answer without the table").status, 303);
    }
    db::execute!(&mut conn, sqlx::query("ROLLBACK")).expect("the end of the lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_links_are_asked_for_within_bounds_and_the_form_stays_filled() {
    let own = Own {
        limits: Some("on"),
        ..Own::default()
    };
    let (world, letters) = open_with(db::testing::sqlite_url(), own).await;
    let mut visitor = world.visitor();
    for spelled in ["zoe@example.com", "ZOE@example.com", "zoe@EXAMPLE.com"] {
        assert!(ask(&mut visitor, spelled).await.has(SENT));
    }
    let before = world.row_counts().await;
    let refused = ask(&mut visitor, "Zoe@example.com").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1200"));
    assert!(
        refused.has("value=\"Zoe@example.com\"") && refused.has("Too many links"),
        "{}",
        refused.body
    );
    let rows = |counts: &[(String, i64)]| counts.iter().find(|(table, _)| table == "allowances").unwrap().1;
    assert_eq!(
        rows(&world.row_counts().await),
        rows(&before),
        "a refusal costs nothing"
    );
    // Whoever was refused has one that works.
    let link = letters.newest_link("zoe@example.com", 1).await;
    assert_eq!(make(&mut visitor, &link, "", NEW).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_what_stands_behind_a_plus_makes_another_account_and_no_other_mailbox() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            limits: Some("on"),
            ..Own::default()
        };
        let (world, letters) = open_with(database, own).await;
        let mut visitor = world.visitor();
        for tag in ["zoe+a@example.com", "Zoe+b@example.com", "zoe@example.com"] {
            assert!(ask(&mut visitor, tag).await.has(SENT), "{tag}");
        }
        for tag in ["zoe+c@example.com", "zoe+a+d@EXAMPLE.com"] {
            assert_eq!(ask(&mut visitor, tag).await.status, 429, "{tag}");
        }
        // Other mailboxes, one of them of a name that begins with a sign.
        for other in ["zoey@example.com", "+zoe@example.com", "zoe@example.org"] {
            assert!(ask(&mut visitor, other).await.has(SENT), "{other}");
        }
        for tag in ["zoe+a@example.com", "Zoe+b@example.com"] {
            let link = letters.newest_link(tag, 1).await;
            assert_eq!(
                make(&mut world.visitor(), &link, "", NEW).await.status,
                303,
                "{tag}"
            );
            assert!(user(&world, tag).await.is_some(), "{tag}");
        }
        assert!(user(&world, "zoe@example.com").await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_whoever_empties_the_budget_of_one_kind_of_mail_leaves_that_of_the_other() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            limits: Some("on"),
            ..Own::default()
        };
        let (world, _letters) = open_with(database, own).await;
        let now = world.now().as_secs();
        for (name, at_once, spent, other) in [
            ("mail sign-up all", 2_000, "/signup", "/recover"),
            ("mail all", 20_000, "/recover", "/signup"),
        ] {
            let all = world.db.transact(move |conn| {
                Box::pin(async move {
                    db::execute!(conn, sqlx::query("DELETE FROM allowances"))?;
                    const SPEND: &str = "INSERT INTO allowances (name, spent_until) VALUES ($1, $2)";
                    db::execute!(conn, sqlx::query(SPEND).bind(name).bind(now + at_once))?;
                    Ok::<_, db::Error>(())
                })
            });
            all.await.unwrap();
            for (page, status) in [(spent, 429), (other, 303)] {
                let mut visitor = world.visitor();
                let form = visitor.get(page).await.form().with("username", "zoe@example.com");
                let answer = visitor.submit(&form).await;
                assert_eq!(answer.status, status, "{name}: {page}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c074_nothing_is_lost_while_too_many_passwords_wait() {
    let own = Own {
        hasher: Some(HasherSettings {
            queue: 0,
            ..HasherSettings::default()
        }),
        ..Own::default()
    };
    let (world, letters) = open_with(db::testing::sqlite_url(), own).await;
    let link = mailed(&world, &letters, "zoe@example.com").await;
    let mut visitor = world.visitor();
    for (password, status) in [("1234567", 400), (&*"x".repeat(257), 400), (NEW, 503)] {
        let answer = make(&mut visitor, &link, "Zoe", password).await;
        assert_eq!(answer.status, status, "{password}");
        assert!(answer.has("value=\"Zoe\""), "{}", answer.body);
    }
    assert_eq!(
        visitor.get(&link).await.status,
        200,
        "the link is as good as before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c077_nothing_in_an_address_leads_elsewhere() {
    let (world, letters) = open_with(db::testing::sqlite_url(), Own::default()).await;
    let mut visitor = world.visitor();
    for (n, bad) in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "%2F%2Fevil.example",
    ]
    .into_iter()
    .enumerate()
    {
        let query: String = ["flow", "return_to", "next", "redirect_uri"]
            .iter()
            .map(|name| format!("&{name}={bad}"))
            .collect();
        let page = visitor.get(&format!("/signup?x={query}")).await;
        assert!(!page.has("evil") && !page.has("javascript"), "{}", page.body);
        let address = format!("zoe{n}@example.com");
        let mut form = page.form().with("username", &address);
        for name in ["flow", "return_to", "next"] {
            form = form.with(name, bad);
        }
        let answer = visitor.submit(&form).await;
        let location = answer.location().expect("a redirect");
        assert!(
            location.starts_with("/signup/sent?to=") && !location.contains("evil"),
            "{location}"
        );
        let link = letters.newest_link(&address, 1).await;
        let page = visitor.get(&link).await;
        let form = page
            .form()
            .with("password", NEW)
            .with("flow", bad)
            .with("next", bad);
        assert_eq!(
            visitor.submit(&form).await.location().as_deref(),
            Some("/signup/done")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_looking_around_writes_nothing() {
    let (world, _letters) = open_with(db::testing::sqlite_url(), Own::default()).await;
    world.user().await;
    let before = world.row_counts().await;
    for path in [
        "/signup",
        "/signup?flow=x",
        "/signup/sent",
        "/signup/sent?to=x&flow=y",
        "/signup/account",
        "/signup/account?link=cs_ml_x",
        "/signup/done",
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
    assert_ne!(PASSWORD, NEW);
}
