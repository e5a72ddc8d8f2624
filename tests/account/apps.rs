//! Apps that a person allowed.

use clients::Trust;
use protocol::SigningAlg;
use serde_json::json;

use super::{at_home, trail};
use crate::harness::app::userinfo;
use crate::harness::{Answer, World};

/// Where the list leads, app by app.
fn links(page: &Answer) -> Vec<String> {
    let links = page.body.split("class=\"row row-app\" href=\"").skip(1);
    links
        .map(|rest| rest.split('"').next().expect("a path").to_owned())
        .collect()
}

everywhere! {
    async fn a_person_sees_what_they_allowed_in_words(world: World) {
        let (user, api) = (world.user().await, world.resource(SigningAlg::Es256).await);
        let (app, other) = (world.app().await, world.app_with(json!({ "client_name": "Other <i>app</i>" })).await);
        world.trust(&other, Trust::Unverified).await;
        let mut visitor = at_home(&world, &user).await;
        let page = visitor.open("/account/apps").await;
        assert!(page.has("No app uses your account"), "{}", page.body);

        let scope = format!("openid email offline_access {}", api.scopes.keys().next().unwrap());
        app.grant(&world, &user, &[("scope", &scope), ("resource", &api.identifier)]).await;
        let login = world.visitor().open(&other.url(&[])).await;
        assert!(login.has("Other &lt;i&gt;app"), "{}", login.body);
        other.grant(&world, &user, &[("scope", "openid")]).await;
        let page = visitor.open("/account/apps").await;
        assert_eq!(links(&page).len(), 2, "{}", page.body);
        assert!(!page.has("<i>app") && page.has("We haven't checked this app"), "{}", page.body);
        let mut seen = 0;
        for link in links(&page) {
            let one = visitor.open(&link).await;
            if one.has("<bdi>Test app</bdi></h1>") {
                seen += 1;
                for words in [
                    "Know it's you when you sign in",
                    "See your email address",
                    "Keep this access when you're not using the app",
                    "<bdi>Reports API</bdi>",
                    "Read your reports",
                ] {
                    assert!(one.has(words), "{words}: {}", one.body);
                }
                assert!(!one.has("See your name") && !one.has("We haven't checked"), "{}", one.body);
            }
        }
        assert_eq!(seen, 1);
    }

    async fn c020_access_that_is_removed_is_over_at_once(world: World) {
        let (app, other) = (world.app().await, world.app().await);
        let (user, neighbour) = (world.user().await, world.user().await);
        let offline: &[(&str, &str)] = &[("scope", "openid offline_access")];
        let tokens = app.grant(&world, &user, offline).await;
        let kept = other.grant(&world, &user, offline).await;
        let theirs = app.grant(&world, &neighbour, offline).await;
        let waiting = app.code(&world, &user, offline).await;
        let mut visitor = at_home(&world, &user).await;
        let list = visitor.open("/account/apps").await;
        let mut removed = false;
        for link in links(&list) {
            let page = visitor.open(&link).await;
            // Looking ends nothing.
            assert_eq!(userinfo(&world, kept.access()).await.status, 200);
            if !removed && is_of(&page, &world, &app.id, &user).await {
                let answer = visitor.submit(&page.form()).await;
                assert_eq!(answer.status, 303, "{}", answer.body);
                removed = true;
                world.heard_elsewhere().await;
                let again = visitor.submit(&page.form()).await;
                assert_eq!(again.status, 303, "a second click: {}", again.body);
            }
        }
        assert!(removed);
        assert_eq!(userinfo(&world, tokens.access()).await.status, 401);
        assert_eq!(app.refresh(&world, tokens.refresh()).await.status, 400);
        assert_eq!(app.redeem(&world, &waiting).await.status, 400);
        let answer = app.introspect(&world, tokens.refresh()).await;
        assert_eq!(answer.json()["active"], false, "{}", answer.body);
        assert_eq!(userinfo(&world, kept.access()).await.status, 200);
        assert_eq!(userinfo(&world, theirs.access()).await.status, 200);
        assert_eq!(links(&visitor.open("/account/apps").await).len(), 1);
        assert_eq!(trail(&world, &user).await.last().unwrap(), "consent.withdrawn");
        // The app is asked for consent again.
        let page = visitor.open(&app.url(&[])).await;
        assert!(page.asks_for_consent(), "{}", page.body);
    }

    async fn c086_nobody_sees_or_removes_what_another_allowed(world: World) {
        let (app, alex, eve) = (world.app().await, world.user().await, world.user().await);
        let tokens = app.grant(&world, &alex, &[]).await;
        app.grant(&world, &eve, &[]).await;
        let mut own = at_home(&world, &alex).await;
        let theirs = links(&own.open("/account/apps").await).remove(0);
        let mut evil = at_home(&world, &eve).await;
        let list = evil.open("/account/apps").await;
        let form = evil.open(&links(&list)[0]).await.form();
        evil.get(&theirs).await.assert_page(404, "Page not found");
        for odd in ["none", "%00", "a%00b", "%27", "%E2%80%AE"] {
            evil.get(&format!("/account/apps/{odd}")).await.assert_page(404, "Page not found");
        }
        let mut aimed = form.clone();
        aimed.action = theirs.clone();
        assert!(matches!(evil.submit(&aimed).await.status.as_u16(), 403 | 404));
        assert_eq!(userinfo(&world, tokens.access()).await.status, 200);
        assert_eq!(own.get(&theirs).await.status, 200);
    }
}

/// Whether this page is about what the user allows this client.
async fn is_of(page: &Answer, world: &World, client: &str, user: &accounts::users::User) -> bool {
    let mut conn = world.db.reader().await.expect("a connection");
    let consent = grants::consents::of(&user.sub, &client.into(), &mut conn).await;
    let consent = consent.expect("the database").expect("a consent");
    page.form().action.ends_with(consent.id.as_str())
}
