//! The authorization server as a client sees it: OpenID Connect Discovery 1.0 §4, Core 1.0 §3.1.3,
//! RP-Initiated Logout 1.0 §2 and RFC 7009.
//!
//! It decides when metadata and keys are fetched, and what has to be true of tokens before the app believes
//! them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGrantType, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
    CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalProviderMetadata, AsyncHttpClient as _, AuthorizationCode,
    ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndSessionUrl, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, LogoutProviderMetadata, LogoutRequest, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadata, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse, TokenResponse as _,
};
use protocol::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::app::Config;
use crate::http_client::{self, HttpClient};
use crate::page::Failure;

/// A client that knows its authorization, token and userinfo endpoints from discovery.
type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What we ask for: who the user is, tokens that outlive the visit, and the demo API.
const SCOPES: [&str; 4] = ["profile", "email", "offline_access", crate::API_SCOPE];

#[derive(Debug)]
pub(crate) struct Provider {
    config: Arc<Config>,
    http: HttpClient,
    clock: Clock,
    /// Found on first use, so that the app may start before the authorization server.
    known: Mutex<Option<Arc<Known>>>,
}

/// What was discovered.
#[derive(Debug)]
struct Known {
    client: Client,
    end_session: Option<EndSessionUrl>,
    revocation: Option<Url>,
}

/// The metadata that this app reads: logout and revocation besides what every client needs.
type Metadata = ProviderMetadata<
    LogoutProviderMetadata<Revocation>,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// RFC 8414 §2.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Revocation {
    revocation_endpoint: Option<Url>,
}

impl AdditionalProviderMetadata for Revocation {}

/// One authorization request (RFC 6749 §4.1.1), and what to remember of it until the answer comes.
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) state: CsrfToken,
    pub(crate) nonce: Nonce,
    pub(crate) pkce: PkceCodeVerifier,
}

impl Provider {
    pub(crate) fn new(config: Arc<Config>, http: HttpClient, clock: Clock) -> Self {
        Self {
            config,
            http,
            clock,
            known: Mutex::default(),
        }
    }

    /// `state` ties the answer to this browser, `nonce` the ID token to this request, PKCE the code to us
    /// (RFC 9700 §2.1), and `resource` names the API that the access token shall be good for (RFC 8707 §2).
    pub(crate) async fn request(&self) -> Result<Request, Failure> {
        let client = &self.known().await?.client;
        let (challenge, pkce) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .add_extra_param("resource", self.config.api.as_str())
            .url();
        Ok(Request {
            url,
            state,
            nonce,
            pkce,
        })
    }

    /// Exchanges the code (RFC 6749 §4.1.3) and believes the ID token that comes with it only when it is
    /// meant for us, for this request, and belongs to the access token beside it.
    pub(crate) async fn redeem(
        &self,
        code: AuthorizationCode,
        pkce: PkceCodeVerifier,
        nonce: &Nonce,
    ) -> Result<(CoreTokenResponse, CoreIdToken, CoreIdTokenClaims), Failure> {
        let client = &self.known().await?.client;
        let tokens = client
            .exchange_code(code)
            .map_err(Failure::unavailable)?
            .set_pkce_verifier(pkce)
            .request_async(&self.http)
            .await
            .map_err(token_failure)?;

        let id_token = tokens
            .id_token()
            .ok_or_else(|| untrusted("no ID token came back"))
            .map_err(Failure::Untrusted)?;
        let claims = self
            .verify(id_token, tokens.access_token(), nonce, client)
            .await?;
        let id_token = id_token.clone();
        Ok((tokens, id_token, claims))
    }

    /// OpenID Connect Core §5.3. The subject has to be the one of the ID token (§5.3.2).
    pub(crate) async fn userinfo(
        &self,
        access_token: &AccessToken,
        claims: &CoreIdTokenClaims,
    ) -> Result<CoreUserInfoClaims, Failure> {
        let client = &self.known().await?.client;
        client
            .user_info(access_token.clone(), Some(claims.subject().clone()))
            .map_err(Failure::unavailable)?
            .request_async(&self.http)
            .await
            .map_err(Failure::unavailable)
    }

    /// RFC 6749 §6.
    pub(crate) async fn refresh(&self, token: &RefreshToken) -> Result<CoreTokenResponse, Failure> {
        let client = &self.known().await?.client;
        client
            .exchange_refresh_token(token)
            .map_err(Failure::unavailable)?
            .request_async(&self.http)
            .await
            .map_err(token_failure)
    }

