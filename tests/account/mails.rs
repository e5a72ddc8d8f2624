//! What is mailed to people about their accounts: C067, and that nobody is left to wonder.

use std::collections::BTreeMap;
use std::time::Duration;

use accounts::users::User;
use clients::Trust;
use events::audit::Kind;
use http::header::USER_AGENT;

use super::{at_home, trail};
use crate::harness::letters::world_with;
use crate::harness::process::{Process, free_port, run};
use crate::harness::smtp::MailServer;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Answer, Letters, Visitor, World};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const NEW: &str = "another horse, another battery";

/// Signs in at the page that the visitor is at, with this browser.
async fn sign_in_with(visitor: &mut Visitor<'_>, login: &Answer, user: &User, agent: &str) -> Answer {
    let form = login
        .form()
        .with("username", user.email.shown())
        .with("password", PASSWORD);
    let origin = visitor.origin().to_owned();
    let answer = visitor
        .submit_from(&form, &[("origin", &origin), (USER_AGENT.as_str(), agent)])
        .await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer
}

with_mail! {
    async fn a_sign_in_in_a_browser_that_was_not_used_before_is_mailed_once(world: World, letters: Letters) {
        let (app, user) = (world.app().await, world.user().await);
        let address = user.email.shown();
        // The very first is no news.
        let mut own = at_home(&world, &user).await;
        assert!(letters.of_sign_ins(address).await.is_empty());

        let mut other = world.visitor();
        let login = other.open(&app.url(&[])).await;
        // A second click is the same browser.
        let mut twin = world.visitor_of(&other);
        sign_in_with(&mut other, &login, &user, FIREFOX).await;
        sign_in_with(&mut twin, &login, &user, FIREFOX).await;
        let told = letters.of_sign_ins(address).await;
        assert_eq!(told.len(), 1);
        let letter = &told[0].letter;
        for words in ["Firefox on Linux", "App: Test app", " UTC ", "If it wasn't you", "Set a new one now"] {
            assert!(letter.text.contains(words) && letter.html.contains(&words.replace('\'', "&#39;")), "{words}: {}", letter.text);
        }
        // It leads to where everybody asks for a new password, and looking there does nothing.
        let links: Vec<&str> = letter.text.lines().filter(|line| line.starts_with("http")).collect();
        assert_eq!(links, [format!("{}/recover", world.issuer)]);
        assert!(world.visitor().get(links[0]).await.has("Forgot your password?"));

        // Both browsers are known from now on: signed in, signed out, and for another account beside.
        for visitor in [&mut own, &mut other] {
            let page = visitor.open("/logout").await;
            visitor.decide(&page, "sign-out").await;
            let login = visitor.open("/account").await;
            sign_in_with(visitor, &login, &user, "").await;
        }
        let second = world.user().await;
        own.add(&app, &second).await;
        at_home(&world, &second).await;
        assert_eq!(letters.of_sign_ins(address).await.len(), 1);
        let told = letters.of_sign_ins(second.email.shown()).await;
        assert_eq!(told.len(), 1, "the second account has two browsers");
        assert!(told[0].letter.text.contains("Unknown device") && !told[0].letter.text.contains("App:"));
        // What a browser sends that is none of ours is not taken for one that is known.
        let mut planted = world.visitor();
        let name = own.cookies.keys().find(|name| name.contains("cs_known")).unwrap().clone();
        let value = protocol::opaque::random(protocol::opaque::Kind::Device).expose().to_owned();
        planted.cookies.insert(name.clone(), value.clone());
        let login = planted.open("/account").await;
        sign_in_with(&mut planted, &login, &user, "").await;
        assert!(!planted.cookies[&name].contains(&value), "{:?}", planted.cookies);
        assert_eq!(letters.of_sign_ins(address).await.len(), 2);
    }

    async fn a_browser_that_others_use_too_is_known_to_an_account_by_a_mark_of_its_own(world: World, letters: Letters) {
        let (app, user, other) = (world.app().await, world.user().await, world.user().await);
        let address = user.email.shown();
        at_home(&world, &user).await;
        // On a machine for all somebody signs in to their own account, and takes the cookie home. Then the owner comes.
        let mut shared = at_home(&world, &other).await;
        let known = shared.cookies.keys().find(|name| name.contains("cs_known")).unwrap().clone();
        let taken = shared.cookies[&known].clone();
        shared.add(&app, &user).await;
        assert_eq!(letters.of_sign_ins(address).await.len(), 1);
        let name = |cookie: &str| cookie.split('.').next().unwrap().to_owned();
        assert_eq!(name(&shared.cookies[&known]), name(&taken), "all who use a browser share its name");

        let mut home = world.visitor();
        home.cookies.insert(known.clone(), taken);
        let login = home.open("/account").await;
        sign_in_with(&mut home, &login, &user, FIREFOX).await;
        let told = letters.of_sign_ins(address).await;
        assert_eq!(told.len(), 2);
        assert!(told.iter().any(|held| held.letter.text.contains("Firefox on Linux")));

        // Where the owner was, nothing is new, also with another password; nor is it for whoever was there first.
        let page = shared.open("/logout").await;
        shared.decide(&page, "sign-out").await;
        let mut elsewhere = world.visitor_of(&shared);
        for own in [&user, &other] {
            let login = shared.open("/account").await;
            sign_in_with(&mut shared, &login, own, "").await;
            let page = shared.open("/logout").await;
            shared.decide(&page, "sign-out").await;
        }
        let page = home.open("/account/password").await;
        let form = page.form().with("current", PASSWORD).with("password", NEW);
        assert_eq!(home.submit(&form).await.status, 303);
        let login = elsewhere.open("/account").await;
        let answer = elsewhere.sign_in_with(&login, address, NEW).await;
        assert!(answer.has("<h1>Your account</h1>"), "{}", answer.body);
        assert_eq!(letters.of_sign_ins(address).await.len(), 2);
        assert!(letters.of_sign_ins(other.email.shown()).await.is_empty());
    }

    async fn c067_after_a_recovery_every_other_browser_is_new_also_that_of_a_thief(world: World, letters: Letters) {
        let user = world.user().await;
        let address = user.email.shown();
        at_home(&world, &user).await;
        let mut thief = at_home(&world, &user).await;
        assert_eq!(letters.of_sign_ins(address).await.len(), 1);
        let mut own = world.visitor();
        let page = own.get("/recover").await;
        own.submit(&page.form().with("username", address)).await;
        let before = letters.links(address);
        let page = own.get(&letters.newest_link(address, before.max(1)).await).await;
        assert_eq!(own.submit(&page.form().with("password", NEW)).await.status, 303);
        for (visitor, mails) in [(&mut own, 1), (&mut thief, 2)] {
            let login = visitor.open("/account").await;
            let home = visitor.sign_in_with(&login, address, NEW).await;
            assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
            assert_eq!(letters.of_sign_ins(address).await.len(), mails);
        }
    }

    async fn a_mail_about_another_password_names_the_browser_in_which_it_was_set(world: World, letters: Letters) {
        let user = world.user().await;
        let address = user.email.shown();
        let mut own = at_home(&world, &user).await;
        let origin = own.origin().to_owned();
        let headers = [("origin", origin.as_str()), (USER_AGENT.as_str(), FIREFOX)];
        let page = own.open("/account/password").await;
        let form = page.form().with("current", PASSWORD).with("password", NEW);
        assert_eq!(own.submit_from(&form, &headers).await.status, 303);
        let mut device = world.visitor();
        let page = device.get("/recover").await;
        device.submit(&page.form().with("username", address)).await;
        let page = device.get(&letters.newest_link(address, 1).await).await;
        let answer = device.submit_from(&page.form().with("password", PASSWORD), &headers).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        letters.settled().await;
        let told: Vec<_> = letters
            .held(address)
            .into_iter()
            .filter(|held| held.letter.subject == "Your Countersign password was changed")
            .collect();
        assert_eq!(told.len(), 2);
        for held in told {
            for text in [&held.letter.text, &held.letter.html] {
                assert!(text.contains("Device: Firefox on Linux"), "{text}");
            }
        }
    }

    async fn the_name_of_an_app_that_nobody_vouches_for_stands_in_no_mail(world: World, letters: Letters) {
        let app = world.app_with(serde_json::json!({ "client_name": "Call 555 0100 now" })).await;
        world.trust(&app, Trust::Unverified).await;
        let user = world.user().await;
        at_home(&world, &user).await;
        let mut other = world.visitor();
        let login = other.open(&app.url(&[])).await;
        sign_in_with(&mut other, &login, &user, "<b>Firefox/1 http://evil.example").await;
        let told = letters.of_sign_ins(user.email.shown()).await;
        assert_eq!(told.len(), 1);
        for text in [&told[0].letter.text, &told[0].letter.html] {
            assert!(text.contains("Firefox") && !text.contains("555") && !text.contains("evil"), "{text}");
        }
    }
}

