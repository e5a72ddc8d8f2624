//! How what a client is told is signed and encrypted: OpenID Connect Core §10, §3.1.3.6 and §5.3.2, Dynamic Client
//! Registration §2. By a library that we did not write where it can, and by keys that we did not choose.

mod encryption;
mod secrets;

use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse as _,
};
use protocol::{ResponseType, ResponseTypes};
use serde_json::{Value, json};

use crate::harness::app::{answer, header, payload, userinfo};
use crate::harness::visitor::client;
use crate::harness::world::Own;
use crate::harness::{App, World};
use crate::relying_party::Carrier;

const ALGS: [&str; 5] = ["RS256", "PS256", "ES256", "EdDSA", "HS256"];

async fn signed_by(alg: &str, world: &World) -> App {
    world
        .app_with(json!({ "id_token_signed_response_alg": alg }))
        .await
}

/// The claims of a token that a key of the server has signed, or the secret of this app.
async fn verified(token: &str, app: &App, world: &World) -> Value {
    let parsed = jws::Unverified::parse(token).expect("a token");
    let typ = jws::Typ::JwtOrAbsent;
    let claims = match parsed.alg() {
        Some(_) => {
            let jwks = world.visitor().get("/jwks").await.body;
            let keys = jws::KeySet::parse(jwks.as_bytes(), None).expect("a key set");
            parsed
                .verify(&keys, jws::Alg::ALL, typ)
                .expect("a good signature")
                .claims()
        }
        None => {
            let secret = app.secret.as_ref().expect("a secret").expose().as_bytes();
            parsed
                .verify_by_secret([secret], typ)
                .expect("a good signature")
                .claims()
        }
    };
    claims.expect("claims")
}

/// `at_hash` and `c_hash` as the algorithm of the token has them.
fn half_hash(alg: &str, text: &str) -> String {
    let digest = match alg {
        "EdDSA" => seal::sha512(text.as_bytes()).to_vec(),
        _ => seal::sha256(text.as_bytes()).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2])
}

/// HS256 by any secret.
fn forged(claims: &Value, secret: &[u8]) -> String {
    jose::sign_by_secret("JWT", claims, secret).expect("a token")
}

fn known_to_the_library(alg: &str) -> CoreJwsSigningAlgorithm {
    serde_json::from_value(json!(alg)).expect("an algorithm of the library")
}

