//! Answers that end no sign-in: of another request, another browser, another time, or about somebody else.

use super::*;

#[tokio::test]
async fn a_callback_that_does_not_fit_the_request_is_refused_and_redeems_nothing() {
    let mut demo = Demo::start().await;
    let issuer = demo.issuer.url().to_owned();
    let state = demo.begin().await["state"].clone();
    let (state, issuer) = (state.as_str(), issuer.as_str());
    let slash = format!("{issuer}/");
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "wrong state",
            &[("code", "code"), ("state", "guessed"), ("iss", issuer)],
        ),
        ("no state", &[("code", "code"), ("iss", issuer)]),
        (
            "two states",
            &[
                ("code", "code"),
                ("state", state),
                ("state", "x"),
                ("iss", issuer),
            ],
        ),
        (
            "wrong iss",
            &[
                ("code", "code"),
                ("state", state),
                ("iss", "https://evil.example"),
            ],
        ),
        (
            "almost our iss",
            &[("code", "code"), ("state", state), ("iss", &slash)],
        ),
        ("no iss", &[("code", "code"), ("state", state)]),
        (
            "two issuers",
            &[
                ("code", "code"),
                ("state", state),
                ("iss", issuer),
                ("iss", "https://evil.example"),
            ],
        ),
        (
            "an error of another issuer",
            &[
                ("error", "access_denied"),
                ("state", state),
                ("iss", "https://evil.example"),
            ],
        ),
        ("nothing", &[]),
    ];
    for (case, params) in cases {
        let seen = demo.get(&callback(params)).await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{case}");
        assert!(seen.body.contains("<html"), "{case}: a page for people");
        assert!(!seen.headers.contains_key(SET_COOKIE), "{case}: no session");
    }
    assert!(demo.issuer.script().redeemed.is_empty());

    // None of them burned the sign-in of its owner.
    let good = callback(&[("code", "code"), ("state", state), ("iss", issuer)]);
    assert_eq!(demo.get(&good).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_sign_in_ends_only_in_the_browser_that_began_it() {
    let mut demo = Demo::start().await;
    let asked = demo.begin().await;
    let url = demo.callback(&asked);

    let own = std::mem::take(&mut demo.cookies);
    assert_eq!(demo.get(&url).await.status, StatusCode::BAD_REQUEST, "no cookie");
    demo.cookies
        .insert("demo_browser".to_owned(), "another".to_owned());
    assert_eq!(
        demo.get(&url).await.status,
        StatusCode::BAD_REQUEST,
        "another browser"
    );
    demo.cookies = own;
    assert_eq!(demo.get(&url).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_replayed_callback_is_refused() {
    let mut demo = Demo::start().await;
    let asked = demo.begin().await;
    let url = demo.callback(&asked);
    assert_eq!(demo.get(&url).await.status, StatusCode::SEE_OTHER);
    let seen = demo.get(&url).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(!seen.headers.contains_key(SET_COOKIE));
    assert_eq!(demo.issuer.script().redeemed.len(), 1, "the code goes out once");
}

#[tokio::test]
async fn two_tabs_of_one_browser_may_sign_in_at_once() {
    let mut demo = Demo::start().await;
    let (first, second) = (demo.begin().await, demo.begin().await);
    for asked in [second, first] {
        demo.issuer.script().id_token["nonce"] = asked["nonce"].clone().into();
        let url = demo.callback(&asked);
        assert_eq!(demo.get(&url).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn c043_an_id_token_that_lies_signs_nobody_in() {
    let lies = [
        ("nonce of another request", json!({ "nonce": "another" })),
        ("no nonce", json!({ "nonce": null })),
        ("another audience", json!({ "aud": "another client" })),
        (
            "one audience more",
            json!({ "aud": [CLIENT_ID, "another client"] }),
        ),
        ("another issuer", json!({ "iss": "https://evil.example" })),
        ("expired", json!({ "exp": START })),
        (
            "at_hash of another token",
            json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }),
        ),
        ("no ID token", json!(false)),
    ];
    let mut demo = Demo::start().await;
    for (case, lie) in lies {
        demo.issuer.script().id_token = lie;
        let seen = demo.sign_in().await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{case}");
        assert!(!seen.headers.contains_key(SET_COOKIE), "{case}: no session");
    }
    demo.issuer.script().id_token = json!({});
    assert_eq!(demo.sign_in().await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn c039_an_id_token_signed_with_our_secret_is_refused_though_the_metadata_offer_it() {
    let mut demo = Demo::start().await;
    demo.issuer.script().hmac = true;
    demo.issuer.script().id_token = json!({ "at_hash": null });
    assert_eq!(demo.sign_in().await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn userinfo_about_somebody_else_signs_nobody_in() {
    let mut demo = Demo::start().await;
    demo.issuer.script().userinfo_sub = Some("eve".to_owned());
    let seen = demo.sign_in().await;
    assert_eq!(seen.status, StatusCode::BAD_GATEWAY);
    assert!(!seen.headers.contains_key(SET_COOKIE));
}
