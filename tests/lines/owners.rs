//! C086: two people, each of whose things are absent to the other. C087: fields that are nobody's to set.
//!
//! C087 asks for 400 where a form has a privileged field. D12 has unknown parameters ignored, and the forms of ours hold to
//! that, with one exception: the profile, a form of claims, refuses a claim that is not the person's to set, because
//! whoever sends one believes that it does something. Either way nothing of it is taken.

use accounts::users::User;

use super::{
    NEW, OFFLINE, another, app_pages, asked, assert_same, at_home, by_address, contents, cookie, enter,
    expect_home, moving, on_both, password_form, reload, unverified, values, verification,
};
use crate::harness::app::userinfo;
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;

/// As a program would guess them from the record.
fn privileged(form: Form, eve: &User) -> Form {
    [
        ("sub", eve.sub.as_str()),
        ("user", eve.sub.as_str()),
        ("email_verified", "true"),
        ("email_canonical", eve.email.shown()),
        ("phone_number_verified", "true"),
        ("epoch", "99"),
        ("created_at", "1"),
        ("updated_at", "1"),
        ("disabled_at", "1"),
        ("delete_at", "1"),
        (
            "password_hash",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ),
        ("persistent", "true"),
        ("role", "admin"),
        ("acr", "urn:countersign:mfa"),
    ]
    .into_iter()
    .fold(form, |form, (name, value)| form.with(name, value))
}

