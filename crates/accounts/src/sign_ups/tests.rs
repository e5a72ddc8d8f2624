use db::Database;
use db::testing::both;
use events::Context;

use super::*;
use crate::users::Draft;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

async fn made(way: Way, text: &str, db: &Database) -> Secret {
    let email = email(text);
    db.transact(move |conn| Box::pin(async move { make(way, &email, Some("flow"), conn, NOW).await }))
        .await
        .unwrap()
}

async fn found(link: &Secret, db: &Database, now: Timestamp) -> Found {
    find(link.expose(), &mut db.reader().await.unwrap(), now)
        .await
        .unwrap()
}

fn live(found: Found) -> Ticket {
    match found {
        Found::Live(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

async fn claimed(ticket: &Ticket, db: &Database, now: Timestamp) -> bool {
    let ticket = ticket.clone();
    db.transact(move |conn| Box::pin(async move { claim(&ticket, conn, now).await }))
        .await
        .unwrap()
}

async fn insert(text: &str, db: &Database) {
    let draft = Draft::new(email(text));
    db.transact(|conn| Box::pin(async move { users::insert(draft, &Context::server(), conn, NOW).await }))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_invitation_that_was_withdrawn_makes_no_account_and_one_that_was_used_cannot_be() {
    both(|db| async move {
        let by = Context::command_line;
        let invited = async |text: &str| {
            let email = email(text);
            let made = db.transact(move |conn| {
                Box::pin(async move {
                    let invitation = invitations::add(&email, Way::Handed, &by(), conn, NOW).await?;
                    let link = make_invited(&invitation, conn).await?;
                    Ok::<_, db::Error>((invitation, link))
                })
            });
            made.await.unwrap()
        };
        let withdrawn = async |id: &str| {
            let id = id.to_owned();
            let done = db.transact(move |conn| {
                Box::pin(async move { invitations::withdraw(&id, &by(), conn, NOW).await })
            });
            done.await.unwrap()
        };
        let listed = async |now: Timestamp| {
            let all = invitations::list(&mut db.reader().await.unwrap(), now)
                .await
                .unwrap();
            all.into_iter()
                .map(|one| one.email.shown().to_owned())
                .collect::<Vec<_>>()
        };
        let (first, link) = invited("one@example.com").await;
        let (second, other) = invited("two@example.com").await;
        let (third, late) = invited("three@example.com").await;
        assert_eq!(listed(NOW).await.len(), 3);
        let ticket = live(found(&link, &db, NOW).await);
        assert_eq!(ticket.invitation.as_deref(), Some(first.id.as_str()));

        assert!(withdrawn(&first.id).await && !withdrawn(&first.id).await);
        assert!(
            !claimed(&ticket, &db, NOW).await,
            "a form that was open meanwhile"
        );
        assert!(matches!(
            found(&link, &db, NOW).await,
            Found::Used(_) | Found::Withdrawn(_)
        ));

        let ticket = live(found(&other, &db, NOW).await);
        assert!(claimed(&ticket, &db, NOW).await);
        assert!(!withdrawn(&second.id).await, "it was used");
        assert_eq!(listed(NOW).await, ["three@example.com"]);
        // Once somebody has the address, or its time has passed, it waits no more.
        let end = NOW + invitations::LIFE;
        assert_eq!(listed(end - SECOND).await.len(), 1);
        assert!(listed(end).await.is_empty());
        assert!(matches!(found(&late, &db, end).await, Found::Expired(_)));
        insert("THREE@example.com", &db).await;
        assert!(listed(NOW).await.is_empty());
        let swept =
            |now| db.transact(move |conn| Box::pin(async move { invitations::sweep(9, conn, now).await }));
        assert_eq!(swept(end - SECOND).await.unwrap(), 0);
        assert_eq!(swept(end).await.unwrap(), 1);
        assert!(!withdrawn(&third.id).await);
    })
    .await;
}

#[tokio::test]
async fn c073_a_link_works_once_within_its_time_and_looking_at_it_changes_nothing() {
    both(|db| async move {
        for (way, minutes) in [
            (Way::Asked, 30),
            (Way::Invited, 7 * 24 * 60),
            (Way::Handed, 7 * 24 * 60),
        ] {
            let link = made(way, "Alex@Example.com", &db).await;
            let end = NOW + Duration::from_secs(minutes * 60);
            let ticket = live(found(&link, &db, NOW).await);
            assert_eq!((ticket.way, ticket.email.shown()), (way, "Alex@example.com"));
            assert_eq!(ticket.flow.as_deref(), Some("flow"));
            assert_eq!(found(&link, &db, end - SECOND).await, Found::Live(ticket.clone()));
            assert_eq!(found(&link, &db, end).await, Found::Expired(ticket.clone()));
            assert!(!claimed(&ticket, &db, end).await, "time is up at use");
            assert!(claimed(&ticket, &db, end - SECOND).await);
            assert!(!claimed(&ticket, &db, NOW).await);
            assert!(matches!(found(&link, &db, NOW).await, Found::Used(_)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_says_nothing_of_accounts_but_to_who_holds_it_and_is_no_other() {
    both(|db| async move {
        let link = made(Way::Asked, "alex@example.com", &db).await;
        let rows: Vec<(String, String)> = {
            let mut conn = db.reader().await.unwrap();
            let all = "SELECT digest, sealed FROM sign_ups";
            db::run!(&mut conn, |c| sqlx::query_as(all).fetch_all(c)).unwrap()
        };
        let kept = format!("{rows:?}");
        assert!(!kept.contains("alex") && !kept.contains(link.expose()), "{kept}");
        for foreign in [
            "",
            "x",
            &link.expose()[1..],
            opaque::random(Kind::MailedLink).expose(),
        ] {
            let found = find(foreign, &mut db.reader().await.unwrap(), NOW).await.unwrap();
            assert_eq!(found, Found::Foreign, "{foreign}");
        }
        let ticket = live(found(&link, &db, NOW).await);
        insert("ALEX@example.com", &db).await;
        assert_eq!(found(&link, &db, NOW).await, Found::Known(ticket));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r07_of_many_who_use_one_link_at_once_one_wins() {
    both(|db| async move {
        let ticket = live(found(&made(Way::Invited, "alex@example.com", &db).await, &db, NOW).await);
        let racers = (0..40).map(|_| {
            let (db, ticket) = (db.clone(), ticket.clone());
            tokio::spawn(async move { claimed(&ticket, &db, NOW).await })
        });
        let mut won = 0;
        for racer in racers.collect::<Vec<_>>() {
            won += u32::from(racer.await.unwrap());
        }
        assert_eq!(won, 1);
    })
    .await;
}

#[tokio::test]
async fn what_strangers_asked_for_is_remembered_for_a_day_and_invitations_for_a_week() {
    both(|db| async move {
        let day = Duration::from_secs(24 * 60 * 60);
        let asked = made(Way::Asked, "alex@example.com", &db).await;
        let invited = made(Way::Invited, "jo@example.com", &db).await;
        let handed = made(Way::Handed, "kim@example.com", &db).await;
        let (first, last) = (NOW + Way::Asked.life() + day, NOW + Way::Invited.life() + 7 * day);
        for (at, swept) in [(first - SECOND, 0), (first, 1), (last - SECOND, 0), (last, 2)] {
            let gone = db.transact(move |conn| Box::pin(async move { sweep(10, conn, at).await }));
            assert_eq!(gone.await.unwrap(), swept);
            let is_gone = found(&asked, &db, NOW).await == Found::Foreign;
            assert_eq!(is_gone, at >= first);
        }
        for link in [invited, handed] {
            assert_eq!(found(&link, &db, NOW).await, Found::Foreign);
        }
    })
    .await;
}