with_mail! {
    async fn an_app_that_may_stay_is_mailed_once_and_by_a_name_that_somebody_vouches_for(world: World, letters: Letters) {
        let (app, user) = (world.app_with(serde_json::json!({ "client_name": "Photo <b>prints</b>" })).await, world.user().await);
        let address = user.email.shown();
        let asking = |scope| app.url(&[("scope", scope)]);
        // For as long as they are there, it is no news.
        let mut visitor = world.visitor();
        visitor.authorize(&asking("openid"), address).await.code();
        assert!(letters.of_apps(address).await.is_empty());
        let page = visitor.open(&asking("openid offline_access")).await;
        let mut twin = world.visitor_of(&visitor);
        visitor.decide(&page, "allow").await.code();
        // A second click, another sign-in, and more of what it may have: none of it is new about that.
        twin.decide(&page, "allow").await;
        world.visitor().authorize(&asking("openid offline_access"), address).await.code();
        let page = visitor.open(&asking("openid email offline_access")).await;
        visitor.decide(&page, "allow").await.code();
        let told = letters.of_apps(address).await;
        assert_eq!(told.len(), 1);
        let letter = &told[0].letter;
        for words in ["App: Photo <b>prints</b>", " UTC ", "also when you're not there", "remove its access:"] {
            assert!(letter.text.contains(words), "{words}: {}", letter.text);
        }
        assert!(!letter.html.contains("<b>"), "{}", letter.html);
        let links: Vec<&str> = letter.text.lines().filter(|line| line.starts_with("http")).collect();
        assert_eq!(links, [format!("{}/account/apps", world.issuer)]);

        // Removed and allowed again; and plain OAuth, which has no scope for it.
        remove_app(&mut visitor).await;
        let removed = letters.of_removed_apps(address).await;
        assert_eq!(removed.len(), 1);
        assert!(removed[0].letter.text.contains("App: Photo <b>prints</b>"), "{}", removed[0].letter.text);
        let page = visitor.open(&asking("openid offline_access")).await;
        visitor.decide(&page, "allow").await.code();
        assert_eq!(letters.of_apps(address).await.len(), 2);
        let plain = world.app().await;
        let page = visitor.open(&plain.url(&[("scope", "email")])).await;
        visitor.decide(&page, "allow").await.code();
        assert_eq!(letters.of_apps(address).await.len(), 3);

        // One that nobody vouches for is never let stay, so it has no mail to put its name in.
        let stranger = world.app_with(serde_json::json!({ "client_name": "Call 555 0100 now" })).await;
        world.trust(&stranger, Trust::Unverified).await;
        // The newest is listed first.
        world.pass(Duration::from_secs(60));
        let page = visitor.open(&stranger.url(&[("scope", "openid offline_access")])).await;
        visitor.decide(&page, "allow").await;
        assert_eq!(letters.of_apps(address).await.len(), 3);
        remove_app(&mut visitor).await;
        let removed = letters.of_removed_apps(address).await;
        assert_eq!(removed.len(), 2);
        for text in [&removed[0].letter.text, &removed[0].letter.html] {
            assert!(text.contains("was removed") && !text.contains("App: "), "{text}");
        }
    }
}

