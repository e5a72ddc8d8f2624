//! What a person reads of their account, takes along, and how they end it.

use std::time::Duration;

use accounts::users::{self, Draft, User};
use events::Context;
use protocol::SignUp;
use revocation::Act;
use serde_json::Value;

use super::{at_home, trail};
use crate::harness::app::userinfo;
use crate::harness::letters::world_with;
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Visitor, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

async fn record(world: &World, user: &User) -> Option<User> {
    let mut conn = world.db.reader().await.expect("a connection");
    users::by_sub(&user.sub, &mut conn).await.expect("the database")
}

/// As the background does.
async fn delete_overdue(world: &World) -> usize {
    let deleted = revocation::delete_overdue(10, &world.db, world.now(), world.now()).await;
    deleted.expect("the database")
}

/// The form that ends an account.
fn filled(page: &Answer, address: &str) -> Form {
    page.form().with("email", address).with("current", PASSWORD)
}

/// Asks for the end of the account.
async fn end(visitor: &mut Visitor<'_>, user: &User) {
    let page = visitor.open("/account/delete").await;
    assert!(
        page.has("id=\"delete-submit\"") && page.has("What happens"),
        "{}",
        page.body
    );
    let answer = visitor.submit(&filled(&page, user.email.shown())).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    // A second click of the form says the same, and leads nobody to the page by which all is undone.
    let again = visitor.submit(&filled(&page, user.email.shown())).await;
    assert_eq!(again.location(), answer.location());
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
            let answer = visitor.submit(&filled(&page, typed)).await;
            answer.assert_page(400, "That isn't the address of this account");
            assert!(answer.has("aria-invalid=\"true\""), "{}", answer.body);
        }
        assert!(visitor.open("/account").await.has(user.email.shown()));
        let typed = user.email.shown().replace("alex", "ALEX");
        let answer = visitor.submit(&filled(&page, &typed)).await;
        assert_eq!(answer.status, 303);
    }

    async fn c068_an_account_is_deleted_only_by_who_gives_its_password(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/delete").await;
        // However fresh the sign-in is: the attack is a copied cookie.
        for (current, words) in [("", "Enter your current password"), ("wrong", "That password isn't right")] {
            let answer = visitor.submit(&filled(&page, user.email.shown()).with("current", current)).await;
            answer.assert_page(400, words);
            assert!(answer.has("id=\"current-password-fault\"") && answer.has("<title>Error: "), "{}", answer.body);
            assert!(answer.has(&format!("value=\"{}\"", user.email.shown())), "what was typed stays");
        }
        assert!(!trail(&world, &user).await.contains(&"deletion.asked".to_owned()));
        assert!(visitor.open("/account").await.has(user.email.shown()));
    }

    async fn c092_whoever_fills_the_trail_hides_nothing_in_it(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let (sub, now) = (user.sub.clone(), world.now());
        world.db.transact(move |conn| Box::pin(async move {
            for _ in 0..250 {
                let event = events::Event::LinkMailed { sub: &sub, purpose: "recovery" };
                events::audit::record(&event, &Context::server(), conn, now).await?;
            }
            Ok::<_, db::Error>(())
        })).await.expect("the trail");
        let mut page = visitor.open("/account/activity").await;
        let mut links = 0;
        for left in (0..3).rev() {
            links += page.body.matches("Link sent by email").count();
            assert_eq!(page.has("Account created"), left == 0, "{}", page.body);
            if left == 0 {
                assert!(!page.has("id=\"activity-older\""), "{}", page.body);
                break;
            }
            let (_, older) = page.body.split_once("id=\"activity-older\" href=\"").expect("a way on");
            let older = older.split('"').next().expect("a path").replace("&amp;", "&");
            page = visitor.open(&older).await;
            assert!(page.has("id=\"activity-newest\""), "{}", page.body);
        }
        assert_eq!(links, 250);
        // What is no place in it is the beginning.
        for odd in ["g", "%00", "zzz", "'", &"f".repeat(500)] {
            let page = visitor.open(&format!("/account/activity?before={odd}")).await;
            assert!(page.status == 200 || page.status == 400, "{odd}: {}", page.body);
        }
    }

    async fn c070_an_account_is_exported_within_bounds(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let form = visitor.open("/account/export").await.form();
        for _ in 0..5 {
            assert_eq!(visitor.submit(&form).await.status, 200);
        }
        let refused = visitor.submit(&form).await;
        refused.assert_page(429, "Try again in an hour");
        assert!(refused.header("retry-after").is_some());
        let exported = trail(&world, &user).await.into_iter().filter(|kind| kind == "data.exported").count();
        assert_eq!(exported, 5);
    }
}

