//! C063: a step that is left out, empty, of another browser or taken twice leads nowhere. C061 and C062: what becomes of
//! cookies on the way to an account and out of it. C018, C019, C020: consent, where a page and a count belong together.

use clients::Trust;
use revocation::Act;
use serde_json::json;

use super::{
    NEW, OFFLINE, app_pages, asked, assert_same, at_home, by_address, contents, cookie, enter, expect_home,
    on_both, values,
};
use crate::harness::World;
use crate::harness::app::{payload, userinfo};
use crate::harness::process::{Process, free_port, run};
use crate::harness::world::{Own, PASSWORD};

on_both! {
    async fn c063_no_step_of_recovery_or_sign_up_can_be_skipped_or_left_empty(world: World, letters: Letters) {
        let user = world.user().await;
        let mut visitor = world.visitor();
        let reset = asked(&mut world.visitor(), "/recover", user.email.shown(), &letters).await;
        let make = asked(&mut world.visitor(), "/signup", "zoe@example.com", &letters).await;
        let empty = [
            ("/recover", 400),
            ("/signup", 400),
            (reset.as_str(), 400),
            (make.as_str(), 400),
        ];
        let mut forms = Vec::new();
        for (page, status) in empty {
            let form = visitor.get(page).await.form();
            forms.push((page, form, status));
        }
        letters.settled().await;
        let before = contents(&world).await;
        for (page, form, status) in &forms {
            // No field but those that say which page it is.
            let answer = visitor.submit(form).await;
            assert_eq!(answer.status, *status, "{page}: {}", answer.body);
            for gone in ["csrf", "link"] {
                let answer = visitor.submit(&form.clone().with("password", NEW).without(gone)).await;
                let refused = if gone == "link" && !page.contains("link=") { 400 } else { 403 };
                assert_eq!(answer.status, refused, "{page} without {gone}: {}", answer.body);
            }
        }
        // The link of one way on the other.
        let crossed = forms[2].1.clone().with("link", forms[3].1.value("link")).with("password", NEW);
        assert_eq!(visitor.submit(&crossed).await.status, 403);
        // The last page first: it says what it always says, and does nothing.
        for path in ["/recover/sent", "/recover/done", "/signup/sent", "/signup/done", "/verify/sent", "/verify/done", "/account/deleted"] {
            let answer = visitor.get(path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(cookie(&visitor, "browser"), None, "{path}");
        }
        for path in ["/recover/password", "/recover/account", "/signup/account", "/verify", "/account/email/confirm"] {
            visitor.get(path).await.assert_page(404, "We don't know this link");
        }
        assert_same("a step left out", &before, &contents(&world).await);

        // Each step counts once.
        for (at, password) in [(2, "not this battery, horse"), (3, NEW)] {
            let form = forms[at].1.clone().with("password", password);
            assert_eq!(visitor.submit(&form).await.status, 303);
            letters.settled().await;
            let before = contents(&world).await;
            assert_eq!(visitor.submit(&form).await.status, 410);
            assert_same("a step taken twice", &before, &contents(&world).await);
        }
    }

    async fn c063_a_flow_of_another_browser_leads_nobody_on(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let mut evil = world.visitor();
        let theirs = evil.open(&app.url(&[("state", "evil")])).await.form().value("flow").to_owned();
        // A victim sends a form that names the flow of the attacker: they would be signed in to what that one began.
        let mut visitor = world.visitor();
        let form = visitor.open("/signup").await.form().with("username", "zoe@example.com").with("flow", &theirs);
        let answer = visitor.submit(&form).await;
        let sent = visitor.follow(answer).await;
        assert!(!sent.has(&theirs), "{}", sent.body);
        let link = letters.newest_link("zoe@example.com", 1).await;
        let form = visitor.get(&link).await.form().with("password", NEW).with("flow", &theirs);
        let answer = visitor.submit(&form).await;
        assert!(answer.location().unwrap_or_default().ends_with("/signup/done"), "{:?}", answer.location());
        assert_eq!(cookie(&visitor, "browser"), None, "nobody is signed in");
        // Nor does it carry the attacker on: the account is not theirs.
        let page = evil.open(&format!("/authorize?flow={theirs}")).await;
        assert!(page.asks_to_sign_in(), "{}", page.body);
        let page = evil.get(&link).await;
        page.assert_page(410, "This link no longer works");

        let form = visitor.open("/recover").await.form().with("username", user.email.shown()).with("flow", &theirs);
        let answer = visitor.submit(&form).await;
        assert!(!answer.location().unwrap_or_default().contains(&theirs));
        let link = letters.newest_link(user.email.shown(), 1).await;
        let form = visitor.get(&link).await.form().with("password", NEW).with("flow", &theirs);
        let answer = visitor.submit(&form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(!answer.location().unwrap_or_default().contains(&theirs));
        let done = visitor.get(&format!("/recover/done?flow={theirs}")).await;
        assert!(!done.has("Test app") && !done.has(&theirs), "{}", done.body);
    }

    async fn c063_a_request_for_a_new_account_is_not_answered_by_a_session_that_was_there(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        visitor.authorize(&app.url(&[]), user.email.shown()).await.code();
        let page = visitor.open(&app.url(&[("prompt", "create"), ("state", "new")])).await;
        let flow = page.form().value("flow").to_owned();
        for path in ["/authorize", "/authorize", "/consent", "/login"] {
            let page = visitor.open(&format!("{path}?flow={flow}")).await;
            assert!(page.has("<h1>Create an account</h1>"), "{path}: {} {}", page.status, page.body);
        }
        // Who says that they have an account is asked for its password.
        let mut answers = vec![visitor.get(&format!("/login?flow={flow}&other=1")).await];
        // An answer to the consent page that was never shown, with every token that is at hand.
        let csrf = answers[0].form().value("csrf").to_owned();
        for token in ["", &csrf, page.form().value("csrf")] {
            let mut form = page.form().with("flow", &flow).with("decision", "allow").with("csrf", token);
            form.action = "/consent".to_owned();
            answers.push(visitor.submit(&form).await);
        }
        // Nor is the sign-in page passed without a password.
        let form = answers[0].form().with("username", user.email.shown());
        answers.push(visitor.submit(&form).await);
        for answer in answers {
            let answer = visitor.follow(answer).await;
            assert!(answer.param("code").is_none(), "{:?} {}", answer.location(), answer.body);
        }
        // What the request is for still works.
        let link = asked(&mut visitor, &format!("/signup?flow={flow}"), "zoe@example.com", &letters).await;
        let form = visitor.get(&link).await.form().with("password", NEW);
        let answer = visitor.submit(&form).await;
        let consent = visitor.follow(answer).await;
        let redirect = visitor.decide(&consent, "allow").await;
        assert_eq!(redirect.param("state").as_deref(), Some("new"));
        let made = by_address(&world, "zoe@example.com").await.expect("an account");
        let tokens = app.tokens(&world, &redirect).await;
        assert_eq!(payload(tokens.text("id_token"))["sub"], made.sub.as_str());
    }

    async fn c062_the_cookie_is_new_at_sign_up_at_an_own_page_and_when_an_account_ends(world: World, letters: Letters) {
        let (app, eve) = (world.app().await, world.user().await);
        let planted = async || {
            let mut evil = at_home(&world, &eve).await;
            let (name, value) = evil.cookies.iter().find(|(name, _)| name.contains("browser")).unwrap();
            let (name, value) = (name.clone(), value.clone());
            evil.open("/account").await;
            (evil, name, value)
        };
        // An attacker's cookie in the victim's browser, before an account is made there.
        let (mut evil, name, value) = planted().await;
        let mut visitor = world.visitor();
        visitor.cookies.insert(name.clone(), value.clone());
        let page = visitor.open(&app.url(&[("prompt", "create")])).await;
        let flow = page.form().value("flow").to_owned();
        let link = asked(&mut visitor, &format!("/signup?flow={flow}"), "zoe@example.com", &letters).await;
        let form = visitor.get(&link).await.form().with("password", NEW);
        let answer = visitor.submit(&form).await;
        assert_ne!(visitor.cookies[&name], value);
        assert!(visitor.follow(answer).await.asks_for_consent());
        assert!(evil.open("/account").await.asks_to_sign_in(), "the old value is dead");

        // The same at the sign-in page of a page of ours.
        let user = world.user().await;
        let (mut evil, name, value) = planted().await;
        let mut visitor = world.visitor();
        visitor.cookies.insert(name.clone(), value.clone());
        enter(&mut visitor, &user, PASSWORD).await;
        assert_ne!(visitor.cookies[&name], value);
        assert!(evil.open("/account").await.asks_to_sign_in());

        // An account ends; the other one in the browser goes on, under another value.
        let mut visitor = at_home(&world, &user).await;
        let other = world.user().await;
        enter(&mut visitor, &other, PASSWORD).await;
        let mut thief = world.visitor();
        thief.cookies = visitor.cookies.clone();
        let form = visitor.open("/account/delete").await.form();
        let form = form.with("email", other.email.shown()).with("current", PASSWORD);
        assert_eq!(visitor.submit(&form).await.status, 303);
        assert_ne!(cookie(&visitor, "browser"), cookie(&thief, "browser"));
        assert!(thief.open("/account").await.asks_to_sign_in());
        expect_home(&visitor.open("/account").await, &user);
    }

    async fn c018_an_answer_to_the_consent_page_may_only_shrink_the_request_and_counts_once(world: World, _letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(OFFLINE)).await;
        let page = visitor.sign_in(&login, user.email.shown()).await;
        let form = page.form().with("decision", "allow");
        let mut other = at_home(&world, &world.user().await).await;
        other.submit(&form).await.assert_page(400, "This sign-in request has expired");
        let larger = form
            .with("scope", "openid offline_access email profile phone")
            .with("claims", "{\"userinfo\":{\"phone_number\":null}}")
            .with("resource", "https://api.example.com/")
            .with("sub", "another");
        let answer = visitor.submit(&larger).await;
        let first = visitor.follow(answer).await;
        let answer = visitor.submit(&larger).await;
        let second = visitor.follow(answer).await;
        let tokens = app.tokens(&world, &first).await;
        assert_eq!(tokens.text("scope").split(' ').collect::<std::collections::BTreeSet<_>>(), ["offline_access", "openid"].into());
        assert_eq!(userinfo(&world, tokens.access()).await.json().as_object().unwrap().len(), 1);
        if second.param("code").is_some() && second.param("code") != first.param("code") {
            panic!("two codes of one answer: {:?} {:?}", first.location(), second.location());
        }
        let counts = world.row_counts().await;
        let rows = |name: &str| counts.iter().find(|(table, _)| table == name).expect("a table").1;
        assert_eq!((rows("consents"), rows("approvals")), (1, 1));
        assert_eq!(app_pages(&mut at_home(&world, &user).await).await.len(), 1);
    }

    async fn c019_an_app_on_a_private_scheme_is_asked_about_each_time(world: World, _letters: Letters) {
        let user = world.user().await;
        let native = world
            .app_with(json!({
                "application_type": "native",
                "token_endpoint_auth_method": "none",
                "redirect_uris": ["com.example.app:/cb"],
            }))
            .await;
        world.trust(&native, Trust::Trusted).await;
        let mut visitor = world.visitor();
        let login = visitor.open(&native.url(&[])).await;
        let page = visitor.sign_in(&login, user.email.shown()).await;
        visitor.decide(&page, "allow").await.code();
        for _ in 0..2 {
            let page = visitor.open(&native.url(&[])).await;
            assert!(page.asks_for_consent(), "{:?} {}", page.location(), page.body);
        }
        visitor.open(&native.url(&[("prompt", "none")])).await.assert_error("consent_required");
    }

    async fn c020_what_was_removed_introspects_as_nothing_whoever_removed_it(world: World, _letters: Letters) {
        let app = world.app().await;
        for by_operator in [false, true] {
            let user = world.user().await;
            let tokens = app.grant(&world, &user, OFFLINE).await;
            let active = async |token: &str| app.introspect(&world, token).await.json()["active"].clone();
            assert_eq!(active(tokens.access()).await, true);
            assert_eq!(active(tokens.refresh()).await, true);
            if by_operator {
                world.end(Act::RevokeUser(user.sub.clone())).await;
            } else {
                let mut visitor = at_home(&world, &user).await;
                let path = app_pages(&mut visitor).await.remove(0);
                let form = visitor.open(&path).await.form();
                assert_eq!(visitor.submit(&form).await.status, 303);
            }
            assert_eq!(active(tokens.access()).await, false, "by an operator: {by_operator}");
            assert_eq!(active(tokens.refresh()).await, false, "by an operator: {by_operator}");
            assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
            assert_eq!(app.refresh(&world, tokens.refresh()).await.status, 400);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c061_the_cookie_that_chooses_an_account_is_of_its_host_and_proves_nothing() {
    for (issuer, prefix, attributes) in [
        (None, "cs_account_", "; Path=/; HttpOnly; SameSite=Lax"),
        (
            Some("https://id.example.com"),
            "__Host-cs_account=",
            "; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
    ] {
        let own = Own {
            issuer,
            ..Own::default()
        };
        let world = World::sqlite_with(own).await;
        let (alex, jane, eve) = (world.user().await, world.user().await, world.user().await);
        let mut visitor = at_home(&world, &alex).await;
        enter(&mut visitor, &jane, PASSWORD).await;
        let evil = at_home(&world, &eve).await;
        let page = visitor.open("/account/switch").await;
        let form = page.form().with("account", &values(&page, "account")[0]);
        let answer = visitor.submit(&form).await;
        let set = answer.header("set-cookie").expect("a cookie");
        assert!(set.starts_with(prefix) && set.ends_with(attributes), "{set}");
        assert!(!set.contains("Domain") && !set.contains("Max-Age"), "{set}");
        expect_home(&visitor.open("/account").await, &alex);
        let (name, value) = visitor
            .cookies
            .iter()
            .find(|(name, _)| name.contains("account"))
            .unwrap();
        let (name, value) = (name.clone(), value.clone());
        let theirs = seal::digest(world.sessions(&eve).await[0].as_str());
        // Planted, or planted beside it: then the account is the one that signed in last.
        for planted in [
            theirs.clone(),
            String::new(),
            "x".repeat(4000),
            world.sessions(&alex).await[0].to_string(),
            format!("{value}; {name}={theirs}"),
            format!("{theirs}; {name}={value}"),
            format!("{value}; {name}={value}"),
        ] {
            visitor.cookies.insert(name.clone(), planted.clone());
            let home = visitor.open("/account").await;
            expect_home(&home, &jane);
            assert!(!home.has(eve.email.shown()), "{planted}");
        }
        // Alone it opens nothing.
        let mut bare = world.visitor();
        bare.cookies.insert(name, theirs);
        assert!(bare.open("/account").await.asks_to_sign_in());
        drop(evil);
    }
}

/// An operator closes sign-up while a page is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c063_a_page_that_was_open_when_sign_up_was_closed_makes_no_account() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let issuer = format!("http://127.0.0.1:{port}");
    let by = |mode: &'static str| {
        [
            ("COUNTERSIGN_ISSUER", issuer.clone()),
            ("COUNTERSIGN_SIGN_UP", mode.to_owned()),
        ]
    };
    let serve = async |mode: &'static str| {
        let environment = by(mode);
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Process::serve(folder.path(), &[], &environment, port).await
    };
    let mut process = serve("invitation").await;
    let file = folder.path().join("data/countersign.db");
    let world = World::beside(&issuer, &format!("sqlite://{}", file.display()).parse().unwrap()).await;
    let environment = by("invitation");
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let invite = ["user", "invite", "--email", "zoe@example.com", "--json"];
    let told = run(folder.path(), &invite, &environment, "").await;
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let link = told["invitation_url"].as_str().unwrap();
    let mut visitor = world.visitor();
    let form = visitor
        .get(link)
        .await
        .form()
        .with("password", NEW)
        .with("name", "Zoe");
    process.terminate().await;

    let mut process = serve("closed").await;
    let answer = visitor.submit(&form).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(
        !answer.has("Request rejected"),
        "our form, but too late: {}",
        answer.body
    );
    assert_eq!(by_address(&world, "zoe@example.com").await, None);
    process.terminate().await;

    let mut process = serve("invitation").await;
    assert_eq!(
        visitor.submit(&form).await.status,
        303,
        "the link was not used up"
    );
    process.terminate().await;
}
