//! C064 and C009: whose forms are answered, and how.

use std::collections::BTreeMap;

use http::StatusCode;

use crate::harness::visitor::Form;
use crate::harness::world::PASSWORD;
use crate::harness::{Answer, Visitor, World};

/// Every form of ours, filled in, on the page where it stands.
async fn forms<'w>(world: &'w World, visitor: &mut Visitor<'w>) -> Vec<(&'static str, Form)> {
    let (app, user) = (world.app().await, world.user().await);
    let login = visitor.open(&app.url(&[])).await;
    let filled = login
        .form()
        .with("username", user.email.shown())
        .with("password", PASSWORD);
    let consent = visitor.sign_in(&login, user.email.shown()).await;
    assert!(consent.has("id=\"consent-allow\""), "{}", consent.body);
    let again = visitor
        .open(&app.url(&[("prompt", "login"), ("state", "again")]))
        .await;
    let leave = visitor.open("/logout").await;
    vec![
        ("sign-in", filled.clone()),
        ("cancel", filled.with("decision", "cancel")),
        ("allow", consent.form().with("decision", "allow")),
        ("deny", consent.form().with("decision", "deny")),
        (
            "confirm",
            again
                .form()
                .with("username", user.email.shown())
                .with("password", PASSWORD),
        ),
        ("stay", leave.form().with("decision", "stay")),
        ("sign-out", leave.form().with("decision", "sign-out")),
    ]
}

on_both_databases! {
    async fn c064_a_form_that_other_sites_send_changes_nothing(world: World) {
        let issuer = world.issuer.clone();
        let own = [("origin", issuer.as_str())];
        let foreign: &[&[(&str, &str)]] = &[
            &[],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:9")],
            &[("sec-fetch-site", "cross-site"), own[0]],
            &[("sec-fetch-site", "same-site"), own[0]],
            &[("sec-fetch-site", "none"), own[0]],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[own[0], ("origin", "https://evil.example")],
        ];
        let mut visitor = world.visitor();
        for (name, form) in forms(&world, &mut visitor).await {
            let before = (world.row_counts().await, visitor.cookies.clone());
            let mut refused = async |what: String, form: &Form, headers: &[(&str, &str)]| {
                let answer = visitor.submit_from(form, headers).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}: {}", answer.body);
                assert!(answer.has("Request rejected"), "{what}: {}", answer.body);
                assert_eq!((world.row_counts().await, visitor.cookies.clone()), before, "{what}");
            };
            for headers in foreign {
                refused(format!("{name} with {headers:?}"), &form, headers).await;
            }
            let token = form.value("csrf");
            let flipped = if token.starts_with('A') { "B" } else { "A" };
            let altered = format!("{flipped}{}", &token[1..]);
            for wrong in ["", "x", &altered, &"A".repeat(43)] {
                refused(format!("{name} with the token {wrong}"), &form.clone().with("csrf", wrong), &own).await;
            }
            refused(format!("{name} without a token"), &form.without("csrf"), &own).await;
        }
    }

    async fn c064_a_form_sent_without_our_cookies_or_with_those_of_another_browser_changes_nothing(world: World) {
        let mut visitor = world.visitor();
        let forms = forms(&world, &mut visitor).await;
        let mut other = visitor.elsewhere();
        other.open(&world.app().await.url(&[])).await;
        let before = world.row_counts().await;
        // The forms of logout are asked anew instead: tests/logout/forms.rs.
        let expiring = forms.into_iter().filter(|(name, _)| !["stay", "sign-out"].contains(name));
        for (name, form) in expiring {
            // A cross-site POST brings no Lax cookie along.
            let cross_site = visitor.elsewhere().submit_from(&form, &[("origin", "https://evil.example")]).await;
            assert_eq!(cross_site.status, StatusCode::FORBIDDEN, "{name}: {}", cross_site.body);
            for cookies in [BTreeMap::new(), other.cookies.clone()] {
                let mut stranger = visitor.elsewhere();
                stranger.cookies = cookies;
                let answer = stranger.submit(&form).await;
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}: {}", answer.body);
                assert!(answer.has("This sign-in request has expired"), "{name}: {}", answer.body);
            }
            assert_eq!(world.row_counts().await, before, "{name}");
        }
    }
}

#[tokio::test]
async fn c064_a_token_of_one_form_does_not_fit_another() {
    let world = World::sqlite().await;
    let mut visitor = world.visitor();
    let forms = forms(&world, &mut visitor).await;
    let issuer = world.issuer.clone();
    for (name, form) in &forms {
        for (other_name, other) in &forms {
            if form.value("csrf") == other.value("csrf") {
                continue;
            }
            let mixed = form.clone().with("csrf", other.value("csrf"));
            let answer = visitor.submit_from(&mixed, &[("origin", &issuer)]).await;
            assert_eq!(
                answer.status,
                StatusCode::FORBIDDEN,
                "{name} with the token of {other_name}"
            );
        }
    }
}

#[tokio::test]
async fn c009_after_a_form_the_browser_is_sent_on_by_303() {
    let world = World::sqlite().await;
    let mut visitor = world.visitor();
    let mut answers: Vec<(&str, Answer)> = Vec::new();
    for (name, form) in forms(&world, &mut visitor).await {
        answers.push((name, visitor.submit(&form).await));
    }
    // The endpoint itself may be posted to by the app's site.
    let app = world.app().await;
    let request = Form {
        action: "/authorize".to_owned(),
        fields: app
            .request()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    let posted = visitor
        .submit_from(&request, &[("origin", "https://app.example.com")])
        .await;
    answers.push(("authorize", posted));
    for invalid in ["response_type", "scope"] {
        let request = request.clone().with(invalid, "nonsense");
        answers.push((invalid, visitor.submit_from(&request, &[]).await));
    }
    for (name, answer) in answers {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}: {}", answer.body);
        assert!(answer.location().is_some(), "{name}");
    }
}
