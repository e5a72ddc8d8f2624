//! An account that somebody moved to an address of theirs, back by the address that it had: C067, C073.

use std::time::Duration;

use accounts::email::Email;
use accounts::former_addresses::{self, Left};
use accounts::users::{self, User};
use events::audit::Span;
use futures_util::future::join_all;
use protocol::SignUp;
use revocation::Act;

use super::{GONE, NEW, OFFLINE, SENT, ask, reload, set};
use crate::harness::app::userinfo;
use crate::harness::letters::world_with;
use crate::harness::visitor::Form;
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{Letters, Visitor, World};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// What the thief sets.
const THEIRS: &str = "not this battery, horse";

async fn signed_in<'w>(world: &'w World, address: &str, password: &str) -> Visitor<'w> {
    let mut visitor = world.visitor();
    let login = visitor.open("/account").await;
    let home = visitor.sign_in_with(&login, address, password).await;
    assert!(home.has("<h1>Your account</h1>"), "{}", home.body);
    visitor
}

/// Whoever is signed in there moves the account, by the pages; returns when the address that is left was told.
async fn move_to(visitor: &mut Visitor<'_>, (old, address): (&str, &str), letters: &Letters) {
    let (before, told) = (letters.links(address), letters.held(old).len());
    let page = visitor.open("/account/email").await;
    let form = page.form().with("email", address).with("current", PASSWORD);
    assert_eq!(visitor.submit(&form).await.status, 303);
    let page = visitor
        .open(&letters.newest_link(address, before + 1).await)
        .await;
    assert!(
        page.has("For up to 72 hours, whoever reads its mail can take the account back."),
        "{}",
        page.body
    );
    let answer = visitor.submit(&page.form()).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    letters.newest(old, told + 1).await;
}

/// A thief who knows the password has moved the account of this user.
async fn stolen<'w>(world: &'w World, letters: &Letters) -> (User, String, Visitor<'w>) {
    let user = world.user().await;
    let thief = user.email.shown().replace("alex-", "thief-");
    let mut visitor = signed_in(world, user.email.shown(), PASSWORD).await;
    move_to(&mut visitor, (user.email.shown(), &thief), letters).await;
    (user, thief, visitor)
}

/// The same without mails.
async fn moved(world: &World, user: &User, to: &str) {
    let (before, to, now) = (reload(world, user).await, Email::parse(to).unwrap(), world.now());
    let work = world.db.transact(move |conn| {
        Box::pin(async move {
            users::change_email(&before.sub, before.epoch, &to, conn, now).await?;
            former_addresses::leave(&before, &to, conn, now).await
        })
    });
    assert!(matches!(work.await.unwrap(), Left::Until(_)));
}

/// Asks at the page where everybody asks; says which link came to that address.
async fn way_back(world: &World, address: &str, letters: &Letters) -> String {
    let before = letters.links(address);
    let answer = ask(&mut world.visitor(), address).await;
    assert!(answer.has(SENT), "{}", answer.body);
    letters.newest_link(address, before + 1).await
}

