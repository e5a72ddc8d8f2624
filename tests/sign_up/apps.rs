//! The app that waits while somebody makes an account for it: C014, OpenID Connect Prompt Create.

use accounts::passwords::HasherSettings;
use accounts::users;
use clients::Trust;
use events::Context;
use serde_json::json;

use super::{NEW, href, mailed, make, open_with};
use crate::harness::world::Own;
use crate::harness::{Answer, World};

/// The pages on the way to an account, from the app on.
async fn pages(
    world: &World,
    letters: &crate::harness::Letters,
    url: &str,
    address: &str,
) -> [(String, Answer); 2] {
    let mut visitor = world.visitor();
    let login = visitor.open(url).await;
    let first = href(&login, "login-create");
    let ask = visitor.get(&first).await;
    visitor.submit(&ask.form().with("username", address)).await;
    let link = letters.newest_link(address, 1).await;
    let finish = visitor.get(&link).await;
    [(first, ask), (link, finish)]
}

open_to_all! {
    async fn an_app_that_nobody_checked_is_marked_on_every_page_with_the_host_it_leads_to(world: World, letters: Letters) {
        let app = world.app().await;
        for trust in [Trust::Trusted, Trust::Unverified] {
            world.trust(&app, trust).await;
            let address = format!("zoe-{trust:?}@example.com");
            for (_, page) in pages(&world, &letters, &app.url(&[]), &address).await {
                assert!(page.has("<bdi>Test app</bdi>"), "{}", page.body);
                let is_marked = page.has("We haven't checked this app") && page.has("<bdi>app.example.com</bdi>");
                assert_eq!(is_marked, trust == Trust::Unverified, "{}", page.body);
            }
        }
    }

    async fn who_gives_up_goes_back_to_the_app_which_is_told_so(world: World, letters: Letters) {
        let app = world.app().await;
        for trust in [Trust::Trusted, Trust::Unverified] {
            world.trust(&app, trust).await;
            for at in 0..2 {
                let mut visitor = world.visitor();
                let login = visitor.open(&app.url(&[])).await;
                let mut page = visitor.get(&href(&login, "login-create")).await;
                let address = format!("zoe-{trust:?}-{at}@example.com");
                if at == 1 {
                    visitor.submit(&page.form().with("username", &address)).await;
                    page = visitor.get(&letters.newest_link(&address, 1).await).await;
                }
                assert!(page.has("id=\"signup-cancel\"") && page.has("formnovalidate"), "{}", page.body);
                // The browser follows the answer of the form to the app.
                let policy = page.header("content-security-policy").expect("a policy");
                assert!(!policy.contains("form-action"), "{policy}");
                let answer = visitor.submit(&page.form().with("decision", "cancel")).await;
                let back = visitor.follow(answer).await;
                match trust {
                    Trust::Trusted => {
                        assert_eq!(back.param("error").as_deref(), Some("access_denied"), "{}", back.body);
                        assert_eq!(back.param("state").as_deref(), Some("st-ate"));
                    }
                    // Nobody is sent on to an app that nobody vouches for without a page between.
                    Trust::Unverified => assert!(back.has("id=\"leave\"") && back.has("access_denied"), "{}", back.body),
                }
                assert_eq!(super::user(&world, &address).await, None);
            }
        }
        // Where no app waits there is nothing to give up.
        let mut visitor = world.visitor();
        let page = visitor.get("/signup").await;
        assert!(!page.has("signup-cancel") && page.header("content-security-policy").unwrap().contains("form-action 'self'"));
        let answer = visitor.submit(&page.form().with("decision", "cancel")).await;
        assert_eq!(answer.location().as_deref(), Some("/signup"));
    }

    async fn where_a_certain_person_is_asked_for_nobody_new_is_offered_an_account(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let (_, tokens) = app.sign_in(&world, &user, &[]).await;
        let hint = ("id_token_hint", tokens.text("id_token"));
        let mut visitor = world.visitor();
        let login = visitor.open(&app.url(&[hint])).await;
        assert!(login.has("id=\"login-submit\"") && !login.has("login-create"), "{}", login.body);
        let named = json!({ "id_token": { "sub": { "value": user.sub } } }).to_string();
        for which in [hint, ("claims", named.as_str())] {
            let refused = visitor.get(&app.url(&[which, ("prompt", "create")])).await;
            assert_eq!(refused.param("error").as_deref(), Some("invalid_request"), "{}", refused.body);
            assert!(refused.param("error_description").unwrap().contains("prompt=create"));
        }
        assert_eq!(letters.settled().await, 0);
    }

    async fn whose_account_is_turned_off_is_told_that_in_their_mailbox_only(world: World, letters: Letters) {
        let user = world.user().await;
        let (sub, now) = (user.sub.clone(), world.now());
        world.db.transact(move |conn| {
            Box::pin(async move { users::set_disabled(&sub, Some(now), &Context::command_line(), conn, now).await })
        }).await.unwrap();
        let mut visitor = world.visitor();
        let page = visitor.get("/signup").await;
        let answer = visitor.submit(&page.form().with("username", user.email.shown())).await;
        let sent = visitor.follow(answer).await;
        assert!(sent.has(super::SENT) && !sent.has("turned off"), "{}", sent.body);
        let letter = letters.newest(user.email.shown(), 1).await.letter;
        assert!(letter.text.contains("It is turned off.") && letter.html.contains("It is turned off."), "{}", letter.text);
        assert!(!letter.text.contains("http"), "no link would help: {}", letter.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_that_is_not_taken_is_named() {
    let world = World::sqlite().await;
    let app = world.app().await;
    for (prompt, words) in [
        ("create", "prompt=create is not"),
        ("login create", "prompt=create is not"),
        ("login none_such", "prompt=none_such is not"),
        ("<b>", "prompt holds a value that is not"),
        (&*"x".repeat(400), "prompt holds a value that is not"),
    ] {
        let refused = world.visitor().get(&app.url(&[("prompt", prompt)])).await;
        assert_eq!(
            refused.param("error").as_deref(),
            Some("invalid_request"),
            "{prompt}"
        );
        let description = refused.param("error_description").unwrap();
        assert!(
            description.contains(words) && description.contains("prompt_values_supported"),
            "{description}"
        );
    }
}

/// Nobody makes us hash by sending a name that cannot be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c074_a_name_is_judged_before_anything_is_hashed() {
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
    for (name, status) in [
        ("x".repeat(257), 400),
        ("\u{7}".to_owned(), 400),
        ("Zoe".to_owned(), 503),
    ] {
        let answer = make(&mut visitor, &link, &name, NEW).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}