/// What operators do, by the commands they have: told to whom it concerns, and only where something changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c067_what_an_operator_does_with_an_account_is_mailed_to_its_person() {
    let relay = MailServer::open().await;
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let issuer = format!("http://127.0.0.1:{port}");
    let url = relay.url();
    let environment = [
        ("COUNTERSIGN_ISSUER", issuer.as_str()),
        ("COUNTERSIGN_MAIL_SMTP_URL", url.as_str()),
        ("COUNTERSIGN_MAIL_FROM", "Example <no-reply@example.com>"),
    ];
    let command = async |line: &str, stdin: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ended = run(folder.path(), &arguments, &environment, stdin).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    let import = async |email: &str, hash: &str| {
        let record =
            serde_json::json!({ "sub": "zoe", "email": email, "password_hash": hash, "name": "Zoe" });
        command("user import -", &record.to_string()).await;
    };
    let hashes = [
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
    ];
    let _process = Process::serve(folder.path(), &[], &environment, port).await;
    // New, and the same once more: no news.
    import("zoe@example.com", hashes[0]).await;
    import("zoe@example.com", hashes[0]).await;
    let mut told: Vec<(Kind, Vec<&str>)> = Vec::new();
    import("zoe@example.com", hashes[1]).await;
    relay.received(1).await;
    import("Zoe.New@example.com", hashes[1]).await;
    relay.received(3).await;
    let both = vec!["zoe@example.com", "Zoe.New@example.com", "zoe@example.com"];
    told.push((Kind::UserUpdated, both));
    for (count, line, kind) in [
        (4, "user disable zoe", Kind::UserDisabled),
        (5, "user enable zoe", Kind::UserEnabled),
        (6, "user revoke zoe", Kind::UserRevoked),
    ] {
        command(line, "").await;
        // What was so already is done by nobody.
        if kind != Kind::UserRevoked {
            command(line, "").await;
        }
        relay.received(count).await;
        told.push((kind, vec!["Zoe.New@example.com"]));
    }
    let mails = relay.received(6).await;
    assert_eq!(mails.len(), 6);
    let mut mails = mails.iter();
    for (kind, mut addresses) in told {
        let Told::ByOperator(subjects) = self::told(kind) else {
            panic!("{kind:?} is mailed");
        };
        let came: Vec<_> = mails.by_ref().take(subjects.len()).collect();
        let mut own: Vec<String> = came.iter().filter_map(|mail| mail.head("Subject")).collect();
        let mut to: Vec<&str> = came.iter().map(|mail| &*mail.to).collect();
        own.sort_unstable();
        to.sort_unstable();
        addresses.sort_unstable();
        let mut subjects = subjects.to_vec();
        subjects.sort_unstable();
        assert_eq!(
            (own.iter().map(String::as_str).collect::<Vec<_>>(), to),
            (subjects, addresses),
            "{kind:?}"
        );
        for mail in came {
            assert!(
                mail.data.contains("the people who run Countersign"),
                "{}",
                mail.data
            );
        }
    }
}

