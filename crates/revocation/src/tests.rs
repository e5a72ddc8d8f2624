mod browsers;
mod scene;

use std::collections::BTreeSet;
use std::time::Duration;

use accounts::{sessions, users};
use clients::records;
use db::run;
use db::testing::both;
use grants::consents;
use issuance::{Approved, Target};
use protocol::access_token::{self, Audience, Claims};
use protocol::{ErrorCode, Scope};

use super::*;
use scene::{APPROVALS, NOW, OUT, Scene, client, gate};

/// One column of every row, as a set.
async fn column(db: &Database, query: &'static str) -> BTreeSet<String> {
    let mut conn = db.reader().await.unwrap();
    let rows: Vec<(String,)> = run!(&mut conn, |c| sqlx::query_as(query).fetch_all(c)).unwrap();
    rows.into_iter().map(|(text,)| text).collect()
}

async fn ended(db: &Database) -> BTreeSet<String> {
    column(db, "SELECT approval_id FROM approvals WHERE ended_at IS NOT NULL").await
}

async fn recorded(db: &Database) -> BTreeSet<String> {
    column(db, "SELECT kind || ' ' || subject FROM revocations").await
}

fn token(approval: &ApprovalId, client: &ClientId) -> Claims {
    Claims {
        iss: "https://id.example.com".into(),
        sub: "sub".into(),
        aud: Audience::One("aud".into()),
        exp: OUT,
        iat: NOW,
        jti: Jti::from("jti"),
        client_id: client.clone(),
        scope: Scope::default(),
        approval: approval.clone(),
        client_generation: 1,
        auth_time: None,
        acr: None,
        roles: Vec::new(),
        cnf: None,
    }
}

/// What an act ends, by its words: an approval has all of them.
async fn acts(scene: &Scene, approvals: &[ApprovalId]) -> Vec<(Act, &'static [&'static str])> {
    vec![
        (
            Act::EndApproval(approvals[0].clone(), Reason::CodeReplayed),
            &["alex app online"],
        ),
        (
            Act::EndSession(scene.alex.session.clone()),
            &["alex online", "alex quiet"],
        ),
        (
            Act::WithdrawConsent(scene.consent(&scene.alex, &scene.app).await),
            &["alex app"],
        ),
        (Act::DisableUser(scene.alex.sub.clone()), &["alex"]),
        (Act::RevokeUser(scene.alex.sub.clone()), &["alex"]),
        (Act::DeleteClient(scene.app.clone()), &["app"]),
        (
            Act::RevokeToken {
                jti: Jti::random(),
                exp: OUT,
                client_id: scene.app.clone(),
                approval: approvals[0].clone(),
            },
            &[],
        ),
        (
            Act::EndSessionOf(scene.alex.session.clone(), scene.alex.sub.clone()),
            &["alex online", "alex quiet"],
        ),
        (
            Act::RemoveApp(
                scene.consent(&scene.alex, &scene.app).await,
                scene.alex.sub.clone(),
            ),
            &["alex app"],
        ),
        // No code of theirs has been redeemed: what is only being signed in to ends with the session.
        (
            Act::EndOtherSessions {
                sub: scene.alex.sub.clone(),
                kept: SessionId::random(),
            },
            &["alex"],
        ),
        (
            Act::EndOtherSessions {
                sub: scene.alex.sub.clone(),
                kept: scene.alex.session.clone(),
            },
            &[],
        ),
        (credentials_changed(scene, Apps::Disconnected), &["alex"]),
        (credentials_changed(scene, Apps::Kept), &[]),
        (Act::DeletionAsked(scene.alex.sub.clone()), &["alex"]),
    ]
}

/// In the session of the scene.
fn credentials_changed(scene: &Scene, apps: Apps) -> Act {
    Act::CredentialsChanged {
        sub: scene.alex.sub.clone(),
        kept: scene.alex.session.clone(),
        change: Change::Password,
        apps,
    }
}

