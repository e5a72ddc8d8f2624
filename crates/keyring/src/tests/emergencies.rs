//! C046, R21: keys that somebody else may know.

use std::collections::BTreeSet;

use events::revocations;

use super::*;

/// Names of the keys of one algorithm at a stage.
fn at_stage(keyring: &Keyring, alg: SigningAlg, stage: Stage, now: Timestamp) -> Vec<String> {
    let all = keyring.calendar(now).into_iter();
    let own = all.filter(|entry| entry.alg == alg && entry.stage == stage);
    own.map(|entry| entry.kid).collect()
}

fn set(keyring: &Keyring, now: Timestamp) -> BTreeSet<String> {
    let set: serde_json::Value = serde_json::from_slice(&keyring.published(now).json).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn token(keyring: &Keyring, now: Timestamp) -> String {
    let key = keyring.signer(SigningAlg::Es256, now).unwrap();
    key.sign("JWT", &json!({})).unwrap()
}

/// Whether anything here believes it: as a token, or as a hint.
fn believed(keyring: &Keyring, token: &str, now: Timestamp) -> (bool, bool) {
    let published = keyring.published(now);
    let token = Unverified::parse(token).unwrap();
    let by = |keys| token.verify(keys, Alg::ALL, Typ::JwtOrAbsent).is_ok();
    (by(&published.keys), by(&published.ever))
}

fn everything() -> Suspect {
    Suspect::Rings(SigningAlg::ALL.to_vec(), Family::ALL.to_vec())
}

async fn withdraw(keyring: &Keyring, suspect: Suspect, now: Timestamp) -> Vec<String> {
    let by = events::Context::command_line();
    keyring.withdraw(suspect, &by, now).await.unwrap().kids
}

#[tokio::test]
async fn c046_withdrawn_keys_are_out_at_once_on_every_replica_and_others_sign() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let (here, there) = (open(&db, &master, START).await, open(&db, &master, START).await);
        let by = events::Context::server();
        here.rotate(SigningAlg::ALL, Start::Announced, &by, START)
            .await
            .unwrap();
        there.refresh().await.unwrap();
        let (stolen, old) = (set(&there, START), token(&there, START));
        assert_eq!(believed(&there, &old, START), (true, true));
        // A second later the rings have turned once more, so that one of each is retired.
        let now = START + Duration::from_secs(1);
        here.rotate(&[SigningAlg::Es256], Start::Now, &by, now)
            .await
            .unwrap();

        let withdrawn = withdraw(&here, everything(), now).await;
        there.refresh().await.unwrap();
        for keyring in [&here, &there] {
            let published = set(keyring, now);
            assert!(published.is_disjoint(&stolen), "{published:?}");
            assert_eq!(published.len(), SigningAlg::ALL.len() + Family::ALL.len());
            assert_eq!(believed(keyring, &old, now), (false, false));
            let fresh = token(keyring, now);
            assert_eq!(believed(keyring, &fresh, now), (true, true));
            for alg in SigningAlg::ALL {
                assert_eq!(at_stage(keyring, *alg, Stage::Signing, now).len(), 1, "{alg}");
                assert_eq!(at_stage(keyring, *alg, Stage::Published, now), [] as [String; 0]);
            }
        }
        // Whatever time passes, and whoever looks after the rings.
        for days in [1, 90, 400] {
            let later = now + days * DAY;
            there.maintain(later).await.unwrap();
            assert!(set(&there, later).is_disjoint(&stolen));
            assert_eq!(believed(&there, &old, later), (false, false));
        }
        // Their private halves are no more.
        let mut conn = db.reader().await.unwrap();
        let kept: Vec<(String, String)> = run!(&mut conn, |c| sqlx::query_as(
            "SELECT kid, sealed_private FROM signing_keys WHERE withdrawn_at IS NOT NULL"
        )
        .fetch_all(c))
        .unwrap();
        assert!(kept.iter().all(|(_, sealed)| sealed.is_empty()));
        // The feed tells of those that signed, in the transaction of the act.
        let told: Vec<(String,)> = run!(&mut conn, |c| sqlx::query_as(
            "SELECT subject FROM revocations WHERE kind = 'key'"
        )
        .fetch_all(c))
        .unwrap();
        let told: BTreeSet<String> = told.into_iter().map(|(kid,)| kid).collect();
        assert_eq!(told, kept.into_iter().map(|(kid, _)| kid).collect());
        assert!(told.iter().all(|kid| withdrawn.contains(kid)));
        assert_eq!(withdrawn.len(), told.len() + Family::ALL.len());
    })
    .await;
}

