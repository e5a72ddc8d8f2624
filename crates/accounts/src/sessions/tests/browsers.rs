//! In which browsers an account is known.

use super::*;

#[tokio::test]
async fn who_shares_a_browser_is_known_there_by_a_mark_or_by_being_signed_in() {
    both(|db| async move {
        let (alex, eve) = (user(&db, "alex").await, user(&db, "eve").await);
        let first = enter(&db, proof(&alex, None), NOW).await.unwrap();
        assert!(!first.is_new_browser, "the very first is no news");
        let at = |sub: &User, presented: Option<&Secret>, has_met: bool| SignIn {
            device: Some(Acquaintance {
                browser: first.device.clone(),
                has_met,
            }),
            ..proof(sub, presented)
        };
        let theirs = enter(&db, at(&eve, None, false), NOW).await.unwrap();
        assert_eq!(theirs.device, first.device);
        for (presented, has_met, is_new) in [
            (None, true, false),
            (None, false, true),
            // Another's session there says nothing.
            (Some(theirs.cookie.clone()), false, true),
        ] {
            let again = enter(&db, at(&alex, presented.as_ref(), has_met), NOW)
                .await
                .unwrap();
            assert_eq!((again.is_new_browser, &again.device), (is_new, &first.device));
        }
        // One who has been signed in there all the time, while more people came than the cookie has room for.
        let signed_in = enter(&db, at(&alex, None, true), NOW).await.unwrap();
        let again = enter(&db, at(&alex, Some(&signed_in.cookie), false), NOW)
            .await
            .unwrap();
        assert!(!again.is_new_browser);
        // A name that we never gave is not taken, whatever is said of it.
        let made_up = SignIn {
            device: Some(Acquaintance {
                browser: opaque::random(Kind::Device),
                has_met: true,
            }),
            ..proof(&alex, None)
        };
        let given = made_up.device.clone().unwrap().browser;
        let other = enter(&db, made_up, NOW).await.unwrap();
        assert!(other.is_new_browser && other.device != given);
    })
    .await;
}

#[tokio::test]
async fn c067_a_flow_that_is_open_in_two_browsers_makes_neither_of_them_known() {
    both(|db| async move {
        let alex = user(&db, "alex").await;
        enter(&db, proof(&alex, None), NOW).await.unwrap();
        let click = |cookie: &str| SignIn {
            flow_id: Some("one".into()),
            flow_cookie: Some(cookie.into()),
            ..proof(&alex, None)
        };
        let mut told = Vec::new();
        for cookie in ["hers", "hers", "a thief's", "a thief's", "hers"] {
            told.push(enter(&db, click(cookie), NOW).await.unwrap().is_new_browser);
        }
        assert_eq!(told, [true, false, true, false, false]);
        // Who used the browser before has copied the cookie, and has the password now.
        let later = NOW + Duration::from_secs(60);
        assert!(enter(&db, click("hers"), later).await.unwrap().is_new_browser);
    })
    .await;
}