#[tokio::test]
async fn c086_what_belongs_to_another_is_unknown_and_stays() {
    both(|db| async move {
        let gate = gate(&db).await;
        let scene = Scene::new(&db, &gate).await;
        scene.approve().await;
        let before = ended(&db).await;
        let eve = scene.jane.sub.clone();
        let consent = scene.consent(&scene.alex, &scene.app).await;
        for act in [
            Act::EndSessionOf(scene.alex.session.clone(), eve.clone()),
            Act::EndSessionOf(SessionId::random(), eve.clone()),
            Act::RemoveApp(consent.clone(), eve.clone()),
            Act::RemoveApp(ConsentId::random(), eve),
        ] {
            let outcome = perform(act.clone(), &Context::server(), &db, NOW).await.unwrap();
            assert_eq!(outcome, Outcome::Unknown, "{act:?}");
        }
        assert_eq!(ended(&db).await, before);
        assert_eq!(scene.consent(&scene.alex, &scene.app).await, consent);
    })
    .await;
}

#[tokio::test]
async fn when_an_app_was_used_is_remembered_beyond_its_approvals() {
    both(|db| async move {
        let gate = gate(&db).await;
        let scene = Scene::new(&db, &gate).await;
        scene.approve().await;
        let last_use = |now: Timestamp| {
            let (sub, db) = (scene.alex.sub.clone(), db.clone());
            async move {
                db.transact(move |conn| {
                    Box::pin(async move {
                        remember_use(conn, now).await?;
                        grants::approvals::forget(conn, now).await
                    })
                })
                .await
                .unwrap();
                let mut conn = db.reader().await.unwrap();
                let allowed = grants::allowed::of_user(&sub, &mut conn).await.unwrap();
                allowed.into_iter().map(|allowed| allowed.last_used_at).max()
            }
        };
        let minted = (OUT - access_token::LIFE).max(NOW);
        assert_eq!(last_use(NOW).await, Some(minted));
        let later = NOW + Duration::from_secs(400 * 24 * 60 * 60);
        assert_eq!(last_use(later).await, Some(minted));
        assert_eq!(
            column(&db, "SELECT approval_id FROM approvals").await.len(),
            0,
            "they are forgotten"
        );
    })
    .await;
}

fn is_one_of(name: &str, all: &[&str]) -> bool {
    let has = |words: &&str| {
        words
            .split(' ')
            .all(|word| name.split(' ').any(|own| own == word))
    };
    all.iter().any(has)
}

