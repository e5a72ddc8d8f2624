use db::Database;
use db::testing::both;
use events::Context;

use super::*;
use crate::users::{self, Draft};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const HOUR: Duration = Duration::from_secs(60 * 60);
const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

async fn user(address: &str, db: &Database) -> User {
    let draft = Draft {
        email_verified: Some(true),
        ..Draft::new(email(address))
    };
    db.transact(|conn| Box::pin(async move { users::insert(draft, &Context::server(), conn, NOW).await }))
        .await
        .unwrap()
}

async fn reload(user: &User, db: &Database) -> User {
    let mut conn = db.reader().await.unwrap();
    users::by_sub(&user.sub, &mut conn).await.unwrap().unwrap()
}

/// Moves the user to this address, as the page does.
async fn moved(user: &User, to: &str, db: &Database, now: Timestamp) -> Left {
    let (before, to) = (reload(user, db).await, email(to));
    db.transact(move |conn| {
        Box::pin(async move {
            let moved = users::change_email(&before.sub, before.epoch, &to, conn, now).await?;
            assert_eq!(moved, Moved::Done);
            leave(&before, &to, conn, now).await
        })
    })
    .await
    .unwrap()
}

async fn taken_back(user: &User, address: &str, db: &Database, now: Timestamp) -> Moved {
    let former = former(user, address, db).await;
    db.transact(move |conn| {
        Box::pin(async move {
            let hash = StoredHash::parse(HASH).unwrap();
            take_back(&former, &hash, conn, now).await
        })
    })
    .await
    .unwrap()
}

/// As a link to it says, whether or not it is one.
async fn former(user: &User, address: &str, db: &Database) -> Former {
    const LEFT_WITH: &str = "SELECT epoch FROM former_addresses WHERE sub = $1 AND email_canonical = $2";
    let (sub, email) = (user.sub.clone(), email(address));
    let mut conn = db.reader().await.unwrap();
    let row: Option<(i64,)> = run!(&mut conn, |c| sqlx::query_as(LEFT_WITH)
        .bind(sub.as_str())
        .bind(email.canonical())
        .fetch_optional(c))
    .unwrap();
    let epoch = row.map_or(1, |(epoch,)| epoch);
    Former { sub, email, epoch }
}

async fn kept(user: &User, db: &Database, now: Timestamp) -> Vec<String> {
    let mut conn = db.reader().await.unwrap();
    let kept = of_user(&user.sub, &mut conn, now).await.unwrap();
    kept.into_iter().map(|(email, _)| email).collect()
}

async fn whose(address: &str, db: &Database, now: Timestamp) -> Option<(Subject, Email)> {
    let found = find(&email(address), &mut db.reader().await.unwrap(), now).await;
    found.unwrap().map(|former| (former.sub, former.email))
}

#[tokio::test]
async fn a_former_address_is_good_for_72_hours_and_a_link_of_the_last_minute_for_half_an_hour_more() {
    both(|db| async move {
        let user = user("Alex@example.com", &db).await;
        assert_eq!(
            moved(&user, "thief@example.com", &db, NOW).await,
            Left::Until(NOW + KEPT)
        );
        let own = Some((user.sub.clone(), email("Alex@example.com")));
        assert_eq!(whose("ALEX@example.com", &db, NOW + KEPT - HOUR).await, own);
        assert_eq!(whose("alex@example.com", &db, NOW + KEPT).await, None);
        let end = NOW + KEPT + links::LIFE;
        let own = former(&user, "alex@example.com", &db).await;
        for (at, is) in [(end - Duration::from_secs(1), true), (end, false)] {
            let mut conn = db.reader().await.unwrap();
            let open = is_open(&own, &mut conn, at).await;
            assert_eq!(open.unwrap(), is);
            let other = Former {
                epoch: own.epoch + 1,
                ..own.clone()
            };
            assert!(
                !is_open(&other, &mut conn, at).await.unwrap(),
                "another leaving of it"
            );
        }
        assert_eq!(
            taken_back(&user, "alex@example.com", &db, end).await,
            Moved::Changed
        );
        let before = reload(&user, &db).await;
        assert_eq!(before.email.shown(), "thief@example.com");
        let last = end - Duration::from_secs(1);
        assert_eq!(
            taken_back(&user, "Alex@example.com", &db, last).await,
            Moved::Done
        );
        let after = reload(&user, &db).await;
        assert_eq!(
            (after.email.shown(), after.email_verified),
            ("Alex@example.com", true)
        );
        assert_eq!(after.epoch, before.epoch + 1);
        assert_eq!(after.password_hash.unwrap().as_str(), HASH);
    })
    .await;
}

