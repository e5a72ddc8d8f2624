//! The forms of logout: those that other sites send to us, and our own.

use crate::harness::app::post;
use crate::harness::visitor::Form;
use crate::harness::{Answer, Visitor};

use super::{BYE, app, logout};

/// A form on a page of the app.
fn form(fields: &[(&str, &str)]) -> Form {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Form {
        action: "/logout".to_owned(),
        fields: fields.iter().map(owned).collect(),
    }
}

/// What a browser does with a form of another site: no Lax cookie goes along, and the redirect that comes back is
/// followed with all of them.
async fn post_from_elsewhere(visitor: &mut Visitor<'_>, form: &Form) -> Answer {
    let headers = [
        ("origin", "https://app.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    let answer = visitor.elsewhere().submit_from(form, &headers).await;
    assert_eq!(answer.header("set-cookie"), None, "{:?}", answer.headers);
    visitor.follow(answer).await
}

everywhere! {
    async fn c009_a_post_of_another_site_is_validated_and_goes_on_as_a_get(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let good = form(&[
            ("id_token_hint", tokens.text("id_token")),
            ("post_logout_redirect_uri", BYE),
            ("state", "s t"),
        ]);
        for (name, value) in [
            ("post_logout_redirect_uri", "https://evil.test/"),
            ("client_id", "nobody"),
        ] {
            post_from_elsewhere(&mut visitor, &good.clone().with(name, value)).await.assert_rejected();
        }
        assert!(visitor.is_signed_in(&app).await);
        post_from_elsewhere(&mut visitor, &good).await.assert_leads_to(&format!("{BYE}?state=s+t"));
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn c065_a_post_without_hint_asks(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let page = post_from_elsewhere(&mut visitor, &form(&[("client_id", &app.id)])).await;
        page.assert_asks();
        assert!(page.has("<bdi>Test app</bdi> sent you here to sign out."));
        visitor.decide(&page, "sign-out").await.assert_signed_out();
    }

    async fn c064_the_page_that_asks_is_answered_only_from_itself_and_in_its_browser(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let page = visitor.open("/logout").await;
        let good = page.form().with("decision", "sign-out");

        for headers in [
            &[("origin", "https://evil.test")][..],
            &[("origin", "null")],
            &[],
            &[("origin", world.issuer.as_str()), ("sec-fetch-site", "cross-site")],
            &[("origin", world.issuer.as_str()), ("sec-fetch-site", "same-site")],
        ] {
            visitor.submit_from(&good, headers).await.assert_page(403, "Request rejected");
        }
        let other = visitor.open("/logout").await.form();
        for bad in [
            good.clone().without("csrf"),
            good.clone().with("csrf", other.value("csrf")),
            good.clone().with("csrf", "AAAA"),
        ] {
            visitor.submit(&bad).await.assert_page(403, "Request rejected");
        }
        // Without cookies, as another site would send it, and with those of somebody else.
        world.visitor().submit(&good).await.assert_page(403, "Request rejected");
        let (mut victim, _) = app.sign_in(&world, &world.user().await, &[]).await;
        let elsewhere = victim.submit(&good).await;
        assert_eq!(elsewhere.location().as_deref(), Some("/logout"), "it is asked anew");
        assert!(victim.is_signed_in(&app).await);
        assert!(visitor.is_signed_in(&app).await);

        visitor.submit(&good.with("decision", "maybe")).await.assert_rejected();
        assert!(visitor.is_signed_in(&app).await);
    }

    async fn c064_an_answer_counts_only_for_the_accounts_that_were_shown(world: World) {
        let (app, one, two) = (app(&world).await, world.user().await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &one, &[]).await;
        let page = visitor.open("/logout").await;
        visitor.add(&app, &two).await;
        let answer = visitor.decide(&page, "sign-out").await;
        answer.assert_page(403, "Request rejected");
        assert!(visitor.is_signed_in(&app).await);
    }

    async fn c009_the_way_back_is_taken_only_after_a_yes_and_every_answer_is_a_303(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let request = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
        let page = visitor.open(&logout(&request)).await;
        page.assert_asks();
        // Browsers apply form-action to the redirects that follow, the one to the app included.
        assert!(!page.header("content-security-policy").expect("a policy").contains("form-action"));
        let answer = visitor.submit(&page.form().with("decision", "sign-out")).await;
        assert_eq!(answer.status, 303);
        assert!(answer.location().expect("a way on").starts_with("/logout?flow="));
        visitor.follow(answer).await.assert_leads_to(&format!("{BYE}?state=s"));

        // A second click of the same button finds it done.
        let again = visitor.decide(&page, "sign-out").await;
        again.assert_signed_out();

        // Where no client waits, the form may end only with us.
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let page = visitor.open("/logout").await;
        assert!(page.header("content-security-policy").expect("a policy").contains("form-action 'self'"));
    }

    async fn c004_a_uri_that_is_taken_back_meanwhile_leads_nowhere(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let request = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", BYE)];
        let page = visitor.open(&logout(&request)).await;
        world
            .update(&app, serde_json::json!({
                "client_name": "Test app",
                "redirect_uris": [app.redirect_uri],
                "post_logout_redirect_uris": ["https://app.example.com/elsewhere"],
            }))
            .await;
        visitor.decide(&page, "sign-out").await.assert_rejected();
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn c011_flows_of_logout_and_of_sign_in_do_not_pass_for_each_other(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let mut visitor = world.visitor();
        let sign_in = visitor.open(&app.url(&[])).await.form().value("flow").to_owned();
        let answer = visitor.open(&app.url(&[])).await;
        visitor.sign_in(&answer, user.email.shown()).await;
        let page = visitor.open("/logout").await;
        let own = page.form().value("flow").to_owned();

        for path in ["/authorize", "/login", "/consent"] {
            let answer = visitor.open(&format!("{path}?flow={own}")).await;
            answer.assert_page(400, "This sign-in request has expired");
        }
        for path in ["/logout", "/logout/confirm"] {
            visitor.open(&format!("{path}?flow={sign_in}")).await.assert_asks();
            for altered in [own[1..].to_owned(), format!("{own}A"), own.to_lowercase(), String::new()] {
                visitor.open(&format!("{path}?flow={altered}")).await.assert_asks();
            }
        }

        // One that no browser owns yet begins at /logout and nowhere else.
        let answer = visitor.elsewhere().submit(&form(&[("client_id", &app.id)])).await;
        let unbound = answer.location().expect("a way on");
        let at_confirm = unbound.replace("/logout?", "/logout/confirm?");
        assert!(!visitor.open(&at_confirm).await.has("Test app"));
        assert!(visitor.open(&unbound).await.has("Test app"));
    }

    async fn c010_repeated_parameters_are_refused(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let good = [
            ("id_token_hint", tokens.text("id_token")),
            ("logout_hint", "x"),
            ("client_id", &app.id),
            ("post_logout_redirect_uri", BYE),
            ("state", "s"),
            ("ui_locales", "en"),
        ];
        for (name, value) in good {
            let twice: Vec<_> = good.into_iter().chain([(name, value)]).collect();
            visitor.open(&logout(&twice)).await.assert_rejected();
            let fields: Vec<_> = twice.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            post(&world, "/logout", &[], &fields).await.assert_rejected();
        }
        assert!(visitor.is_signed_in(&app).await);
        let unknown: Vec<_> = good.into_iter().chain([("foo", "1"), ("foo", "2")]).collect();
        visitor.open(&logout(&unknown)).await.assert_leads_to(&format!("{BYE}?state=s"));
    }

    async fn a_state_that_is_too_long_to_travel_is_refused_and_never_cut(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, _) = app.sign_in(&world, &user, &[]).await;
        let state = "s".repeat(5000);
        let request = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", &state)];
        visitor.open(&logout(&request)).await.assert_rejected();
        let state = "s".repeat(1000);
        let request = [("client_id", app.id.as_str()), ("post_logout_redirect_uri", BYE), ("state", &state)];
        let page = visitor.open(&logout(&request)).await;
        visitor.decide(&page, "sign-out").await.assert_leads_to(&format!("{BYE}?state={state}"));
    }

    async fn c061_a_browser_without_cookies_is_told_so_and_not_sent_in_circles(world: World) {
        let answer = world.visitor().get("/logout/confirm?flow=x").await;
        answer.assert_page(403, "Cookies need to be on");
        world.visitor().open("/logout?flow=x").await.assert_signed_out();
    }
}