#[tokio::test]
async fn one_key_alone_can_be_withdrawn_and_the_announced_one_takes_over() {
    db::testing::both(|db| async move {
        let keyring = open(&db, &MasterKey::ephemeral(), START).await;
        let by = events::Context::server();
        let alg = SigningAlg::Es256;
        keyring
            .rotate(&[alg], Start::Announced, &by, START)
            .await
            .unwrap();
        let (signing, announced) = (
            at_stage(&keyring, alg, Stage::Signing, START),
            at_stage(&keyring, alg, Stage::Published, START),
        );
        let before = set(&keyring, START);
        assert_eq!(
            withdraw(&keyring, Suspect::Keys(signing.clone()), START).await,
            signing
        );
        assert_eq!(at_stage(&keyring, alg, Stage::Signing, START), announced);
        let mut expected = before;
        assert!(expected.remove(&signing[0]));
        assert_eq!(set(&keyring, START), expected, "every other key stays as it was");

        // With none announced, a new one.
        let signing = at_stage(&keyring, alg, Stage::Signing, START);
        withdraw(&keyring, Suspect::Keys(signing.clone()), START).await;
        let fresh = at_stage(&keyring, alg, Stage::Signing, START);
        assert_eq!(fresh.len(), 1);
        assert_ne!(fresh, signing);
        // One that does not sign changes nothing else.
        keyring
            .rotate(&[alg], Start::Announced, &by, START)
            .await
            .unwrap();
        let announced = at_stage(&keyring, alg, Stage::Published, START);
        withdraw(&keyring, Suspect::Keys(announced.clone()), START).await;
        assert_eq!(at_stage(&keyring, alg, Stage::Signing, START), fresh);
        assert!(at_stage(&keyring, alg, Stage::Published, START).is_empty());
        // Twice is once; one that there is not is told of, and nothing is done.
        assert!(
            withdraw(&keyring, Suspect::Keys(announced), START)
                .await
                .is_empty()
        );
        let unknown = keyring.withdraw(
            Suspect::Keys(vec![fresh[0].clone(), "none".to_owned()]),
            &by,
            START,
        );
        assert!(matches!(unknown.await, Err(Error::UnknownKey(kid)) if kid == "none"));
        assert_eq!(at_stage(&keyring, alg, Stage::Signing, START), fresh);
    })
    .await;
}

#[tokio::test]
async fn what_was_encrypted_to_a_withdrawn_key_is_not_read() {
    db::testing::both(|db| async move {
        let keyring = open(&db, &MasterKey::ephemeral(), START).await;
        let alg = protocol::JweAlg::EcdhEs;
        let old = encrypted(&keyring.published(START), alg);
        assert!(reads(&keyring, &old, START).await.is_ok());
        let suspect = Suspect::Rings(Vec::new(), vec![Family::P256]);
        assert_eq!(withdraw(&keyring, suspect, START).await.len(), 1);
        assert_eq!(reads(&keyring, &old, START).await, Err(Refused::UnknownKey));
        let new = encrypted(&keyring.published(START), alg);
        assert!(reads(&keyring, &new, START).await.is_ok());
        let rsa = encrypted(&keyring.published(START), protocol::JweAlg::RsaOaep256);
        assert!(
            reads(&keyring, &rsa, START).await.is_ok(),
            "the other ring stands"
        );
        let mut conn = db.reader().await.unwrap();
        assert_eq!(revocations_of_keys(&mut conn).await, 0, "it signed nothing");
        let stages: Vec<_> = keyring
            .decryption_calendar(START)
            .iter()
            .map(|entry| (entry.alg, entry.stage))
            .collect();
        assert_eq!(
            stages,
            [
                (Family::Rsa, Stage::Signing),
                (Family::P256, Stage::Signing),
                (Family::P256, Stage::Withdrawn)
            ]
        );
    })
    .await;
}

async fn revocations_of_keys(conn: &mut db::Conn) -> i64 {
    let kind = revocations::Kind::Key.as_str();
    let (count,): (i64,) = run!(conn, |c| sqlx::query_as(
        "SELECT COUNT(*) FROM revocations WHERE kind = $1"
    )
    .bind(kind)
    .fetch_one(c))
    .unwrap();
    count
}

#[tokio::test]
async fn two_who_act_at_once_leave_one_key_that_signs() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let (here, there) = (open(&db, &master, START).await, open(&db, &master, START).await);
        let old = set(&here, START);
        let acts = [&here, &there].map(|keyring| {
            let keyring = keyring.clone();
            tokio::spawn(async move { withdraw(&keyring, everything(), START).await })
        });
        for act in acts {
            act.await.unwrap();
        }
        here.refresh().await.unwrap();
        for alg in SigningAlg::ALL {
            assert_eq!(at_stage(&here, *alg, Stage::Signing, START).len(), 1, "{alg}");
        }
        assert!(set(&here, START).is_disjoint(&old));
        assert_eq!(set(&here, START).len(), old.len());
    })
    .await;
}
