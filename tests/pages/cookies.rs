//! C061 and C062: what the cookies are, what they are not taken for, and when they change.

use http::{Method, StatusCode};

use super::{bare, set_cookies};
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Visitor, World};

fn is_login(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.has("id=\"login-submit\"")
}

/// The one cookie whose name holds this word, as `name=value`.
fn pair(visitor: &Visitor<'_>, word: &str) -> String {
    let mut found = visitor.cookies.iter().filter(|(name, _)| name.contains(word));
    let (Some((name, value)), None) = (found.next(), found.next()) else {
        panic!("not one {word} in {:?}", visitor.cookies);
    };
    format!("{name}={value}")
}

/// Signs in and out of sight; everything that was set on the way.
async fn cookies_of_a_sign_in(world: &World, remember: bool) -> Vec<String> {
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    let first = visitor.get(&app.url(&[])).await;
    let page = visitor.follow(first.clone()).await;
    let mut form = page
        .form()
        .with("username", user.email.shown())
        .with("password", PASSWORD);
    if remember {
        form = form.with("remember", "yes");
    }
    let signed_in = visitor.submit(&form).await;
    [first, page, signed_in].iter().flat_map(set_cookies).collect()
}

/// The cookie that only says that the password was known there outlives the browser.
fn without_age(cookie: &str) -> &str {
    match cookie.contains("cs_known") {
        true => cookie.strip_suffix("; Max-Age=34560000").expect("400 days"),
        false => cookie,
    }
}

#[tokio::test]
async fn c061_cookies_are_out_of_reach_of_scripts_and_of_other_sites() {
    let world = World::sqlite().await;
    let port = world.issuer.rsplit(':').next().unwrap();
    let set = cookies_of_a_sign_in(&world, false).await;
    let names = ["flow", "browser", "known"].map(|name| format!("cs_{name}_{port}="));
    assert_eq!(set.len(), 3, "{set:?}");
    for (cookie, name) in set.iter().zip(names) {
        assert!(cookie.starts_with(&name), "{cookie}");
        assert!(
            without_age(cookie).ends_with("; Path=/; HttpOnly; SameSite=Lax"),
            "no Secure, Domain or Max-Age either: {cookie}"
        );
    }
}

