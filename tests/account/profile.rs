//! What a person says about themselves, and their address.

use std::time::Duration;

use accounts::claims::Claim;
use accounts::users::{self, User};
use protocol::SignUp;
use revocation::Act;

use super::{at_home, trail};
use crate::harness::app::userinfo;
use crate::harness::letters::world_with;
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Visitor, World};

async fn reload(world: &World, user: &User) -> User {
    let mut conn = world.db.reader().await.expect("a connection");
    let user = users::by_sub(&user.sub, &mut conn).await.expect("the database");
    user.expect("the user")
}

/// The form as the page fills it in.
fn filled(page: &Answer) -> Form {
    let mut form = page.form();
    for claim in users::EDITABLE {
        let name = claim.as_str();
        let (_, field) = page
            .body
            .split_once(&format!("<input id=\"{name}\" name=\"{name}\""))
            .unwrap_or_else(|| panic!("no {name}: {}", page.body));
        let (_, value) = field.split_once(" value=\"").expect("a value");
        form = form.with(name, value.split('"').next().expect("an end"));
    }
    form
}

fn text(user: &User, claim: Claim) -> Option<&str> {
    user.claims.text(claim)
}

everywhere! {
    async fn a_person_sets_what_is_theirs_to_set_and_apps_learn_of_it(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/profile").await;
        assert!(page.has(user.email.shown()), "{}", page.body);
        let form = filled(&page);
        assert_eq!(form.value("name"), "Alex Example");
        let form = form
            .with("name", " Zoë \u{202e}Example ")
            .with("birthdate", "1990-12-31")
            .with("website", "https://example.com/zoe");
        let answer = visitor.submit(&form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let done = visitor.follow(answer).await;
        assert!(done.has("Saved.") && done.has("value=\"Zoë Example\""), "{}", done.body);
        let tokens = app.grant(&world, &user, &[("scope", "openid profile")]).await;
        let info = userinfo(&world, tokens.access()).await.json();
        assert_eq!(
            (&info["name"], &info["birthdate"], &info["website"]),
            (&"Zoë Example".into(), &"1990-12-31".into(), &"https://example.com/zoe".into())
        );
        assert!(trail(&world, &user).await.contains(&"profile.changed".to_owned()));
        // What is emptied is forgotten.
        let page = visitor.open("/account/profile").await;
        visitor.submit(&filled(&page).with("birthdate", "")).await;
        assert_eq!(text(&reload(&world, &user).await, Claim::Birthdate), None);
    }

    async fn c087_a_form_with_a_field_of_somebody_elses_is_refused_whole(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let user = reload(&world, &user).await;
        let form = filled(&visitor.open("/account/profile").await).with("nickname", "Eve");
        for (name, value) in [
            ("email", "eve@evil.example"),
            ("email_verified", "true"),
            ("phone_number_verified", "true"),
            ("sub", "admin"),
            ("roles", "admin"),
            ("epoch", "99"),
            ("disabled_at", "1"),
            ("picture", "https://evil.example/x.png"),
            ("updated_at", "1"),
            ("password_hash", "x"),
            ("delete_at", "1"),
        ] {
            let answer = visitor.submit(&form.clone().with(name, value)).await;
            answer.assert_page(400, "That didn't work");
        }
        assert_eq!(reload(&world, &user).await, user);
    }

    async fn what_cannot_be_is_shown_at_its_field_and_nothing_is_lost(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let user = reload(&world, &user).await;
        let form = filled(&visitor.open("/account/profile").await).with("nickname", "Al");
        for (name, value, words) in [
            ("birthdate", "31.12.1990", "Enter a date like 1990-12-31"),
            ("website", "javascript:alert(1)", "Enter an address that begins with https://"),
            ("zoneinfo", "Europe Paris", "Enter a time zone like Europe/Paris"),
            ("locale", "en GB", "Enter a language like en-GB"),
            ("name", &"x".repeat(257), "Full name: use at most 256 characters"),
            ("name", "a\u{7}b", "Full name: use at most 256 characters"),
        ] {
            let answer = visitor.submit(&form.clone().with(name, value)).await;
            answer.assert_page(400, words);
            assert!(answer.has(&format!("id=\"{name}-fault\"")) && answer.has("<title>Error: Profile"));
            assert!(answer.has("value=\"Al\""), "{}", answer.body);
        }
        assert_eq!(reload(&world, &user).await, user);
    }
}

on_both_databases! {
    async fn another_number_is_not_verified_any_more(world: World) {
        let user = world.user_with(|draft| {
            draft.claims.set(Claim::PhoneNumber, "+1 555 0100".into()).unwrap();
            draft.claims.set(Claim::PhoneNumberVerified, true.into()).unwrap();
        }).await;
        let mut visitor = at_home(&world, &user).await;
        let form = filled(&visitor.open("/account/profile").await);
        visitor.submit(&form.with("nickname", "Al")).await;
        assert_eq!(reload(&world, &user).await.claims.of(Claim::PhoneNumberVerified), Some(&true.into()));
        let form = filled(&visitor.open("/account/profile").await);
        visitor.submit(&form.with("phone_number", "+1 555 0199")).await;
        let after = reload(&world, &user).await;
        assert_eq!(text(&after, Claim::PhoneNumber), Some("+1 555 0199"));
        assert_eq!(after.claims.of(Claim::PhoneNumberVerified), None);
    }
}

/// Asks for this address; the answer is the page that says so, or the form once more.
async fn ask(visitor: &mut Visitor<'_>, address: &str) -> Answer {
    let page = visitor.open("/account/email").await;
    assert!(page.has("id=\"email-submit\""), "{}", page.body);
    let form = page.form().with("email", address).with("current", PASSWORD);
    let answer = visitor.submit(&form).await;
    visitor.follow(answer).await
}

fn another(user: &User) -> String {
    user.email.shown().replace("alex-", "new-")
}

with_mail! {
    async fn of_two_accounts_the_one_whose_address_was_confirmed_is_shown(world: World, letters: Letters) {
        let (alex, jane) = (world.user().await, world.user().await);
        let mut visitor = at_home(&world, &alex).await;
        let new = another(&alex);
        assert!(ask(&mut visitor, &new).await.has("Check your email"));
        let login = visitor.open("/account/switch?other=1").await;
        let home = visitor.sign_in(&login, jane.email.shown()).await;
        assert!(home.has(jane.email.shown()), "{}", home.body);
        let page = visitor.open(&letters.newest_link(&new, 1).await).await;
        let answer = visitor.submit(&page.form()).await;
        let profile = visitor.follow(answer).await;
        assert!(profile.has(&new) && profile.has("Your email is changed"), "{}", profile.body);
    }

    async fn another_address_is_theirs_once_they_have_read_its_mail(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let (old, new) = (user.email.shown().to_owned(), another(&user));
        let mut visitor = at_home(&world, &user).await;
        let sent = ask(&mut visitor, &new).await;
        assert!(sent.has("Check your email"), "{}", sent.body);
        let link = letters.newest_link(&new, 1).await;
        assert!(link.contains("/account/email/confirm?link=cs_ml_"), "{link}");
        assert_eq!(reload(&world, &user).await, user, "nothing changed by asking");
        let page = visitor.open(&link).await;
        assert!(page.has(&format!("<bdi>{new}</bdi> in place of <bdi>{old}</bdi>")), "{}", page.body);
        visitor.open(&link).await;
        assert_eq!(reload(&world, &user).await, user, "nor by looking");

        let (mut phone, online) = app.sign_in(&world, &user, &[]).await;
        let offline = app.grant(&world, &user, &[("scope", "openid email offline_access")]).await;
        let mut thief = world.visitor();
        thief.cookies = visitor.cookies.clone();
        let answer = visitor.submit(&page.form()).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        // C062: a copy of this browser's cookie is another session.
        assert!(thief.open("/account").await.asks_to_sign_in());
        let profile = visitor.follow(answer).await;
        assert!(profile.has(&new) && profile.has("Your email is changed"), "{}", profile.body);
        let after = reload(&world, &user).await;
        assert_eq!((after.email.shown(), after.email_verified), (new.as_str(), true));
        assert_eq!(after.epoch, user.epoch + 1);
        // C067: other sessions are over, apps learn of it.
        assert!(phone.open("/account").await.asks_to_sign_in());
        assert_eq!(userinfo(&world, online.access()).await.status, 401);
        assert_eq!(userinfo(&world, offline.access()).await.json()["email"], new.as_str());
        let notice = letters.newest(&old, 1).await;
        assert_eq!(notice.letter.subject, "Your Countersign email was changed");
        assert!(!notice.letter.text.contains("link=") && !notice.letter.text.contains(&new));
        assert_eq!(trail(&world, &user).await.last().unwrap(), "email.changed");
        let used = visitor.get(&link).await;
        used.assert_page(410, "This link no longer works");
        let login = world.visitor().open("/account").await;
        let mut anew = world.visitor();
        let login_again = anew.open("/account").await;
        assert!(login.asks_to_sign_in());
        assert!(anew.sign_in(&login_again, &new).await.has("<h1>Your account</h1>"));
    }

    async fn c068_an_address_needs_the_password_however_fresh_the_sign_in_is(world: World, letters: Letters) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/email").await;
        let form = page.form().with("email", &another(&user));
        for (current, words) in [("", "Enter your current password"), ("wrong", "That password isn't right")] {
            let answer = visitor.submit(&form.clone().with("current", current)).await;
            answer.assert_page(400, words);
            assert!(answer.has("id=\"current-password-fault\"") && answer.has("<title>Error: "), "{}", answer.body);
            assert!(answer.has(&format!("value=\"{}\"", another(&user))), "what was typed stays");
        }
        assert_eq!(letters.settled().await, 0);
        assert!(!trail(&world, &user).await.contains(&"link.mailed".to_owned()));
        // With it, none has to be fresh.
        world.pass(Duration::from_secs(60 * 60));
        assert!(ask(&mut visitor, &another(&user)).await.has("Check your email"));
        letters.newest_link(&another(&user), 1).await;
    }

    async fn c073_a_link_is_of_its_person_and_dies_with_time_and_credentials(world: World, letters: Letters) {
        let (user, eve) = (world.user().await, world.user().await);
        let (mut visitor, mut evil) = (at_home(&world, &user).await, at_home(&world, &eve).await);
        ask(&mut visitor, &another(&user)).await;
        let link = letters.newest_link(&another(&user), 1).await;
        // Whoever reads the mail is not yet its person.
        assert!(world.visitor().open(&link).await.asks_to_sign_in());
        let away = evil.get(&link).await;
        assert_eq!(away.status, 303, "{}", away.body);
        let login = evil.follow(away).await;
        assert!(login.asks_to_sign_in() && !login.has(user.email.shown()), "{}", login.body);
        let own = visitor.open(&link).await;
        ask(&mut evil, &another(&eve)).await;
        let theirs = letters.newest_link(&another(&eve), 1).await;
        let form = evil.open(&theirs).await.form().with("link", own.form().value("link"));
        evil.submit(&form).await.assert_page(404, "We don't know this link");
        // A link for one purpose is none for another.
        let value = own.form().value("link").to_owned();
        for path in ["/verify", "/recover/password"] {
            let page = visitor.get(&format!("{path}?link={value}")).await;
            page.assert_page(404, "We don't know this link");
        }
        world.pass(Duration::from_secs(30 * 60));
        visitor.submit(&own.form()).await.assert_page(410, "This link has expired");
        assert_eq!(reload(&world, &user).await, user);

        ask(&mut evil, &another(&eve)).await;
        let link = letters.newest_link(&another(&eve), 2).await;
        world.end(Act::DisableUser(eve.sub.clone())).await;
        evil.get(&link).await.assert_page(403, "This account is turned off");
    }

    async fn c076_nobody_takes_the_address_of_another_nor_learns_that_it_is_one(world: World, letters: Letters) {
        let (user, other) = (world.user().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        let free = ask(&mut visitor, &another(&user)).await;
        let taken = ask(&mut visitor, &other.email.shown().to_uppercase().replace("EXAMPLE.COM", "example.com")).await;
        assert_eq!(free.body.lines().count(), taken.body.lines().count());
        assert!(taken.has("Check your email"), "{}", taken.body);
        letters.newest_link(&another(&user), 1).await;
        assert_eq!(letters.settled().await, 1, "no mail to who has it");
        // The trail says the same of both, to its person as well.
        let mailed = |kinds: Vec<String>| kinds.into_iter().filter(|kind| kind == "link.mailed").count();
        assert_eq!(mailed(trail(&world, &user).await), 2);
        assert_eq!(mailed(trail(&world, &other).await), 0);
        let page = visitor.open("/account/activity").await;
        assert_eq!(page.body.matches("Link sent by email").count(), 2, "{}", page.body);
        for (typed, words) in [
            ("", "Enter your new email"),
            ("alex", "Enter an email address"),
            (&user.email.shown().to_uppercase(), "This is your address already"),
        ] {
            let answer = ask(&mut visitor, typed).await;
            answer.assert_page(400, words);
        }
        // Somebody gets it while the link is on its way.
        let link = letters.newest_link(&another(&user), 1).await;
        let page = visitor.open(&link).await;
        let wanted = another(&user);
        world.user_with(move |draft| draft.email = accounts::email::Email::parse(&wanted).unwrap()).await;
        visitor.submit(&page.form()).await.assert_page(409, "This address can't be used");
        assert_eq!(reload(&world, &user).await, user);
    }
}

/// C070: who asks for mails to an address of another must not keep that one from recovering.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_each_kind_of_mail_counts_by_itself() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            limits: Some("on"),
            sign_up: Some(SignUp::Open),
            ..Own::default()
        };
        let (world, _letters) = world_with(database, own).await;
        let (user, victim) = (world.user().await, world.user().await);
        let address = victim.email.shown();
        let mut visitor = at_home(&world, &user).await;
        for _ in 0..3 {
            assert!(ask(&mut visitor, address).await.has("Check your email"));
        }
        ask(&mut visitor, address)
            .await
            .assert_page(429, "Too many links");
        // Nor does another spelling of one mailbox help.
        let tagged = address.replace('@', "+tag@");
        ask(&mut visitor, &tagged)
            .await
            .assert_page(429, "Too many links");
        // Nobody is kept from moving there by somebody who asked for it first.
        let mut another = at_home(&world, &world.user().await).await;
        for _ in 0..3 {
            assert!(ask(&mut another, address).await.has("Check your email"));
        }
        for path in ["/signup", "/recover"] {
            let mut visitor = world.visitor();
            let form = visitor.open(path).await.form().with("username", address);
            for status in [303, 303, 303, 429] {
                assert_eq!(visitor.submit(&form).await.status, status, "{path}");
            }
        }
        // An account has so many sent, to whomever.
        for n in 0..2 {
            let to = format!("somebody-{n}@example.com");
            assert!(ask(&mut visitor, &to).await.has("Check your email"), "{n}");
        }
        ask(&mut visitor, "one-more@example.com")
            .await
            .assert_page(429, "Too many links");
    }
}