#[tokio::test]
async fn each_act_ends_what_it_covers_and_leaves_the_rest() {
    both(|db| async move {
        let gate = gate(&db).await;
        for at in 0..14 {
            let scene = Scene::new(&db, &gate).await;
            let ids = scene.approve().await;
            let (act, covered) = acts(&scene, &ids).await.remove(at);
            let (ended_before, recorded_before) = (ended(&db).await, recorded(&db).await);
            let outcome = perform(act.clone(), &Context::server(), &db, NOW).await.unwrap();

            let names: Vec<(&str, &ApprovalId)> = APPROVALS.iter().copied().zip(&ids).collect();
            let expected: BTreeSet<String> = names
                .iter()
                .filter(|(name, _)| is_one_of(name, covered))
                .map(|(_, id)| id.to_string())
                .collect();
            let told = match &act {
                // There was no other session: nothing that a trail or a mail should tell of.
                Act::EndOtherSessions { .. } if expected.is_empty() => Outcome::Unknown,
                _ => Outcome::Ended(expected.len()),
            };
            assert_eq!(outcome, told, "{act:?}");
            let now_ended: BTreeSet<_> = ended(&db).await.difference(&ended_before).cloned().collect();
            assert_eq!(now_ended, expected, "{act:?}");

            // What others must hear of: nothing of which no token is out.
            let heard: BTreeSet<String> = match &act {
                Act::DeleteClient(id) => [format!("client {id}")].into(),
                Act::RevokeToken { jti, .. } => [format!("token {jti}")].into(),
                _ => names
                    .iter()
                    .filter(|(name, id)| expected.contains(id.as_str()) && !name.ends_with("quiet"))
                    .map(|(_, id)| format!("approval {id}"))
                    .collect(),
            };
            let new: BTreeSet<_> = recorded(&db)
                .await
                .difference(&recorded_before)
                .cloned()
                .collect();
            assert_eq!(new, heard, "{act:?}");

            let mut conn = db.reader().await.unwrap();
            for (name, id) in names.iter().filter(|(name, _)| !name.ends_with("quiet")) {
                let client = if is_one_of(name, &["app"]) {
                    &scene.app
                } else {
                    &scene.other
                };
                let covers = events::revocations::covers(&token(id, client), None, &mut conn)
                    .await
                    .unwrap();
                assert_eq!(covers, expected.contains(id.as_str()), "{act:?}: {name}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn each_act_ends_the_records_it_names_and_repeating_it_changes_nothing() {
    both(|db| async move {
        let gate = gate(&db).await;
        for at in 0..6 {
            let scene = Scene::new(&db, &gate).await;
            let ids = scene.approve().await;
            let (act, _) = acts(&scene, &ids).await.remove(at);
            perform(act.clone(), &Context::server(), &db, NOW).await.unwrap();

            let mut conn = db.reader().await.unwrap();
            let user = users::by_sub(&scene.alex.sub, &mut conn).await.unwrap().unwrap();
            let client = records::by_id(&scene.app, &mut conn).await.unwrap();
            let consent = consents::of(&scene.alex.sub, &scene.app, &mut conn)
                .await
                .unwrap();
            let other = consents::of(&scene.alex.sub, &scene.other, &mut conn)
                .await
                .unwrap();
            drop(conn);
            let is_live = |session: &SessionId| {
                let session = session.clone();
                db.transact(move |conn| {
                    Box::pin(async move { sessions::lock_live(&session, conn, NOW).await })
                })
            };
            let kind = std::mem::discriminant(&act);
            let is = |other: &Act| kind == std::mem::discriminant(other);
            let (of_user, of_session) = (
                matches!(act, Act::DisableUser(_) | Act::RevokeUser(_)),
                matches!(act, Act::EndSession(_)),
            );
            assert_eq!(
                user.disabled_at.is_some(),
                matches!(act, Act::DisableUser(_)),
                "{act:?}"
            );
            assert_eq!(
                client.is_none(),
                is(&Act::DeleteClient(scene.app.clone())),
                "{act:?}"
            );
            let withdrawn = matches!(act, Act::WithdrawConsent(_) | Act::DeleteClient(_));
            assert_eq!(consent.is_none(), withdrawn, "{act:?}");
            assert!(other.is_some(), "{act:?}");
            assert_eq!(
                is_live(&scene.alex.session).await.unwrap(),
                !(of_user || of_session),
                "{act:?}"
            );
            assert!(is_live(&scene.jane.session).await.unwrap(), "{act:?}");

            let before = (ended(&db).await, recorded(&db).await);
            let again = perform(act.clone(), &Context::server(), &db, NOW).await.unwrap();
            let expected = match &act {
                Act::EndApproval(..) | Act::DisableUser(_) | Act::RevokeUser(_) => Outcome::Ended(0),
                _ => Outcome::Unknown,
            };
            assert_eq!(again, expected, "{act:?}");
            assert_eq!((ended(&db).await, recorded(&db).await), before, "{act:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_standing_approval_does_not_know_its_tokens_and_its_end_is_always_told() {
    both(|db| async move {
        let gate = gate(&db).await;
        let id = client(&db).await;
        let client = records::by_id(&id, &mut db.reader().await.unwrap()).await;
        let client = client.unwrap().unwrap();
        let mint = || gate.for_itself(&client, (Scope::default(), Target::default()), NOW);
        let standing = || column(&db, "SELECT approval_id FROM approvals WHERE ended_at IS NULL");

        // However many ask for the first token, one approval stands.
        let asked = futures_util::future::join_all((0..20).map(|_| mint())).await;
        assert!(asked.iter().all(Result::is_ok), "{asked:?}");
        let first = standing().await;
        assert_eq!(first.len(), 1);

        let approval = ApprovalId::from(first.first().unwrap().as_str());
        let act = Act::EndApproval(approval.clone(), Reason::TokenRevoked);
        assert_eq!(
            perform(act, &Context::server(), &db, NOW).await.unwrap(),
            Outcome::Ended(1)
        );
        let mut conn = db.reader().await.unwrap();
        assert!(
            events::revocations::covers(&token(&approval, &id), None, &mut conn)
                .await
                .unwrap()
        );
        drop(conn);
        mint().await.unwrap();
        let second = standing().await;
        assert!(second.len() == 1 && second.is_disjoint(&first));

        let deleted = perform(Act::DeleteClient(id.clone()), &Context::server(), &db, NOW)
            .await
            .unwrap();
        // The one that ended before has gone as well: it has no end at which it would be forgotten.
        assert_eq!(deleted, Outcome::Ended(2));
        assert_eq!(
            column(&db, "SELECT approval_id FROM approvals").await,
            BTreeSet::new()
        );
        assert_eq!(mint().await.unwrap_err().code(), ErrorCode::InvalidClient);

        // Its records are kept as long as the longest token, not longer.
        let forget = |now: Timestamp| {
            db.transact(move |conn| {
                Box::pin(async move { events::revocations::forget(1000, conn, now).await })
            })
        };
        let end = NOW + access_token::LIFE + Duration::from_secs(5 * 60);
        assert_eq!(forget(end).await.unwrap(), 0);
        assert_eq!(forget(end + Duration::from_secs(1)).await.unwrap(), 2);
    })
    .await;
}

/// Whoever answers an authorization request in the moment in which its ground is taken away gets nothing, or
/// something that has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c024_no_approval_outlives_the_act_that_raced_it() {
    const ROUNDS: u64 = 12;
    both(|db| async move {
        let gate = gate(&db).await;
        let (mut codes, mut refusals) = (0, 0);
        for round in 0..ROUNDS {
            let scene = Scene::new(&db, &gate).await;
            let consent = scene.consent(&scene.alex, &scene.app).await;
            let act = match round % 4 {
                0 => Act::EndSession(scene.alex.session.clone()),
                1 => Act::WithdrawConsent(consent),
                2 => Act::DisableUser(scene.alex.sub.clone()),
                _ => Act::DeleteClient(scene.app.clone()),
            };
            let mut all = Vec::new();
            for _ in 0..12 {
                all.push(scene.approving(&scene.alex, &scene.app, false).await);
            }
            let ask = |approving| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.approve(approving, NOW).await })
            };
            // The act comes sooner or later among them.
            let later = all.split_off(usize::try_from(round).unwrap());
            let mut asked: Vec<_> = all.into_iter().map(ask).collect();
            let acting = tokio::spawn({
                let (db, act) = (db.clone(), act.clone());
                async move { perform(act, &Context::server(), &db, NOW).await }
            });
            asked.extend(later.into_iter().map(ask));
            let outcome = acting.await.unwrap().unwrap();
            assert!(matches!(outcome, Outcome::Ended(_)), "{act:?}");
            for task in asked {
                match task.await.unwrap().unwrap() {
                    Approved::Granted(_) => codes += 1,
                    Approved::Changed => refusals += 1,
                    Approved::AlreadyCompleted => panic!("every flow is its own"),
                }
            }
            let live = column(&db, "SELECT approval_id FROM approvals WHERE ended_at IS NULL").await;
            assert_eq!(live, BTreeSet::new(), "{act:?}");
        }
        assert!(
            codes > 0 && refusals > 0,
            "no race: {codes} codes, {refusals} refusals"
        );
    })
    .await;
}

/// Batches of mints lock approvals in the order of their ids, and whoever ends many has to do so too: else one of
/// both is the victim of a deadlock, and it may be the revocation.
#[tokio::test]
async fn an_act_takes_approvals_in_the_order_in_which_mints_do() {
    const HOLD: (&str, &str) = (
        "UPDATE approvals SET access_until = access_until WHERE approval_id = $1",
        "SELECT approval_id FROM approvals WHERE approval_id = $1 FOR UPDATE",
    );
    both(|db| async move {
        let gate = gate(&db).await;
        for at in 1..6 {
            let scene = Scene::new(&db, &gate).await;
            let (mut lower, mut higher);
            // Stored in the other order.
            loop {
                higher = scene.approved(&scene.alex, &scene.app, false).await;
                lower = scene.approved(&scene.alex, &scene.app, false).await;
                if lower.as_str() < higher.as_str() {
                    break;
                }
            }
            let (act, _) = acts(&scene, &[lower.clone()]).await.remove(at);
            let (holding, held) = tokio::sync::oneshot::channel();
            let minting = db.clone();
            let mint = tokio::spawn(async move {
                let work = minting.transact(move |conn| {
                    Box::pin(async move {
                        let statement = conn.either(HOLD.0, HOLD.1);
                        db::execute!(conn, sqlx::query(statement).bind(lower.as_str()))?;
                        holding.send(()).unwrap();
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        db::execute!(conn, sqlx::query(statement).bind(higher.as_str()))
                            .map_err(db::Error::from)
                    })
                });
                work.await
            });
            held.await.unwrap();
            let outcome = perform(act.clone(), &Context::server(), &db, NOW).await;
            assert!(matches!(outcome, Ok(Outcome::Ended(_))), "{act:?}: {outcome:?}");
            mint.await.unwrap().unwrap();
        }
    })
    .await;
}