/// Nobody fills a mailbox by signing in from ever more browsers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_mails_about_sign_ins_are_bounded_and_no_sign_in_fails_for_that() {
    let own = Own {
        limits: Some("on"),
        ..Own::default()
    };
    let (world, letters) = world_with(db::testing::sqlite_url(), own).await;
    let user = world.user().await;
    for _ in 0..9 {
        at_home(&world, &user).await;
    }
    assert_eq!(letters.of_sign_ins(user.email.shown()).await.len(), 5);
}

/// What a kind of event means for the person.
#[derive(Debug, PartialEq)]
enum Told {
    /// By a mail with this subject.
    Mail(&'static str),
    /// By the operator, and by mails with these subjects.
    ByOperator(&'static [&'static str]),
    /// By none, and why that is right.
    None(&'static str),
}

/// Every kind: a new one has to be thought about here.
fn told(kind: Kind) -> Told {
    use Told::{ByOperator, Mail, None};
    match kind {
        Kind::PasswordRecovered | Kind::PasswordChanged => Mail("Your Countersign password was changed"),
        Kind::EmailChanged => Mail("Your Countersign email was changed"),
        Kind::EmailRestored => Mail("Your Countersign account is yours again"),
        Kind::ConsentGiven => Mail("An app can use your Countersign account"),
        Kind::UserUpdated => ByOperator(&[
            "Your Countersign password was changed",
            "Your Countersign email was changed",
            "Your Countersign email was changed",
        ]),
        Kind::UserDisabled => ByOperator(&["Your Countersign account was turned off"]),
        Kind::UserEnabled => ByOperator(&["Your Countersign account was turned on"]),
        Kind::UserRevoked => ByOperator(&["You were signed out of Countersign everywhere"]),
        Kind::OtherSessionsEnded => Mail("You were signed out of Countersign everywhere else"),
        Kind::DataExported => Mail("A copy of your Countersign data was downloaded"),
        Kind::DeletionAsked => Mail("Your Countersign account will be deleted"),
        Kind::DeletionUndone => Mail("Your Countersign account stays"),
        Kind::SignInSucceeded => Mail("New sign-in to your Countersign account"),
        Kind::LinkMailed | Kind::EmailVerified => None("a mail was there first, which said what for"),
        Kind::UserCreated | Kind::InvitationAccepted => {
            None("they did it, by a mailed link or with their operator")
        }
        Kind::SignInFailed => None("a stranger would fill mailboxes by it; it stands in the activity"),
        Kind::SessionEnded => None("signing out takes from nobody what is theirs"),
        Kind::ConsentWithdrawn => Mail("An app was disconnected from your Countersign account"),
        Kind::ApprovalEnded | Kind::TokenRevoked => None("by an app, about what was its own"),
        Kind::ProfileChanged => None("nothing of it signs anybody in"),
        Kind::UserInvited | Kind::InvitationWithdrawn => None("about somebody who has no account"),
        Kind::UserDeleted => None("it was told when it was asked for, with the day"),
        Kind::ClientCreated
        | Kind::ClientUpdated
        | Kind::ClientTrustSet
        | Kind::ClientSecretAdded
        | Kind::ClientSecretDeleted
        | Kind::ClientDeleted
        | Kind::InitialTokenMade
        | Kind::InitialTokenDeleted
        | Kind::ResourceCreated
        | Kind::ResourceUpdated
        | Kind::ResourceSecretAdded
        | Kind::ResourceSecretDeleted
        | Kind::ResourceDeleted
        | Kind::MasterKeyMade
        | Kind::MasterKeyRetired
        | Kind::SigningKeyPublished
        | Kind::SigningKeyWithdrawn
        | Kind::SigningKeyImported
        | Kind::SigningKeyCompromised
        | Kind::DecryptionKeyMade
        | Kind::DecryptionKeyWithdrawn
        | Kind::DecryptionKeyCompromised
        | Kind::PurposeSecretMade
        | Kind::DatabaseRestored => None("about no person"),
    }
}

/// Each act in turn, with the event that it leaves and the address that is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c067_every_change_of_security_is_mailed_to_its_person() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let (world, letters) = world_with(database, Own::default()).await;
        let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
        for act in [
            "sessions",
            "password",
            "email",
            "recover",
            "take back",
            "export",
            "delete",
            "undo",
            "app",
            "remove",
            "sign-in",
        ] {
            let user = world.user().await;
            let kind = done(act, &world, &letters, &user).await;
            let Told::Mail(subject) = told(kind) else {
                panic!("{act}: {kind:?} has no mail");
            };
            let address = user.email.shown();
            let mails = match act {
                "sign-in" => letters.of_sign_ins(address).await,
                "app" => letters.of_apps(address).await,
                "remove" => letters.of_removed_apps(address).await,
                _ => {
                    letters.settled().await;
                    letters.held(address)
                }
            };
            let subjects: Vec<&str> = mails.iter().map(|held| held.letter.subject.as_str()).collect();
            assert_eq!(
                subjects.iter().filter(|own| **own == subject).count(),
                1,
                "{act}: {subjects:?}"
            );
            let mail = mails.iter().find(|held| held.letter.subject == subject).unwrap();
            assert!(
                mail.letter.text.contains(" UTC"),
                "{act} says when: {}",
                mail.letter.text
            );
            let expected = trail(&world, &user)
                .await
                .iter()
                .any(|own| own.as_str() == kind.as_str());
            assert!(expected, "{act}: {:?}", trail(&world, &user).await);
            *seen.entry(subject).or_default() += 1;
        }
        for kind in Kind::ALL {
            match told(*kind) {
                Told::Mail(subject) => assert!(seen.contains_key(subject), "{kind:?} is done by nobody here"),
                Told::ByOperator(subjects) => assert!(!subjects.is_empty()),
                Told::None(why) => assert!(!why.is_empty()),
            }
        }
    }
}