#[tokio::test]
async fn the_older_address_is_the_stronger_and_forgets_what_was_left_since() {
    both(|db| async move {
        let user = user("old@example.com", &db).await;
        for to in ["alex@example.com", "thief@example.com", "thief2@example.com"] {
            moved(&user, to, &db, NOW).await;
        }
        let all = ["old@example.com", "alex@example.com", "thief@example.com"];
        assert_eq!(kept(&user, &db, NOW).await, all);
        assert_eq!(taken_back(&user, "alex@example.com", &db, NOW).await, Moved::Done);
        assert_eq!(kept(&user, &db, NOW).await, ["old@example.com"]);
        for gone in ["thief@example.com", "thief2@example.com", "alex@example.com"] {
            assert_eq!(whose(gone, &db, NOW).await, None);
            assert_eq!(taken_back(&user, gone, &db, NOW).await, Moved::Changed, "{gone}");
        }
        assert_eq!(reload(&user, &db).await.email.shown(), "alex@example.com");
    })
    .await;
}

#[tokio::test]
async fn moving_to_a_former_address_takes_it_back_and_an_operator_decides_for_good() {
    both(|db| async move {
        let user = user("alex@example.com", &db).await;
        moved(&user, "thief@example.com", &db, NOW).await;
        assert_eq!(
            moved(&user, "Alex@Example.com", &db, NOW + HOUR).await,
            Left::ForGood
        );
        assert!(kept(&user, &db, NOW + HOUR).await.is_empty());
        assert_eq!(whose("thief@example.com", &db, NOW + HOUR).await, None);

        moved(&user, "thief@example.com", &db, NOW + HOUR).await;
        moved(&user, "thief2@example.com", &db, NOW + HOUR).await;
        // One that is over counts for nothing, swept or not.
        let late = NOW + HOUR + KEPT;
        assert!(matches!(
            moved(&user, "alex@example.com", &db, late).await,
            Left::Until(_)
        ));
        assert_eq!(kept(&user, &db, late).await, ["thief2@example.com"]);

        let draft = Draft {
            sub: Some(user.sub.clone()),
            ..Draft::new(email("alex@example.org"))
        };
        let import = db.transact(move |conn| {
            Box::pin(async move { users::upsert(draft, &Context::command_line(), conn, late).await })
        });
        import.await.unwrap();
        assert!(kept(&user, &db, late).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_address_of_another_account_by_now_is_given_back_to_nobody() {
    both(|db| async move {
        let alex = user("alex@example.com", &db).await;
        moved(&alex, "thief@example.com", &db, NOW).await;
        let newcomer = user("alex@example.com", &db).await;
        assert_eq!(
            taken_back(&alex, "alex@example.com", &db, NOW).await,
            Moved::Taken
        );
        let own = former(&alex, "alex@example.com", &db).await;
        let mut conn = db.reader().await.unwrap();
        let open = is_open(&own, &mut conn, NOW).await;
        assert!(!open.unwrap());
        drop(conn);
        // Of two who had it, who had it last.
        moved(&newcomer, "elsewhere@example.com", &db, NOW + HOUR).await;
        let (sub, _) = whose("alex@example.com", &db, NOW + HOUR).await.unwrap();
        assert_eq!(sub, newcomer.sub);
    })
    .await;
}

#[tokio::test]
async fn only_so_many_are_kept_and_the_first_is_not_pushed_out() {
    both(|db| async move {
        let user = user("alex@example.com", &db).await;
        for n in 0..MOST {
            let left = moved(&user, &format!("thief{n}@example.com"), &db, NOW).await;
            assert!(matches!(left, Left::Until(_)), "{n}");
        }
        assert_eq!(moved(&user, "last@example.com", &db, NOW).await, Left::ForGood);
        let kept = kept(&user, &db, NOW).await;
        assert_eq!(kept.len(), usize::try_from(MOST).unwrap());
        assert_eq!(kept[0], "alex@example.com");
    })
    .await;
}

/// The attack: an address that an operator mistyped is a stranger's, who would have the account by it.
#[tokio::test]
async fn an_address_that_nobody_confirmed_is_left_for_good() {
    both(|db| async move {
        let draft = Draft::new(email("typo@example.com"));
        let user = db
            .transact(|conn| {
                Box::pin(async move { users::insert(draft, &Context::server(), conn, NOW).await })
            })
            .await
            .unwrap();
        assert_eq!(moved(&user, "alex@example.com", &db, NOW).await, Left::ForGood);
        assert_eq!(whose("typo@example.com", &db, NOW).await, None);
        // The one that they moved to is confirmed by that.
        assert!(matches!(
            moved(&user, "thief@example.com", &db, NOW).await,
            Left::Until(_)
        ));
    })
    .await;
}

#[tokio::test]
async fn what_is_good_for_nothing_is_swept() {
    both(|db| async move {
        let user = user("alex@example.com", &db).await;
        moved(&user, "thief@example.com", &db, NOW).await;
        let end = NOW + KEPT + links::LIFE;
        for (at, swept) in [(end - Duration::from_secs(1), 0), (end, 1), (end, 0)] {
            let gone = db.transact(move |conn| Box::pin(async move { sweep(10, conn, at).await }));
            assert_eq!(gone.await.unwrap(), swept);
        }
    })
    .await;
}
