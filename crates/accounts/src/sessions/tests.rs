mod browsers;

use db::Database;
use db::testing::both;
use events::Context;
use protocol::Secret;
use protocol::opaque::{self, Kind};

use super::*;
use crate::email::Email;
use crate::users::{self, Draft, User};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

async fn user(db: &Database, name: &str) -> User {
    let mut draft = Draft::new(Email::parse(&format!("{name}@example.com")).unwrap());
    draft.sub = Some(name.into());
    draft
        .claims
        .set(crate::claims::Claim::Name, format!("The {name}").into())
        .unwrap();
    db.transact(|conn| Box::pin(async move { users::insert(draft, &Context::server(), conn, NOW).await }))
        .await
        .unwrap()
}

fn proof(user: &User, presented: Option<&Secret>) -> SignIn {
    SignIn {
        presented: presented.cloned(),
        device: None,
        sub: user.sub.clone(),
        epoch: user.epoch,
        persistent: true,
        user_agent: "a browser".to_owned(),
        flow_id: None,
        flow_cookie: None,
        acr: Acr::Pwd,
        amr: vec![Amr::Pwd],
    }
}

async fn enter(db: &Database, proof: SignIn, now: Timestamp) -> Option<SignedIn> {
    db.transact(move |conn| Box::pin(async move { sign_in(proof, &Context::server(), conn, now).await }))
        .await
        .unwrap()
}

async fn who(db: &Database, cookie: &Secret, now: Timestamp) -> Option<BrowserSessions> {
    let mut conn = db.reader().await.unwrap();
    current(cookie, &mut conn, now).await.unwrap()
}

async fn is_live(db: &Database, session_id: &SessionId, now: Timestamp) -> bool {
    let session_id = session_id.clone();
    db.transact(move |conn| Box::pin(async move { lock_live(&session_id, conn, now).await }))
        .await
        .unwrap()
}

async fn act(db: &Database, sql: &'static str) {
    db.transact(move |conn| {
        Box::pin(async move { execute!(conn, sqlx::query(sql)).map_err(db::Error::from) })
    })
    .await
    .unwrap();
}

fn names(sessions: &BrowserSessions) -> Vec<&str> {
    sessions.iter().map(|session| session.sub.as_str()).collect()
}

#[tokio::test]
async fn c062_every_sign_in_changes_the_cookie_and_the_old_one_is_dead_at_once() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let first = enter(&db, proof(&jane, None), NOW).await.unwrap();
        let again = enter(&db, proof(&jane, Some(&first.cookie)), NOW).await.unwrap();
        assert_ne!(first.cookie, again.cookie);
        assert_eq!(who(&db, &first.cookie, NOW).await, None);
        assert_eq!(who(&db, &again.cookie, NOW).await.unwrap().active, again.session);
        assert_eq!(
            first.session.session_id, again.session.session_id,
            "approvals hang from it"
        );

        // The dead value opens no browser either: whoever holds it starts from nothing.
        let thief = user(&db, "thief").await;
        let other = enter(&db, proof(&thief, Some(&first.cookie)), NOW).await.unwrap();
        assert_eq!(names(&who(&db, &other.cookie, NOW).await.unwrap()), ["thief"]);
        assert_eq!(names(&who(&db, &again.cookie, NOW).await.unwrap()), ["jane"]);
    })
    .await;
}

#[tokio::test]
async fn c062_of_two_sign_ins_with_one_cookie_one_gets_a_new_browser() {
    both(|db| async move {
        let (jane, john) = (user(&db, "jane").await, user(&db, "john").await);
        let cookie = enter(&db, proof(&jane, None), NOW).await.unwrap().cookie;
        let (one, two) = tokio::join!(
            enter(&db, proof(&jane, Some(&cookie)), NOW),
            enter(&db, proof(&john, Some(&cookie)), NOW)
        );
        let (one, two) = (one.unwrap().cookie, two.unwrap().cookie);
        let (one, two) = (
            who(&db, &one, NOW).await.unwrap(),
            who(&db, &two, NOW).await.unwrap(),
        );
        assert_ne!(one.browser_id, two.browser_id);
    })
    .await;
}

#[tokio::test]
async fn the_cookie_is_stored_nowhere() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let cookie = enter(&db, proof(&jane, None), NOW).await.unwrap().cookie;
        let mut conn = db.reader().await.unwrap();
        let (stored,): (String,) = run!(&mut conn, |c| sqlx::query_as("SELECT token_digest FROM browsers")
            .fetch_one(c))
        .unwrap();
        assert_eq!(stored, seal::digest(cookie.expose()));
    })
    .await;
}

