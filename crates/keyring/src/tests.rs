use std::time::Duration;

use db::{Database, execute, run};
use jws::{Alg, Typ, Unverified};
use protocol::{SigningAlg, Timestamp};
use serde_json::json;

use super::*;

mod emergencies;
mod imported;
mod resealing;
mod switched;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn open(db: &Database, master: &MasterKey, now: Timestamp) -> Keyring {
    Keyring::open(db, master.clone(), Policy::default(), now)
        .await
        .unwrap()
}

fn kid(keyring: &Keyring, now: Timestamp) -> String {
    keyring.signer(SigningAlg::Es256, now).unwrap().kid().to_owned()
}

/// Whether a token that is signed now is accepted with the keys published then.
fn verifies(keyring: &Keyring, signed: Timestamp, checked: &Published) -> bool {
    let token = keyring
        .signer(SigningAlg::Es256, signed)
        .unwrap()
        .sign("JWT", &json!({}))
        .unwrap();
    Unverified::parse(&token)
        .unwrap()
        .verify(&checked.keys, Alg::ALL, Typ::JwtOrAbsent)
        .is_ok()
}

#[tokio::test]
async fn replicas_that_start_together_share_rings_and_secrets() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let starts: Vec<_> = (0..4)
            .map(|_| {
                let (db, master) = (db.clone(), master.clone());
                tokio::spawn(async move { open(&db, &master, START).await })
            })
            .collect();
        let mut all = Vec::new();
        for start in starts {
            all.push(start.await.unwrap());
        }
        for keyring in &all {
            keyring.refresh().await.unwrap();
            assert_eq!(keyring.calendar(START).len(), SigningAlg::ALL.len());
            assert_eq!(keyring.decryption_calendar(START).len(), Family::ALL.len());
            assert_eq!(kid(keyring, START), kid(&all[0], START));
            for purpose in Purpose::ALL {
                assert_eq!(
                    keyring.secret(*purpose).unwrap().id,
                    all[0].secret(*purpose).unwrap().id
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_is_published_at_once_and_signs_a_day_later() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let (here, there) = (open(&db, &master, START).await, open(&db, &master, START).await);
        let old = kid(&here, START);
        let before = there.published(START);

        here.rotate(
            &[SigningAlg::Es256],
            Start::Announced,
            &events::Context::server(),
            START,
        )
        .await
        .unwrap();
        there.refresh().await.unwrap();
        let announced = there.published(START);
        assert_ne!(before.json, announced.json, "the other replica publishes it");
        assert_ne!(before.etag, announced.etag);
        assert_eq!(kid(&there, START), old);

        let later = START + DAY;
        assert_ne!(kid(&there, later), old);
        // A verifier that fetched the set a day ago can check what is signed now.
        assert!(verifies(&there, later, &announced));
        assert!(!verifies(&there, later, &before));
        // The old key stays until its tokens are dead, and then goes.
        let keep = Policy::default().keep;
        let published = |at: Timestamp| String::from_utf8(there.published(at).json.to_vec()).unwrap();
        assert!(published(later + keep - Duration::from_secs(1)).contains(&old));
        assert!(!published(later + keep).contains(&old));
    })
    .await;
}

/// Whoever makes the set may be overtaken by whoever reads new keys.
#[tokio::test]
async fn a_set_that_was_begun_before_the_keys_were_read_is_not_believed() {
    db::testing::both(|db| async move {
        let keyring = open(&db, &MasterKey::ephemeral(), START).await;
        let before = keyring.0.snapshot.load_full();
        let late = Published::of(&before, &keyring.0.policy, START);
        keyring
            .rotate(
                &[SigningAlg::Es256],
                Start::Now,
                &events::Context::server(),
                START,
            )
            .await
            .unwrap();
        let newest = keyring.published(START).json.clone();
        assert_ne!(newest, late.json);

        keyring.0.published.store(Arc::new(late));
        assert_eq!(keyring.published(START).json, newest);
    })
    .await;
}