#[tokio::test]
async fn c061_with_https_the_names_bind_cookies_to_the_host() {
    let world = World::sqlite_with(Own {
        issuer: Some("https://id.example.com"),
        ..Own::default()
    })
    .await;
    let set = cookies_of_a_sign_in(&world, false).await;
    assert_eq!(set.len(), 3, "{set:?}");
    let names = ["__Host-cs_flow=", "__Host-cs_browser=", "__Host-cs_known="];
    for (cookie, name) in set.iter().zip(names) {
        assert!(cookie.starts_with(name), "{cookie}");
        assert!(
            without_age(cookie).ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
    }
}

#[tokio::test]
async fn keep_me_signed_in_makes_the_cookie_outlive_the_browser() {
    let world = World::sqlite().await;
    let of_browser = |set: Vec<String>| set.into_iter().nth(1).unwrap();
    let kept = of_browser(cookies_of_a_sign_in(&world, true).await);
    assert!(
        kept.contains("cs_browser_") && kept.ends_with("; Max-Age=2592000"),
        "{kept}"
    );
    let left = of_browser(cookies_of_a_sign_in(&world, false).await);
    assert!(
        left.contains("cs_browser_") && !left.contains("Max-Age"),
        "{left}"
    );
}

#[tokio::test]
async fn c061_planted_cookies_are_ignored() {
    let world = World::sqlite().await;
    let (app, user) = (world.app().await, world.user().await);
    let mut visitor = world.visitor();
    visitor.authorize(&app.url(&[]), user.email.shown()).await;
    let mut attacker = world.visitor();
    attacker
        .authorize(&app.url(&[]), world.user().await.email.shown())
        .await;

    let (browser, flow) = (pair(&visitor, "browser"), pair(&visitor, "flow"));
    let (browser_name, _) = browser.split_once('=').unwrap();
    let (flow_name, _) = flow.split_once('=').unwrap();
    let url = app.url(&[("state", "again")]);
    let at_authorize =
        async |cookie: String| bare(&world, Method::GET, &url, &[("cookie", &cookie)], String::new()).await;

    // The control: with its own cookies alone the browser is known.
    let known = at_authorize(format!("{flow}; {browser}")).await;
    assert!(known.param("code").is_some(), "{known:?}");
    for planted in [
        format!("{flow}; {browser}; {}", pair(&attacker, "browser")),
        format!("{}; {flow}; {browser}", pair(&attacker, "browser")),
        format!("{flow}; {browser}; {browser_name}=x"),
        format!("{flow}; {browser_name}=x"),
        format!("{flow}; {browser_name}=cs_br_{}", "A".repeat(43)),
        format!("{flow}; X{browser}; {browser}x"),
        format!("{flow}; \"{browser}\""),
    ] {
        let answer = at_authorize(planted.clone()).await;
        let location = answer.location().expect("a redirect");
        assert!(location.starts_with("/login?flow="), "{planted}: {location}");
    }

    // A flow cookie that is none of ours in form is replaced; the form is then bound to the new one.
    for planted in [
        format!("{flow_name}=x"),
        format!("{flow_name}="),
        format!("{flow}; {flow_name}=x"),
        format!("{flow}; {}", pair(&attacker, "flow")),
    ] {
        let set = set_cookies(&at_authorize(planted.clone()).await);
        assert_eq!(set.len(), 1, "{planted}: {set:?}");
        assert!(set[0].starts_with(&format!("{flow_name}=")), "{planted}: {set:?}");
    }

    // Doubled on the page itself, it opens nothing.
    let page = visitor.open(&app.url(&[("prompt", "login")])).await;
    assert!(is_login(&page), "{}", page.body);
    let path = format!("/login?flow={}", page.form().value("flow"));
    let opened = bare(&world, Method::GET, &path, &[("cookie", &flow)], String::new()).await;
    assert!(is_login(&opened), "{}", opened.body);
    let doubled = format!("{flow}; {}", pair(&attacker, "flow"));
    let doubled = bare(&world, Method::GET, &path, &[("cookie", &doubled)], String::new()).await;
    assert_eq!(doubled.status, StatusCode::BAD_REQUEST);
    assert!(
        doubled.has("This sign-in request has expired"),
        "{}",
        doubled.body
    );
}

everywhere! {
    async fn c062_the_cookie_changes_at_each_sign_in_and_the_old_one_is_dead(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        visitor.authorize(&app.url(&[]), user.email.shown()).await;
        let (first, flow) = (pair(&visitor, "browser"), pair(&visitor, "flow"));

        let page = visitor.open(&app.url(&[("prompt", "login")])).await;
        assert_eq!(pair(&visitor, "browser"), first, "a page alone changes nothing");
        let redirect = visitor.sign_in(&page, user.email.shown()).await;
        assert!(redirect.param("code").is_some(), "{redirect:?}");
        let second = pair(&visitor, "browser");
        assert_ne!(first, second);
        assert_eq!(pair(&visitor, "flow"), flow, "what is under way goes on");

        let asked = async |cookie: &str| {
            let mut other = visitor.elsewhere();
            let (name, value) = cookie.split_once('=').unwrap();
            other.cookies.insert(name.to_owned(), value.to_owned());
            other.get(&app.url(&[("prompt", "none")])).await
        };
        assert_eq!(asked(&first).await.param("error").as_deref(), Some("login_required"));
        assert!(asked(&second).await.param("code").is_some());
    }

    async fn c062_a_cookie_that_an_attacker_knew_before_the_sign_in_is_worth_nothing_after(world: World) {
        let (app, attacker) = (world.app().await, world.user().await);
        let mut evil = world.visitor();
        evil.authorize(&app.url(&[]), attacker.email.shown()).await;
        let planted = pair(&evil, "browser");

        let victim = world.user().await;
        let mut visitor = world.visitor();
        let (name, value) = planted.split_once('=').unwrap();
        visitor.cookies.insert(name.to_owned(), value.to_owned());
        let page = visitor.open(&app.url(&[("prompt", "login")])).await;
        let redirect = visitor.sign_in(&page, victim.email.shown()).await;
        assert!(redirect.has("id=\"consent-allow\""), "{}", redirect.body);
        assert_ne!(pair(&visitor, "browser"), planted);

        let silent = evil.get(&app.url(&[("prompt", "none")])).await;
        assert_eq!(silent.param("error").as_deref(), Some("login_required"));
    }
}
