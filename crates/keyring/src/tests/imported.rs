//! Keys that an operator brings along.

use super::*;

fn foreign(alg: SigningAlg, kid: &str) -> SigningKey {
    let key = SigningKey::generate(alg).unwrap();
    SigningKey::from_pkcs8(alg, kid, &key.to_pkcs8().unwrap()).unwrap()
}

async fn import(keyring: &Keyring, keys: &[SigningKey], start: Start, now: Timestamp) -> Result<(), Error> {
    let by = events::Context::command_line();
    keyring.import(keys, start, &by, now).await
}

#[tokio::test]
async fn an_imported_key_is_announced_like_any_other_and_may_sign_at_once() {
    db::testing::both(|db| async move {
        let master = MasterKey::ephemeral();
        let (here, there) = (open(&db, &master, START).await, open(&db, &master, START).await);
        let now = START + DAY;
        let key = foreign(SigningAlg::Es256, "from-before");
        import(&here, std::slice::from_ref(&key), Start::Announced, now)
            .await
            .unwrap();
        there.refresh().await.unwrap();
        assert!(String::from_utf8_lossy(&there.published(now).json).contains("\"from-before\""));
        assert_ne!(kid(&there, now), "from-before");
        assert_eq!(kid(&there, now + DAY), "from-before");
        // What the other server signed is good here.
        let token = key.sign("JWT", &json!({})).unwrap();
        let verified = Unverified::parse(&token).unwrap();
        assert!(
            verified
                .verify(&there.published(now).keys, Alg::ALL, Typ::JwtOrAbsent)
                .is_ok()
        );

        let all = [
            foreign(SigningAlg::Rs256, "one"),
            foreign(SigningAlg::Rs256, "two"),
            foreign(SigningAlg::EdDsa, "three"),
        ];
        import(&here, &all, Start::Now, now).await.unwrap();
        let after = now + Duration::from_secs(1);
        let signer = |alg| here.signer(alg, after).unwrap().kid().to_owned();
        assert_eq!(
            (signer(SigningAlg::Rs256), signer(SigningAlg::EdDsa)),
            ("two".to_owned(), "three".to_owned())
        );
        // It turns on from there as if it had been made here.
        here.maintain(after + 89 * DAY).await.unwrap();
        let mut ring = here.calendar(after + 89 * DAY).into_iter();
        let last = ring.rfind(|entry| entry.alg == SigningAlg::Rs256).unwrap();
        assert_eq!(last.stage, Stage::Published);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_here_once_by_one_name_in_one_ring_and_never_comes_back() {
    db::testing::both(|db| async move {
        let keyring = open(&db, &MasterKey::ephemeral(), START).await;
        let key = foreign(SigningAlg::Rs256, "name");
        import(&keyring, std::slice::from_ref(&key), Start::Now, START)
            .await
            .unwrap();
        let der = key.to_pkcs8().unwrap();
        let again = [
            // The same, the same by another name, the same in the other ring, another by the same name.
            key,
            SigningKey::from_pkcs8(SigningAlg::Rs256, "other", &der).unwrap(),
            SigningKey::from_pkcs8(SigningAlg::Ps256, "other", &der).unwrap(),
            foreign(SigningAlg::Es256, "name"),
        ];
        for key in &again {
            let refused = import(&keyring, std::slice::from_ref(key), Start::Now, START).await;
            assert!(matches!(refused, Err(Error::Duplicate { .. })), "{refused:?}");
        }
        let reading = keyring.decryption_calendar(START).remove(0).kid;
        let refused = import(
            &keyring,
            &[foreign(SigningAlg::Es256, &reading)],
            Start::Now,
            START,
        )
        .await;
        assert!(matches!(refused, Err(Error::Duplicate { .. })), "{refused:?}");
        // All or none.
        let both = [
            foreign(SigningAlg::Es256, "good"),
            foreign(SigningAlg::Es256, "name"),
        ];
        assert!(import(&keyring, &both, Start::Now, START).await.is_err());
        assert!(keyring.calendar(START).iter().all(|entry| entry.kid != "good"));

        let suspect = Suspect::Keys(vec!["name".to_owned()]);
        let by = events::Context::command_line();
        keyring.withdraw(suspect, &by, START).await.unwrap();
        for key in &again[..3] {
            let refused = import(&keyring, std::slice::from_ref(key), Start::Now, START).await;
            assert!(matches!(refused, Err(Error::Compromised(_))), "{refused:?}");
        }
    })
    .await;
}
