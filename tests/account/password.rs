//! Another password, for who knows the old one.

use std::time::Duration;

use accounts::users::{self, User};

use super::{at_home, trail};
use crate::harness::app::userinfo;
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, Letters, Visitor, World};

const NEW: &str = "another horse, another battery";
const OFFLINE: &[(&str, &str)] = &[("scope", "openid offline_access")];

/// The form, filled in; apps are disconnected as long as the box is ticked.
async fn filled(visitor: &mut Visitor<'_>) -> Form {
    let page = visitor.open("/account/password").await;
    assert!(
        page.has("name=\"apps\" type=\"checkbox\"") && page.has(" checked>"),
        "{}",
        page.body
    );
    page.form()
        .with("current", PASSWORD)
        .with("password", NEW)
        .with("apps", "disconnect")
}

async fn reload(world: &World, user: &User) -> User {
    let mut conn = world.db.reader().await.expect("a connection");
    let user = users::by_sub(&user.sub, &mut conn).await.expect("the database");
    user.expect("the user")
}

fn cookie(visitor: &Visitor<'_>, name: &str) -> String {
    let found = visitor.cookies.iter().find(|(own, _)| own.contains(name));
    found.expect("a cookie").1.clone()
}

with_mail! {
    async fn c070_nobody_fills_a_mailbox_by_changing_a_password_to_and_fro(world: World, letters: Letters) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let mut passwords = [PASSWORD, NEW].into_iter().cycle();
        let mut current = passwords.next().unwrap();
        let mut changed = async |visitor: &mut Visitor<'_>| {
            let new = passwords.next().unwrap();
            let form = visitor.open("/account/password").await.form();
            let answer = visitor.submit(&form.with("current", current).with("password", new)).await;
            current = new;
            answer
        };
        for _ in 0..3 {
            assert_eq!(changed(&mut visitor).await.status, 303);
        }
        let before = reload(&world, &user).await;
        let refused = changed(&mut visitor).await;
        refused.assert_page(429, "Your password was changed many times just now");
        assert_eq!(refused.header("retry-after"), Some("600"));
        assert_eq!(reload(&world, &user).await, before);
        letters.settled().await;
        assert_eq!(letters.held(user.email.shown()).len(), 3, "every change that counted");
        // Nobody is kept from it who reads their mail.
        let page = visitor.get("/recover").await;
        visitor.submit(&page.form().with("username", user.email.shown())).await;
        let page = visitor.get(&letters.newest_link(user.email.shown(), 1).await).await;
        assert_eq!(visitor.submit(&page.form().with("password", "not this battery, horse")).await.status, 303);
    }
}

