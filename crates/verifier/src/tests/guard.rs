//! The layer, the extractor, and the metadata of the resource server.

use axum::body::to_bytes;
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::Value;

use super::*;

const PATH: &str = "/.well-known/oauth-protected-resource";

async fn whoami(token: Authenticated) -> String {
    token.sub.to_string()
}

async fn admin(token: Authenticated) -> Result<String, Error> {
    token.require_role("admin")?;
    Ok("welcome".to_owned())
}

async fn open() -> &'static str {
    "open"
}

#[tokio::test]
async fn a_layer_guards_every_route_before_it_and_none_behind() {
    #[derive(Clone)]
    struct Own;
    let issuer = Issuer::start().await;
    let router: Router = Router::new()
        .route("/whoami", get(whoami))
        .route("/unasked", get(open))
        .with_state(Own)
        .layer(issuer.verifier().layer())
        .route("/health", get(open));
    let token = format!("Bearer {}", issuer.token(&json!({})));
    for path in ["/whoami", "/unasked"] {
        let (status, headers) = send(&router, path, &[]).await;
        assert_eq!(
            (status, challenge(&headers)),
            (StatusCode::UNAUTHORIZED, "Bearer"),
            "{path}"
        );
        assert_eq!(
            send(&router, path, &["Bearer x"]).await.0,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(send(&router, path, &[&token]).await.0, StatusCode::OK, "{path}");
    }
    assert_eq!(send(&router, "/health", &[]).await.0, StatusCode::OK);
    let response = router.oneshot(
        Request::get("/whoami")
            .header(AUTHORIZATION, token)
            .body(Body::empty())
            .unwrap(),
    );
    let body = to_bytes(response.await.unwrap().into_body(), 99).await.unwrap();
    assert_eq!(body, "user");
}

#[tokio::test]
async fn a_handler_finds_its_verifier_in_the_layer_the_state_or_an_extension_or_refuses() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = format!("Bearer {}", issuer.token(&json!({})));
    let route = || Router::new().route("/whoami", get(whoami));
    for router in [
        route().with_state(verifier.clone()),
        Router::new()
            .route("/whoami", get(whoami))
            .layer(Extension(verifier.clone())),
    ] {
        assert_eq!(send(&router, "/whoami", &[&token]).await.0, StatusCode::OK);
        assert_eq!(send(&router, "/whoami", &[]).await.0, StatusCode::UNAUTHORIZED);
    }
    let forgotten: Router = Router::new().route("/whoami", get(whoami));
    assert_eq!(
        send(&forgotten, "/whoami", &[&token]).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn a_role_is_asked_for_and_named() {
    let issuer = Issuer::start().await;
    let router: Router = Router::new()
        .route("/admin", get(admin))
        .layer(issuer.verifier().layer());
    let token = |roles: Value| format!("Bearer {}", issuer.token(&json!({ "roles": roles })));
    assert_eq!(
        send(&router, "/admin", &[&token(json!(["user", "admin"]))])
            .await
            .0,
        StatusCode::OK
    );
    for roles in [json!(null), json!([]), json!(["administrator"])] {
        let (status, headers) = send(&router, "/admin", &[&token(roles)]).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(challenge(&headers).starts_with("Bearer error=\"insufficient_scope\""));
        assert!(challenge(&headers).contains("the role admin"));
    }
}

#[tokio::test]
async fn what_every_token_needs_is_asked_of_each() {
    let issuer = Issuer::start().await;
    let verifier = issuer
        .builder()
        .scopes(["reports:read"])
        .roles(["staff"])
        .build()
        .unwrap();
    let verdict = async |claims: Value| verifier.verify(&issuer.token(&claims)).await.map(drop);
    assert!(verdict(json!({ "roles": ["staff"] })).await.is_ok());
    // A token that was seen before is no exception.
    for _ in 0..2 {
        let lacking = verdict(json!({ "roles": ["staff"], "scope": "openid" })).await;
        assert!(matches!(lacking, Err(Error::InsufficientScope(scope)) if scope == "reports:read"));
        assert!(matches!(verdict(json!({})).await, Err(Error::MissingRole(role)) if role == "staff"));
    }
}

#[tokio::test]
async fn the_metadata_is_served_and_named_in_challenges() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let guarded = || {
        Router::new()
            .route("/whoami", get(whoami))
            .layer(verifier.layer())
    };
    assert_eq!(challenge(&send(&guarded(), "/whoami", &[]).await.1), "Bearer");

    let metadata = verifier
        .metadata()
        .scopes(["reports:read"])
        .name("Reports")
        .documentation("https://api.test/docs");
    let router = guarded().merge(metadata.route().unwrap());
    let named = format!("resource_metadata=\"{AUDIENCE}{PATH}\"");
    assert_eq!(
        challenge(&send(&router, "/whoami", &[]).await.1),
        format!("Bearer {named}")
    );
    let (status, headers) = send(&router, "/whoami", &["Bearer x"]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let text = challenge(&headers);
    assert!(
        text.starts_with("Bearer error=\"invalid_token\"") && text.ends_with(&format!(", {named}")),
        "{text}"
    );
    // Without a layer as well.
    let by_state = Router::new()
        .route("/whoami", get(whoami))
        .with_state(verifier.clone());
    assert_eq!(
        challenge(&send(&by_state, "/whoami", &[]).await.1),
        format!("Bearer {named}")
    );

    let response = router
        .oneshot(Request::get(PATH).body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let body = to_bytes(response.into_body(), 9999).await.unwrap();
    let expected = json!({
        "resource": AUDIENCE,
        "authorization_servers": [issuer.url],
        "scopes_supported": ["reports:read"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Reports",
        "resource_documentation": "https://api.test/docs",
    });
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    let Json(written) = Json(serde_json::to_value(verifier.metadata()).unwrap());
    assert_eq!(written["resource"], AUDIENCE);
}

#[tokio::test]
async fn what_a_handler_asks_for_besides_stays_beside_the_place_of_the_metadata() {
    async fn refuse() -> Response {
        let challenges = [
            (WWW_AUTHENTICATE, "Negotiate"),
            (WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\""),
            (WWW_AUTHENTICATE, "Basic realm=\"a\""),
        ];
        (StatusCode::UNAUTHORIZED, AppendHeaders(challenges)).into_response()
    }
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let router: Router = Router::new()
        .route("/refuse", get(refuse))
        .layer(verifier.layer())
        .merge(verifier.metadata().route().unwrap());
    let token = format!("Bearer {}", issuer.token(&json!({})));
    let (_, headers) = send(&router, "/refuse", &[&token]).await;
    let challenges: Vec<&str> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(|own| own.to_str().unwrap())
        .collect();
    let named = format!("Bearer error=\"insufficient_scope\", resource_metadata=\"{AUDIENCE}{PATH}\"");
    assert_eq!(challenges, ["Negotiate", &named, "Basic realm=\"a\""]);
}

#[tokio::test]
async fn what_is_no_url_has_no_place_for_metadata() {
    let issuer = Issuer::start().await;
    let verifier = Verifier::discover(&issuer.url)
        .audience("urn:reports")
        .build()
        .unwrap();
    assert!(matches!(
        verifier.metadata().route::<()>(),
        Err(Error::Setting(_))
    ));
}