/// The attack: mails to addresses with a tag, at a host that knows none, reach nobody; they must not keep the owner of the
/// bare address out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_who_asks_for_addresses_with_tags_keeps_nobody_from_an_account() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            limits: Some("on"),
            sign_up: Some(SignUp::Open),
            ..Own::default()
        };
        let (world, letters) = world_with(database, own).await;
        let mut visitor = world.visitor();
        let form = visitor.open("/signup").await.form();
        for (address, status) in [
            ("zoe+a@example.com", 303),
            ("zoe+b@example.com", 303),
            ("zoe+c@example.com", 303),
            ("zoe+d@example.com", 429),
            ("zoe@example.com", 303),
            ("zoe@example.com", 303),
            ("zoe@example.com", 303),
            ("zoe@example.com", 429),
            ("eve@example.com", 303),
            ("eve@example.com", 303),
            ("eve@example.com", 303),
            ("eve+a@example.com", 429),
        ] {
            let answer = visitor.submit(&form.clone().with("username", address)).await;
            assert_eq!(answer.status, status, "{address}");
        }
        letters.newest_link("zoe@example.com", 3).await;
    }
}

everywhere! {
    async fn a_form_that_was_open_for_long_undoes_nothing(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let stale = filled(&visitor.open("/account/profile").await);
        let form = filled(&visitor.open("/account/profile").await).with("nickname", "Al");
        assert!(visitor.submit(&form).await.location().unwrap().contains("?done="));
        let twice = visitor.submit(&form).await;
        assert!(twice.location().unwrap().contains("?done="), "the second of two clicks");
        let answer = visitor.submit(&stale.with("website", "https://example.com/alex")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let page = visitor.follow(answer).await;
        assert!(page.has("changed while this page was open") && page.has("value=\"Al\""), "{}", page.body);
        let before = reload(&world, &user).await;
        assert_eq!(text(&before, Claim::Nickname), Some("Al"));
        assert_eq!(text(&before, Claim::Website), None);
        // What is not in the form stays; what is empty goes.
        let bare = visitor.open("/account/profile").await.form();
        assert!(visitor.submit(&bare).await.location().unwrap().contains("?done="));
        assert_eq!(reload(&world, &user).await, before);
        visitor.submit(&bare.with("nickname", "")).await;
        assert_eq!(text(&reload(&world, &user).await, Claim::Nickname), None);
    }

    async fn d12_a_field_that_is_there_twice_is_refused(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let user = reload(&world, &user).await;
        let mut form = filled(&visitor.open("/account/profile").await);
        form.fields.push(("name".to_owned(), "Eve".to_owned()));
        visitor.submit(&form).await.assert_page(400, "That didn't work");
        assert_eq!(reload(&world, &user).await, user);
    }

    async fn where_no_mail_is_sent_an_address_is_not_changed(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        assert!(!visitor.open("/account/profile").await.has("id=\"email-change\""));
        let page = visitor.open("/account/email").await;
        assert!(page.status == 200 && page.has("This site doesn't send email"), "{}", page.body);
    }
}