#[tokio::test]
async fn rotating_again_replaces_what_was_only_announced() {
    db::testing::both(|db| async move {
        let keyring = open(&db, &MasterKey::ephemeral(), START).await;
        for _ in 0..3 {
            keyring
                .rotate(
                    &[SigningAlg::Es256],
                    Start::Announced,
                    &events::Context::server(),
                    START,
                )
                .await
                .unwrap();
        }
        let stages = |alg| {
            let entries = keyring
                .calendar(START)
                .into_iter()
                .filter(move |entry| entry.alg == alg);
            entries.map(|entry| entry.stage).collect::<Vec<_>>()
        };
        assert_eq!(stages(SigningAlg::Es256), [Stage::Signing, Stage::Published]);
        assert_eq!(
            stages(SigningAlg::Rs256),
            [Stage::Signing],
            "the other ring is untouched"
        );

        keyring
            .rotate(
                &[SigningAlg::Rs256],
                Start::Now,
                &events::Context::server(),
                START + DAY,
            )
            .await
            .unwrap();
        let rs256 = keyring
            .calendar(START + DAY)
            .into_iter()
            .filter(|entry| entry.alg == SigningAlg::Rs256);
        assert_eq!(
            rs256.map(|entry| entry.stage).collect::<Vec<_>>(),
            [Stage::Retired, Stage::Signing]
        );
    })
    .await;
}

#[tokio::test]
async fn rings_turn_by_themselves_once_however_many_replicas_look_after_them() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let (here, there) = (open(&db, &master, START).await, open(&db, &master, START).await);
        let due = START + 89 * DAY;
        let (one, other) = tokio::join!(here.maintain(due), there.maintain(due));
        one.unwrap();
        other.unwrap();
        here.refresh().await.unwrap();
        for alg in SigningAlg::ALL {
            assert_eq!(
                here.calendar(due)
                    .iter()
                    .filter(|entry| entry.alg == *alg)
                    .count(),
                2,
                "{alg}"
            );
        }
        here.maintain(due + DAY).await.unwrap();
        assert_eq!(here.calendar(due).len(), 2 * SigningAlg::ALL.len());
    })
    .await;
}

#[tokio::test]
async fn c047_keys_rest_sealed_and_a_swapped_ciphertext_is_refused() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let keyring = open(&db, &master, START).await;
        keyring
            .rotate(
                &[SigningAlg::Es256],
                Start::Announced,
                &events::Context::server(),
                START,
            )
            .await
            .unwrap();
        drop(keyring);

        let stranger = MasterKey::ephemeral();
        let refused = Keyring::open(&db, stranger, Policy::default(), START)
            .await
            .unwrap_err();
        assert!(matches!(refused, Error::Sealed(_)), "{refused}");

        let mut conn = db.reader().await.unwrap();
        let sealed: Vec<(String, String)> = run!(&mut conn, |c| sqlx::query_as(
            "SELECT kid, sealed_private FROM signing_keys WHERE alg = 'ES256' ORDER BY kid"
        )
        .fetch_all(c))
        .unwrap();
        drop(conn);
        let [(kid, _), (_, other)] = <[_; 2]>::try_from(sealed).unwrap();
        let swap = db.transact(move |conn| {
            Box::pin(async move {
                let swap = "UPDATE signing_keys SET sealed_private = $2 WHERE kid = $1";
                execute!(conn, sqlx::query(swap).bind(&kid).bind(&other))?;
                Ok::<_, db::Error>(())
            })
        });
        swap.await.unwrap();
        let refused = Keyring::open(&db, master, Policy::default(), START)
            .await
            .unwrap_err();
        assert!(matches!(refused, Error::Sealed(_)), "{refused}");
    })
    .await;
}

/// A token of somebody who fetched the set at that time.
fn encrypted(published: &Published, alg: protocol::JweAlg) -> String {
    let set: serde_json::Value = serde_json::from_slice(&published.json).unwrap();
    let key = jose::EncryptionKey::choose(&set, alg).unwrap();
    key.encrypt(
        protocol::JweEnc::A256Gcm,
        jose::jwe::Content::SignedJwt,
        b"secret",
    )
    .unwrap()
}

/// By whatever algorithms the token has.
async fn reads(keyring: &Keyring, token: &str, now: Timestamp) -> Result<Vec<u8>, Refused> {
    let registered = jose::Encrypted::parse(token).map(|token| (token.alg(), token.enc()));
    let registered = registered.unwrap_or((protocol::JweAlg::EcdhEs, protocol::JweEnc::A128Gcm));
    let plain = keyring.decrypt(token, registered, now).await.unwrap();
    plain.map(|plain| plain.to_vec())
}