    /// Ends an access token: RFC 7009 §2.1. By hand, because the library revokes over https only, and this demo runs
    /// on one machine.
    pub(crate) async fn revoke(&self, token: &AccessToken) -> Result<(), Failure> {
        let known = self.known().await?;
        let url = known.revocation.as_ref();
        let url = url.ok_or_else(|| Failure::unavailable("the authorization server revokes no tokens"))?;
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let id = encoded(self.config.client_id.as_str());
        let secret = encoded(self.config.client_secret.expose());
        let form = Serializer::new(String::new())
            .append_pair("token", token.secret())
            .append_pair("token_type_hint", "access_token")
            .finish();
        let request = http::Request::post(url.as_str())
            .header(
                AUTHORIZATION,
                format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
            )
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into_bytes())?;
        let answer = self.http.call(request).await.map_err(Failure::unavailable)?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(Failure::unavailable(format!(
                "the authorization server answered {}",
                answer.status()
            ))),
        }
    }

    /// Where the browser goes to end the session at the authorization server too: RP-Initiated Logout §2. The ID
    /// token says whose it is and who asks, expired or not. None when the server knows no such thing.
    pub(crate) async fn end_session(&self, id_token: &CoreIdToken) -> Result<Option<Url>, Failure> {
        let known = self.known().await?;
        let Some(endpoint) = known.end_session.clone() else {
            return Ok(None);
        };
        let back = self
            .config
            .post_logout_redirect_uri()
            .map_err(Failure::unavailable)?;
        let request = LogoutRequest::from(endpoint)
            .set_id_token_hint(id_token)
            .set_post_logout_redirect_uri(PostLogoutRedirectUrl::from_url(back));
        Ok(Some(request.http_get_url()))
    }

    /// A key we do not know means that keys were rotated: the set is fetched once more, then no again is no.
    async fn verify(
        &self,
        id_token: &CoreIdToken,
        access_token: &AccessToken,
        nonce: &Nonce,
        client: &Client,
    ) -> Result<CoreIdTokenClaims, Failure> {
        match self.claims(id_token, access_token, nonce, client) {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                self.forget().await;
                let client = &self.known().await?.client;
                self.claims(id_token, access_token, nonce, client)
            }
            claims => claims,
        }
        .map_err(Failure::Untrusted)
    }

    /// OpenID Connect Core §3.1.3.7 by the library, and `at_hash` (§3.1.3.8), which it leaves to us.
    fn claims(
        &self,
        id_token: &CoreIdToken,
        access_token: &AccessToken,
        nonce: &Nonce,
        client: &Client,
    ) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
        let clock = self.clock.clone();
        // The algorithm is the one we registered for, whatever the token or the metadata name.
        let verifier: CoreIdTokenVerifier<'_> = client
            .id_token_verifier()
            .set_allowed_algs([CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256])
            .set_time_fn(move || {
                chrono::DateTime::from_timestamp(clock.now().as_secs(), 0).unwrap_or_default()
            });
        let claims = id_token.claims(&verifier, nonce)?;

        if let Some(expected) = claims.access_token_hash() {
            let key = id_token
                .signing_key(&verifier)
                .map_err(ClaimsVerificationError::SignatureVerification)?;
            let alg = id_token
                .signing_alg()
                .map_err(ClaimsVerificationError::SignatureVerification)?;
            let actual = AccessTokenHash::from_token(access_token, alg, key)
                .map_err(|cause| ClaimsVerificationError::Other(cause.to_string()))?;
            if actual != *expected {
                return Err(untrusted("at_hash belongs to another access token"));
            }
        }
        Ok(claims.clone())
    }

    /// A failed discovery is not kept: the next visitor tries again.
    async fn known(&self) -> Result<Arc<Known>, Failure> {
        let mut known = self.known.lock().await;
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let metadata = Metadata::discover_async(self.config.issuer.clone(), &self.http)
            .await
            .map_err(Failure::unavailable)?;
        let further = metadata.additional_metadata();
        let end_session = further.end_session_endpoint.clone();
        let revocation = further.additional_metadata.revocation_endpoint.clone();
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(self.config.client_id.as_str().to_owned()),
            Some(ClientSecret::new(self.config.client_secret.expose().to_owned())),
        )
        .set_redirect_uri(RedirectUrl::from_url(self.config.redirect_uri.clone()));
        Ok(Arc::clone(known.insert(Arc::new(Known {
            client,
            end_session,
            revocation,
        }))))
    }

    async fn forget(&self) {
        self.known.lock().await.take();
    }
}

fn untrusted(reason: &str) -> ClaimsVerificationError {
    ClaimsVerificationError::Other(reason.to_owned())
}

/// `invalid_grant` (RFC 6749 §5.2) is an answer, not a fault: the code or the refresh token is spent, or what
/// the user allowed was taken back.
fn token_failure(
    error: RequestTokenError<http_client::Error, StandardErrorResponse<CoreErrorResponseType>>,
) -> Failure {
    match &error {
        RequestTokenError::ServerResponse(answer)
            if *answer.error() == CoreErrorResponseType::InvalidGrant =>
        {
            Failure::Ended
        }
        _ => Failure::unavailable(error),
    }
}
