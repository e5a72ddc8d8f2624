//! Signing in by form: the contract of its page, and what it tells to whom.

use accounts::passwords::StoredHash;
use accounts::users;
use http::StatusCode;

use super::set_cookies;
use crate::harness::app::payload;
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, World};

#[tokio::test]
async fn the_pages_keep_their_contract_with_drivers() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let login = visitor.open(&app.url(&[])).await;
    let form = login.form();
    assert_eq!(form.action, "/login");
    for part in [
        "<h1>Sign in</h1>",
        "name=\"username\"",
        "name=\"password\"",
        "type=\"password\"",
        "autocomplete=\"username\"",
        "autocomplete=\"current-password\"",
        "id=\"login-submit\"",
    ] {
        assert_eq!(login.body.matches(part).count(), 1, "{part}: {}", login.body);
    }

    let consent = visitor.sign_in(&login, user.email.shown()).await;
    assert_eq!(consent.form().action, "/consent");
    for id in ["id=\"consent-allow\"", "id=\"consent-deny\""] {
        assert_eq!(consent.body.matches(id).count(), 1, "{id}: {}", consent.body);
    }
    let rejected = visitor.get(&app.url(&[("client_id", "nobody")])).await;
    assert_eq!(rejected.status, StatusCode::BAD_REQUEST);
    assert!(rejected.has("<h1>Request rejected</h1>") && rejected.location().is_none());
}