on_both! {
    async fn c086_what_is_anothers_is_absent_and_stays_as_it_is(world: World, letters: Letters) {
        let (app, alex, eve) = (world.app().await, world.user().await, world.user().await);
        let tokens = app.grant(&world, &alex, OFFLINE).await;
        app.grant(&world, &eve, OFFLINE).await;
        let mut own = at_home(&world, &alex).await;
        let mut evil = at_home(&world, &world.user().await).await;
        enter(&mut evil, &eve, PASSWORD).await;
        let link = moving(&mut own, &another(&alex), PASSWORD, &letters).await;
        let value = link.split_once("link=").expect("a link").1.to_owned();
        let theirs = app_pages(&mut own).await.remove(0);
        let session = world.sessions(&alex).await.pop().expect("a session");
        let trail = events::audit::newest(1000, &mut world.db.reader().await.unwrap()).await.unwrap();
        let event = trail.iter().find(|event| event.sub.as_deref() == Some(alex.sub.as_str())).expect("an event");

        // What Eve's own pages let her send, aimed at what is Alex's.
        let app_page = app_pages(&mut evil).await.remove(0);
        let mut removal = evil.open(&app_page).await.form();
        removal.action = theirs.clone();
        let devices = evil.open("/account/sessions").await.form();
        let switch = evil.open("/account/switch").await.form();
        let confirm = moving(&mut evil, &another(&eve), PASSWORD, &letters).await;
        let confirm = evil.open(&confirm).await.form();
        let delete = evil.open("/account/delete").await.form();
        letters.settled().await;
        let before = contents(&world).await;
        let looked_at = cookie(&evil, "account");

        for (what, form, status) in [
            ("a session", devices.clone().with("session", session.as_str()), 404),
            // The token names the path, so the database is not even asked: crates/revocation tests what it would say.
            ("an app", removal, 403),
            ("an address", confirm.with("link", &value), 404),
            ("an account here", switch.with("account", &seal::digest(session.as_str())), 303),
            ("an account's end", delete.with("session", session.as_str()).with("email", alex.email.shown()), 400),
        ] {
            let answer = evil.submit(&form).await;
            assert_eq!(answer.status, status, "{what}: {}", answer.body);
            assert!(!answer.has(alex.sub.as_str()), "{what}: {}", answer.body);
            assert_eq!(cookie(&evil, "account"), looked_at, "{what}");
        }
        evil.get(&theirs).await.assert_page(404, "Page not found");
        // Whoever it is of decides, not where it is looked for: the events before one of Alex's are Eve's own.
        let page = evil.open(&format!("/account/activity?before={}", event.event_id)).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let known = evil.open("/account/activity").await;
        assert!(page.body.matches("<time").count() <= known.body.matches("<time").count(), "{}", page.body);
        assert_same("Eve", &before, &contents(&world).await);
        assert_eq!(reload(&world, &alex).await, alex);
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
        expect_home(&own.open("/account").await, &alex);
        expect_home(&evil.open("/account").await, &eve);
    }

    async fn c087_no_form_sets_what_is_nobodys_to_set(world: World, letters: Letters) {
        let (user, eve) = (unverified(&world).await, world.user().await);
        let unchanged = async |what: &str| assert_eq!(reload(&world, &user).await, user, "{what}");
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/profile").await;
        let answer = visitor.submit(&privileged(page.form(), &eve)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        unchanged("profile").await;

        let mut phone = at_home(&world, &world.user().await).await;
        enter(&mut phone, &user, PASSWORD).await;
        for (path, field) in [("/account/sessions", Some("others")), ("/account/switch", None), ("/account/export", None)] {
            let page = phone.open(path).await;
            let form = match field {
                Some(field) => page.form().with(field, "yes"),
                None => page.form().with("account", "x"),
            };
            let answer = phone.submit(&privileged(form, &eve)).await;
            assert!([200, 303].contains(&answer.status.as_u16()), "{path}: {}", answer.body);
            unchanged(path).await;
        }
        let app = world.app().await;
        app.grant(&world, &user, &[]).await;
        let path = app_pages(&mut phone).await.remove(0);
        let form = phone.open(&path).await.form();
        assert_eq!(phone.submit(&privileged(form, &eve)).await.status, 303);
        unchanged("an app").await;
        let mut login = world.visitor();
        let page = login.open("/account").await;
        let form = page.form().with("username", user.email.shown()).with("password", PASSWORD);
        let answer = login.submit(&privileged(form, &eve)).await;
        expect_home(&login.follow(answer).await, &user);
        unchanged("sign-in").await;
        for path in ["/recover", "/signup"] {
            let mut visitor = world.visitor();
            let form = visitor.open(path).await.form().with("username", user.email.shown());
            assert_eq!(visitor.submit(&privileged(form, &eve)).await.status, 303);
            unchanged(path).await;
        }

        // The mails that were asked for just now, so that none is taken for another.
        letters.settled().await;
        // A form that does change something changes that alone.
        let link = verification(&world, &user, &letters).await;
        let mut visitor = world.visitor();
        let form = visitor.get(&link).await.form();
        assert_eq!(visitor.submit(&privileged(form, &eve)).await.status, 303);
        let verified = User { email_verified: true, ..user.clone() };
        assert_eq!(reload(&world, &user).await, verified);
        let link = moving(&mut phone, &another(&user), PASSWORD, &letters).await;
        let form = phone.open(&link).await.form().with("email", eve.email.shown());
        let answer = phone.submit(&privileged(form, &eve)).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let moved = reload(&world, &user).await;
        assert_eq!(moved.email.shown(), another(&user));
        assert_eq!(moved, User { email: moved.email.clone(), epoch: user.epoch + 1, ..verified.clone() });
        let form = password_form(&mut phone, NEW).await;
        assert_eq!(phone.submit(&privileged(form, &eve)).await.status, 303);
        let after = reload(&world, &user).await;
        assert_eq!(after, User { epoch: user.epoch + 2, password_hash: after.password_hash.clone(), ..moved });
        let link = asked(&mut world.visitor(), "/recover", &another(&user), &letters).await;
        let mut visitor = world.visitor();
        let form = visitor.get(&link).await.form().with("password", "yet another battery, horse");
        assert_eq!(visitor.submit(&privileged(form, &eve)).await.status, 303);
        let last = reload(&world, &user).await;
        assert_eq!(last, User { epoch: user.epoch + 3, password_hash: last.password_hash.clone(), ..after });

        let link = asked(&mut world.visitor(), "/signup", "zoe@example.com", &letters).await;
        let mut visitor = world.visitor();
        let form = visitor.get(&link).await.form().with("password", NEW).with("name", "Zoe");
        assert_eq!(visitor.submit(&privileged(form, &eve)).await.status, 303);
        let made = by_address(&world, "zoe@example.com").await.expect("an account");
        assert!(made.sub != eve.sub && made.epoch == 0 && made.disabled_at.is_none());
        assert_eq!((made.created_at, made.updated_at), (world.now(), world.now()));
        assert!(made.password_hash.unwrap().as_str().starts_with("$argon2id$"));
        let mut visitor = world.visitor();
        enter(&mut visitor, &by_address(&world, "zoe@example.com").await.unwrap(), NEW).await;
        let form = visitor.open("/account/delete").await.form();
        let form = form.with("email", "zoe@example.com").with("current", NEW);
        assert_eq!(visitor.submit(&privileged(form, &eve)).await.status, 303);
        assert_eq!(reload(&world, &eve).await, eve, "nor of the one who was named");
        assert!(values(&visitor.open("/account").await, "account").is_empty());
    }
}
