//! What an `id_token_hint` has to be before anything happens on its word.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::SigningAlg;
use serde_json::{Value, json};

use super::{BYE, app, logout, logout_of};
use crate::harness::app::payload;
use crate::harness::{App, Visitor, World};

/// A request that a hint would let through.
fn with_hint(hint: &str) -> String {
    logout(&[
        ("id_token_hint", hint),
        ("post_logout_redirect_uri", BYE),
        ("state", "s"),
    ])
}

/// A hint that is not believed asks, and what it vouched for is forgotten.
async fn is_not_believed(case: &str, hint: &str, app: &App, visitor: &mut Visitor<'_>) {
    let mut requests = vec![with_hint(hint)];
    requests.push(format!("{}&client_id={}", with_hint(hint), app.id));
    for request in requests {
        let page = visitor.open(&request).await;
        assert_eq!(page.status, 200, "{case}: {:?} {}", page.location(), page.body);
        page.assert_asks();
        assert!(!page.has("Test app") && !page.has("app.example.com"), "{case}");
    }
    assert!(visitor.is_signed_in(app).await, "{case}");
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

everywhere! {
    async fn c039_oidcc_rp_initiated_logout_modified_id_token_hint(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let good = tokens.text("id_token").to_owned();
        let claims = part(&tokens.id());
        let parts: Vec<&str> = good.split('.').collect();
        let another = world.user().await;
        let mut altered = tokens.id();
        altered["sub"] = another.sub.as_str().into();

        for (case, hint) in [
            ("alg none", format!("{}.{claims}.", part(&json!({ "alg": "none" })))),
            ("alg none with the signature", format!("{}.{claims}.{}", part(&json!({ "alg": "none" })), parts[2])),
            ("HMAC", format!("{}.{claims}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), parts[2])),
            ("no signature", format!("{}.{}.", parts[0], parts[1])),
            ("altered claims", format!("{}.{}.{}", parts[0], part(&altered), parts[2])),
            ("garbage", "x".to_owned()),
            ("dots", "..".to_owned()),
            ("long", "x".repeat(2000)),
            ("an access token", tokens.access().to_owned()),
        ] {
            is_not_believed(case, &hint, &app, &mut visitor).await;
        }

        // After the question it ends on our page, whatever was asked for.
        let page = visitor.open(&with_hint(&format!("{}.{}.", parts[0], parts[1]))).await;
        visitor.decide(&page, "sign-out").await.assert_signed_out();
        assert!(!visitor.is_signed_in(&app).await);
        // And without a session too.
        visitor.open(&with_hint("x")).await.assert_signed_out();
    }

    async fn c065_a_hint_of_another_session_asks(world: World) {
        let (app, one, two) = (app(&world).await, world.user().await, world.user().await);
        let elsewhere = app.grant(&world, &one, &[]).await;
        let (mut visitor, earlier) = app.sign_in(&world, &one, &[]).await;
        visitor.get(&logout_of(&earlier)).await.assert_leads_to(BYE);
        visitor.authorize(&app.url(&[]), one.email.shown()).await;
        let of_another = app.grant(&world, &two, &[]).await;

        for (case, tokens) in [
            ("of the user in another browser", &elsewhere),
            ("of the user before", &earlier),
            ("of another user", &of_another),
        ] {
            let page = visitor.open(&with_hint(tokens.text("id_token"))).await;
            page.assert_asks();
            // The hint is ours, so it does say which app asks, and where it may lead.
            assert!(page.has("<bdi>Test app</bdi> sent you here to sign out."), "{case}: {}", page.body);
            assert!(page.has("Afterwards you'll go to <bdi>app.example.com</bdi>"), "{case}");
            assert!(page.has(one.email.shown()), "{case}");
            assert!(visitor.is_signed_in(&app).await, "{case}");
        }
        let page = visitor.open(&with_hint(elsewhere.text("id_token"))).await;
        visitor.decide(&page, "sign-out").await.assert_leads_to(&format!("{BYE}?state=s"));
        assert!(!visitor.is_signed_in(&app).await);
    }

    async fn c004_client_id_has_to_name_the_client_that_the_hint_was_issued_to(world: World) {
        let (app, other, user) = (app(&world).await, app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let hint = tokens.text("id_token").to_owned();
        for id in [other.id.as_str(), "nobody", "\u{202e}"] {
            let request =
                [("id_token_hint", hint.as_str()), ("client_id", id), ("post_logout_redirect_uri", BYE)];
            visitor.open(&logout(&request)).await.assert_rejected();
        }
        let request = [("client_id", "nobody"), ("post_logout_redirect_uri", BYE)];
        visitor.open(&logout(&request)).await.assert_rejected();
        assert!(visitor.is_signed_in(&app).await);

        let request = [("id_token_hint", hint.as_str()), ("client_id", &app.id), ("post_logout_redirect_uri", BYE)];
        visitor.open(&logout(&request)).await.assert_leads_to(BYE);
    }

    async fn a_hint_of_a_client_that_is_gone_asks(world: World) {
        let (app, other, user) = (app(&world).await, world.app().await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        visitor.authorize(&other.url(&[]), user.email.shown()).await;
        world.end(revocation::Act::DeleteClient(app.id.as_str().into())).await;
        let page = visitor.open(&logout_of(&tokens)).await;
        page.assert_asks();
        visitor.decide(&page, "sign-out").await.assert_signed_out();
        assert!(!visitor.is_signed_in(&other).await);
    }
}

on_both_databases! {
    async fn c039_oidcc_rp_initiated_logout_bad_id_token_hint(world: World) {
        let (app, user) = (app(&world).await, world.user().await);
        let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
        let claims = tokens.id();
        let own = |alg, typ: &str, claims: &Value| {
            let signer = world.keyring().signer(alg, world.now()).expect("a key");
            signer.sign(typ, claims).expect("a token")
        };
        let but = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            claims
        };
        let foreign = World::sqlite().await;
        let key = foreign.keyring().signer(SigningAlg::Rs256, foreign.now()).expect("a key");

        for (case, hint) in [
            ("a foreign key", key.sign("JWT", &claims).expect("a token")),
            ("another issuer", own(SigningAlg::Rs256, "JWT", &but("iss", "https://evil.test".into()))),
            ("another type", own(SigningAlg::Rs256, "logout+jwt", &claims)),
            ("an access token's type", own(SigningAlg::Rs256, "at+jwt", &claims)),
            ("no user", own(SigningAlg::Rs256, "JWT", &but("sub", Value::Null))),
            ("no audience", own(SigningAlg::Rs256, "JWT", &but("aud", Value::Null))),
        ] {
            is_not_believed(case, &hint, &app, &mut visitor).await;
        }

        // Ours, but not of this session: it asks, and does know the client.
        for (case, hint) in [
            ("no sid", own(SigningAlg::Rs256, "JWT", &but("sid", Value::Null))),
            ("a guessed sid", own(SigningAlg::Rs256, "JWT", &but("sid", "A".repeat(22).into()))),
        ] {
            let page = visitor.open(&with_hint(&hint)).await;
            page.assert_asks();
            assert!(page.has("Test app"), "{case}");
        }
        // The very same claims by a key of ours do end it: each refusal above was for its own reason.
        let good = own(SigningAlg::Es256, "JWT", &payload(tokens.text("id_token")));
        visitor.open(&with_hint(&good)).await.assert_leads_to(&format!("{BYE}?state=s"));
    }
}