async fn trail(world: &World, user: &User) -> Vec<String> {
    let mut conn = world.db.reader().await.unwrap();
    let all = Span {
        since: user.created_at,
        before: None,
        limit: 100,
    };
    let events = events::audit::of_user(&user.sub, all, &mut conn).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

with_mail! {
    async fn c067_whoever_reads_the_former_address_has_the_account_back(world: World, letters: Letters) {
        let app = world.app().await;
        let (user, thief, mut theirs) = stolen(&world, &letters).await;
        let address = user.email.shown();
        let notice = letters.newest(address, 1).await;
        assert_eq!(notice.letter.subject, "Your Countersign email was changed");
        let until = (world.now() + 72 * HOUR).to_string().replace('T', " ").replace('Z', " UTC");
        for words in [format!("Until {until} you can take it back"), "enter this address there".to_owned()] {
            assert!(notice.letter.text.contains(&words), "{words}: {}", notice.letter.text);
        }
        // Read late, or by somebody else, it does nothing: its link is that of everybody.
        let links: Vec<&str> = notice.letter.text.lines().filter(|line| line.starts_with("http")).collect();
        assert_eq!(links, [format!("{}/recover", world.issuer)]);
        assert!(!notice.letter.text.contains(&thief));
        let page = theirs.open("/account/password").await;
        let form = page.form().with("current", PASSWORD).with("password", THEIRS);
        assert_eq!(theirs.submit(&form).await.status, 303);
        let mut apps = Vec::new();
        for options in [&[], OFFLINE] {
            let redirect = theirs.authorize(&app.url(options), &thief).await;
            apps.push(app.tokens(&world, &redirect).await);
        }

        let mut visitor = world.visitor();
        let answer = ask(&mut visitor, &address.to_uppercase().replace("EXAMPLE.COM", "example.com")).await;
        assert!(answer.has(SENT), "{}", answer.body);
        let link = letters.newest_link(address, 2).await;
        let letter = letters.newest(address, 1).await;
        assert_eq!((letter.letter.to.as_str(), letter.letter.subject.as_str()), (address, "Take your Countersign account back"));
        assert!(link.starts_with(&format!("{}/recover/account?link=cs_ml_", world.issuer)), "{link}");
        let page = visitor.get(&link).await;
        assert!(page.has("<h1>Take your account back</h1>") && page.has(&format!("<bdi>{address}</bdi>")), "{}", page.body);
        assert!(!page.has(&thief), "whoever has left this mailbox behind is not told of here");
        visitor.get(&link).await;
        let before = reload(&world, &user).await;
        assert_eq!(before.email.shown(), thief, "looking does nothing");
        visitor.submit(&page.form().with("password", "short")).await.assert_page(400, "Use 8 characters or more");
        assert_eq!(reload(&world, &user).await, before);
        let answer = visitor.submit(&page.form().with("password", NEW)).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let done = visitor.follow(answer).await;
        assert!(done.has("Your new password is set"), "{}", done.body);

        let after = reload(&world, &user).await;
        assert_eq!((after.email.shown(), after.email_verified), (address, true));
        assert_eq!(after.epoch, before.epoch + 1);
        assert!(theirs.open("/account").await.asks_to_sign_in());
        for tokens in &apps {
            assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
        }
        let login = theirs.open("/account").await;
        assert_eq!(theirs.sign_in_with(&login, address, THEIRS).await.status, 400);
        signed_in(&world, address, NEW).await;
        let kinds = trail(&world, &user).await;
        for kind in ["password.recovered", "email.restored"] {
            assert_eq!(kinds.iter().filter(|own| *own == kind).count(), 1, "{kinds:?}");
        }
        letters.settled().await;
        let told = |address: &str| letters.held(address).into_iter().next().unwrap().letter;
        assert_eq!(told(address).subject, "Your Countersign account is yours again");
        assert!(told(address).text.contains(" UTC") && !told(address).text.contains("http"));
        assert_eq!(told(&thief).subject, "Your Countersign email was changed");
        assert!(!told(&thief).text.contains(address) && !told(&thief).text.contains("http"), "{}", told(&thief).text);

        // Nothing is left of it: the link was used, and the thief cannot undo this in turn.
        visitor.get(&link).await.assert_page(410, "This link no longer works");
        let before = letters.links(&thief);
        for asked in [&thief, address] {
            assert!(ask(&mut world.visitor(), asked).await.has(SENT));
        }
        letters.settled().await;
        assert_eq!(letters.links(&thief), before);
        assert!(letters.newest_link(address, 3).await.contains("/recover/password?"), "it is theirs, as ever");
    }

    async fn c067_a_thief_who_moves_on_loses_it_from_the_first_address_and_undoes_nothing(world: World, letters: Letters) {
        let (user, thief, mut theirs) = stolen(&world, &letters).await;
        let (address, second) = (user.email.shown(), thief.replace("thief-", "thief2-"));
        move_to(&mut theirs, (&thief, &second), &letters).await;
        // From each of them a link, both made before one is used.
        let first = way_back(&world, address, &letters).await;
        let between = way_back(&world, &thief, &letters).await;
        assert!(between.contains("/recover/account?"), "{between}");
        assert_eq!(set(&mut world.visitor(), &first, NEW).await.status, 303);
        world.visitor().get(&between).await.assert_page(410, "This link no longer works");
        let before = (letters.links(&thief), letters.links(&second));
        for asked in [&thief, &second] {
            assert!(ask(&mut world.visitor(), asked).await.has(SENT));
        }
        letters.settled().await;
        assert_eq!((letters.links(&thief), letters.links(&second)), before);
        assert_eq!(reload(&world, &user).await.email.shown(), address);
    }

    async fn c073_a_way_back_is_open_for_72_hours_and_its_link_for_half_an_hour(world: World, letters: Letters) {
        let (user, thief, _theirs) = stolen(&world, &letters).await;
        let address = user.email.shown();
        world.pass(72 * HOUR - Duration::from_secs(60));
        let link = way_back(&world, address, &letters).await;
        let value = link.split_once("link=").unwrap().1;
        for path in ["/recover/password", "/verify", "/account/email/confirm", "/signup/account"] {
            let page = world.visitor().get(&format!("{path}?link={value}")).await;
            assert_eq!(page.status, 404, "{path}: {}", page.body);
        }
        world.pass(29 * 60 * Duration::from_secs(1));
        let mut visitor = world.visitor();
        let open = visitor.get(&link).await;
        assert!(open.has("<h1>Take your account back</h1>"), "{}", open.body);
        world.pass(Duration::from_secs(60));
        // C066: nothing was cleaned up.
        let late = visitor.submit(&open.form().with("password", NEW)).await;
        late.assert_page(410, "This link has expired");
        let before = letters.links(address);
        assert!(ask(&mut world.visitor(), address).await.has(SENT));
        letters.settled().await;
        assert_eq!(letters.links(address), before, "the 72 hours are over");
        assert_eq!(reload(&world, &user).await.email.shown(), thief);
    }

    /// The attack: whoever stole the account sets another password, or moves on, whenever its owner asks.
    async fn c073_a_way_back_is_closed_by_no_thief_and_is_won_by_one(world: World, letters: Letters) {
        let (user, thief, mut theirs) = stolen(&world, &letters).await;
        let address = user.email.shown();
        let link = way_back(&world, address, &letters).await;
        let spare = way_back(&world, address, &letters).await;
        move_to(&mut theirs, (&thief, &thief.replace("thief-", "thief2-")), &letters).await;
        let page = theirs.open("/account/password").await;
        let form = page.form().with("current", PASSWORD).with("password", THEIRS);
        assert_eq!(theirs.submit(&form).await.status, 303);
        assert_eq!(set(&mut world.visitor(), &link, NEW).await.status, 303);
        assert_eq!(reload(&world, &user).await.email.shown(), address);
        // A link is good for that leaving of the address, and for no later one.
        let mut own = signed_in(&world, address, NEW).await;
        let elsewhere = address.replace("alex-", "elsewhere-");
        let page = own.open("/account/email").await;
        own.submit(&page.form().with("email", &elsewhere).with("current", NEW)).await;
        let page = own.open(&letters.newest_link(&elsewhere, 1).await).await;
        assert_eq!(own.submit(&page.form()).await.status, 303);
        world.visitor().get(&spare).await.assert_page(410, "This link no longer works");
        way_back(&world, address, &letters).await;

        // Two former addresses, and two links of one of them, at once.
        let user = world.user().await;
        let (first, between) = (user.email.shown().to_owned(), user.email.shown().replace("alex-", "thief-"));
        moved(&world, &user, &between).await;
        moved(&world, &user, &user.email.shown().replace("alex-", "thief2-")).await;
        let links = [
            way_back(&world, &first, &letters).await,
            way_back(&world, &first, &letters).await,
            way_back(&world, &between, &letters).await,
        ];
        let mut forms: Vec<(Visitor<'_>, Form)> = Vec::new();
        for n in 0..12 {
            let mut visitor = world.visitor();
            let form = visitor.get(&links[n % links.len()]).await.form().with("password", &format!("{NEW} {n}"));
            forms.push((visitor, form));
        }
        let answers = join_all(forms.iter_mut().map(|(visitor, form)| visitor.submit(form))).await;
        let won = |whose: &[usize]| {
            let own = answers.iter().enumerate().filter(|(n, _)| whose.contains(&(n % links.len())));
            own.filter(|(_, answer)| answer.status == 303).count()
        };
        let lost = answers.iter().filter(|answer| answer.status == GONE).count();
        // Whoever had it in between may be a moment faster, which helps them nothing.
        let (older, between) = (won(&[0, 1]), won(&[2]));
        assert_eq!((older, older + between + lost), (1, 12), "{answers:?}");
        assert!(between <= 1);
        assert_eq!(reload(&world, &user).await.email.shown(), first);
        let restored = trail(&world, &user).await;
        assert_eq!(restored.iter().filter(|kind| *kind == "email.restored").count(), 1 + between);
    }

    async fn an_address_that_another_account_has_by_now_means_that_one(world: World, letters: Letters) {
        let (user, thief, _theirs) = stolen(&world, &letters).await;
        let address = user.email.shown().to_owned();
        let link = way_back(&world, &address, &letters).await;
        let mut visitor = world.visitor();
        let open = visitor.get(&link).await;
        let (wanted, before) = (user.email.clone(), letters.links(&address));
        let newcomer = world.user_with(move |draft| draft.email = wanted).await;
        visitor.get(&link).await.assert_page(410, "This link no longer works");
        let answer = visitor.submit(&open.form().with("password", NEW)).await;
        answer.assert_page(410, "This link no longer works");
        assert_eq!(reload(&world, &user).await.email.shown(), thief);
        assert!(ask(&mut world.visitor(), &address).await.has(SENT));
        let own = letters.newest_link(&address, before + 1).await;
        assert!(own.contains("/recover/password?"), "{own}");
        assert_eq!(set(&mut world.visitor(), &own, NEW).await.status, 303);
        assert_eq!(reload(&world, &newcomer).await.epoch, newcomer.epoch + 1);
    }

    async fn an_account_that_is_off_is_taken_back_by_nobody_and_one_that_is_to_go_stays(world: World, letters: Letters) {
        let (user, _thief, _theirs) = stolen(&world, &letters).await;
        let address = user.email.shown();
        let link = way_back(&world, address, &letters).await;
        world.end(Act::DisableUser(user.sub.clone())).await;
        world.visitor().get(&link).await.assert_page(403, "This account is turned off");
        let before = letters.links(address);
        assert!(ask(&mut world.visitor(), address).await.has(SENT));
        letters.settled().await;
        assert_eq!(letters.links(address), before);

        let (user, thief, mut theirs) = stolen(&world, &letters).await;
        let address = user.email.shown();
        let page = theirs.open("/account/delete").await;
        let form = page.form().with("current", PASSWORD).with("email", &thief);
        assert!(theirs.submit(&form).await.status.as_u16() < 400);
        let link = way_back(&world, address, &letters).await;
        assert_eq!(set(&mut world.visitor(), &link, NEW).await.status, 303);
        letters.settled().await;
        let told: Vec<String> = letters.held(address).into_iter().map(|held| held.letter.subject).collect();
        assert!(told.contains(&"Your Countersign account stays".to_owned()), "{told:?}");
        world.pass(15 * 24 * HOUR);
        signed_in(&world, address, NEW).await;
    }

    async fn going_back_to_a_former_address_by_the_page_takes_it_back(world: World, letters: Letters) {
        let (user, thief, mut theirs) = stolen(&world, &letters).await;
        let address = user.email.shown();
        // Who knows the password still.
        move_to(&mut theirs, (&thief, address), &letters).await;
        letters.settled().await;
        let told = letters.held(&thief).into_iter().next().unwrap().letter;
        assert_eq!(told.subject, "Your Countersign email was changed");
        assert!(!told.text.contains("http") && !told.text.contains("take it back"), "{}", told.text);
        let before = letters.links(&thief);
        assert!(ask(&mut world.visitor(), &thief).await.has(SENT));
        letters.settled().await;
        assert_eq!(letters.links(&thief), before);
    }

    async fn what_is_kept_of_former_addresses_is_in_the_export(world: World, letters: Letters) {
        let (user, _thief, mut theirs) = stolen(&world, &letters).await;
        way_back(&world, user.email.shown(), &letters).await;
        let page = theirs.open("/account/export").await;
        let document = theirs.submit(&page.form()).await.json();
        let until = (world.now() + 72 * HOUR).to_string();
        assert_eq!(
            document["former_addresses"],
            serde_json::json!([{ "email": user.email.shown(), "good_until": until }])
        );
        let asked = document["addresses_asked_for"].as_array().unwrap();
        assert_eq!(asked.len(), 1, "the way back is not a wish: {asked:?}");
    }
}

/// C067: whoever knows the password asks for links in the owner's name until no more is sent, and makes them void.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c067_who_knows_the_password_keeps_its_owner_from_no_link() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            limits: Some("on"),
            ..Own::default()
        };
        let (world, letters) = world_with(database, own).await;
        let user = world.user().await;
        let address = user.email.shown();
        let mut theirs = signed_in(&world, address, PASSWORD).await;
        let mut passwords = [PASSWORD, THEIRS].into_iter().cycle();
        let mut current = passwords.next().unwrap();
        for round in 0..3 {
            let mut visitor = world.visitor();
            let form = visitor.get("/recover").await.form().with("username", address);
            for status in [303, 303, 303, 429] {
                assert_eq!(visitor.submit(&form).await.status, status, "{round}");
            }
            let link = letters.newest_link(address, 3 * (round + 1)).await;
            let new = passwords.next().unwrap();
            let page = theirs.open("/account/password").await;
            let form = page.form().with("current", current).with("password", new);
            assert_eq!(theirs.submit(&form).await.status, 303);
            current = new;
            world
                .visitor()
                .get(&link)
                .await
                .assert_page(410, "This link no longer works");
        }
        // They may not do so for ever, and the next one is the owner's.
        let mut visitor = world.visitor();
        let form = visitor.get("/recover").await.form().with("username", address);
        assert_eq!(visitor.submit(&form).await.status, 303);
        let link = letters.newest_link(address, 10).await;
        let page = theirs.open("/account/password").await;
        let form = page
            .form()
            .with("current", current)
            .with("password", "some other horse, some staple");
        assert_eq!(theirs.submit(&form).await.status, 429);
        assert_eq!(set(&mut world.visitor(), &link, NEW).await.status, 303);
        assert!(theirs.open("/account").await.asks_to_sign_in());
    }
}

/// C070: what comes to a former address is bounded like what comes to any, and nobody is told which it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c070_mails_to_a_former_address_are_bounded_like_all() {
    for database in [db::testing::sqlite_url(), db::testing::postgres_url().await] {
        let own = Own {
            limits: Some("on"),
            sign_up: Some(SignUp::Open),
            ..Own::default()
        };
        let (world, letters) = world_with(database, own).await;
        let user = world.user().await;
        moved(&world, &user, "thief@example.com").await;
        for address in [user.email.shown(), "nobody@example.com"] {
            let mut visitor = world.visitor();
            let form = visitor.get("/recover").await.form().with("username", address);
            for status in [303, 303, 303, 429] {
                assert_eq!(visitor.submit(&form).await.status, status, "{address}");
            }
        }
        letters.settled().await;
        assert_eq!(letters.links(user.email.shown()), 3);
    }
}
