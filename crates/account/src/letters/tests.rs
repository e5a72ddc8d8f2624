use accounts::users::Draft;
use db::testing::both;
use events::Context;
use mail::Content;

use super::*;
use crate::outbox::Counts;

#[tokio::test]
async fn c073_a_link_asked_for_before_the_credentials_changed_is_not_made_afterwards() {
    both(|db| async move {
        let draft = Draft::new(Email::parse("alex@example.com").unwrap());
        let clock = Clock::System;
        let now = clock.now();
        let inserted = db.transact(move |conn| {
            Box::pin(async move { users::insert(draft, &Context::server(), conn, now).await })
        });
        let user = inserted.await.unwrap();
        let letters = Letters {
            db: db.clone(),
            issuer: Issuer::parse("https://id.example.com").unwrap(),
            clock,
        };
        for (epoch, is_made) in [(user.epoch, true), (user.epoch - 1, false)] {
            let job = Job::Address {
                sub: user.sub.clone(),
                epoch,
                address: "new@example.com".to_owned(),
                locale: "en".to_owned(),
            };
            let content = Content::from(serde_json::to_vec(&job).unwrap());
            let letter = letters.letter(content).await.unwrap();
            assert_eq!(letter.is_some(), is_made, "{epoch}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_only_a_newer_version_knows_is_left_to_it() {
    both(|db| async move {
        let letters = Letters {
            db,
            issuer: Issuer::parse("https://id.example.com").unwrap(),
            clock: Clock::System,
        };
        for row in [
            r#"{"postcard":{"to":"alex@example.com"}}"#,
            r#"{"notice":{"what":"married"}}"#,
            "",
            "\0",
        ] {
            let content = Content::from(row.as_bytes().to_vec());
            assert!(letters.letter(content).await.is_err(), "{row}");
        }
        // What an earlier one has queued is understood.
        let earlier = br#"{"recovered":{"to":"alex@example.com","at":1,"locale":"en"}}"#;
        let letter = letters.letter(Content::from(earlier.to_vec())).await.unwrap();
        assert!(!letter.unwrap().text.contains("Device"));
    })
    .await;
}

#[test]
fn c070_what_stands_behind_a_plus_makes_no_other_mailbox() {
    let whose = |address: &str| Counts::mailbox(&Email::parse(address).unwrap());
    let tagged = whose("alex+shop@example.com");
    for address in ["alex+shop+2@example.com", "ALEX+@example.com"] {
        assert_eq!(whose(address), tagged);
    }
    assert_ne!(whose("Alex@Example.com"), tagged);
    assert_eq!(whose("+alex@example.com"), Counts::of("+alex@example.com"));
}
