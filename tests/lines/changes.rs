//! C067: what another address, another password, a recovery and an import leave alive. C068: whose proof serves whom.

use std::time::Duration;

use accounts::email::Email;
use accounts::passwords::StoredHash;
use accounts::users::{self, Draft, User};
use events::Context;

use super::{
    NEW, OFFLINE, another, asked, at_home, enter, moving, on_both, password_form, reload, unverified, values,
    verification,
};
use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;
use crate::harness::{App, Letters, Visitor, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The control: then everything is alive.
    None,
    Address,
    Password,
    Recovery,
    Import,
}

/// What hangs from the credentials of a person, as they were.
struct Held<'w> {
    user: User,
    own: Visitor<'w>,
    other: Visitor<'w>,
    remembered: Visitor<'w>,
    consent: (Visitor<'w>, Form),
    /// An app that is only now being signed in to; the second is to outlive the session.
    codes: [String; 2],
    /// Each with the form behind it, which was open meanwhile.
    reset: (String, Form),
    verify: (String, Form),
    address: (String, Form),
    /// Whoever opened the forms of the first two.
    reader: Visitor<'w>,
}

impl<'w> Held<'w> {
    async fn of(world: &'w World, letters: &Letters, app: &App) -> Self {
        let user = unverified(world).await;
        let mut own = at_home(world, &user).await;
        let other = at_home(world, &user).await;
        let mut remembered = world.visitor();
        let page = remembered.open("/account").await;
        let form = page
            .form()
            .with("username", user.email.shown())
            .with("password", PASSWORD);
        let answer = remembered.submit(&form.with("remember", "yes")).await;
        let kept = answer.headers.get_all("set-cookie").iter().any(|cookie| {
            let cookie = cookie.to_str().expect("a readable cookie");
            cookie.contains("browser") && cookie.ends_with("; Max-Age=2592000")
        });
        assert!(kept, "{:?}", answer.headers);
        let mut asking = world.visitor();
        let login = asking.open(&world.app().await.url(&[])).await;
        let page = asking.sign_in(&login, user.email.shown()).await;
        assert!(page.asks_for_consent(), "{}", page.body);
        let consent = (asking, page.form().with("decision", "allow"));
        let codes = [
            app.code(world, &user, &[]).await,
            app.code(world, &user, OFFLINE).await,
        ];
        let mut reader = world.visitor();
        let link = asked(&mut world.visitor(), "/recover", user.email.shown(), letters).await;
        let reset = (
            link.clone(),
            reader
                .get(&link)
                .await
                .form()
                .with("password", "not this battery, horse"),
        );
        let link = verification(world, &user, letters).await;
        let verify = (link.clone(), reader.get(&link).await.form());
        let link = moving(&mut own, &another(&user), PASSWORD, letters).await;
        let address = (link.clone(), own.open(&link).await.form());
        Self {
            user,
            own,
            other,
            remembered,
            consent,
            codes,
            reset,
            verify,
            address,
            reader,
        }
    }

    async fn make(&mut self, change: Change, world: &World, letters: &Letters) {
        match change {
            Change::None => {}
            Change::Address => {
                let newest = another(&self.user).replace("new-", "newest-");
                let link = moving(&mut self.own, &newest, PASSWORD, letters).await;
                let form = self.own.open(&link).await.form();
                assert_eq!(self.own.submit(&form).await.status, 303);
            }
            Change::Password => {
                let form = password_form(&mut self.own, NEW).await;
                assert_eq!(self.own.submit(&form).await.status, 303);
            }
            Change::Recovery => {
                let link = asked(&mut world.visitor(), "/recover", self.user.email.shown(), letters).await;
                let mut visitor = world.visitor();
                let form = visitor.get(&link).await.form().with("password", NEW);
                assert_eq!(visitor.submit(&form).await.status, 303);
            }
            Change::Import => {
                let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
                let draft = Draft {
                    sub: Some(self.user.sub.clone()),
                    claims: self.user.claims.clone(),
                    password_hash: Some(StoredHash::parse(hash).expect("a hash")),
                    ..Draft::new(self.user.email.clone())
                };
                let now = world.now();
                let imported = world.db.transact(move |conn| {
                    Box::pin(async move {
                        revocation::import_user(draft, &Context::command_line(), conn, now).await
                    })
                });
                imported.await.expect("an update");
                world.heard().await;
            }
        }
    }
}

