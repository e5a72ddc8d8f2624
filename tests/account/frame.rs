//! Who is shown, and the ways in.

use http::StatusCode;

use super::{at_home, values};
use crate::harness::World;
use crate::harness::html::Html;
use crate::harness::world::{Own, PASSWORD};

/// Where the navigation of a page says that one is, and where the way up leads.
fn whereabouts(body: &str) -> (Option<String>, Option<String>) {
    let html = Html::parse(body).expect("a page");
    let current = html.all("a").find_map(|link| link.get("aria-current"));
    let mut up = html.by_class("places-up").flat_map(|place| html.inside(place));
    let up = up.find_map(|link| link.get("href"));
    (current.map(str::to_owned), up.map(str::to_owned))
}

everywhere! {
    async fn whoever_is_not_signed_in_signs_in_first_and_comes_back(world: World) {
        let user = world.user().await;
        for path in ["/account", "/account/sessions", "/account/apps", "/account/switch"] {
            let mut visitor = world.visitor();
            let away = visitor.get(path).await;
            assert_eq!(away.status, 303, "{path}");
            let login = visitor.follow(away).await;
            assert!(login.asks_to_sign_in() && !login.has("to continue to"), "{}", login.body);
            let policy = login.header("content-security-policy").unwrap();
            assert!(policy.contains("form-action 'self'"), "{policy}");
            let wrong = visitor.sign_in_with(&login, user.email.shown(), "wrong").await;
            wrong.assert_page(400, "That email or password");
            let form = wrong.form().with("username", user.email.shown()).with("password", PASSWORD);
            let back = visitor.submit(&form).await;
            assert_eq!(back.status, 303);
            let location = back.location().unwrap();
            assert!(location.ends_with(path) && !location.contains('?'), "{location}");
            let page = visitor.follow(back).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(page.has("aria-label=\"Your account\"") && page.has("href=\"#main\""), "{}", page.body);
        }
    }

    async fn whoever_types_the_address_of_the_host_alone_comes_to_their_account(world: World) {
        let user = world.user().await;
        let mut visitor = world.visitor();
        let login = visitor.open("/").await;
        assert!(login.asks_to_sign_in(), "{}", login.body);
        let home = visitor.sign_in(&login, user.email.shown()).await;
        assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
    }

    async fn a_page_below_another_leads_back_to_it(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        app.grant(&world, &user, &[]).await;
        let mut visitor = at_home(&world, &user).await;
        let list = visitor.open("/account/apps").await;
        let html = Html::parse(&list.body).expect("a page");
        let one = html.by_class("row-app").next().and_then(|row| row.get("href")).expect("an app");
        for (path, current, up) in [
            ("/account", "page", None),
            ("/account/profile", "page", None),
            ("/account/email", "true", Some("/account/profile")),
            ("/account/apps", "page", None),
            (one, "true", Some("/account/apps")),
            ("/account/export", "page", None),
            ("/account/delete", "true", Some("/account/export")),
        ] {
            let page = visitor.open(path).await;
            let wanted = (Some(current.to_owned()), up.map(str::to_owned));
            assert_eq!(whereabouts(&page.body), wanted, "{path}: {}", page.body);
        }
    }

    async fn a_person_with_two_accounts_looks_at_the_one_they_choose(world: World) {
        let (alex, jane) = (world.user().await, world.user().await);
        let mut visitor = at_home(&world, &alex).await;
        let login = visitor.open("/account/switch?other=1").await;
        assert!(login.asks_to_sign_in(), "{}", login.body);
        let home = visitor.sign_in(&login, jane.email.shown()).await;
        assert!(home.has(jane.email.shown()) && !home.has(alex.email.shown()), "{}", home.body);

        let page = visitor.open("/account/switch").await;
        let choices = values(&page, "account");
        assert_eq!(choices.len(), 1, "{}", page.body);
        let answer = visitor.submit(&page.form().with("account", &choices[0])).await;
        let home = visitor.follow(answer).await;
        assert!(home.has(alex.email.shown()) && !home.has(jane.email.shown()), "{}", home.body);
        // A value of nobody's changes nothing.
        let answer = visitor.submit(&page.form().with("account", "x")).await;
        assert!(answer.location().unwrap().ends_with("/account/switch"), "{:?}", answer.location());
    }

    async fn c086_a_form_acts_for_the_account_that_it_was_shown_for(world: World) {
        let (alex, jane) = (world.user().await, world.user().await);
        let mut visitor = at_home(&world, &alex).await;
        let mut phone = at_home(&world, &alex).await;
        let own = visitor.open("/account/sessions").await;
        let login = visitor.open("/account/switch?other=1").await;
        let home = visitor.sign_in(&login, jane.email.shown()).await;
        assert!(home.has(jane.email.shown()));
        let answer = visitor.submit(&own.form().with("others", "yes")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(phone.open("/account").await.asks_to_sign_in(), "Alex was meant");
        assert!(visitor.open("/account").await.has(jane.email.shown()));
    }

    async fn c064_only_forms_of_our_own_pages_in_their_own_browser_count(world: World) {
        let (alex, jane) = (world.user().await, world.user().await);
        let (mut visitor, mut other) = (at_home(&world, &alex).await, at_home(&world, &jane).await);
        let form = visitor.open("/account/sessions").await.form().with("others", "yes");
        for origin in ["https://evil.example", "null", "http://localhost:1"] {
            let answer = visitor.submit_from(&form, &[("origin", origin)]).await;
            answer.assert_page(403, "Request rejected");
        }
        other.submit(&form).await.assert_page(403, "Request rejected");
        let altered = form.clone().with("csrf", &(form.value("csrf").to_owned() + "A"));
        visitor.submit(&altered).await.assert_page(403, "Request rejected");
        // Of another page.
        let stranger = world.visitor().submit(&form).await;
        assert_eq!(stranger.status, 303, "signs in first: {}", stranger.body);
    }

    async fn an_account_can_be_removed_from_the_browser_and_the_others_stay(world: World) {
        let (alex, jane, app) = (world.user().await, world.user().await, world.app().await);
        let mut visitor = at_home(&world, &alex).await;
        let login = visitor.open("/account/switch?other=1").await;
        visitor.sign_in(&login, jane.email.shown()).await;
        let page = visitor.open("/account/switch").await;
        let other = values(&page, "remove");
        assert_eq!(other.len(), 1, "not the one that is looked at: {}", page.body);
        let answer = visitor.submit(&page.form().with("remove", "nobody's")).await;
        assert_eq!(answer.location().as_deref(), Some("/account/switch"));
        assert_eq!(values(&visitor.open("/account/switch").await, "remove").len(), 1);
        let answer = visitor.submit(&page.form().with("remove", &other[0])).await;
        let page = visitor.follow(answer).await;
        assert!(values(&page, "remove").is_empty(), "{}", page.body);
        let home = visitor.open("/account").await;
        assert!(home.has(alex.email.shown()) != home.has(jane.email.shown()), "{}", home.body);

        // The same on the way to an app: whoever is left is offered, and at last the sign-in page.
        let left = if home.has(alex.email.shown()) { &alex } else { &jane };
        let chooser = visitor.open(&app.url(&[("prompt", "select_account")])).await;
        assert!(chooser.has("Choose an account") && chooser.has(left.email.shown()), "{}", chooser.body);
        let own = values(&chooser, "remove");
        let answer = visitor.submit(&chooser.form().with("remove", &own[0])).await;
        let page = visitor.follow(answer).await;
        assert!(page.has("login-submit") && !page.has(left.email.shown()), "{}", page.body);
        assert!(visitor.open("/account").await.asks_to_sign_in());
    }

    async fn c062_the_cookie_changes_when_a_session_of_its_browser_ends(world: World) {
        let (alex, jane) = (world.user().await, world.user().await);
        let mut visitor = at_home(&world, &alex).await;
        let login = visitor.open("/account/switch?other=1").await;
        visitor.sign_in(&login, jane.email.shown()).await;
        let before = visitor.cookies.clone();
        let page = visitor.open("/account/sessions").await;
        let own = values(&page, "session");
        assert_eq!(own.len(), 1);
        let answer = visitor.submit(&page.form().with("session", &own[0])).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let changed = |name: &str| {
            let of = |jar: &std::collections::BTreeMap<String, String>| {
                jar.iter().find(|(own, _)| own.contains(name)).map(|(_, value)| value.clone())
            };
            of(&before) != of(&visitor.cookies)
        };
        assert!(changed("browser") && !changed("flow"));
        let home = visitor.follow(answer).await;
        assert!(home.has("Where you're signed in"), "{}", home.body);
        assert!(visitor.open("/account").await.has(alex.email.shown()), "who is left");
        let mut thief = world.visitor();
        thief.cookies = before;
        assert!(thief.open("/account").await.asks_to_sign_in());
    }
}

#[tokio::test]
async fn c077_under_an_issuer_with_a_path_every_way_stays_below_it() {
    let own = Own {
        issuer: Some("https://example.com/auth"),
        ..Own::default()
    };
    let world = World::sqlite_with(own).await;
    let mut visitor = world.visitor();
    let away = visitor
        .get(&format!("{}/auth/account/sessions", world.origin()))
        .await;
    assert_eq!(away.status, StatusCode::SEE_OTHER);
    let location = away.location().unwrap();
    assert!(location.starts_with("/auth/login?flow="), "{location}");
    // Where password managers look: at the root, and nowhere else.
    let form = visitor
        .get(&format!("{}/.well-known/change-password", world.origin()))
        .await;
    assert_eq!(form.status, StatusCode::FOUND);
    assert_eq!(form.location().as_deref(), Some("/auth/account/password"));
}
