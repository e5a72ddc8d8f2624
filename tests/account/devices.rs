//! What people call their devices. C086.

use super::{at_home, values};
use crate::harness::Answer;
use crate::harness::visitor::Form;

/// The form that names this device of the list, as its page has it.
fn naming(page: &Answer, at: usize) -> Form {
    let form = page.form();
    let device = &values(page, "device")[at];
    form.with("device", device)
}

everywhere! {
    async fn a_device_is_called_as_its_person_wants_also_after_signing_out_and_in(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/sessions").await;
        assert!(page.has("<h2>Unknown device") && page.has("<summary>Rename"), "{}", page.body);
        let answer = visitor.submit(&naming(&page, 0).with("name", "  Kitchen \u{FF54}ablet <b> ")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let page = visitor.follow(answer).await;
        assert!(page.has("<h2><bdi>Kitchen tablet &lt;b&gt;</bdi>"), "{}", page.body);
        assert!(page.has("<p>Unknown device</p>") && page.has("value=\"Kitchen tablet &#60;b&#62;\""), "{}", page.body);

        // Whoever else has the account open sees it too; whoever else uses the browser does not.
        let mut phone = at_home(&world, &user).await;
        assert!(phone.open("/account/sessions").await.has("Kitchen tablet"));
        let other = world.user().await;
        visitor.add(&world.app().await, &other).await;
        visitor.cookies.retain(|name, _| !name.contains("cs_account"));
        let theirs = visitor.open("/account/sessions").await;
        assert!(theirs.has("<h2>Unknown device") && !theirs.has("Kitchen tablet"), "{}", theirs.body);

        // It is the browser's name, not the session's.
        let page = visitor.open("/logout").await;
        visitor.decide(&page, "sign-out").await;
        let page = visitor.open("/account").await;
        let home = visitor.sign_in(&page, user.email.shown()).await;
        assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
        let page = visitor.open("/account/sessions").await;
        assert!(page.has("<bdi>Kitchen tablet &lt;b&gt;</bdi> <span class=\"badge\">"), "{}", page.body);

        // With nothing left it is called as before.
        for blank in ["", " \u{3000} "] {
            let answer = visitor.submit(&naming(&page, 0).with("name", blank)).await;
            let page = visitor.follow(answer).await;
            assert!(!page.has("Kitchen") && page.has("<h2>Unknown device"), "{}", page.body);
        }
    }

    async fn a_name_that_hides_something_or_is_too_long_is_not_taken(world: World) {
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/sessions").await;
        for odd in [
            "x".repeat(61),
            "x".repeat(60_000),
            "a\u{202E}b".to_owned(),
            "a\u{200B}b".to_owned(),
            "a\u{2066}b".to_owned(),
            "a\u{7}b".to_owned(),
            "a\nb".to_owned(),
            "\u{3164}".to_owned(),
        ] {
            let answer = visitor.submit(&naming(&page, 0).with("name", &odd)).await;
            assert_eq!(answer.status, 400, "{odd:.20?}");
            assert!(answer.has("<details open>") && answer.has("aria-invalid=\"true\""), "{}", answer.body);
            assert!(answer.has("<a href=\"#name-1\">Use at most 60 characters"), "{}", answer.body);
        }
        let longest = "\u{1F9CA}".repeat(60);
        let answer = visitor.submit(&naming(&page, 0).with("name", &longest)).await;
        assert!(visitor.follow(answer).await.has(&longest));
    }

    async fn c086_nobody_names_the_device_of_another_nor_learns_that_it_is_one(world: World) {
        let (alex, eve) = (world.user().await, world.user().await);
        let mut own = at_home(&world, &alex).await;
        let mut evil = at_home(&world, &eve).await;
        let theirs = world.sessions(&alex).await.remove(0);
        let page = evil.open("/account/sessions").await;
        let form = naming(&page, 0);
        for name in ["Mine", "", "a\u{202E}b"] {
            let mut bodies = Vec::new();
            for device in [theirs.as_str(), "none-of-anybodys", "'; DROP TABLE devices; --"] {
                let answer = evil.submit(&form.clone().with("device", device).with("name", name)).await;
                answer.assert_page(404, "Page not found");
                let (body, _) = answer.body.split_once("<dl").expect("facts");
                bodies.push(body.to_owned());
            }
            assert!(bodies.iter().all(|body| *body == bodies[0]));
        }
        assert!(!own.open("/account/sessions").await.has("Mine"));
        for odd in [
            form.clone().with("name", "x").with("others", "yes"),
            form.clone().with("session", theirs.as_str()),
        ] {
            assert_eq!(evil.submit(&odd).await.status, 400);
        }
        // C064: nor without the token of the page.
        assert_eq!(evil.submit(&form.without("csrf").with("name", "x")).await.status, 403);
    }
}
