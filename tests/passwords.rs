//! Which passwords people may choose, and how they are told: C074.

use std::time::Instant;

use accounts::claims::Claim;
use accounts::passwords::{Breached, breached};
use accounts::users::User;

use crate::harness::letters::world_with;
use crate::harness::world::Own;
use crate::harness::{Answer, Letters, Visitor, World};

const BREACHED: &str = "three goats in dense fog";

/// A link to set a password with.
async fn link(world: &World, letters: &Letters, user: &User) -> String {
    let before = letters.links(user.email.shown());
    let mut visitor = world.visitor();
    let page = visitor.get("/recover").await;
    visitor
        .submit(&page.form().with("username", user.email.shown()))
        .await;
    letters.newest_link(user.email.shown(), before + 1).await
}

async fn set(visitor: &mut Visitor<'_>, link: &str, password: &str) -> Answer {
    let page = visitor.get(link).await;
    visitor.submit(&page.form().with("password", password)).await
}

with_mail! {
    async fn c074_a_password_that_would_soon_be_guessed_is_refused_with_the_reason_at_its_field(world: World, letters: Letters) {
        let user = world.user_with(|draft| {
            draft.claims.set(Claim::Name, "Zaphod Quill".into()).unwrap();
        }).await;
        let link = link(&world, &letters, &user).await;
        let mut visitor = world.visitor();
        for (password, words) in [
            ("1234567", "Use 8 characters or more"),
            (&*"x".repeat(257), "Use 256 characters or fewer"),
            ("password", "Many people have this password"),
            ("P4ssword1", "Many people have a password like this"),
            ("zaphodquill", "Your name, your email and the name of this site are tried first"),
            (user.email.shown(), "Your name, your email and the name of this site are tried first"),
            ("countersign1", "Your name, your email and the name of this site are tried first"),
            ("aaaaaaaaaaa", "Repeats are easy to guess"),
            ("abcdefghij", "Characters that follow one another"),
            ("13.11.1984", "Dates and years are easy to guess"),
            ("biodiversity", "One word is easy to guess"),
        ] {
            let answer = set(&mut visitor, &link, password).await;
            assert_eq!(answer.status, 400, "{password}: {}", answer.body);
            assert!(answer.has(&format!("<a href=\"#new-password\">{words}")), "{password}: {}", answer.body);
            let (_, field) = answer.body.split_once("id=\"new-password-fault\"").expect("a fault at the field");
            let (fault, field) = field.split_once("</p>").unwrap();
            assert!(fault.contains(words), "{fault}");
            assert!(field.contains("aria-describedby=\"new-password-hint new-password-fault\" aria-invalid"), "{field}");
            assert!(!answer.has(&format!("value=\"{password}\"")) || user.email.shown() == password);
        }
        assert_eq!(set(&mut visitor, &link, BREACHED).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c074_a_password_known_from_a_breach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (list, filter) = (folder.path().join("list"), folder.path().join("filter"));
    let sha1 = seal::sha1(BREACHED.as_bytes())
        .map(|byte| format!("{byte:02x}"))
        .concat();
    std::fs::write(&list, sha1).unwrap();
    breached::build(&list, &filter, 1).unwrap();
    let own = Own {
        breached: Some(Breached::open(&filter).unwrap()),
        ..Own::default()
    };
    let (world, letters) = world_with(db::testing::sqlite_url(), own).await;
    let user = world.user().await;
    let link = link(&world, &letters, &user).await;
    let mut visitor = world.visitor();
    let answer = set(&mut visitor, &link, BREACHED).await;
    assert_eq!(answer.status, 400);
    assert!(answer.has("in a list that was stolen"), "{}", answer.body);
    assert_eq!(
        set(&mut visitor, &link, "three goats in dense fig").await.status,
        303
    );
}

/// Nobody is told to come back in a moment, for as long as nobody mends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_breached_passwords_that_fails_while_serving_is_said_to_be_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (list, filter) = (folder.path().join("list"), folder.path().join("filter"));
    std::fs::write(&list, "00".repeat(20)).unwrap();
    breached::build(&list, &filter, 1).unwrap();
    let own = Own {
        breached: Some(Breached::open(&filter).unwrap()),
        ..Own::default()
    };
    let (world, letters) = world_with(db::testing::sqlite_url(), own).await;
    let user = world.user().await;
    let link = link(&world, &letters, &user).await;
    std::fs::OpenOptions::new()
        .write(true)
        .open(&filter)
        .unwrap()
        .set_len(1)
        .unwrap();
    let mut visitor = world.visitor();
    let answer = set(&mut visitor, &link, BREACHED).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer.has("New passwords can't be checked at the moment") && !answer.has("Wait a few seconds"),
        "{}",
        answer.body
    );
    assert!(
        !answer.has("aria-invalid"),
        "nothing is wrong with the password: {}",
        answer.body
    );
    assert_eq!(
        visitor.get(&link).await.status,
        200,
        "the link is as good as before"
    );
}

/// The body is cut off before it is a form, let alone a password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c074_a_megabyte_is_refused_at_once_and_reaches_nobody_who_hashes() {
    let (world, letters) = world_with(db::testing::sqlite_url(), Own::default()).await;
    let user = world.user().await;
    let link = link(&world, &letters, &user).await;
    let mut visitor = world.visitor();
    let form = visitor.get(&link).await.form();
    for length in [257, 10_000, 60_000, 1 << 20] {
        let start = Instant::now();
        let answer = visitor
            .submit(&form.clone().with("password", &"x".repeat(length)))
            .await;
        let expected = if length > 64 * 1024 { 413 } else { 400 };
        assert_eq!(answer.status, expected, "{length}: {}", answer.body);
        assert!(start.elapsed().as_secs() < 2, "{length}: {:?}", start.elapsed());
    }
    assert_eq!(visitor.get(&link).await.status, 200);
}