on_both! {
    async fn c067_every_change_of_credentials_ends_all_that_hung_from_them(world: World, letters: Letters) {
        let app = world.app().await;
        for change in [Change::None, Change::Address, Change::Password, Change::Recovery, Change::Import] {
            let mut held = Held::of(&world, &letters, &app).await;
            held.make(change, &world, &letters).await;
            let after = reload(&world, &held.user).await;
            let is_alive = change == Change::None;
            assert_eq!(after.epoch == held.user.epoch, is_alive, "{change:?}");

            for (what, visitor) in [("another session", &mut held.other), ("a remembered one", &mut held.remembered)] {
                let is_asked = visitor.open("/account").await.asks_to_sign_in();
                assert_eq!(!is_asked, is_alive, "{change:?}: {what}");
            }
            let (mut asking, form) = held.consent;
            let answer = asking.submit(&form).await;
            let answer = asking.follow(answer).await;
            assert_eq!(answer.param("code").is_some(), is_alive, "{change:?}: an open consent page {}", answer.body);
            assert_eq!(answer.asks_to_sign_in(), !is_alive, "{change:?}: an open consent page {}", answer.body);
            for code in &held.codes {
                let redeemed = app.redeem(&world, code).await;
                assert_eq!(redeemed.status == 200, is_alive, "{change:?}: a waiting code {}", redeemed.body);
            }

            for (what, (link, _)) in [("to reset", &held.reset), ("to verify", &held.verify), ("to move", &held.address)] {
                let page = held.own.get(link).await;
                let expected = if is_alive { 200 } else { 410 };
                assert_eq!(page.status, expected, "{change:?}: a link {what} {}", page.body);
            }
            if is_alive {
                continue;
            }
            for (what, (_, form)) in [("to reset", &held.reset), ("to verify", &held.verify)] {
                let answer = held.reader.submit(form).await;
                assert_eq!(answer.status, 410, "{change:?}: the page of a link {what} {}", answer.body);
            }
            let answer = held.own.submit(&held.address.1).await;
            let location = answer.location().unwrap_or_default();
            let is_dead = answer.status == 410 || location.starts_with("/login?flow=");
            assert!(is_dead, "{change:?}: the page of a link to move {}", answer.body);
            assert_eq!(reload(&world, &held.user).await, after, "{change:?}");
        }
    }

    async fn c067_an_operator_who_revokes_or_disables_ends_codes_that_wait(world: World, _letters: Letters) {
        let app = world.app().await;
        for act in [revocation::Act::RevokeUser, revocation::Act::DisableUser] {
            let user = world.user().await;
            let codes = [app.code(&world, &user, &[]).await, app.code(&world, &user, OFFLINE).await];
            world.end(act(user.sub.clone())).await;
            for code in codes {
                let redeemed = app.redeem(&world, &code).await;
                assert_eq!(redeemed.status, 400, "{}", redeemed.body);
            }
        }
    }

    /// The attack of the auditor: the password is known to two, the owner recovers while the other asks for the end.
    async fn c067_what_was_typed_before_a_change_ends_no_account_and_changes_no_profile(world: World, _letters: Letters) {
        let user = world.user().await;
        let (sub, now) = (user.sub.clone(), world.now());
        let ask = async |epoch: i64| {
            let sub = sub.clone();
            let asked = world.db.transact(move |conn| {
                Box::pin(async move { accounts::deletion::ask(&sub, epoch, now, conn).await })
            });
            asked.await.expect("the database")
        };
        let set = async |seen: &User| {
            let (seen, session) = (seen.clone(), protocol::SessionId::random());
            let wanted = accounts::claims::Claims::default();
            let work = world.db.transact(move |conn| {
                Box::pin(async move {
                    users::set_claims(&seen, &wanted, &session, &Context::server(), conn, now).await
                })
            });
            work.await.expect("the database")
        };
        // Read, and the password found right; then the owner is faster.
        let seen = reload(&world, &user).await;
        let mut own = at_home(&world, &user).await;
        let form = password_form(&mut own, NEW).await;
        assert_eq!(own.submit(&form).await.status, 303);
        assert!(!ask(seen.epoch).await, "the account stays");
        assert!(!set(&seen).await, "so does the profile");
        assert_eq!(reload(&world, &user).await.claims, user.claims);
        assert!(set(&reload(&world, &user).await).await);
        assert!(ask(seen.epoch + 1).await);
    }

    async fn c068_a_proof_serves_nobody_else_and_not_before_it_was_given(world: World, letters: Letters) {
        let (alex, jane) = (world.user().await, world.user().await);
        let mut visitor = at_home(&world, &jane).await;
        let form = password_form(&mut visitor, NEW).await;
        assert_eq!(visitor.submit(&form).await.status, 303);
        // Both in one browser: Alex long ago, Jane just now.
        let mut visitor = at_home(&world, &alex).await;
        world.pass(Duration::from_secs(11 * 60));
        enter(&mut visitor, &jane, NEW).await;
        let to_alex = async |visitor: &mut Visitor<'_>| {
            if !visitor.open("/account").await.has(alex.email.shown()) {
                let page = visitor.open("/account/switch").await;
                let form = page.form().with("account", &values(&page, "account")[0]);
                let answer = visitor.submit(&form).await;
                visitor.follow(answer).await;
            }
            assert!(visitor.open("/account").await.has(alex.email.shown()));
        };
        assert!(visitor.open("/account/export").await.has("id=\"export-submit\""), "Jane's is fresh");
        to_alex(&mut visitor).await;
        let login = visitor.open("/account/export").await;
        assert!(login.asks_to_sign_in() && login.has(alex.email.shown()), "{}", login.body);
        let form = login.form().with("username", alex.email.shown()).with("password", NEW);
        visitor
            .submit(&form)
            .await
            .assert_page(400, "That password isn't right");
        // Her own password, at the page that asks for Alex's, proves who she is: not who Alex is.
        let form = login.form().with("username", jane.email.shown()).with("password", NEW);
        let answer = visitor.submit(&form).await;
        let page = visitor.follow(answer).await;
        assert!(!page.has(alex.email.shown()) || page.asks_to_sign_in(), "{}", page.body);
        to_alex(&mut visitor).await;
        assert!(visitor.open("/account/export").await.asks_to_sign_in());
        for path in ["/account/password", "/account/email", "/account/delete"] {
            let page = visitor.open(path).await;
            let form = page.form().with("current", NEW).with("password", "not this battery, horse");
            let email = if path == "/account/delete" { alex.email.shown().to_owned() } else { another(&alex) };
            visitor.submit(&form.with("email", &email)).await.assert_page(400, "That password isn't right");
        }
        assert_eq!(reload(&world, &alex).await.epoch, alex.epoch);
        assert_eq!(letters.links(&another(&alex)), 0);

        // A clock that is set back makes no old proof fresh, nor one from the future.
        let mut visitor = at_home(&world, &alex).await;
        assert!(visitor.open("/account/export").await.has("id=\"export-submit\""));
        let form = visitor.open("/account/export").await.form();
        world.step(-60);
        assert!(visitor.open("/account/export").await.asks_to_sign_in());
        let answer = visitor.submit(&form).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        world.step(60);
        assert!(visitor.open("/account/export").await.has("id=\"export-submit\""));
    }

    /// Between the time that was named and the moment at which the row goes.
    async fn c066_an_account_whose_time_is_over_is_promised_to_nobody(world: World, letters: Letters) {
        const GRACE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
        let user = world.user().await;
        let mut visitor = at_home(&world, &user).await;
        let form = visitor.open("/account/delete").await.form();
        let form = form.with("email", user.email.shown()).with("current", PASSWORD);
        assert_eq!(visitor.submit(&form).await.status, 303);
        world.pass(GRACE - Duration::from_secs(60));
        let link = asked(&mut world.visitor(), "/recover", user.email.shown(), &letters).await;
        let mut reader = world.visitor();
        let page = reader.get(&link).await;
        assert_eq!(page.status, 200, "{}", page.body);
        world.pass(Duration::from_secs(60));
        // As it will be as soon as the row is gone.
        reader.get(&link).await.assert_page(404, "We don't know this link");
        let answer = reader.submit(&page.form().with("password", NEW)).await;
        answer.assert_page(404, "We don't know this link");
        let mails = letters.settled().await;
        let mut stranger = world.visitor();
        let page = stranger.open("/recover").await;
        let answer = stranger.submit(&page.form().with("username", user.email.shown())).await;
        assert_eq!(answer.status, 303, "the page says what it says to everybody");
        assert_eq!(letters.settled().await, mails, "no mail promises what is then deleted");
        assert_eq!(reload(&world, &user).await, user);
        let now = world.now();
        assert_eq!(revocation::delete_overdue(10, &world.db, now, now).await.expect("the database"), 1);
        reader.get(&link).await.assert_page(404, "We don't know this link");
        let free = Email::parse(user.email.shown()).expect("an address");
        world.user_with(move |draft| draft.email = free).await;
    }
}