#[tokio::test]
async fn a_browser_holds_several_users_and_the_last_to_prove_something_is_active() {
    both(|db| async move {
        let (jane, john) = (user(&db, "jane").await, user(&db, "john").await);
        let mut cookie = None;
        for (user, expected) in [
            (&jane, &["jane"][..]),
            (&john, &["john", "jane"]),
            (&jane, &["jane", "john"]),
        ] {
            let signed_in = enter(&db, proof(user, cookie.as_ref()), NOW).await.unwrap();
            let sessions = who(&db, &signed_in.cookie, NOW).await.unwrap();
            assert_eq!(names(&sessions), expected);
            cookie = Some(signed_in.cookie);
        }
        let sessions = who(&db, &cookie.unwrap(), NOW).await.unwrap();
        assert_eq!(sessions.active.name.as_deref(), Some("The jane"));
        assert_eq!(
            sessions.by_id(&sessions.active.session_id),
            Some(&sessions.active)
        );
    })
    .await;
}

#[tokio::test]
async fn the_cookie_outlives_the_browser_only_when_everybody_in_it_wants_that() {
    both(|db| async move {
        let (jane, john) = (user(&db, "jane").await, user(&db, "john").await);
        let first = enter(&db, proof(&jane, None), NOW).await.unwrap();
        assert_eq!(first.max_age, Some(ABSOLUTE));
        let passing = SignIn {
            persistent: false,
            ..proof(&john, Some(&first.cookie))
        };
        assert_eq!(enter(&db, passing, NOW).await.unwrap().max_age, None);
    })
    .await;
}

#[tokio::test]
async fn a_proof_meets_only_the_flow_that_asked_for_it() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let (one, two) = (FlowId::random(), FlowId::random());
        let mut cookie = enter(&db, proof(&jane, None), NOW).await.unwrap().cookie;
        for (flow_id, at) in [(&one, 10), (&two, 20)] {
            let asked = SignIn {
                flow_id: Some(flow_id.clone()),
                ..proof(&jane, Some(&cookie))
            };
            cookie = enter(&db, asked, NOW + Duration::from_secs(at))
                .await
                .unwrap()
                .cookie;
        }
        let soon = NOW + Duration::from_secs(30);
        let session = who(&db, &cookie, soon).await.unwrap().active;
        assert_eq!(
            session.authenticated_for(&one).unwrap().auth_time,
            NOW + Duration::from_secs(10)
        );
        assert_eq!(session.authenticated_for(&two), Some(&session.proof));
        assert_eq!(session.authenticated_for(&FlowId::random()), None);
        assert_eq!(
            (session.proof.acr, &session.proof.amr[..]),
            (Acr::Pwd, &[Amr::Pwd][..])
        );
        assert_eq!(session.earlier.len(), 2);

        // Once no flow can be waiting for them, earlier proofs are not read any more; the newest always is.
        let tomorrow = NOW + Duration::from_secs(86_400);
        let session = who(&db, &cookie, tomorrow).await.unwrap().active;
        assert_eq!(
            (session.earlier.len(), session.authenticated_for(&two).is_some()),
            (0, true)
        );
    })
    .await;
}

#[tokio::test]
async fn c066_nothing_expired_works_although_nothing_was_cleaned_up() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let SignedIn { session, cookie, .. } = enter(&db, proof(&jane, None), NOW).await.unwrap();
        let second = Duration::from_secs(1);
        let (before, at) = (NOW + IDLE - second, NOW + IDLE);
        assert!(who(&db, &cookie, before).await.is_some() && is_live(&db, &session.session_id, before).await);
        assert!(who(&db, &cookie, at).await.is_none() && !is_live(&db, &session.session_id, at).await);

        // Seen every week, it still ends; and a touch does not wake what has ended.
        let mut now = NOW;
        while now + IDLE / 2 < NOW + ABSOLUTE {
            now = now + IDLE / 2;
            assert!(touched(&db, &session.session_id, now).await);
        }
        let end = NOW + ABSOLUTE;
        assert!(who(&db, &cookie, end - second).await.is_some());
        assert!(who(&db, &cookie, end).await.is_none());
        assert!(!touched(&db, &session.session_id, end).await);
        let next = enter(&db, proof(&jane, Some(&cookie)), end).await.unwrap();
        assert_ne!(next.session.session_id, session.session_id);
    })
    .await;
}

