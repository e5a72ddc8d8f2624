//! The main job, end to end, at its barest.

use crate::harness::app::userinfo;

everywhere! {
    async fn a_person_signs_in_allows_and_the_app_learns_who_it_is(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let mut visitor = world.visitor();
        let redirect = visitor.authorize(&app.url(&[]), user.email.shown()).await;
        assert_eq!(redirect.param("state").as_deref(), Some("st-ate"));
        assert_eq!(redirect.param("iss").as_deref(), Some(world.issuer.as_str()));

        let tokens = app.tokens(&world, &redirect).await;
        let id = tokens.id();
        assert_eq!(id["sub"], user.sub.as_str());
        assert_eq!(id["nonce"], "n-once");

        let claims = userinfo(&world, tokens.access()).await;
        assert_eq!(claims.status, 200, "{}", claims.body);
        assert_eq!(claims.json()["name"], "Alex Example");
        assert_eq!(claims.json()["sub"], user.sub.as_str());
    }
}