#[tokio::test]
async fn what_clients_encrypt_is_read_by_every_replica_and_long_after_its_key_was_replaced() {
    use protocol::JweAlg;
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let (here, there) = (open(&db, &master, START).await, open(&db, &master, START).await);
        let first = here.published(START);
        let tokens: Vec<String> = JweAlg::ALL.iter().map(|alg| encrypted(&first, *alg)).collect();
        for token in &tokens {
            assert_eq!(reads(&there, token, START).await.unwrap(), b"secret");
        }
        // By itself, on the same calendar as the others; only the one in use is shown.
        let due = START + 89 * DAY;
        here.maintain(due).await.unwrap();
        there.maintain(due).await.unwrap();
        for (at, same) in [(due, true), (due + DAY, false)] {
            let published = there.published(at);
            let set: serde_json::Value = serde_json::from_slice(&published.json).unwrap();
            let all = set["keys"].as_array().unwrap();
            let shown: Vec<_> = all.iter().filter(|key| key["use"] == "enc").collect();
            assert_eq!(shown.len(), 2, "one of each kind");
            let before = String::from_utf8(first.json.to_vec()).unwrap();
            let held = |key: &&&serde_json::Value| before.contains(key["kid"].as_str().unwrap());
            assert_eq!(shown.iter().all(|key| held(&key)), same);
            for alg in JweAlg::ALL {
                assert_eq!(
                    reads(&here, &encrypted(&published, *alg), at).await.unwrap(),
                    b"secret"
                );
            }
            // No key of the two kinds is taken for the other.
            assert!(!published.keys.is_empty());
            for key in shown {
                assert!(jws::VerifyingKey::from_jwk(key, Some(Alg::Es256)).is_err());
            }
        }
        let last = due + DAY + 90 * DAY;
        for token in &tokens {
            let before = last - Duration::from_secs(1);
            assert_eq!(reads(&here, token, before).await.unwrap(), b"secret");
            assert_eq!(reads(&here, token, last).await, Err(Refused::UnknownKey));
        }
    })
    .await;
}

#[tokio::test]
async fn c042_what_is_not_encrypted_to_us_is_refused_with_its_reason() {
    db::testing::both(|db| async move {
        let keyring = open(&db, &MasterKey::ephemeral(), START).await;
        let elsewhere = db::testing::sqlite_url();
        let _temporary = db::testing::temporary(&elsewhere);
        let elsewhere = Database::connect(&elsewhere).await.unwrap();
        elsewhere.migrate().await.unwrap();
        let other = open(&elsewhere, &MasterKey::ephemeral(), START).await;
        let foreign = encrypted(&other.published(START), protocol::JweAlg::EcdhEs);
        assert_eq!(reads(&keyring, &foreign, START).await, Err(Refused::UnknownKey));
        assert_eq!(reads(&keyring, "a.b.c", START).await, Err(Refused::NotCompact));
        // Only what its sender registered.
        let own = encrypted(&keyring.published(START), protocol::JweAlg::EcdhEs);
        for registered in [
            (protocol::JweAlg::EcdhEs, protocol::JweEnc::A128Gcm),
            (protocol::JweAlg::EcdhEsA256Kw, protocol::JweEnc::A256Gcm),
        ] {
            let read = keyring.decrypt(&own, registered, START).await.unwrap();
            assert_eq!(read.err(), Some(Refused::Algorithm));
        }
        // Without a name, every key of its kind is tried.
        let set: serde_json::Value = serde_json::from_slice(&keyring.published(START).json).unwrap();
        for (alg, kty) in [
            (protocol::JweAlg::RsaOaep256, "RSA"),
            (protocol::JweAlg::EcdhEs, "EC"),
        ] {
            let keys = set["keys"].as_array().unwrap();
            let mut jwk = keys
                .iter()
                .find(|key| key["use"] == "enc" && key["kty"] == kty)
                .unwrap()
                .clone();
            jwk.as_object_mut().unwrap().remove("kid");
            let key = jose::EncryptionKey::from_jwk(&jwk, alg).unwrap();
            let token = key
                .encrypt(protocol::JweEnc::A128Gcm, jose::jwe::Content::Claims, b"secret")
                .unwrap();
            assert_eq!(reads(&keyring, &token, START).await.unwrap(), b"secret");
        }
    })
    .await;
}