everywhere! {
    async fn a_library_believes_id_tokens_by_the_algorithm_that_its_client_registered(world: World) {
        let user = world.user().await;
        let carrier = Carrier(&world);
        let issuer = IssuerUrl::new(world.issuer.clone()).unwrap();
        let metadata = CoreProviderMetadata::discover_async(issuer, &carrier).await.unwrap();
        for alg in ALGS {
            let app = signed_by(alg, &world).await;
            let secret = ClientSecret::new(app.secret.as_ref().unwrap().expose().to_owned());
            let rp = CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(app.id.clone()), Some(secret))
                .set_redirect_uri(RedirectUrl::new(app.redirect_uri.clone()).unwrap());
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let (url, _, nonce) = rp
                .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
                .add_scope(Scope::new("offline_access".to_owned()))
                .set_pkce_challenge(challenge)
                .url();
            let redirect = world.visitor().authorize(url.as_str(), user.email.shown()).await;
            let code = AuthorizationCode::new(redirect.param("code").expect("a code"));
            let exchange = rp.exchange_code(code).unwrap().set_pkce_verifier(verifier);
            let tokens = exchange.request_async(&carrier).await.unwrap();

            let verifier = rp.id_token_verifier().set_allowed_algs([known_to_the_library(alg)]);
            let id_token = tokens.id_token().expect("an ID token");
            let claims = id_token.claims(&verifier, &nonce).unwrap();
            assert_eq!(claims.subject().as_str(), user.sub.as_str());
            let access = tokens.access_token();
            if alg == "HS256" {
                let expected = AccessTokenHash::new(half_hash(alg, access.secret()));
                assert_eq!(claims.access_token_hash(), Some(&expected));
            } else {
                let key = id_token.signing_key(&verifier).unwrap();
                let expected = AccessTokenHash::from_token(access, id_token.signing_alg().unwrap(), key).unwrap();
                assert_eq!(claims.access_token_hash(), Some(&expected), "{alg}");
            }
            let refresh_token = tokens.refresh_token().expect("a refresh token");
            let again = rp.exchange_refresh_token(refresh_token).unwrap().request_async(&carrier).await.unwrap();
            let id_token = again.id_token().expect("an ID token");
            id_token.claims(&verifier, |_: Option<&Nonce>| Ok(())).unwrap();
            // Nobody else's algorithm is believed instead.
            for other in ALGS.iter().filter(|other| **other != alg) {
                let verifier = rp.id_token_verifier().set_allowed_algs([known_to_the_library(other)]);
                assert!(id_token.claims(&verifier, |_: Option<&Nonce>| Ok(())).is_err(), "{alg} {other}");
            }
        }
    }

    async fn c039_an_id_token_hint_is_believed_by_the_algorithm_of_its_client(world: World) {
        let user = world.user().await;
        for alg in ALGS {
            let app = signed_by(alg, &world).await;
            let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
            let hint = tokens.text("id_token");
            assert_eq!(header(hint)["alg"], alg);
            let silently = |hint: &str| app.url(&[("prompt", "none"), ("id_token_hint", hint)]);
            assert!(visitor.open(&silently(hint)).await.param("code").is_some(), "{alg}");

            let mut claims = payload(hint);
            claims["sub"] = json!("somebody");
            let secret = app.secret.as_ref().unwrap().expose().as_bytes();
            let other = signed_by("HS256", &world).await;
            let others = other.secret.as_ref().unwrap().expose().as_bytes();
            let public = world.visitor().get("/jwks").await.body;
            let mut bad = vec![
                forged(&payload(hint), others),
                forged(&payload(hint), b""),
                forged(&payload(hint), public.as_bytes()),
                format!("{}x", hint),
            ];
            if alg == "HS256" {
                // Whose secret it is may say so itself, and nothing for another client.
                let own = visitor.open(&silently(&forged(&payload(hint), secret))).await;
                assert!(own.param("code").is_some());
                let mut for_another = payload(hint);
                for_another["aud"] = json!(other.id);
                bad.push(forged(&for_another, secret));
                for_another["aud"] = json!([app.id, other.id]);
                bad.push(forged(&for_another, secret));
                for_another["aud"] = json!("\u{0}");
                bad.push(forged(&for_another, secret));
                let mut endless = payload(hint);
                endless.as_object_mut().unwrap().remove("exp");
                bad.push(forged(&endless, secret));
            } else {
                bad.push(forged(&payload(hint), secret));
            }
            for hint in bad {
                visitor.open(&silently(&hint)).await.assert_error("invalid_request");
            }
        }
    }

    async fn userinfo_is_a_token_where_the_client_registered_that_and_json_elsewhere(world: World) {
        let user = world.user().await;
        for alg in ALGS {
            let app = world.app_with(json!({ "userinfo_signed_response_alg": alg })).await;
            let (mut visitor, tokens) = app.sign_in(&world, &user, &[]).await;
            let told = userinfo(&world, tokens.access()).await;
            assert_eq!(told.status, 200, "{}", told.body);
            assert_eq!(told.header("content-type"), Some("application/jwt"));
            assert_eq!(told.header("cache-control"), Some("no-store"));
            assert_eq!(header(&told.body)["alg"], alg);
            let claims = verified(&told.body, &app, &world).await;
            assert_eq!(claims["iss"], world.issuer);
            assert_eq!(claims["aud"], app.id);
            assert_eq!(claims["sub"], user.sub.as_str());
            assert_eq!(claims["email"], user.email.shown());
            // It is no ID token, and no hint either.
            assert!(claims.get("exp").is_none() && claims.get("nonce").is_none(), "{claims}");
            let silently = app.url(&[("prompt", "none"), ("id_token_hint", &told.body)]);
            visitor.open(&silently).await.assert_error("invalid_request");
            let posted = client().post(world.at("/userinfo")).form(&[("access_token", tokens.access())]);
            assert_eq!(answer(posted).await.header("content-type"), Some("application/jwt"));
            let wrong = userinfo(&world, "wrong").await;
            assert_eq!(wrong.status, 401);
            assert_eq!(wrong.header("content-type"), Some("application/json"));
        }
        let plain = world.app().await.grant(&world, &user, &[]).await;
        let told = userinfo(&world, plain.access()).await;
        assert_eq!(told.header("content-type"), Some("application/json"));
        assert!(told.json().get("aud").is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_tokens_of_the_authorization_endpoint_are_signed_alike_and_vouch_for_what_comes_with_them() {
    let own = Own {
        response_types: Some(ResponseTypes::All),
        ..Own::default()
    };
    let world = World::sqlite_with(own).await;
    let user = world.user().await;
    for alg in ALGS {
        let metadata = json!({
            "grant_types": ["authorization_code", "implicit"], "response_types": ResponseType::ALL,
            "id_token_signed_response_alg": alg,
        });
        let app = world.app_with(metadata).await;
        for response_type in ResponseType::ALL.iter().filter(|own| own.has_id_token()) {
            let sent = answered(*response_type, &app, &user, &world).await;
            let of = |name: &str| {
                let found = sent.iter().find(|(own, _)| own == name);
                found.map(|(_, value)| value.as_str())
            };
            let id_token = of("id_token").expect("an ID token");
            assert_eq!(header(id_token)["alg"], alg);
            let claims = verified(id_token, &app, &world).await;
            for (hash, text) in [("at_hash", of("access_token")), ("c_hash", of("code"))] {
                let expected = text.map(|text| json!(half_hash(alg, text)));
                assert_eq!(
                    claims.get(hash),
                    expected.as_ref(),
                    "{response_type} {alg} {hash}"
                );
            }
        }
    }
}

async fn answered(
    response_type: ResponseType,
    app: &App,
    user: &User,
    world: &World,
) -> Vec<(String, String)> {
    let url = app.url(&[("response_type", response_type.as_str())]);
    let answer = world.visitor().authorize(&url, user.email.shown()).await;
    answer.sent().expect("an answer to the app").params
}