async fn touched(db: &Database, session_id: &SessionId, now: Timestamp) -> bool {
    let session_id = session_id.clone();
    db.transact(move |conn| Box::pin(async move { touch(&session_id, conn, now).await }))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_session_is_touched_at_most_once_a_minute() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let SignedIn { session, cookie, .. } = enter(&db, proof(&jane, None), NOW).await.unwrap();
        for (after, expected) in [(0, false), (59, false), (60, true), (61, false), (120, true)] {
            let now = NOW + Duration::from_secs(after);
            let known = who(&db, &cookie, now).await.unwrap().active;
            assert_eq!(known.is_to_be_touched(now), expected, "after {after} s");
            assert_eq!(
                touched(&db, &session.session_id, now).await,
                expected,
                "after {after} s"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn c066_each_end_of_user_session_or_browser_shows_at_the_next_use() {
    both(|db| async move {
        let acts = [
            "UPDATE users SET disabled_at = 1",
            "UPDATE users SET epoch = epoch + 1",
            "UPDATE sessions SET ended_at = 1",
            "UPDATE sessions SET idle_until = 1",
            "UPDATE sessions SET expires_at = 1",
        ];
        for (number, sql) in acts.into_iter().enumerate() {
            let jane = user(&db, &format!("jane{number}")).await;
            let SignedIn { session, cookie, .. } = enter(&db, proof(&jane, None), NOW).await.unwrap();
            assert!(is_live(&db, &session.session_id, NOW).await);
            act(&db, sql).await;
            assert!(who(&db, &cookie, NOW).await.is_none(), "{sql}");
            assert!(!is_live(&db, &session.session_id, NOW).await, "{sql}");
        }
        let jane = user(&db, "jane").await;
        let SignedIn { session, cookie, .. } = enter(&db, proof(&jane, None), NOW).await.unwrap();
        act(&db, "UPDATE browsers SET expires_at = 1").await;
        assert!(who(&db, &cookie, NOW).await.is_none());
        let next = enter(&db, proof(&jane, Some(&cookie)), NOW).await.unwrap();
        assert_ne!(next.session.session_id, session.session_id);
    })
    .await;
}

/// Times are whole seconds: nobody can say whether it began before the restore.
#[tokio::test]
async fn c066_a_session_from_the_second_of_a_restore_has_ended() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let SignedIn { session, cookie, .. } = enter(&db, proof(&jane, None), NOW).await.unwrap();
        act(&db, "UPDATE revocation_feed SET epoch = 999999").await;
        assert!(who(&db, &cookie, NOW).await.is_some() && is_live(&db, &session.session_id, NOW).await);
        act(&db, "UPDATE revocation_feed SET epoch = 1000000").await;
        assert!(who(&db, &cookie, NOW).await.is_none());
        assert!(!is_live(&db, &session.session_id, NOW).await);
        let later = NOW + Duration::from_secs(1);
        let next = enter(&db, proof(&jane, Some(&cookie)), later).await.unwrap();
        assert_ne!(next.session.session_id, session.session_id);
        assert!(is_live(&db, &next.session.session_id, later).await);
    })
    .await;
}

