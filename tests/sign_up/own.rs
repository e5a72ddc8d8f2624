//! The way to an account from a page of ours, where no app waits.

use accounts::email::Email;
use accounts::{former_addresses, users};

use super::{NEW, href, mailed};

open_to_all! {
    async fn whoever_comes_to_the_account_pages_makes_an_account_and_goes_on_in_that(world: World, letters: Letters) {
        let mut visitor = world.visitor();
        // Nobody is signed in; then another account is wanted beside the one that is there.
        for (path, address) in [("/account/profile", "zoe@example.com"), ("/account/switch?other=1", "mia@example.com")] {
            let login = visitor.open(path).await;
            let page = visitor.get(&href(&login, "login-create")).await;
            assert!(page.has("<h1>Create an account</h1>"), "{}", page.body);
            visitor.submit(&page.form().with("username", address)).await;
            let page = visitor.get(&letters.newest_link(address, 1).await).await;
            let answer = visitor.submit(&page.form().with("name", "Zoe").with("password", NEW)).await;
            let page = visitor.follow(answer).await;
            assert!(page.has(address), "{}", page.body);
            assert!(visitor.open("/account").await.has(address));
        }
        // Who is to prove that they are somebody certain needs no other account.
        let page = visitor.open("/account/export").await;
        let page = visitor.submit(&page.form()).await;
        let page = visitor.follow(page).await;
        assert!(!page.has("login-create"), "{}", page.body);
    }

    async fn who_lost_their_account_to_a_thief_is_told_before_they_make_another(world: World, letters: Letters) {
        let (user, now) = (world.user().await, world.now());
        let (before, theirs) = (user.clone(), Email::parse("thief@example.com").unwrap());
        let work = world.db.transact(move |conn| {
            Box::pin(async move {
                users::change_email(&before.sub, before.epoch, &theirs, conn, now).await?;
                former_addresses::leave(&before, &theirs, conn, now).await
            })
        });
        work.await.unwrap();
        for (address, is_former) in [(user.email.shown(), true), ("zoe@example.com", false)] {
            mailed(&world, &letters, address).await;
            let told = letters.newest(address, 1).await.letter.text;
            assert_eq!(told.contains("you can have that account back"), is_former, "{told}");
        }
    }
}