async fn done(act: &str, world: &World, letters: &Letters, user: &User) -> Kind {
    let mut own = at_home(world, user).await;
    match act {
        "sessions" => {
            at_home(world, user).await;
            let page = own.open("/account/sessions").await;
            assert_eq!(own.submit(&page.form().with("others", "yes")).await.status, 303);
            Kind::OtherSessionsEnded
        }
        "password" => {
            let page = own.open("/account/password").await;
            let form = page.form().with("current", PASSWORD).with("password", NEW);
            assert_eq!(own.submit(&form).await.status, 303);
            Kind::PasswordChanged
        }
        "email" => {
            move_away(&mut own, user, letters).await;
            Kind::EmailChanged
        }
        "recover" => {
            let page = own.get("/recover").await;
            own.submit(&page.form().with("username", user.email.shown()))
                .await;
            let page = own.get(&letters.newest_link(user.email.shown(), 1).await).await;
            let answer = own.submit(&page.form().with("password", NEW)).await;
            assert_eq!(answer.status, 303, "{}", answer.body);
            Kind::PasswordRecovered
        }
        "take back" => {
            move_away(&mut own, user, letters).await;
            let page = own.get("/recover").await;
            own.submit(&page.form().with("username", user.email.shown()))
                .await;
            let page = own.get(&letters.newest_link(user.email.shown(), 2).await).await;
            let answer = own.submit(&page.form().with("password", NEW)).await;
            assert_eq!(answer.status, 303, "{}", answer.body);
            Kind::EmailRestored
        }
        "app" => {
            let app = world.app().await;
            app.grant(world, user, &[("scope", "openid offline_access")])
                .await;
            Kind::ConsentGiven
        }
        "remove" => {
            world.app().await.grant(world, user, &[]).await;
            remove_app(&mut own).await;
            Kind::ConsentWithdrawn
        }
        "export" => {
            let page = own.open("/account/export").await;
            assert_eq!(own.submit(&page.form()).await.status, 200);
            Kind::DataExported
        }
        "delete" => {
            delete(&mut own, user).await;
            Kind::DeletionAsked
        }
        "undo" => {
            delete(&mut own, user).await;
            world.pass(Duration::from_secs(60));
            at_home(world, user).await;
            Kind::DeletionUndone
        }
        _ => {
            at_home(world, user).await;
            Kind::SignInSucceeded
        }
    }
}

/// Removes the access of the app that is listed first.
async fn remove_app(visitor: &mut Visitor<'_>) {
    let apps = visitor.open("/account/apps").await;
    let (_, rest) = apps
        .body
        .split_once("class=\"row row-app\" href=\"")
        .expect("an app");
    let page = visitor.open(rest.split('"').next().expect("a path")).await;
    assert_eq!(visitor.submit(&page.form()).await.status, 303);
}

async fn move_away(own: &mut Visitor<'_>, user: &User, letters: &Letters) {
    let page = own.open("/account/email").await;
    let new = user.email.shown().replace("alex-", "new-");
    let form = page.form().with("current", PASSWORD).with("email", &new);
    assert!(own.submit(&form).await.status.as_u16() < 400);
    let page = own.open(&letters.newest_link(&new, 1).await).await;
    let answer = own.submit(&page.form()).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    letters.newest(user.email.shown(), 1).await;
}

async fn delete(own: &mut Visitor<'_>, user: &User) {
    let page = own.open("/account/delete").await;
    let form = page
        .form()
        .with("current", PASSWORD)
        .with("email", user.email.shown());
    let answer = own.submit(&form).await;
    assert!(answer.status.as_u16() < 400, "{}", answer.body);
}
