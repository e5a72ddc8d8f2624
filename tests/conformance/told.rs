//! The modules about how a client is told things, as it registered: `id_token_signed_response_alg` and
//! `userinfo_signed_response_alg`.

use serde_json::{Value, json};

use super::run::Run;
use crate::harness::app::{address, header, payload, userinfo};

/// What a client that registered these members has got in the end: ID tokens, and an access token where there is one.
async fn told(run: &mut Run<'_>, members: Value) -> (Vec<String>, Option<String>) {
    run.register(&members).await;
    let params = run.params(&[]);
    let mut visitor = run.world.visitor();
    let answer = visitor.authorize(&address(&params), run.user.email.shown()).await;
    run.arrived(&params, &answer);
    let (mut id_tokens, mut access_token) = (
        Vec::from_iter(answer.param("id_token")),
        answer.param("access_token"),
    );
    if let Some(code) = answer.param("code") {
        let redeemed = run.redeem(&code, &[]).await;
        assert_eq!(redeemed.status, 200, "{}", redeemed.body);
        let text = |name: &str| redeemed.json()[name].as_str().map(str::to_owned);
        id_tokens.extend(text("id_token"));
        access_token = text("access_token");
    }
    (id_tokens, access_token)
}

async fn is_signed_by_rs256(run: &Run<'_>, token: &str) {
    let head = header(token);
    assert_eq!(head["alg"], "RS256");
    assert!(head["kid"].is_string(), "{head}");
    let jwks = run.world.visitor().get("/jwks").await.body;
    let keys = jws::KeySet::parse(jwks.as_bytes(), None).expect("a key set");
    let token = jws::Unverified::parse(token).expect("a token");
    let verdict = token.verify(&keys, &[jws::Alg::Rs256], jws::Typ::JwtOrAbsent);
    assert!(verdict.is_ok(), "{:?}", verdict.err());
}

pub(super) async fn oidcc_idtoken_rs256(mut run: Run<'_>) {
    let (id_tokens, _) = told(&mut run, json!({ "id_token_signed_response_alg": "RS256" })).await;
    assert!(!id_tokens.is_empty());
    for id_token in id_tokens {
        is_signed_by_rs256(&run, &id_token).await;
    }
}

pub(super) async fn oidcc_userinfo_rs256(mut run: Run<'_>) {
    let (id_tokens, access_token) = told(&mut run, json!({ "userinfo_signed_response_alg": "RS256" })).await;
    // `response_type=id_token` leads to no access token, and the suite asks nothing.
    let Some(access_token) = access_token else {
        return;
    };
    let answer = userinfo(run.world, &access_token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/jwt"));
    is_signed_by_rs256(&run, &answer.body).await;
    let claims = payload(&answer.body);
    assert_eq!(claims["iss"], run.world.issuer);
    assert_eq!(claims["aud"], run.app.id);
    assert!(claims.get("nonce").is_none(), "{claims}");
    for id_token in id_tokens {
        assert_eq!(claims["sub"], payload(&id_token)["sub"]);
    }
}
