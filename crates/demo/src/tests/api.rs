//! The demo API, asked by whoever.

use super::*;

#[tokio::test]
async fn the_api_greets_only_who_brings_a_token_meant_for_it() {
    let demo = Demo::start().await;
    let clock = Clock::Manual(Arc::clone(&demo.now));
    let api = api_of(&demo.issuer, &demo.api, clock);
    let audience = demo.api.as_str();
    let cases = [
        ("no token", None, StatusCode::UNAUTHORIZED),
        ("noise", Some("noise".to_owned()), StatusCode::UNAUTHORIZED),
        (
            "for another API",
            Some(
                demo.issuer
                    .access_token("https://other.example/", crate::API_SCOPE),
            ),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "for other things",
            Some(demo.issuer.access_token(audience, "openid")),
            StatusCode::FORBIDDEN,
        ),
        (
            "for this",
            Some(demo.issuer.access_token(audience, "openid greetings.read")),
            StatusCode::OK,
        ),
    ];
    for (case, token, status) in cases {
        let mut request = Request::get("/greeting");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = api
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{case}");
        if status == StatusCode::OK {
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let expected = json!({
                "greeting": "Hello, ada",
                "scope": "greetings.read openid",
                "expires_in": ACCESS_TOKEN_SECONDS,
            });
            assert_eq!(body, expected);
        }
    }
    let about = api
        .oneshot(Request::get("/").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(about.status(), StatusCode::OK);
}

#[test]
fn the_api_is_named_as_a_url_writes_it() {
    assert_eq!(Url::parse(crate::API).unwrap().as_str(), crate::API);
}