on_both_databases! {
    async fn c068_an_export_needs_a_password_given_less_than_ten_minutes_ago(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let export = visitor.open("/account/export").await;
        world.pass(Duration::from_secs(10 * 60 - 1));
        assert!(visitor.open("/account/export").await.has("id=\"export-submit\""));
        // A proof in another session does not count.
        world.pass(Duration::from_secs(1));
        at_home(&world, &user).await;
        let before = visitor.cookies.clone();
        let sudo = visitor.open("/account/export").await;
        assert!(sudo.has("Confirm it's you"), "{}", sudo.body);
        let answer = visitor.submit(&export.form()).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(visitor.follow(answer).await.has("Confirm it's you"));
        assert!(!trail(&world, &user).await.iter().any(|kind| kind.contains("export")));
        let wrong = visitor.sign_in_with(&sudo, user.email.shown(), "wrong").await;
        wrong.assert_page(400, "That password isn't right");
        let page = visitor.sign_in_with(&wrong, user.email.shown(), PASSWORD).await;
        assert!(page.has("id=\"export-submit\""), "{}", page.body);
        // C062: under another cookie, and the same session.
        assert_ne!(visitor.cookies, before);
        assert_eq!(world.sessions(&user).await.len(), 2);
        let mut thief = world.visitor();
        thief.cookies = before;
        assert!(thief.open("/account").await.asks_to_sign_in());
    }

    async fn c110_who_is_disabled_is_kept_and_one_account_keeps_no_other(world: World) {
        let (user, other) = (world.user().await, world.user().await);
        for user in [&user, &other] {
            end(&mut at_home(&world, user).await, user).await;
        }
        world.end(Act::DisableUser(user.sub.clone())).await;
        world.pass(15 * DAY);
        assert_eq!(delete_overdue(&world).await, 1);
        assert!(record(&world, &user).await.is_some() && record(&world, &other).await.is_none());
    }
}

/// Whose account is past its end is told so, and not to sign in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_an_account_with_an_address_that_is_being_deleted_is_told_to_wait() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            sign_up: Some(SignUp::Open),
            ..Own::default()
        };
        let (world, letters) = world_with(database, own).await;
        let user = world.user().await;
        end(&mut at_home(&world, &user).await, &user).await;
        letters.newest(user.email.shown(), 1).await;
        world.pass(14 * DAY);
        let mut visitor = world.visitor();
        let form = visitor.open("/signup").await.form();
        let answer = visitor.submit(&form.with("username", user.email.shown())).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let letter = letters.newest(user.email.shown(), 2).await.letter;
        assert_eq!(letter.subject, "Your Countersign account is being deleted");
        assert!(!letter.text.contains("http"), "{}", letter.text);
    }
}

with_mail! {
    /// Each round would be two mails and two events.
    async fn c070_nobody_fills_a_mailbox_by_asking_for_the_end_and_coming_back(world: World, letters: Letters) {
        let user = world.user().await;
        for _ in 0..3 {
            end(&mut at_home(&world, &user).await, &user).await;
        }
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/delete").await;
        let form = page.form().with("email", user.email.shown()).with("current", PASSWORD);
        let refused = visitor.submit(&form).await;
        refused.assert_page(429, "This was asked for many times just now");
        assert_eq!(refused.header("retry-after"), Some("600"));
        // Every time that counted was mailed, and so was every return.
        let ends = ["Your Countersign account will be deleted", "Your Countersign account stays"];
        letters.settled().await;
        let held = letters.held(user.email.shown());
        for subject in ends {
            assert_eq!(held.iter().filter(|held| held.letter.subject == subject).count(), 3);
        }
        world.pass(Duration::from_secs(600));
        end(&mut visitor, &user).await;
    }

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
        for (table, column) in [("sessions", "sub"), ("consents", "sub"), ("approvals", "sub"), ("mailed_links", "sub"), ("former_addresses", "sub")] {
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

    async fn c093_another_password_by_a_link_brings_the_account_back(world: World, letters: Letters) {
        let user = world.user().await;
        let address = user.email.shown();
        // By somebody who has the password: what the mail about it says has to help.
        end(&mut at_home(&world, &user).await, &user).await;
        letters.newest(address, 1).await;
        let mut visitor = world.visitor();
        let page = visitor.open("/recover").await;
        visitor.submit(&page.form().with("username", address)).await;
        let link = letters.newest_link(address, 1).await;
        let page = visitor.get(&link).await;
        let answer = visitor.submit(&page.form().with("password", "another horse, another battery")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let trail = trail(&world, &user).await;
        assert!(trail.contains(&"deletion.undone".to_owned()), "{trail:?}");
        letters.newest(address, 4).await;
        let subjects: Vec<String> = letters.held(address).into_iter().map(|held| held.letter.subject).collect();
        assert!(subjects.contains(&"Your Countersign account stays".to_owned()), "{subjects:?}");
        world.pass(20 * DAY);
        assert_eq!(delete_overdue(&world).await, 0);
        assert!(record(&world, &user).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_sign_in_during_the_grace_at_once_all_do() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let world = World::here_with(database, Own::default()).await;
        for _ in 0..4 {
            let user = world.user().await;
            end(&mut at_home(&world, &user).await, &user).await;
            let mut forms = Vec::new();
            for _ in 0..8 {
                let mut visitor = world.visitor();
                let login = visitor.open("/account").await;
                let form = login
                    .form()
                    .with("username", user.email.shown())
                    .with("password", PASSWORD);
                forms.push((visitor, form));
            }
            let answers = forms.iter_mut().map(|(visitor, form)| visitor.submit(form));
            for answer in futures_util::future::join_all(answers).await {
                assert_eq!(answer.status, 303, "{}", answer.body);
            }
            let undone = trail(&world, &user).await;
            assert_eq!(undone.iter().filter(|kind| *kind == "deletion.undone").count(), 1);
        }
    }
}
