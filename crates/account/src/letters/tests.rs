use accounts::users::Draft;
use db::testing::both;
use events::Context;
use mail::Content;

use super::*;
use crate::notices::What;
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
            contact: None,
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
            contact: None,
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

#[test]
fn whoever_lost_their_address_is_told_whom_to_write_to() {
    let texts = Texts::of(Locale::En);
    let notice = |what| Notice {
        to: "alex@example.com".to_owned(),
        what,
        at: Timestamp::from_secs(0),
        locale: "en".to_owned(),
        user_agent: None,
    };
    let issuer = Issuer::parse("https://id.example.com").unwrap();
    for (what, contact, said) in [
        (
            What::EmailChanged,
            Some(Contact::Mailbox("ops@example.com".to_owned())),
            Some("You can reach them at ops@example.com."),
        ),
        (
            What::EmailChanged,
            Some(Contact::Page("https://www.example.com/help".to_owned())),
            Some("You can reach them at https://www.example.com/help."),
        ),
        (What::EmailChanged, None, None),
        (
            What::DataExported,
            Some(Contact::Mailbox("ops@example.com".to_owned())),
            None,
        ),
    ] {
        let reach = reach(contact.as_ref(), texts);
        let letter = notice(what).letter(&issuer, reach, texts).unwrap();
        for text in [&letter.text, &letter.html] {
            assert_eq!(text.contains("You can reach them"), said.is_some(), "{text}");
            assert!(said.is_none_or(|said| text.contains(said)), "{text}");
        }
    }
}
