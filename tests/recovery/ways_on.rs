//! Where a new password leads: to the app that waits, to the page of ours that somebody wanted to see, or home.

use super::{GONE, NEW, SENT, href, set};
use crate::harness::letters::link;
use crate::harness::{Answer, Letters, Visitor};

/// From this sign-in page to the link in the mail.
async fn asked_from(login: &Answer, visitor: &mut Visitor<'_>, address: &str, letters: &Letters) -> String {
    let page = visitor.get(&href(login, "login-forgot")).await;
    let answer = visitor.submit(&page.form().with("username", address)).await;
    let sent = visitor.follow(answer).await;
    assert!(sent.has(SENT), "{}", sent.body);
    link(&letters.newest(address, 1).await)
}

with_mail! {
    async fn whoever_wanted_a_page_of_their_account_comes_to_it(world: World, letters: Letters) {
        let user = world.user().await;
        let mut visitor = world.visitor();
        let login = visitor.open("/account/activity").await;
        let link = asked_from(&login, &mut visitor, user.email.shown(), &letters).await;
        let answer = set(&mut visitor, &link, NEW).await;
        let done = visitor.follow(answer).await;
        assert!(done.has("Your new password is set") && done.has("Sign in with it here."), "{}", done.body);
        let login = visitor.get(&href(&done, "onward")).await;
        assert!(login.asks_to_sign_in() && login.has("id=\"username\""), "{}", login.body);
        let page = visitor.sign_in_with(&login, user.email.shown(), NEW).await;
        assert!(page.has("<h1>Security activity</h1>"), "{}", page.body);
    }

    async fn who_proves_once_more_and_has_forgotten_comes_back_to_what_they_wanted(world: World, letters: Letters) {
        let user = world.user().await;
        let mut visitor = world.visitor();
        let login = visitor.open("/account").await;
        visitor.sign_in(&login, user.email.shown()).await;
        world.pass(std::time::Duration::from_secs(11 * 60));
        let login = visitor.open("/account/export").await;
        assert!(login.has("Sign in again to download your data"), "{}", login.body);
        assert!(login.has("id=\"login-back\""), "{}", login.body);
        let link = asked_from(&login, &mut visitor, user.email.shown(), &letters).await;
        let answer = set(&mut visitor, &link, NEW).await;
        let done = visitor.follow(answer).await;
        let login = visitor.get(&href(&done, "onward")).await;
        let page = visitor.sign_in_with(&login, user.email.shown(), NEW).await;
        assert!(page.has("<h1>Your data</h1>"), "{}", page.body);
    }

    async fn where_nothing_waits_the_way_leads_home(world: World, letters: Letters) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let link = asked_from(&login, &mut visitor, user.email.shown(), &letters).await;
        // A browser in which somebody else is signed in.
        let mut phone = world.visitor();
        let page = phone.open("/account").await;
        phone.sign_in(&page, other.email.shown()).await;
        let answer = set(&mut phone, &link, NEW).await;
        let done = phone.follow(answer).await;
        assert!(!done.has("Test app"), "{}", done.body);
        let login = phone.get(&href(&done, "onward")).await;
        assert!(login.asks_to_sign_in() && !login.has(other.email.shown()), "{}", login.body);
        let home = phone.sign_in_with(&login, user.email.shown(), NEW).await;
        assert!(home.has("<h1>Your account</h1>") && home.has(user.email.shown()), "{}", home.body);
    }

    async fn a_link_that_was_used_keeps_the_app_that_waits(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[])).await;
        let link = asked_from(&login, &mut visitor, user.email.shown(), &letters).await;
        assert_eq!(set(&mut visitor, &link, NEW).await.status, 303);
        let used = visitor.get(&link).await;
        assert!(used.status == GONE && used.has("id=\"to-account\""), "{}", used.body);
        let again = visitor.get(&href(&used, "link-new")).await;
        let login = visitor.get(&href(&again, "recover-back")).await;
        assert!(login.has("<bdi>Test app</bdi>"), "{}", login.body);
    }
}
