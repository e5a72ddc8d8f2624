//! Rings that an operator has switched off.

use super::*;

fn narrow() -> Policy {
    Policy {
        algs: ALWAYS.iter().copied().collect(),
        ..Policy::default()
    }
}

fn published(keyring: &Keyring, now: Timestamp) -> String {
    String::from_utf8(keyring.published(now).json.to_vec()).unwrap()
}

#[tokio::test]
async fn a_ring_that_is_off_has_no_keys_and_nothing_is_signed_by_it() {
    db::testing::both(|db| async move {
        let keyring = Keyring::open(&db, MasterKey::ephemeral(), narrow(), START)
            .await
            .unwrap();
        let algs: Vec<_> = keyring.calendar(START).iter().map(|entry| entry.alg).collect();
        assert_eq!(algs, ALWAYS);
        for alg in [SigningAlg::Ps256, SigningAlg::EdDsa] {
            assert!(matches!(keyring.signer(alg, START), Err(Error::Off(own)) if own == alg));
            assert!(matches!(keyring.seat(&[alg]), Err(Error::Off(_))));
            let by = events::Context::server();
            let rotated = keyring.rotate(&[alg], Start::Now, &by, START).await;
            assert!(matches!(rotated, Err(Error::Off(_))));
            let wire = protocol::Error::from(Error::Off(alg));
            assert!(wire.status().is_client_error());
            assert!(wire.description().contains("COUNTERSIGN_KEYS_ALGS"));
        }
        assert!(keyring.seat(ALWAYS).is_ok());
    })
    .await;
}

#[tokio::test]
async fn what_a_ring_signed_before_it_was_switched_off_stays_good_until_it_is_past() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let before = open(&db, &master, START).await;
        let signer = before.signer(SigningAlg::EdDsa, START).unwrap();
        let by = events::Context::server();
        let announced = before.rotate(&[SigningAlg::EdDsa], Start::Announced, &by, START);
        announced.await.unwrap();
        let after = Keyring::open(&db, master.clone(), narrow(), START).await.unwrap();
        let token = signer.sign("JWT", &json!({})).unwrap();
        let token = Unverified::parse(&token).unwrap();
        let good = |now| {
            let keys = after.published(now);
            token.verify(&keys.keys, Alg::ALL, Typ::JwtOrAbsent).is_ok()
        };
        assert!(good(START));
        let stages = |now| {
            let all = after.calendar(now).into_iter();
            let own = all.filter(|entry| entry.alg == SigningAlg::EdDsa);
            own.map(|entry| entry.stage).collect::<Vec<_>>()
        };
        assert_eq!(stages(START), [Stage::Retired, Stage::Gone]);
        let last = START + DAY + narrow().keep;
        assert!(good(last - Duration::from_secs(1)));
        assert!(!good(last));
        assert!(!published(&after, last).contains(signer.kid()));
        after.maintain(START + 200 * DAY).await.unwrap();
        assert_eq!(stages(START + 200 * DAY), [Stage::Gone; 2], "no new ones");
        // Switched on again, it signs.
        let again = open(&db, &master, START + 200 * DAY).await;
        assert!(again.signer(SigningAlg::EdDsa, START + 200 * DAY).is_ok());
    })
    .await;
}