everywhere! {
    async fn c069_unknown_wrong_disabled_and_without_a_password_get_the_same_answer(world: World) {
        let app = world.app().await;
        let right = world.user().await;
        let without = world.user_with(|draft| draft.password_hash = None).await;
        let disabled = world.user().await;
        let (sub, now) = (disabled.sub.clone(), world.now());
        let ended = world.db.transact(move |conn| {
            Box::pin(async move { users::set_disabled(&sub, Some(now), &events::Context::server(), conn, now).await })
        });
        assert!(ended.await.unwrap());
        let unknown = right.email.shown().replace("alex-", "nobo-");

        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let mut tried = async |email: &str, password: &str| {
            let form = page.form().with("username", email).with("password", password);
            let answer = visitor.submit(&form).await;
            assert!(answer.has(email), "what was typed stays: {}", answer.body);
            let headers: Vec<String> = answer
                .headers
                .iter()
                .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
                .map(|(name, value)| format!("{name}: {value:?}"))
                .collect();
            let body = answer.body.replace(email, "EMAIL");
            (answer.status, set_cookies(&answer).len(), headers, body)
        };
        let wrong = tried(right.email.shown(), "not the password").await;
        assert_eq!((wrong.0, wrong.1), (StatusCode::BAD_REQUEST, 0));
        for (case, email, password) in [
            ("unknown", unknown.as_str(), PASSWORD),
            ("disabled", disabled.email.shown(), PASSWORD),
            ("disabled and wrong", disabled.email.shown(), "not the password"),
            ("no password", without.email.shown(), PASSWORD),
            ("too long", right.email.shown(), &"x".repeat(257)),
            ("control characters", right.email.shown(), "a\u{7}b"),
        ] {
            assert_eq!(tried(email, password).await, wrong, "{case}");
        }
        // And the right one is told from them.
        let form = page.form().with("username", right.email.shown()).with("password", PASSWORD);
        assert_eq!(visitor.submit(&form).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn what_was_typed_stays_but_for_the_password() {
    let world = World::sqlite().await;
    let mut visitor = world.visitor();
    let page = visitor.open(&world.app().await.url(&[])).await;
    let typed = "Alex \"<b>O'Hara</b>\" & co";
    let form = page
        .form()
        .with("username", typed)
        .with("password", "s3cret-canary")
        .with("remember", "yes");
    let again = visitor.submit(&form).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.has("That email or password isn't right."), "{}", again.body);
    assert!(!again.has("s3cret-canary") && !again.has("<b>"), "{}", again.body);
    assert_eq!(value_of(&again, "username"), typed);
    let remember = again.body.split("name=\"remember\"").nth(1).unwrap();
    assert!(
        remember.split('>').next().unwrap().ends_with(" checked"),
        "{}",
        again.body
    );

    for (missing, text) in [
        ("username", "Enter your email"),
        ("password", "Enter your password"),
    ] {
        let form = page
            .form()
            .with("username", "a@example.com")
            .with("password", "x")
            .without(missing);
        let again = visitor.submit(&form).await;
        assert_eq!(again.status, StatusCode::BAD_REQUEST);
        assert!(again.has(text), "{missing}: {}", again.body);
    }
}

/// The value of a visible field, as a person reads it.
fn value_of(page: &Answer, name: &str) -> String {
    let input = page
        .body
        .split("<input")
        .find(|input| input.contains(&format!(" name=\"{name}\"")));
    let value = input.unwrap().split(" value=\"").nth(1).unwrap();
    let value = value.split('"').next().unwrap();
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(value.to_owned(), |text, (entity, plain)| {
        text.replace(entity, plain)
    })
}

#[tokio::test]
async fn a_name_is_known_however_it_is_written() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    for written in [
        user.email.shown().to_uppercase(),
        format!("  {} ", user.email.shown()),
    ] {
        let redirect = world.visitor().authorize(&app.url(&[]), &written).await;
        assert!(redirect.param("code").is_some(), "{written}");
    }
}

on_both_databases! {
    async fn a_user_with_an_imported_hash_signs_in_and_has_one_of_ours_afterwards(world: World) {
        // From the test vectors of bcrypt's first publication.
        let imported = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let user = world
            .user_with(|draft| draft.password_hash = Some(StoredHash::parse(imported).unwrap()))
            .await;
        let stored = async || {
            let mut conn = world.db.reader().await.unwrap();
            let user = users::by_sub(&user.sub, &mut conn).await.unwrap().unwrap();
            user.password_hash.unwrap().as_str().to_owned()
        };
        let app = world.app().await;
        let mut visitor = world.visitor();
        let page = visitor.open(&app.url(&[])).await;
        let wrong = visitor.sign_in_with(&page, user.email.shown(), "U*V").await;
        assert!(wrong.has("login-submit"), "{}", wrong.body);
        assert_eq!(stored().await, imported);

        for _ in 0..2 {
            let mut visitor = world.visitor();
            let page = visitor.open(&app.url(&[])).await;
            let next = visitor.sign_in_with(&page, user.email.shown(), "U*U").await;
            assert!(!next.has("login-submit"), "{}", next.body);
            assert!(stored().await.starts_with("$argon2id$v=19$"), "{}", stored().await);
        }
    }
}

everywhere! {
    async fn a_known_user_confirms_and_another_account_may_be_used_instead(world: World) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = world.visitor();
        visitor.authorize(&app.url(&[]), user.email.shown()).await;

        let confirm = visitor.open(&app.url(&[("prompt", "login")])).await;
        assert!(confirm.has("<h1>Confirm it's you</h1>"), "{}", confirm.body);
        assert_eq!(value_of(&confirm, "username"), user.email.shown());
        // Whatever fills in forms may write into it: of one that is read-only, some say that it cannot be filled in.
        assert!(confirm.has("account-fixed") && !confirm.has(" readonly"), "{}", confirm.body);
        let wrong = visitor.sign_in_with(&confirm, user.email.shown(), "not the password").await;
        assert!(wrong.has("<h1>Confirm it's you</h1>") && wrong.has("account-fixed"), "{}", wrong.body);
        assert!(wrong.has("That password isn't right."), "{}", wrong.body);

        let href = confirm.body.split("href=\"").find(|link| link.contains("switch=1")).unwrap();
        let href = href.split('"').next().unwrap().replace("&amp;", "&");
        let fresh = visitor.get(&href).await;
        assert!(fresh.has("<h1>Sign in</h1>") && !fresh.has("account-fixed"), "{}", fresh.body);
        assert_eq!(value_of(&fresh, "username"), "");
        assert!(!fresh.has(user.email.shown()), "{}", fresh.body);

        let consent = visitor.sign_in(&fresh, other.email.shown()).await;
        assert!(consent.has(other.email.shown()) && !consent.has(user.email.shown()), "{}", consent.body);
        let redirect = visitor.decide(&consent, "allow").await;
        let tokens = app.tokens(&world, &redirect).await;
        assert_eq!(payload(tokens.text("id_token"))["sub"], other.sub.as_str());

        // Both are signed in now.
        let page = visitor.open(&app.url(&[("prompt", "select_account")])).await;
        assert!(page.has("<h1>Choose an account</h1>"), "{}", page.body);
        let mut both = [user.email.shown(), other.email.shown()];
        both.sort_unstable();
        assert_eq!(page.accounts().keys().collect::<Vec<_>>(), both);
    }
}

#[tokio::test]
async fn a_hint_of_the_app_fills_in_the_name_and_nothing_more() {
    let world = World::sqlite().await;
    let app = world.app().await;
    let hint = "alex@example.com\"><script>alert(1)</script>";
    let page = world.visitor().open(&app.url(&[("login_hint", hint)])).await;
    assert!(!page.has("<script>"), "{}", page.body);
    assert_eq!(value_of(&page, "username"), hint);
    assert_eq!(
        page.body.matches("alert(1)").count(),
        1,
        "only in the field: {}",
        page.body
    );
}