everywhere! {
    async fn c062_the_cookie_is_renewed_and_the_old_one_is_dead(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let mut thief = world.visitor();
        thief.cookies = visitor.cookies.clone();
        let form = filled(&mut visitor).await;
        let answer = visitor.submit(&form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert_ne!(cookie(&visitor, "browser"), cookie(&thief, "browser"));
        let done = visitor.follow(answer).await;
        assert!(done.has("Your new password is set"), "{}", done.body);
        assert!(thief.open("/account").await.asks_to_sign_in());
        // The same session, under the new cookie.
        assert_eq!(world.sessions(&user).await.len(), 1);
    }

    async fn c068_a_wrong_or_missing_password_changes_nothing_and_every_fault_is_shown(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let user = reload(&world, &user).await;
        let form = filled(&mut visitor).await;
        for (current, new, words) in [
            ("wrong", NEW, "That password isn't right"),
            ("", NEW, "Enter your current password"),
            (PASSWORD, "", "Enter a new password"),
            (PASSWORD, "short", "Use 8 characters or more"),
        ] {
            let answer = visitor.submit(&form.clone().with("current", current).with("password", new)).await;
            answer.assert_page(400, words);
            assert!(answer.has("<title>Error: Password"), "{}", answer.body);
            assert!(answer.has("aria-invalid=\"true\"") && !answer.has(&format!("value=\"{NEW}\"")));
        }
        let long = visitor.submit(&form.clone().with("current", &"x".repeat(5000))).await;
        assert_eq!(long.status, 400);
        assert_eq!(reload(&world, &user).await, user);
        // What was ticked stays as it was.
        let kept = visitor.submit(&form.clone().with("current", "wrong").without("apps")).await;
        assert!(!kept.has(" checked>"), "{}", kept.body);
    }

    async fn c087_no_other_field_has_any_meaning(world: World) {
        let (user, eve) = (world.user().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        let form = filled(&mut visitor).await;
        let form = form
            .with("sub", eve.sub.as_str())
            .with("username", eve.email.shown())
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

    async fn password_managers_are_led_to_the_form(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let answer = visitor.get("/.well-known/change-password").await;
        assert_eq!(answer.status, 302);
        assert!(answer.location().unwrap().ends_with("/account/password"));
        let page = visitor.follow(answer).await;
        assert!(page.has("autocomplete=\"current-password\"") && page.has("autocomplete=\"new-password\""));
    }
}

/// What becomes of everything else, whether apps go or stay.
async fn changed(world: &World, letters: &Letters, disconnects: bool) {
    let (app, user, other) = (world.app().await, world.user().await, world.user().await);
    let address = user.email.shown();
    let mut own = at_home(world, &user).await;
    let redirect = own.authorize(&app.url(&[]), address).await;
    let here = app.tokens(world, &redirect).await;
    let (mut phone, online) = app.sign_in(world, &user, &[]).await;
    let offline = app.grant(world, &user, OFFLINE).await;
    let waiting = app.code(world, &user, OFFLINE).await;
    let (mut theirs, others) = app.sign_in(world, &other, OFFLINE).await;
    // Mailed before, by whoever asked.
    let mut stranger = world.visitor();
    let page = stranger.open("/recover").await;
    stranger.submit(&page.form().with("username", address)).await;
    let link = letters.newest_link(address, 1).await;
    // Under way in another browser, up to the consent page.
    let mut flow = world.visitor();
    let login = flow.open(&world.app().await.url(&[])).await;
    let consent = flow.sign_in(&login, address).await;
    assert!(consent.asks_for_consent(), "{}", consent.body);

    let form = filled(&mut own).await;
    let form = if disconnects { form } else { form.without("apps") };
    let answer = own.submit(&form).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    world.heard_elsewhere().await;

    assert!(phone.open("/account").await.asks_to_sign_in());
    assert_eq!(userinfo(world, online.access()).await.status, 401);
    assert_eq!(app.redeem(world, &waiting).await.status, 400);
    assert!(
        flow.decide(&consent, "allow").await.asks_to_sign_in(),
        "an open flow ends"
    );
    assert_eq!(stranger.get(&link).await.status, 410, "a link of before");
    let apps = if disconnects { 401 } else { 200 };
    assert_eq!(userinfo(world, offline.access()).await.status, apps);
    assert_eq!(userinfo(world, here.access()).await.status, apps);
    let refreshed = app.refresh(world, offline.refresh()).await;
    assert_eq!(
        refreshed.status,
        if disconnects { 400 } else { 200 },
        "{}",
        refreshed.body
    );
    // This browser, and other people, go on.
    assert!(own.open("/account").await.has(address));
    assert_eq!(userinfo(world, others.access()).await.status, 200);
    assert!(!theirs.open("/account").await.asks_to_sign_in());

    assert_eq!(trail(world, &user).await.last().unwrap(), "password.changed");
    let letter = letters.newest(address, 2).await;
    assert_eq!(letter.letter.subject, "Your Countersign password was changed");
    assert_eq!(
        letter.letter.text.contains("all apps are disconnected"),
        disconnects
    );
    assert!(!letter.letter.text.contains("http"), "{}", letter.letter.text);
    let mut anew = world.visitor();
    let login = anew.open("/account").await;
    let wrong = anew.sign_in(&login, address).await;
    wrong.assert_page(400, "That email or password");
    let home: Answer = anew.sign_in_with(&wrong, address, NEW).await;
    assert!(home.has(address), "{}", home.body);
}

with_mail! {
    async fn c067_another_password_ends_everything_else(world: World, letters: Letters) {
        changed(&world, &letters, true).await;
    }

    async fn c067_apps_stay_when_the_person_wants_that(world: World, letters: Letters) {
        changed(&world, &letters, false).await;
    }

    async fn of_many_who_change_one_password_at_once_one_succeeds(world: World, letters: Letters) {
        let user = world.user().await;
        let mut forms = Vec::new();
        for n in 0..8 {
            let mut visitor = at_home(&world, &user).await;
            let form = filled(&mut visitor).await.with("password", &format!("password number {n}"));
            forms.push((visitor, form));
        }
        let answers = forms.iter_mut().map(|(visitor, form)| visitor.submit(form));
        let answers = futures_util::future::join_all(answers).await;
        let won = |answer: &&Answer| answer.location().is_some_and(|to| to.contains("?done="));
        assert_eq!(answers.iter().filter(won).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| !answer.status.is_server_error()));
        assert_eq!(reload(&world, &user).await.epoch, user.epoch + 1);
        letters.newest(user.email.shown(), 1).await;
        assert_eq!(letters.settled().await, 1);
    }
}

on_both_databases! {
    async fn c066_a_page_that_was_left_open_still_needs_a_live_session(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let form = filled(&mut visitor).await;
        world.pass(Duration::from_secs(15 * 24 * 60 * 60));
        let answer = visitor.submit(&form).await;
        assert_eq!(answer.status, 303);
        assert!(visitor.follow(answer).await.asks_to_sign_in());
        assert_eq!(reload(&world, &user).await, user);
    }
}
