//! C073: what is true of every mailed link. C066: of those that have expired, with nothing cleaned up.

use std::time::Duration;

use accounts::email::Email;
use accounts::sign_ups::{self, Way};
use futures_util::future::join_all;
use revocation::Act;

use super::{another, asked, at_home, contents, moving, on_both, reload, unverified, verification};
use crate::harness::world::PASSWORD;

on_both! {
    async fn c073_no_link_is_kept_but_as_a_digest(world: World, letters: Letters) {
        let user = unverified(&world).await;
        let mut visitor = at_home(&world, &user).await;
        let email = Email::parse("handed@example.com").expect("an address");
        let now = world.now();
        let handed = world.db.transact(move |conn| {
            Box::pin(async move { sign_ups::make(Way::Handed, &email, None, conn, now).await })
        });
        let moved = world.user().await;
        let mut owner = at_home(&world, &moved).await;
        let link = moving(&mut owner, &another(&moved), PASSWORD, &letters).await;
        let form = owner.open(&link).await.form();
        assert_eq!(owner.submit(&form).await.status, 303);
        letters.newest_link(moved.email.shown(), 1).await;
        let links = [
            asked(&mut world.visitor(), "/recover", moved.email.shown(), &letters).await,
            asked(&mut world.visitor(), "/recover", user.email.shown(), &letters).await,
            asked(&mut world.visitor(), "/signup", "zoe@example.com", &letters).await,
            verification(&world, &user, &letters).await,
            moving(&mut visitor, "next@example.com", PASSWORD, &letters).await,
            format!("{}/signup/account?link={}", world.issuer, handed.await.expect("a link").expose()),
        ];
        letters.settled().await;
        let kept: String = contents(&world).await.into_values().collect();
        for link in &links {
            assert_eq!(world.visitor().open(link).await.status, 200, "it works");
            let value = link.split_once("link=").expect("a link").1;
            assert!(value.starts_with("cs_ml_"), "{value}");
            assert!(kept.contains(&seal::digest(value)), "its digest is what it is found by");
            let bare = value.trim_start_matches("cs_ml_");
            assert!(!kept.contains(bare), "{link} is kept");
        }
        assert!(!kept.contains("cs_ml_"));
    }

    async fn c073_a_verification_dies_with_its_account_and_is_won_by_one(world: World, letters: Letters) {
        let user = unverified(&world).await;
        let links = [verification(&world, &user, &letters).await, verification(&world, &user, &letters).await];
        let mut forms = Vec::new();
        for n in 0..16 {
            let mut visitor = world.visitor();
            let form = visitor.get(&links[n % 2]).await.form();
            forms.push((visitor, form));
        }
        let answers = join_all(forms.iter_mut().map(|(visitor, form)| visitor.submit(form))).await;
        let won = answers.iter().filter(|answer| answer.status == 303).count();
        let lost = answers.iter().filter(|answer| answer.status == 410).count();
        assert_eq!((won, lost), (1, 15), "{answers:?}");
        let trail = events::audit::newest(100, &mut world.db.reader().await.unwrap()).await.unwrap();
        assert_eq!(trail.iter().filter(|event| event.kind == "email.verified").count(), 1);

        let user = unverified(&world).await;
        let link = verification(&world, &user, &letters).await;
        let mut visitor = world.visitor();
        let form = visitor.get(&link).await.form();
        world.end(Act::DisableUser(user.sub.clone())).await;
        visitor.submit(&form).await.assert_page(403, "This account is turned off");
        visitor.get(&link).await.assert_page(403, "This account is turned off");
        assert!(!reload(&world, &user).await.email_verified);
    }

    async fn c066_an_expired_verification_verifies_nothing_whatever_is_sent(world: World, letters: Letters) {
        let user = unverified(&world).await;
        let link = verification(&world, &user, &letters).await;
        let mut visitor = world.visitor();
        let open = visitor.get(&link).await.form();
        world.pass(Duration::from_secs(30 * 60));
        // The page that was open meanwhile, and that of the expired link: both only ask for another mail.
        let expired = visitor.get(&link).await;
        assert_eq!(expired.status, 410, "{}", expired.body);
        for (count, form) in [(2, open), (3, expired.form())] {
            let answer = visitor.submit(&form).await;
            assert!(answer.location().unwrap_or_default().ends_with("/verify/sent"), "{}", answer.body);
            letters.newest_link(user.email.shown(), count).await;
            assert_eq!(reload(&world, &user).await, user);
        }
        let kept: String = contents(&world).await.remove("mailed_links").expect("a table");
        let value = link.split_once("link=").expect("a link").1;
        assert!(kept.contains(&seal::digest(value)), "it was not cleaned up");
    }

    /// Whose index decides when two look at once whether an address is free.
    async fn c076_of_two_who_confirm_one_address_at_once_one_gets_it(world: World, letters: Letters) {
        for round in 0..5 {
            let wanted = format!("both-{round}@example.com");
            let mut forms = Vec::new();
            for _ in 0..2 {
                let user = world.user().await;
                let mut visitor = at_home(&world, &user).await;
                let link = moving(&mut visitor, &wanted, PASSWORD, &letters).await;
                let form = visitor.open(&link).await.form();
                forms.push((user, visitor, form));
            }
            let answers = join_all(forms.iter_mut().map(|(_, visitor, form)| visitor.submit(form))).await;
            let mut met: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
            met.sort_unstable();
            assert_eq!(met, [303, 409], "{answers:?}");
            for ((user, visitor, _), answer) in forms.iter_mut().zip(&answers) {
                let after = reload(&world, user).await;
                match answer.status.as_u16() {
                    303 => assert_eq!(after.email.shown(), wanted),
                    _ => {
                        assert_eq!(after, *user);
                        assert!(visitor.open("/account").await.has(user.email.shown()), "and stays signed in");
                    }
                }
            }
        }
    }
}