#[tokio::test]
async fn a_proof_counts_for_nothing_once_its_user_has_changed() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let cookie = enter(&db, proof(&jane, None), NOW).await.unwrap().cookie;
        let stale = SignIn {
            epoch: jane.epoch - 1,
            ..proof(&jane, Some(&cookie))
        };
        assert!(enter(&db, stale, NOW).await.is_none());
        assert!(
            who(&db, &cookie, NOW).await.is_some(),
            "a refused proof changes no cookie"
        );
        act(&db, "UPDATE users SET disabled_at = 1").await;
        assert!(enter(&db, proof(&jane, Some(&cookie)), NOW).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn ending_one_session_leaves_the_others_of_the_browser() {
    both(|db| async move {
        let (jane, john) = (user(&db, "jane").await, user(&db, "john").await);
        let first = enter(&db, proof(&jane, None), NOW).await.unwrap();
        let second = enter(&db, proof(&john, Some(&first.cookie)), NOW).await.unwrap();
        for expected in [true, false] {
            let session_id = second.session.session_id.clone();
            let ended = db
                .transact(move |conn| Box::pin(async move { end(&session_id, conn, NOW).await }))
                .await;
            assert_eq!(ended.unwrap(), expected);
        }
        assert_eq!(names(&who(&db, &second.cookie, NOW).await.unwrap()), ["jane"]);
    })
    .await;
}

#[tokio::test]
async fn c062_a_sign_out_changes_the_cookie_and_the_old_one_is_dead_at_once() {
    both(|db| async move {
        let (jane, john) = (user(&db, "jane").await, user(&db, "john").await);
        let first = enter(&db, proof(&jane, None), NOW).await.unwrap();
        let second = enter(&db, proof(&john, Some(&first.cookie)), NOW).await.unwrap();
        ended(&db, &second.session).await;

        let Left::Renewed { cookie, max_age } = left(&db, &second.cookie).await else {
            panic!("jane is still signed in");
        };
        assert_eq!(max_age, Some(ABSOLUTE));
        assert_ne!(cookie, second.cookie);
        assert_eq!(names(&who(&db, &cookie, NOW).await.unwrap()), ["jane"]);
        assert_eq!(who(&db, &second.cookie, NOW).await, None);
        assert!(matches!(left(&db, &second.cookie).await, Left::Unknown));

        ended(&db, &first.session).await;
        assert!(matches!(left(&db, &cookie).await, Left::Empty));
        assert!(matches!(left(&db, &cookie).await, Left::Unknown));
        // Nobody comes back to it: the next sign-in begins a new browser.
        let again = enter(&db, proof(&john, Some(&cookie)), NOW).await.unwrap();
        assert_eq!(names(&who(&db, &again.cookie, NOW).await.unwrap()), ["john"]);
        assert!(matches!(left(&db, &Secret::from("noise")).await, Left::Unknown));
    })
    .await;
}

async fn ended(db: &Database, session: &Session) {
    let id = session.session_id.clone();
    let ended = db.transact(move |conn| Box::pin(async move { end(&id, conn, NOW).await }));
    assert!(ended.await.unwrap());
}

async fn left(db: &Database, cookie: &Secret) -> Left {
    let cookie = cookie.clone();
    let left = db.transact(move |conn| Box::pin(async move { leave(&cookie, conn, NOW).await }));
    left.await.unwrap()
}

#[tokio::test]
async fn who_ends_a_session_waits_for_the_transaction_that_relied_on_it() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let session_id = enter(&db, proof(&jane, None), NOW)
            .await
            .unwrap()
            .session
            .session_id;
        let (locked, is_locked) = tokio::sync::oneshot::channel();
        let (go, going) = tokio::sync::oneshot::channel::<()>();
        let (own, own_id) = (db.clone(), session_id.clone());
        let relying = tokio::spawn(async move {
            own.transact(move |conn| {
                Box::pin(async move {
                    assert!(lock_live(&own_id, conn, NOW).await?);
                    locked.send(()).unwrap();
                    going.await.unwrap();
                    Ok::<_, db::Error>(())
                })
            })
            .await
        });
        is_locked.await.unwrap();
        let endings = [
            "UPDATE users SET disabled_at = 1",
            "UPDATE sessions SET ended_at = 1",
        ]
        .map(|sql| {
            let own = db.clone();
            tokio::spawn(async move { act(&own, sql).await })
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(
            endings.iter().all(|ending| !ending.is_finished()),
            "one did not wait"
        );
        go.send(()).unwrap();
        for ending in endings {
            ending.await.unwrap();
        }
        relying.await.unwrap().unwrap();
        assert!(!is_live(&db, &session_id, NOW).await);
    })
    .await;
}

#[tokio::test]
async fn noise_in_a_cookie_is_nobody() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        let cookie = enter(&db, proof(&jane, None), NOW).await.unwrap().cookie;
        for text in [
            "",
            "cs_br_",
            "eyJhbGciOiJub25lIn0.e30.",
            &cookie.expose()[1..],
            "\0",
        ] {
            assert_eq!(who(&db, &Secret::from(text), NOW).await, None);
            assert!(
                enter(&db, proof(&jane, Some(&Secret::from(text))), NOW)
                    .await
                    .is_some()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_sweep_removes_only_browsers_in_which_nothing_can_be_live() {
    both(|db| async move {
        let jane = user(&db, "jane").await;
        enter(&db, proof(&jane, None), NOW).await.unwrap();
        enter(&db, proof(&jane, None), NOW).await.unwrap();
        let later = NOW + Duration::from_secs(1);
        let kept = enter(&db, proof(&jane, None), later).await.unwrap().cookie;
        let mut swept = Vec::new();
        for now in [NOW, NOW + ABSOLUTE, NOW + ABSOLUTE, NOW + ABSOLUTE] {
            let done = db.transact(move |conn| Box::pin(sweep(1, conn, now))).await;
            swept.push(done.unwrap());
        }
        assert_eq!(swept, [0, 1, 1, 0]);
        assert!(who(&db, &kept, later).await.is_some());
    })
    .await;
}
