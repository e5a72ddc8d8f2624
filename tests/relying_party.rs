//! Sign-in through client libraries that we did not write, with their own checks of everything we send.

use std::future::Future;
use std::pin::Pin;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, RedirectUrl, Scope, SubjectIdentifier, TokenResponse as _,
};

use crate::harness::World;
use crate::harness::visitor::client;

/// Carries a library's requests to the server, to the next process in turn.
pub(crate) struct Carrier<'w>(pub(crate) &'w World);

#[derive(Debug, thiserror::Error)]
#[error("the request did not get through")]
pub(crate) struct Lost;

impl<'c> AsyncHttpClient<'c> for Carrier<'_> {
    type Error = Lost;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Lost>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = self.0.route(&parts.uri.to_string());
            let sent = client()
                .request(parts.method, url)
                .headers(parts.headers)
                .body(body)
                .send();
            let answer = sent.await.map_err(|_| Lost)?;
            let mut response = http::Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                *headers = answer.headers().clone();
            }
            let body = answer.bytes().await.map_err(|_| Lost)?;
            response.body(body.to_vec()).map_err(|_| Lost)
        })
    }
}

everywhere! {
    async fn the_openidconnect_crate_signs_in_reads_userinfo_and_refreshes(world: World) {
        let (app, user) = (world.app().await, world.user().await);
        let carrier = Carrier(&world);
        let issuer = IssuerUrl::new(world.issuer.clone()).unwrap();
        let metadata = CoreProviderMetadata::discover_async(issuer, &carrier).await.unwrap();
        let secret = app.secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let rp = CoreClient::from_provider_metadata(metadata, ClientId::new(app.id.clone()), secret)
            .set_redirect_uri(RedirectUrl::new(app.redirect_uri.clone()).unwrap());

        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = rp
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(["profile", "email", "offline_access"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        let redirect = world.visitor().authorize(url.as_str(), user.email.shown()).await;
        assert_eq!(redirect.param("state").as_ref(), Some(state.secret()));

        let code = AuthorizationCode::new(redirect.param("code").expect("a code"));
        let exchange = rp.exchange_code(code).unwrap().set_pkce_verifier(verifier);
        let tokens = exchange.request_async(&carrier).await.unwrap();
        let id_token = tokens.id_token().expect("an ID token");
        // Signature by our JWK set, issuer, audience, dates and nonce are the library's to check.
        let claims = id_token.claims(&rp.id_token_verifier(), &nonce).unwrap();
        let subject = SubjectIdentifier::new(user.sub.to_string());
        assert_eq!(claims.subject(), &subject);

        let asked = rp.user_info(tokens.access_token().clone(), Some(subject.clone())).unwrap();
        let about: CoreUserInfoClaims = asked.request_async(&carrier).await.unwrap();
        assert_eq!(about.email().map(|email| email.as_str()), Some(user.email.shown()));

        let refresh_token = tokens.refresh_token().expect("a refresh token");
        let refreshed = rp.exchange_refresh_token(refresh_token).unwrap().request_async(&carrier).await.unwrap();
        assert_ne!(refreshed.refresh_token().map(|it| it.secret()), Some(refresh_token.secret()));
        let again = refreshed.id_token().expect("an ID token").claims(&rp.id_token_verifier(), |_: Option<&Nonce>| Ok(()));
        assert_eq!(again.unwrap().subject(), &subject);
    }

    async fn the_oauth2_crate_gets_a_token_for_an_api_that_the_verifier_accepts(world: World) {
        let (app, user) = (world.public_app().await, world.user().await);
        let api = world.resource(protocol::SigningAlg::Es256).await;
        let scope = api.scopes.keys().next().expect("a scope").clone();
        let at = |path: &str| format!("{}{path}", world.issuer);
        let rp = oauth2::basic::BasicClient::new(oauth2::ClientId::new(app.id.clone()))
            .set_auth_uri(oauth2::AuthUrl::new(at("/authorize")).unwrap())
            .set_token_uri(oauth2::TokenUrl::new(at("/token")).unwrap())
            .set_redirect_uri(oauth2::RedirectUrl::new(app.redirect_uri.clone()).unwrap());

        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, _) = rp
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new(scope.clone()))
            .add_extra_param("resource", &api.identifier)
            .set_pkce_challenge(challenge)
            .url();
        let redirect = world.visitor().authorize(url.as_str(), user.email.shown()).await;
        let code = AuthorizationCode::new(redirect.param("code").expect("a code"));
        let tokens =
            rp.exchange_code(code).set_pkce_verifier(verifier).request_async(&Carrier(&world)).await.unwrap();
        // Plain OAuth: no openid, so the refresh token comes without a scope of its own.
        assert!(tokens.refresh_token().is_some());

        let verifier = verifier::Verifier::discover(&world.issuer).audience(&*api.identifier).await.unwrap();
        let claims = verifier.verify(tokens.access_token().secret()).await.unwrap();
        assert_eq!(claims.sub, user.sub);
        assert!(claims.scope.contains(&scope));
    }
}
