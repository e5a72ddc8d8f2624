use db::Database;
use db::testing::both;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const LATER: Timestamp = Timestamp::from_secs(1_000_100);
const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const OTHER_HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK";

fn draft(email: &str) -> Draft {
    Draft::new(Email::parse(email).unwrap())
}

async fn add(db: &Database, draft: Draft) -> Result<User, Error> {
    db.transact(|conn| Box::pin(async move { insert(draft, &Context::server(), conn, NOW).await }))
        .await
}

fn updated(credentials: Credentials) -> Upserted {
    Upserted::Updated(Update {
        credentials,
        is_password_kept: false,
    })
}

async fn put(db: &Database, draft: Draft) -> Result<(User, Upserted), Error> {
    db.transact(|conn| Box::pin(async move { upsert(draft, &Context::server(), conn, LATER).await }))
        .await
}

async fn reload(db: &Database, user: &User) -> User {
    let mut conn = db.reader().await.unwrap();
    by_sub(&user.sub, &mut conn).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_user_comes_back_as_recorded_and_is_found_by_any_spelling_of_the_address() {
    both(|db| async move {
        let mut new = draft("Jane@Example.com");
        new.email_verified = Some(true);
        new.password_hash = Some(StoredHash::parse(HASH).unwrap());
        new.claims.set(Claim::Name, json!("Jane 🦀 Doe")).unwrap();
        let user = add(&db, new).await.unwrap();
        assert_eq!((user.epoch, user.created_at, user.updated_at), (0, NOW, NOW));
        assert_eq!(reload(&db, &user).await, user);

        let mut conn = db.reader().await.unwrap();
        let found = by_email(&Email::parse("jANE@EXAMPLE.com").unwrap(), &mut conn)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&user));
        let none = by_email(&Email::parse("j@example.com").unwrap(), &mut conn)
            .await
            .unwrap();
        assert_eq!(none, None);
        assert_eq!(by_sub(&"jane".into(), &mut conn).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn c076_two_spellings_of_one_address_are_one_account() {
    both(|db| async move {
        let user = add(&db, draft("Jane@Example.com")).await.unwrap();
        for text in ["jane@example.COM", "ｊａｎｅ@example.com"] {
            let error = add(&db, draft(text)).await.unwrap_err();
            assert!(matches!(error, Error::EmailTaken(_)), "{error}");
        }
        let mut same_sub = draft("other@example.com");
        same_sub.sub = Some(user.sub.clone());
        assert!(matches!(add(&db, same_sub).await, Err(Error::SubTaken(sub)) if sub == user.sub));
    })
    .await;
}

#[tokio::test]
async fn an_import_finds_the_record_by_sub_else_by_address() {
    both(|db| async move {
        let mut first = draft("jane@example.com");
        first.sub = Some("jane".into());
        let (jane, done) = put(&db, first).await.unwrap();
        assert_eq!((jane.sub.as_str(), done), ("jane", Upserted::Created));
        let (_, done) = put(&db, draft("john@example.com")).await.unwrap();
        assert_eq!(done, Upserted::Created);

        let mut moved = draft("jane@new.example");
        moved.sub = Some("jane".into());
        let (moved, done) = put(&db, moved).await.unwrap();
        assert_eq!(
            (moved.sub.as_str(), moved.email.shown(), done),
            ("jane", "jane@new.example", updated(Credentials::Changed))
        );

        let mut renamed = draft("JANE@new.example");
        renamed.sub = Some("another".into());
        let (renamed, done) = put(&db, renamed).await.unwrap();
        assert_eq!((renamed.sub.as_str(), done), ("jane", updated(Credentials::Kept)));

        let mut thief = draft("john@example.com");
        thief.sub = Some("jane".into());
        let error = put(&db, thief).await.unwrap_err();
        assert!(
            matches!(&error, Error::EmailTaken(email) if email == "john@example.com"),
            "{error}"
        );
        assert_eq!(reload(&db, &renamed).await, renamed);
    })
    .await;
}

#[tokio::test]
async fn only_a_changed_credential_or_address_voids_what_was_proven() {
    both(|db| async move {
        let mut new = draft("jane@example.com");
        new.password_hash = Some(StoredHash::parse(HASH).unwrap());
        new.email_verified = Some(true);
        let user = add(&db, new).await.unwrap();

        // Nothing new: not even the date moves.
        let (same, _) = put(&db, draft("jane@example.com")).await.unwrap();
        assert_eq!(same, user);

        let mut named = draft("Jane@example.com");
        named.claims.set(Claim::Name, json!("Jane")).unwrap();
        named.password_hash = user.password_hash.clone();
        let (named, _) = put(&db, named).await.unwrap();
        assert_eq!(
            (named.epoch, named.email_verified, named.updated_at),
            (0, true, LATER)
        );
        assert_eq!(named.password_hash, user.password_hash);

        let mut changed = draft("jane@example.com");
        changed.password_hash = Some(StoredHash::parse(OTHER_HASH).unwrap());
        let (changed, _) = put(&db, changed).await.unwrap();
        assert_eq!((changed.epoch, changed.email_verified), (1, true));
        assert_eq!(changed.claims, Claims::default());

        let mut moved = draft("jane@new.example");
        moved.sub = Some(user.sub.clone());
        moved.updated_at = Some(Timestamp::from_secs(7));
        let (moved, _) = put(&db, moved).await.unwrap();
        assert_eq!(
            (moved.epoch, moved.email_verified, moved.updated_at.as_secs()),
            (2, false, 7)
        );
    })
    .await;
}

#[tokio::test]
async fn a_new_hash_of_the_old_password_never_undoes_a_change() {
    both(|db| async move {
        let (old, new) = (
            StoredHash::parse(HASH).unwrap(),
            StoredHash::parse(OTHER_HASH).unwrap(),
        );
        let mut jane = draft("jane@example.com");
        jane.password_hash = Some(old.clone());
        let user = add(&db, jane).await.unwrap();
        let mut done = Vec::new();
        for _ in 0..2 {
            let (sub, old, new) = (user.sub.clone(), old.clone(), new.clone());
            done.push(
                db.transact(move |conn| Box::pin(async move { rehash(&sub, &old, &new, conn).await }))
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(done, [true, false]);
        let after = reload(&db, &user).await;
        assert_eq!(
            (after.password_hash, after.epoch, after.updated_at),
            (Some(new), 0, NOW)
        );
    })
    .await;
}

/// A record as an import hands it over.
fn imported(hash: &str) -> Draft {
    let hash = StoredHash::parse(hash).unwrap();
    let mut draft = draft("jane@example.com");
    draft.imported = Some(hash.imported_digest());
    draft.password_hash = Some(hash);
    draft
}

#[tokio::test]
async fn an_import_that_brings_the_same_hash_again_says_nothing_new_about_the_password() {
    both(|db| async move {
        let (jane, _) = put(&db, imported(HASH)).await.unwrap();
        let ours = StoredHash::parse(&OTHER_HASH.replace("$2a$05$", "$2b$06$")).unwrap();
        let (sub, old, new) = (
            jane.sub.clone(),
            jane.password_hash.clone().unwrap(),
            ours.clone(),
        );
        db.transact(move |conn| Box::pin(async move { rehash(&sub, &old, &new, conn).await }))
            .await
            .unwrap();
        // What was hashed anew at a sign-in stays.
        let (same, _) = put(&db, imported(HASH)).await.unwrap();
        assert_eq!((same.epoch, same.password_hash.as_ref()), (0, Some(&ours)));
        // So does what the person chose since.
        let (sub, own) = (jane.sub.clone(), StoredHash::parse(OTHER_HASH).unwrap());
        db.transact(move |conn| Box::pin(async move { replace_password(&sub, 0, &own, conn).await }))
            .await
            .unwrap();
        let (kept, done) = put(&db, imported(HASH)).await.unwrap();
        let is_kept = |done| matches!(done, Upserted::Updated(update) if update.is_password_kept);
        assert!(is_kept(done));
        assert_eq!(
            (kept.epoch, kept.password_hash.unwrap().as_str()),
            (1, OTHER_HASH)
        );

        // Another one is a change, once; the first is one again after that.
        let changed = HASH.replace("$2a$05$", "$2a$06$");
        for (brought, epoch) in [(&*changed, 2), (&*changed, 2), (HASH, 3), (HASH, 3)] {
            let (jane, done) = put(&db, imported(brought)).await.unwrap();
            assert!(!is_kept(done));
            assert_eq!(
                (jane.epoch, jane.password_hash.unwrap().as_str()),
                (epoch, brought)
            );
        }
        // A password that came in plain is newer than the hash before it.
        let mut plain = draft("jane@example.com");
        plain.password_hash = Some(ours.clone());
        let (set, _) = put(&db, plain).await.unwrap();
        assert_eq!((set.epoch, set.password_hash), (4, Some(ours)));
        let (back, _) = put(&db, imported(HASH)).await.unwrap();
        assert_eq!((back.epoch, back.password_hash.unwrap().as_str()), (5, HASH));
        // A record without any says nothing, and another address is a change as before.
        let mut moved = imported(HASH);
        moved.sub = Some(jane.sub.clone());
        moved.email = Email::parse("jane@new.example").unwrap();
        assert_eq!(put(&db, moved).await.unwrap().0.epoch, 6);
    })
    .await;
}

#[tokio::test]
async fn a_user_is_disabled_since_the_first_time_until_enabled() {
    both(|db| async move {
        let user = add(&db, draft("jane@example.com")).await.unwrap();
        for (since, expected) in [(Some(NOW), Some(NOW)), (Some(LATER), Some(NOW)), (None, None)] {
            let sub = user.sub.clone();
            let found = db
                .transact(move |conn| {
                    Box::pin(async move { set_disabled(&sub, since, &Context::server(), conn, NOW).await })
                })
                .await;
            assert!(found.unwrap());
            assert_eq!(reload(&db, &user).await.disabled_at, expected);
        }
        let found = db
            .transact(|conn| {
                Box::pin(
                    async move { set_disabled(&"nobody".into(), None, &Context::server(), conn, NOW).await },
                )
            })
            .await;
        assert!(!found.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    both(|db| async move {
        for name in ["c", "a", "e", "b", "d"] {
            let mut user = draft(&format!("{name}@example.com"));
            user.sub = Some(name.into());
            add(&db, user).await.unwrap();
        }
        let mut conn = db.reader().await.unwrap();
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = list(after.as_ref(), 2, &mut conn).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.sub.clone());
            pages.push(page.iter().map(|user| user.sub.as_str()).collect::<String>());
        }
        assert_eq!(pages, ["ab", "cd", "e"]);
    })
    .await;
}

#[tokio::test]
async fn a_scope_releases_its_own_claims_and_nothing_is_null() {
    both(|db| async move {
        let mut new = draft("Jane@example.com");
        for (claim, value) in [
            (Claim::Name, json!("Jane")),
            (Claim::PhoneNumber, json!("+1 555")),
            (Claim::PhoneNumberVerified, json!(true)),
            (Claim::Address, json!({"country": "US"})),
        ] {
            new.claims.set(claim, value).unwrap();
        }
        let user = add(&db, new).await.unwrap();
        for (scope, expected) in [
            ("openid", json!({})),
            ("profile", json!({"name": "Jane", "updated_at": 1_000_000})),
            (
                "email",
                json!({"email": "Jane@example.com", "email_verified": false}),
            ),
            (
                "phone",
                json!({"phone_number": "+1 555", "phone_number_verified": true}),
            ),
            ("address other", json!({"address": {"country": "US"}})),
        ] {
            let released = user.released(&Scope::parse(scope).unwrap());
            assert_eq!(Value::Object(released), expected, "{scope}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r09_of_many_who_want_one_address_at_once_in_any_spelling_one_gets_it() {
    both(|db| async move {
        let spellings = [
            "jane@example.com",
            "JANE@EXAMPLE.COM",
            "ｊａｎｅ@example.com",
            "Jane@example。com",
        ];
        let racers = (0..40).map(|n| {
            let (db, spelled) = (db.clone(), spellings[n % spellings.len()]);
            tokio::spawn(async move { add(&db, draft(spelled)).await })
        });
        let mut won = 0;
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, Error::EmailTaken(_)), "{error}"),
            }
        }
        assert_eq!(won, 1);
        let all = list(None, 10, &mut db.reader().await.unwrap()).await.unwrap();
        assert_eq!(all.len(), 1);
    })
    .await;
}
