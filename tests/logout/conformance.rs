//! The modules of the OpenID Foundation's RP-initiated logout test plan, by their names.

use crate::harness::visitor::client;

use super::{BYE, app, logout, logout_of};

everywhere! {
    async fn oidcc_rp_initiated_logout_discovery_endpoint_verification(world: World) {
        let answer = crate::harness::app::answer(
            client().get(world.at("/.well-known/openid-configuration")),
        ).await;
        let metadata = answer.json();
        assert_eq!(metadata["end_session_endpoint"], format!("{}/logout", world.issuer));
        let claims = metadata["claims_supported"].as_array().expect("a list");
        assert!(claims.contains(&"sid".into()));
        // What does not work is not announced.
        assert_eq!(metadata.get("check_session_iframe"), None);
    }

    async fn oidcc_rp_initiated_logout(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let state = "s".repeat(128);
        let request = [
            ("id_token_hint", tokens.text("id_token")),
            ("post_logout_redirect_uri", BYE),
            ("state", &state),
        ];
        visitor.open(&logout(&request)).await.assert_leads_to(&format!("{BYE}?state={state}"));
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn oidcc_rp_initiated_logout_no_state(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.open(&logout_of(&tokens)).await.assert_leads_to(BYE);
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn c004_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri_and_query_added(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        for uri in [
            "https://app.example.com/bye?foo=bar",
            "https://app.example.com/bye/",
            "https://app.example.com/bye#f",
            "https://app.example.com/BYE",
            "https://app.example.com/cb",
            "https://evil.test/",
            "//evil.test/",
            "/login",
            "javascript:alert(1)",
            "https://app.example.com/bye\r\nLocation: https://evil.test/",
        ] {
            let hinted = [("id_token_hint", tokens.text("id_token")), ("post_logout_redirect_uri", uri)];
            let named = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", uri)];
            for request in [hinted, named] {
                let answer = visitor.open(&logout(&request)).await;
                answer.assert_rejected();
                assert!(!answer.has("evil.test"), "{}", answer.body);
            }
        }
        assert!(visitor.is_signed_in(&app).await, "nothing was ended");
    }

    async fn c065_oidcc_rp_initiated_logout_no_id_token_hint(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let request = [("post_logout_redirect_uri", BYE), ("state", "s")];
        let page = visitor.open(&logout(&request)).await;
        page.assert_asks();
        assert!(visitor.is_signed_in(&app).await, "it only asks");
        // Nobody knows whose URI that is.
        visitor.decide(&page, "sign-out").await.assert_signed_out();
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn oidcc_rp_initiated_logout_no_params_only_state_and_no_post_logout_redirect_uri(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        for request in [&[][..], &[("state", "s")]] {
            let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
            let page = visitor.open(&logout(request)).await;
            page.assert_asks();
            visitor.decide(&page, "sign-out").await.assert_signed_out();
            assert!(!visitor.is_signed_in(&app).await);
        }
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let request = [("id_token_hint", tokens.text("id_token")), ("state", "s")];
        visitor.open(&logout(&request)).await.assert_signed_out();
        assert!(!visitor.is_signed_in(&app).await);
    }
}
