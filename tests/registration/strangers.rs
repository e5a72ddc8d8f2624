//! What a client that registered itself cannot have the server do to people.

use super::*;

/// A page that says where it leads and waits.
fn waits(answer: &Answer, error: &str) {
    assert_eq!(answer.status, 200, "{:?} {}", answer.location(), answer.body);
    assert!(
        answer.has("id=\"leave\"") && answer.has("app.example.com"),
        "{}",
        answer.body
    );
    assert!(answer.has("We haven't checked this app"), "{}", answer.body);
    assert!(
        answer.has(&format!("<code>{error}</code>")),
        "{error}: {}",
        answer.body
    );
    assert!(
        !answer.has("<script") && !answer.has("http-equiv"),
        "{}",
        answer.body
    );
}

everywhere! {
    async fn c014_nobody_is_sent_unasked_to_an_app_that_registered_itself(world: World) {
        let own = Itself::new(&world, &usual()).await;
        let (app, user) = (own.app(), world.user().await);
        let mut visitor = world.visitor();
        for (changes, error) in [
            (&[("scope", "nonsense")][..], "invalid_scope"),
            (&[("response_type", "nonsense")], "unsupported_response_type"),
            (&[("prompt", "none")], "login_required"),
            (&[("request", "a.b.c")], "invalid_request_object"),
        ] {
            let answer = visitor.open(&app.url(changes)).await;
            waits(&answer, error);
            let link = format!("href=\"https://app.example.com/cb?error={error}&#38;");
            assert!(answer.has(&link), "{}", answer.body);
            assert!(answer.has("state=st-ate&#38;iss="), "{}", answer.body);
        }
        let form = visitor.open(&app.url(&[("prompt", "none"), ("response_mode", "form_post")])).await;
        waits(&form, "login_required");
        assert!(form.has("<form method=\"post\" action=\"https://app.example.com/cb\">"), "{}", form.body);

        // Whoever allows it goes there, each time anew; whoever does not is asked whether to go.
        for _ in 0..2 {
            let redirect = visitor.authorize(&app.url(&[]), user.email.shown()).await;
            app.tokens(&world, &redirect).await;
            let again = visitor.open(&app.url(&[])).await;
            assert!(again.asks_for_consent(), "{}", again.body);
            waits(&visitor.decide(&again, "deny").await, "access_denied");
            waits(&visitor.open(&app.url(&[("prompt", "none")])).await, "consent_required");
            visitor = world.visitor();
        }
    }
}
