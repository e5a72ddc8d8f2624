//! Where a person is signed in.

use accounts::users::User;
use http::header::USER_AGENT;

use super::{at_home, trail, values};
use crate::harness::World;
use crate::harness::app::userinfo;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// The sessions of a user that have not ended.
async fn live(world: &World, user: &User) -> i64 {
    const LIVE: &str = "SELECT COUNT(*) FROM sessions WHERE sub = $1 AND ended_at IS NULL";
    let mut conn = world.db.reader().await.expect("a connection");
    let (count,): (i64,) = db::run!(&mut conn, |c| sqlx::query_as(LIVE)
        .bind(user.sub.as_str())
        .fetch_one(c))
    .expect("a count");
    count
}

everywhere! {
    async fn a_person_sees_each_device_by_its_name_and_what_it_was_used_for(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let login = visitor.open("/account/sessions").await;
        let form = login
            .form()
            .with("username", user.email.shown())
            .with("password", crate::harness::world::PASSWORD);
        let origin = world.issuer.clone();
        let headers = [("origin", origin.as_str()), (USER_AGENT.as_str(), FIREFOX)];
        let answer = visitor.submit_from(&form, &headers).await;
        visitor.follow(answer).await;
        visitor.authorize(&app.url(&[]), user.email.shown()).await;
        at_home(&world, &user).await;
        at_home(&world, &world.user().await).await;

        let page = visitor.open("/account/sessions").await;
        assert_eq!(values(&page, "session").len(), 2, "{}", page.body);
        let cards: Vec<&str> = page.body.split("<li class=\"card\">").skip(1).collect();
        let (own, other) = (cards[0], cards[1]);
        assert!(own.contains("Firefox on Linux") && own.contains("This device"), "{own}");
        assert!(own.contains("<bdi>Test app</bdi>") && own.contains("Active now"), "{own}");
        assert!(other.contains("Unknown device") && !other.contains("This device"), "{other}");
        assert!(!other.contains("Test app"), "{other}");
    }

    async fn a_session_that_is_ended_from_the_list_is_over_with_what_hangs_from_it(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = at_home(&world, &user).await;
        let (mut phone, tokens) = app.sign_in(&world, &user, &[]).await;
        let page = visitor.open("/account/sessions").await;
        let sessions = values(&page, "session");
        assert_eq!(sessions.len(), 2);
        let answer = visitor.submit(&page.form().with("session", &sessions[1])).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        world.heard_elsewhere().await;
        assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
        assert!(phone.open("/account").await.asks_to_sign_in());
        let page = visitor.follow(answer).await;
        assert_eq!(values(&page, "session").len(), 1);
        assert!(!page.has("id=\"sign-out-others\""), "{}", page.body);
        assert_eq!(trail(&world, &user).await.last().unwrap(), "session.ended");
        // A second click finds what the first did, and writes nothing.
        let again = visitor.submit(&page.form().with("session", &sessions[1])).await;
        assert_eq!(again.status, 303, "{}", again.body);
        let ended = trail(&world, &user).await.into_iter().filter(|kind| kind == "session.ended").count();
        assert_eq!(ended, 1);
    }

    async fn c086_nobody_ends_the_session_of_another_nor_learns_that_it_is_one(world: World) {
        let (alex, eve) = (world.user().await, world.user().await);
        let mut own = at_home(&world, &alex).await;
        let mut evil = at_home(&world, &eve).await;
        let theirs = world.sessions(&alex).await.remove(0);
        let page = evil.open("/account/sessions").await;
        assert!(!page.has(theirs.as_str()));
        let mut bodies = Vec::new();
        for session in [theirs.as_str(), "none-of-anybodys", "'; DROP TABLE sessions; --"] {
            let answer = evil.submit(&page.form().with("session", session)).await;
            answer.assert_page(404, "Page not found");
            let (body, _) = answer.body.split_once("<dl").expect("facts");
            bodies.push(body.to_owned());
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]));
        assert!(own.open("/account").await.has(alex.email.shown()));
        assert_eq!(live(&world, &alex).await, 1);
        for odd in [page.form(), page.form().with("session", theirs.as_str()).with("others", "yes")] {
            assert_eq!(evil.submit(&odd).await.status, 400);
        }
    }
}

with_mail! {
    async fn c067_signing_out_everywhere_else_ends_all_but_this(world: World, letters: Letters) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let mut own = at_home(&world, &user).await;
        let redirect = own.authorize(&app.url(&[]), user.email.shown()).await;
        let kept = app.tokens(&world, &redirect).await;
        let (mut phone, online) = app.sign_in(&world, &user, &[]).await;
        let offline = app.grant(&world, &user, &[("scope", "openid offline_access")]).await;
        let waiting = app.code(&world, &user, &[("scope", "openid offline_access")]).await;
        let (mut theirs, others) = app.sign_in(&world, &other, &[]).await;

        let page = own.open("/account/sessions").await;
        assert_eq!(values(&page, "session").len(), 4);
        let mut thief = world.visitor();
        thief.cookies = own.cookies.clone();
        let answer = own.submit(&page.form().with("others", "yes")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let page = own.follow(answer).await;
        assert_eq!(values(&page, "session").len(), 1);
        // C062: nor does a copy of this browser's cookie.
        assert!(thief.open("/account").await.asks_to_sign_in());
        assert!(phone.open("/account").await.asks_to_sign_in());
        assert_eq!(userinfo(&world, online.access()).await.status, 401);
        assert_eq!(app.redeem(&world, &waiting).await.status, 400, "an app that was being signed in to");
        // What was allowed to outlive the session is not a session; what is here stays, and what is another's.
        assert_eq!(userinfo(&world, offline.access()).await.status, 200);
        assert_eq!(userinfo(&world, kept.access()).await.status, 200);
        assert_eq!(userinfo(&world, others.access()).await.status, 200);
        assert!(!theirs.open("/account").await.asks_to_sign_in());
        assert_eq!(trail(&world, &user).await.last().unwrap(), "session.others_ended");
        let letter = letters.newest(user.email.shown(), 1).await;
        assert_eq!(letter.letter.subject, "You were signed out of Countersign everywhere else");
        assert!(!letter.letter.text.contains("http"), "{}", letter.letter.text);
        assert!(letter.letter.text.contains("someone got into your account"), "{}", letter.letter.text);
        // Where there is no other, nothing is told, however often it is asked for.
        let events = trail(&world, &user).await.len();
        let mails = letters.settled().await;
        for _ in 0..3 {
            let page = own.open("/account/sessions").await;
            assert_eq!(own.submit(&page.form().with("others", "yes")).await.status, 303);
        }
        assert_eq!(letters.settled().await, mails);
        assert_eq!(trail(&world, &user).await.len(), events);
    }
}
