//! A third-party app at its barest: it builds requests byte by byte, so that a test can bend each one. (That
//! real client libraries get along with us is shown elsewhere, with libraries that we did not write.)

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use protocol::Secret;
use registry::Registered;
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::visitor::client;
use super::{Answer, World, rp};

/// RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) redirect_uri: String,
}

/// Tokens as they came.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) body: Value,
}

impl App {
    pub(crate) fn new(registered: Registered) -> Self {
        Self {
            id: registered.client.id.to_string(),
            redirect_uri: registered
                .client
                .metadata
                .redirect_uris
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            secret: registered.secret,
        }
    }

    /// The parameters of an ordinary authorization request.
    pub(crate) fn request(&self) -> Vec<(&'static str, String)> {
        vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.id.clone()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("scope", "openid profile email".to_owned()),
            ("state", "st-ate".to_owned()),
            ("nonce", "n-once".to_owned()),
            ("code_challenge", CHALLENGE.to_owned()),
            ("code_challenge_method", "S256".to_owned()),
        ]
    }

    /// The address of an ordinary request with these parameters in place of, or besides, the usual.
    pub(crate) fn url(&self, changes: &[(&'static str, &str)]) -> String {
        address(&changed(self.request(), changes))
    }

    /// Redeems a code with everything as it should be.
    pub(crate) async fn redeem(&self, world: &World, code: &str) -> Answer {
        self.redeem_with(world, code, &[]).await
    }

    /// The same, changed.
    pub(crate) async fn redeem_with(
        &self,
        world: &World,
        code: &str,
        changes: &[(&'static str, &str)],
    ) -> Answer {
        self.token(world, changed(self.exchanging(code), changes)).await
    }

    /// What redeems a code, without the proof of who asks.
    pub(crate) fn exchanging(&self, code: &str) -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("code_verifier", VERIFIER.to_owned()),
        ]
    }

    pub(crate) async fn refresh(&self, world: &World, refresh_token: &str) -> Answer {
        self.refresh_with(world, refresh_token, &[]).await
    }

    pub(crate) async fn refresh_with(
        &self,
        world: &World,
        refresh_token: &str,
        changes: &[(&'static str, &str)],
    ) -> Answer {
        let usual = vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh_token.to_owned()),
        ];
        self.token(world, changed(usual, changes)).await
    }

    /// A token request of this client.
    pub(crate) async fn token(&self, world: &World, params: Vec<(&'static str, String)>) -> Answer {
        self.call(world, "/token", params).await
    }

    /// Gives a token back.
    pub(crate) async fn revoke(&self, world: &World, token: &str) -> Answer {
        let answer = self
            .call(world, "/revoke", vec![("token", token.to_owned())])
            .await;
        world.heard_elsewhere().await;
        answer
    }

    /// Asks about a token.
    pub(crate) async fn introspect(&self, world: &World, token: &str) -> Answer {
        self.call(world, "/introspect", vec![("token", token.to_owned())])
            .await
    }

    /// A token for itself, for this resource server and scope.
    pub(crate) async fn for_itself(&self, world: &World, resource: &str, scope: &str) -> Answer {
        let usual = vec![("grant_type", "client_credentials".to_owned())];
        let changes = [("resource", resource), ("scope", scope)];
        self.token(world, changed(usual, &changes)).await
    }

    /// A form POST of this client, authenticated by an assertion with everything as it should be.
    pub(crate) async fn assert_by(
        &self,
        key: &rp::Key,
        world: &World,
        path: &str,
        mut params: Vec<(&'static str, String)>,
    ) -> Answer {
        let claims = rp::assertion(&self.id, &world.issuer, world.now().as_secs(), &json!({}));
        params.extend(rp::asserted(key.sign(&claims)));
        post(world, path, &[], &params).await
    }

    /// The same by its secret, which is not sent.
    pub(crate) async fn assert_by_secret(
        &self,
        world: &World,
        path: &str,
        mut params: Vec<(&'static str, String)>,
    ) -> Answer {
        params.extend(rp::asserted(self.asserting(world)));
        post(world, path, &[], &params).await
    }

    /// An assertion that its secret has signed.
    pub(crate) fn asserting(&self, world: &World) -> String {
        let secret = self.secret.as_ref().expect("a secret").expose();
        let claims = rp::assertion(&self.id, &world.issuer, world.now().as_secs(), &json!({}));
        jose::sign_by_secret("JWT", &claims, secret.as_bytes()).expect("a token")
    }

    /// A form POST of this client, authenticated by the method it registered.
    pub(crate) async fn call(
        &self,
        world: &World,
        path: &str,
        mut params: Vec<(&'static str, String)>,
    ) -> Answer {
        let mut headers = Vec::new();
        match &self.secret {
            Some(secret) => headers.push(("authorization", basic(&self.id, secret.expose()))),
            None if params.iter().all(|(name, _)| *name != "client_id") => {
                params.push(("client_id", self.id.clone()))
            }
            None => {}
        }
        post(world, path, &headers, &params).await
    }

    /// From an authorization redirect to tokens.
    pub(crate) async fn tokens(&self, world: &World, redirect: &Answer) -> Tokens {
        let code = redirect
            .param("code")
            .unwrap_or_else(|| panic!("no code: {:?}", redirect.location()));
        let answer = self.redeem(world, &code).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Tokens { body: answer.json() }
    }
}

impl Tokens {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {}", self.body))
    }

    pub(crate) fn access(&self) -> &str {
        self.text("access_token")
    }

    pub(crate) fn refresh(&self) -> &str {
        self.text("refresh_token")
    }

    pub(crate) fn id(&self) -> Value {
        payload(self.text("id_token"))
    }
}

/// The claims of a JWT, unverified.
pub(crate) fn payload(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// The header of a JWT.
pub(crate) fn header(jwt: &str) -> Value {
    let part = jwt.split('.').next().expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// RFC 6749 §2.3.1: both form-encoded.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    basic_as_it_stands(&encoded(id), &encoded(secret))
}

/// Without the encoding, for tests of it.
pub(crate) fn basic_as_it_stands(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// The parameters with changes: an empty value takes one away.
pub(crate) fn changed(
    mut params: Vec<(&'static str, String)>,
    changes: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    for (name, value) in changes {
        params.retain(|(own, _)| own != name);
        if !value.is_empty() {
            params.push((name, (*value).to_owned()));
        }
    }
    params
}

pub(crate) fn address(params: &[(&'static str, String)]) -> String {
    format!(
        "/authorize?{}",
        Serializer::new(String::new()).extend_pairs(params).finish()
    )
}

/// A form POST with exactly these headers and parameters.
pub(crate) async fn post(
    world: &World,
    path: &str,
    headers: &[(&'static str, String)],
    params: &[(&'static str, String)],
) -> Answer {
    let mut request = client().post(world.at(path)).form(params);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    answer(request).await
}

/// Userinfo with this token in the header.
pub(crate) async fn userinfo(world: &World, access_token: &str) -> Answer {
    answer(client().get(world.at("/userinfo")).bearer_auth(access_token)).await
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer {
        status,
        headers,
        body: response.text().await.expect("a readable body"),
    }
}
