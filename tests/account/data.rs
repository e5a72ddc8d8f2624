//! What a person reads of their account, takes along, and how they end it.

use std::time::Duration;

use accounts::users::{self, Draft, User};
use events::Context;
use serde_json::Value;

use super::{at_home, trail};
use crate::harness::app::userinfo;
use crate::harness::{Visitor, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

async fn record(world: &World, user: &User) -> Option<User> {
    let mut conn = world.db.reader().await.expect("a connection");
    users::by_sub(&user.sub, &mut conn).await.expect("the database")
}

/// As the background does.
async fn delete_overdue(world: &World) -> usize {
    let deleted = revocation::delete_overdue(10, &world.db, world.now()).await;
    deleted.expect("the database")
}

/// Asks for the end of the account.
async fn end(visitor: &mut Visitor<'_>, user: &User) {
    let page = visitor.open("/account/delete").await;
    assert!(
        page.has("id=\"delete-submit\"") && page.has("What happens"),
        "{}",
        page.body
    );
    let answer = visitor
        .submit(&page.form().with("email", user.email.shown()))
        .await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let done = visitor.follow(answer).await;
    assert!(done.has("Your account will be deleted"), "{}", done.body);
}

everywhere! {
    async fn a_person_reads_what_happened_with_their_account_and_with_no_other(world: World) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        app.grant(&world, &user, &[]).await;
        at_home(&world, &other).await;
        let page = visitor.open("/account/sessions").await;
        visitor.submit(&page.form().with("others", "yes")).await;
        let page = visitor.open("/account/activity").await;
        for words in [
            "Account created",
            "Signed in",
            "Allowed access to <bdi>Test app</bdi>",
            "Signed out everywhere else",
            "from <bdi>127.0.0.1</bdi>",
        ] {
            assert!(page.has(words), "{words}: {}", page.body);
        }
        assert_eq!(page.body.matches("Signed in<").count(), 2, "{}", page.body);
        let (before, _) = page.body.split_once("Signed in").unwrap();
        assert!(before.contains("Signed out everywhere else"), "the newest first: {}", page.body);
    }

    async fn c086_an_export_holds_everything_of_its_person_and_no_secret(world: World) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        let tokens = app.grant(&world, &user, OFFLINE).await;
        at_home(&world, &other).await;
        let page = visitor.open("/account/export").await;
        let answer = visitor.submit(&page.form()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"account.json\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let data: Value = answer.json();
        assert_eq!(data["sub"], user.sub.as_str());
        assert_eq!(data["claims"]["email"], user.email.shown());
        assert_eq!(data["claims"]["name"], "Alex Example");
        assert_eq!(data["password"], "set");
        assert_eq!(data["sessions"].as_array().unwrap().len(), 2);
        assert_eq!(data["apps"][0]["client_id"], app.id.as_str());
        assert_eq!(data["apps"][0]["scope"], "offline_access openid");
        assert!(data["activity"].as_array().unwrap().iter().any(|event| event["kind"] == "consent.given"));
        let hash = record(&world, &user).await.unwrap().password_hash.unwrap();
        let mut secrets = vec![hash.as_str().to_owned(), tokens.access().to_owned(), tokens.refresh().to_owned()];
        secrets.extend(visitor.cookies.values().cloned());
        for secret in secrets {
            assert!(!answer.body.contains(&secret), "{secret}: {}", answer.body);
        }
        for of_others in [other.sub.as_str(), other.email.shown(), "$argon2", "cs_"] {
            assert!(!answer.body.contains(of_others), "{of_others}: {}", answer.body);
        }
        assert_eq!(trail(&world, &user).await.last().unwrap(), "data.exported");
    }

    async fn an_account_is_deleted_only_by_who_types_its_address(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/delete").await;
        for typed in ["", "alex", "delete", "eve@evil.example"] {
            let answer = visitor.submit(&page.form().with("email", typed)).await;
            answer.assert_page(400, "That isn't the address of this account");
            assert!(answer.has("aria-invalid=\"true\""), "{}", answer.body);
        }
        assert!(visitor.open("/account").await.has(user.email.shown()));
        let typed = user.email.shown().replace("alex", "ALEX");
        let answer = visitor.submit(&page.form().with("email", &typed)).await;
        assert_eq!(answer.status, 303);
    }
}

on_both_databases! {
    async fn c068_export_and_deletion_need_a_password_given_a_short_while_ago(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let (export, delete) = (visitor.open("/account/export").await, visitor.open("/account/delete").await);
        world.pass(Duration::from_secs(10 * 60));
        for path in ["/account/export", "/account/delete"] {
            assert!(visitor.open(path).await.has("Confirm it's you"), "{path}");
        }
        for form in [export.form(), delete.form().with("email", user.email.shown())] {
            let answer = visitor.submit(&form).await;
            assert_eq!(answer.status, 303, "{}", answer.body);
            let sudo = visitor.follow(answer).await;
            assert!(sudo.has("Confirm it's you"), "{}", sudo.body);
        }
        assert!(!trail(&world, &user).await.iter().any(|kind| kind.contains("export") || kind.contains("deletion")));
        let sudo = visitor.open("/account/delete").await;
        let page = visitor.sign_in(&sudo, user.email.shown()).await;
        assert!(page.has("id=\"delete-submit\""), "{}", page.body);
    }
}

with_mail! {
    async fn c093_an_account_ends_at_once_can_be_had_back_and_is_gone_after_the_grace(world: World, letters: Letters) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        let (mut phone, online) = app.sign_in(&world, &user, &[]).await;
        let offline = app.grant(&world, &user, OFFLINE).await;
        let waiting = app.code(&world, &user, OFFLINE).await;
        let theirs = app.grant(&world, &other, OFFLINE).await;
        end(&mut visitor, &user).await;
        assert!(visitor.open("/account").await.asks_to_sign_in());
        assert!(phone.open("/account").await.asks_to_sign_in());
        for token in [online.access(), offline.access()] {
            assert_eq!(userinfo(&world, token).await.status, 401);
        }
        assert_eq!(app.refresh(&world, offline.refresh()).await.status, 400);
        assert_eq!(app.redeem(&world, &waiting).await.status, 400);
        assert_eq!(userinfo(&world, theirs.access()).await.status, 200);
        let letter = letters.newest(user.email.shown(), 1).await;
        assert_eq!(letter.letter.subject, "Your Countersign account will be deleted");
        assert!(letter.letter.text.contains("To keep it, sign in to Countersign before"), "{}", letter.letter.text);

        // Back within the time: nothing is lost but what had ended.
        world.pass(14 * DAY - Duration::from_secs(1));
        assert_eq!(delete_overdue(&world).await, 0);
        let mut back = at_home(&world, &user).await;
        assert_eq!(trail(&world, &user).await.iter().filter(|kind| *kind == "deletion.undone").count(), 1);
        let letter = letters.newest(user.email.shown(), 2).await;
        assert_eq!(letter.letter.subject, "Your Countersign account stays");
        world.pass(DAY);
        assert_eq!(delete_overdue(&world).await, 0);
        assert!(back.open("/account").await.has(user.email.shown()));
        assert_eq!(userinfo(&world, offline.access()).await.status, 401, "what ended stays ended");

        let sudo = back.open("/account/delete").await;
        back.sign_in(&sudo, user.email.shown()).await;
        end(&mut back, &user).await;
        world.pass(14 * DAY);
        // C066: it is over before anything is cleaned up.
        let login = world.visitor().open("/account").await;
        assert!(login.asks_to_sign_in());
        let mut late = world.visitor();
        let login = late.open("/account").await;
        late.sign_in(&login, user.email.shown()).await.assert_page(400, "That email or password");
        assert_eq!(delete_overdue(&world).await, 1);
        assert!(record(&world, &user).await.is_none());
        assert!(record(&world, &other).await.is_some());
        for (table, column) in [("sessions", "sub"), ("consents", "sub"), ("approvals", "sub"), ("mailed_links", "sub")] {
            let query = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table} WHERE {column} = $1"));
            let mut conn = world.db.reader().await.unwrap();
            let (left,): (i64,) =
                db::run!(&mut conn, |c| sqlx::query_as(query).bind(user.sub.as_str()).fetch_one(c)).unwrap();
            assert_eq!(left, 0, "{table}");
        }
        assert_eq!(trail(&world, &user).await.last().unwrap(), "user.deleted");

        // The name is nobody's again; the address is free.
        let draft = Draft { sub: Some(user.sub.clone()), ..Draft::new(user.email.clone()) };
        let now = world.now();
        let again = world
            .db
            .transact(move |conn| {
                Box::pin(async move { users::insert(draft, &Context::server(), conn, now).await })
            })
            .await;
        assert!(matches!(again, Err(users::Error::SubTaken(_))), "{again:?}");
        let wanted = user.email.clone();
        let anew = world.user_with(move |draft| draft.email = wanted).await;
        assert_ne!(anew.sub, user.sub);
    }
}
