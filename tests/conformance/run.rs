//! One run of a module: an app as the suite registers it, a user of whom everything is known, and what holds of every
//! answer (section 0 of the suite's rules).

use std::sync::{Arc, Mutex};

use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{ClientAuthMethod, ResponseMode, ResponseType, Secret, SubjectType};
use serde_json::{Value, json};

use super::plan::{FREE, Row};
use crate::harness::app::{address, answer, basic, changed, header, payload, post, userinfo};
use crate::harness::rp::{Key, asserted, assertion, sign_by_secret};
use crate::harness::visitor::{self, Sent};
use crate::harness::{Answer, App, Channel, Visitor, World};

pub(crate) const REDIRECT_URI: &str = "https://suite.example.com/test/a/alias/callback";

pub(crate) struct Run<'w> {
    pub(crate) world: &'w World,
    pub(crate) row: Row,
    pub(crate) user: &'w User,
    pub(crate) app: App,
    pub(crate) subject_type: SubjectType,
    /// What the client registers and signs with, where the plan has it sign.
    pub(crate) key: Option<Arc<Key>>,
    /// And for whom.
    pub(crate) audience: String,
    /// What registered itself in this run.
    pub(crate) registered: Registered,
}

/// Where a registration can be changed, and by which token.
pub(crate) type Registered = Arc<Mutex<Vec<(String, String)>>>;

/// What a whole way through the server has brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The claims of every ID token, the one of the authorization endpoint first.
    pub(crate) id_tokens: Vec<Value>,
    /// The newest, as it came.
    pub(crate) id_token: String,
    pub(crate) access_token: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

impl<'w> Run<'w> {
    pub(crate) async fn new(world: &'w World, row: Row, user: &'w User) -> Self {
        let mut run = Self {
            app: client(world, &row, &json!({})).await,
            world,
            row,
            user,
            subject_type: SubjectType::Public,
            key: None,
            // As the suite does: for the endpoint's URL.
            audience: format!("{}/token", world.issuer),
            registered: Registered::default(),
        };
        if [DYNAMIC, FREE].contains(&row.plan) {
            run.key = Some(Arc::new(Key::new("RS256")));
            run.register(&json!({})).await;
        }
        run
    }

    /// The same with a client that registers this besides.
    pub(crate) async fn with(mut self, members: Value) -> Self {
        self.register(&members).await;
        self
    }

    /// With another client, which has this metadata besides.
    pub(crate) async fn register(&mut self, more: &Value) {
        if self.key.is_none() {
            self.app = client(self.world, &self.row, more).await;
            return;
        }
        let answer = self.ask_to_register(more).await;
        let module = self.row.module;
        assert_eq!(answer.status, 201, "{module}: {}", answer.body);
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{module}"
        );
        let registered = answer.json();
        let sent = document(&self.row, more);
        for name in [
            "client_name",
            "redirect_uris",
            "grant_types",
            "response_types",
            "contacts",
        ] {
            assert_eq!(registered[name], sent[name], "{module}");
        }
        for (name, value) in more.as_object().expect("an object") {
            assert_eq!(&registered[name], value, "{module}");
        }
        assert!(registered.get("error").is_none(), "{module}: {registered}");
        let secret = registered["client_secret"].as_str();
        assert_eq!(secret.is_some(), self.row.client_auth.is_some(), "{module}");
        let expires = secret.map(|_| json!(0));
        assert_eq!(
            registered.get("client_secret_expires_at"),
            expires.as_ref(),
            "{module}"
        );
        let text = |name: &str| registered[name].as_str().expect("a text").to_owned();
        let (place, token) = (text("registration_client_uri"), text("registration_access_token"));
        assert!(place.starts_with(&self.world.issuer), "{module}: {place}");
        self.registered.lock().expect("not poisoned").push((place, token));
        self.app = App {
            id: text("client_id"),
            secret: secret.map(Secret::from),
            redirect_uri: registered["redirect_uris"][0].as_str().expect("a URI").to_owned(),
        };
    }

    /// A registration as the suite makes it, with this metadata besides, and what becomes of it.
    pub(crate) async fn ask_to_register(&self, more: &Value) -> Answer {
        let mut document = document(&self.row, more);
        let method = self.row.client_auth.unwrap_or(ClientAuthMethod::PrivateKeyJwt);
        document["token_endpoint_auth_method"] = json!(method);
        if more.get("jwks_uri").is_none() {
            document["jwks"] = self.key.as_ref().expect("a key").jwks();
        }
        answer(visitor::client().post(self.world.at("/register")).json(&document)).await
    }

    /// The same with another client.
    pub(crate) async fn other(&self) -> Self {
        Self::new(self.world, self.row, self.user).await
    }

    fn request(&self) -> Vec<(&'static str, String)> {
        let mut params = vec![
            ("response_type", self.row.response_type.to_string()),
            ("client_id", self.app.id.clone()),
            ("redirect_uri", self.app.redirect_uri.clone()),
            ("scope", "openid".to_owned()),
            ("state", protocol::random::id()),
            ("nonce", protocol::random::id()),
        ];
        params.extend(
            self.row
                .response_mode
                .map(|mode| ("response_mode", mode.to_string())),
        );
        params
    }

    pub(crate) fn params(&self, changes: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        changed(self.request(), changes)
    }

    /// Where answers of this run have to arrive.
    pub(crate) fn channel(&self) -> Channel {
        match self
            .row
            .response_mode
            .unwrap_or(self.row.response_type.default_mode())
        {
            ResponseMode::Query => Channel::Query,
            ResponseMode::Fragment => Channel::Fragment,
            ResponseMode::FormPost => Channel::FormPost,
        }
    }

    /// The whole way, with a request changed so.
    pub(crate) async fn complete(
        &self,
        visitor: &mut Visitor<'w>,
        changes: &[(&'static str, &str)],
    ) -> Outcome {
        let params = self.params(changes);
        let answer = visitor
            .authorize(&address(&params), self.user.email.shown())
            .await;
        self.collect(&params, &answer).await
    }

    /// The same where no page may be shown.
    pub(crate) async fn silently(
        &self,
        visitor: &mut Visitor<'w>,
        changes: &[(&'static str, &str)],
    ) -> Outcome {
        let params = self.params(changes);
        let answer = visitor.open(&address(&params)).await;
        self.collect(&params, &answer).await
    }

    /// From the answer at the app to everything it leads to, each checked.
    pub(crate) async fn collect(&self, params: &[(&'static str, String)], answer: &Answer) -> Outcome {
        let module = self.row.module;
        let sent = self.arrived(params, answer);
        let of = |name: &str| {
            sent.params
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.clone())
        };
        assert_eq!(of("error"), None, "{module}: {sent:?}");
        let response_type = self.row.response_type;
        assert_eq!(
            of("code").is_some(),
            response_type.has_code(),
            "{module}: {sent:?}"
        );
        assert_eq!(of("id_token").is_some(), response_type.has_id_token(), "{module}");
        assert_eq!(
            of("access_token").is_some(),
            response_type.has_token(),
            "{module}"
        );
        assert_eq!(of("refresh_token"), None, "{module}");

        let mut outcome = Outcome {
            code: of("code"),
            access_token: of("access_token"),
            ..Outcome::default()
        };
        if let Some(access_token) = &outcome.access_token {
            assert_eq!(
                of("token_type").as_deref().map(str::to_lowercase),
                Some("bearer".to_owned())
            );
            assert!(
                of("expires_in")
                    .expect("expires_in")
                    .parse::<u32>()
                    .expect("a number")
                    > 0
            );
            assert!(access_token.len() > 40);
        }
        if let Some(id_token) = of("id_token") {
            let claims = self.verified(params, &id_token).await;
            for (hash, of) in [("at_hash", &outcome.access_token), ("c_hash", &outcome.code)] {
                let expected = of.as_deref().map(|text| json!(half_hash(text)));
                assert_eq!(claims.get(hash), expected.as_ref(), "{module} {hash}");
            }
            outcome.id_tokens.push(claims);
            outcome.id_token = id_token;
        }
        if let Some(code) = outcome.code.clone() {
            assert!(code.len() >= 22, "128 bits at least");
            self.exchange(params, &code, &mut outcome).await;
        }
        if let Some(access_token) = &outcome.access_token {
            let answer = userinfo(self.world, access_token).await;
            assert_eq!(answer.status, 200, "{module}: {}", answer.body);
            self.checked_userinfo(params, &answer, &outcome.id_tokens);
        }
        outcome
    }

    /// What holds of every answer, errors included: the way, `state` to the byte, `iss`.
    #[track_caller]
    pub(crate) fn arrived(&self, params: &[(&'static str, String)], answer: &Answer) -> Sent {
        let module = self.row.module;
        let sent = answer
            .sent()
            .unwrap_or_else(|| panic!("{module}: not at the app: {}", answer.body));
        assert_eq!(sent.channel, self.channel(), "{module}");
        let asked = |name: &str| {
            params
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(
            Some(sent.to.as_str()),
            asked("redirect_uri"),
            "{module}: nothing in the query"
        );
        assert_eq!(answer.param("state").as_deref(), asked("state"), "{module}");
        assert_eq!(
            answer.param("iss").as_deref(),
            Some(self.world.issuer.as_str()),
            "{module}"
        );
        sent
    }

    /// An error at the app, one of these, and nothing with it.
    #[track_caller]
    pub(crate) fn refused(&self, params: &[(&'static str, String)], answer: &Answer, errors: &[&str]) {
        let module = self.row.module;
        let sent = self.arrived(params, answer);
        let error = answer
            .param("error")
            .unwrap_or_else(|| panic!("{module}: no error: {sent:?}"));
        assert!(errors.contains(&error.as_str()), "{module}: {error}");
        let allowed = [
            "error",
            "error_description",
            "error_uri",
            "state",
            "session_state",
            "iss",
        ];
        for (name, value) in &sent.params {
            assert!(allowed.contains(&name.as_str()), "{module}: {name}");
            assert!(
                name == "state" || !value.contains(['\r', '\n', '\t']),
                "{module}: {value}"
            );
        }
    }

    async fn exchange(&self, params: &[(&'static str, String)], code: &str, outcome: &mut Outcome) {
        let answer = self.redeem(code, &[]).await;
        assert_eq!(answer.status, 200, "{}: {}", self.row.module, answer.body);
        self.take_tokens(params, &answer, outcome).await;
    }

    pub(crate) async fn take_tokens(
        &self,
        params: &[(&'static str, String)],
        answer: &Answer,
        outcome: &mut Outcome,
    ) {
        let module = self.row.module;
        assert_eq!(answer.status, 200, "{module}: {}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{module}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{module}"
        );
        let body = answer.json();
        assert!(body.get("error").is_none(), "{module}: {body}");
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        assert_eq!(
            text("token_type").map(|own| own.to_lowercase()).as_deref(),
            Some("bearer")
        );
        assert!((1..=31_536_000).contains(&body["expires_in"].as_i64().expect("a number")));
        outcome.access_token = text("access_token");
        assert!(outcome.access_token.is_some(), "{module}: {body}");
        outcome.refresh_token = text("refresh_token");
        let id_token = text("id_token").unwrap_or_else(|| panic!("{module}: no ID token: {body}"));
        let claims = self.verified(params, &id_token).await;
        if let Some(first) = outcome.id_tokens.first() {
            for same in ["iss", "sub", "aud"] {
                assert_eq!(claims[same], first[same], "{module} {same}");
            }
        }
        outcome.id_tokens.push(claims);
        outcome.id_token = id_token;
    }

    /// A token request for this code, authenticated as the row says.
    pub(crate) async fn redeem(&self, code: &str, changes: &[(&'static str, &str)]) -> Answer {
        let usual = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.app.redirect_uri.clone()),
        ];
        self.token(changed(usual, changes)).await
    }

    pub(crate) async fn token(&self, mut params: Vec<(&'static str, String)>) -> Answer {
        let mut headers = Vec::new();
        match self.row.client_auth {
            None => {
                let key = self.key.as_ref().expect("a key");
                params.extend(asserted(key.sign(&self.assertion())));
            }
            Some(ClientAuthMethod::ClientSecretJwt) => {
                params.extend(asserted(sign_by_secret(&self.assertion(), self.secret())));
            }
            Some(ClientAuthMethod::ClientSecretBasic) => {
                headers.push(("authorization", basic(&self.app.id, &self.secret())));
            }
            Some(ClientAuthMethod::ClientSecretPost) => {
                params.extend([
                    ("client_id", self.app.id.clone()),
                    ("client_secret", self.secret()),
                ]);
            }
            Some(other) => panic!("no run authenticates by {other}"),
        }
        post(self.world, "/token", &headers, &params).await
    }

    fn secret(&self) -> String {
        self.app.secret.as_ref().expect("a secret").expose().to_owned()
    }

    fn assertion(&self) -> Value {
        let now = self.world.now().as_secs();
        assertion(&self.app.id, &self.audience, now, &json!({}))
    }

    /// The claims of an ID token: OpenID Connect Core §3.1.3.7.
    async fn verified(&self, params: &[(&'static str, String)], id_token: &str) -> Value {
        let module = self.row.module;
        let head = header(id_token);
        assert!(head["kid"].is_string(), "{module}: {head}");
        let jwks = self.world.visitor().get("/jwks").await.body;
        let keys = jws::KeySet::parse(jwks.as_bytes(), None).expect("a key set");
        let token = jws::Unverified::parse(id_token).expect("a token");
        let verdict = token.verify(&keys, jws::Alg::ALL, jws::Typ::JwtOrAbsent);
        assert!(verdict.is_ok(), "{module}: {:?}", verdict.err());

        let claims = payload(id_token);
        let now = self.world.now().as_secs();
        let number = |name: &str| {
            claims[name]
                .as_i64()
                .unwrap_or_else(|| panic!("{module}: no {name}: {claims}"))
        };
        assert_eq!(claims["iss"], self.world.issuer.as_str(), "{module}");
        assert_eq!(claims["aud"], self.app.id.as_str(), "{module}");
        let public = claims["sub"] == self.user.sub.as_str();
        assert_eq!(public, self.subject_type == SubjectType::Public, "{module}");
        assert!(
            claims.get("azp").is_none_or(|azp| *azp == self.app.id.as_str()),
            "{module}"
        );
        assert!(
            number("exp") > now && number("exp") < now + 24 * 60 * 60,
            "{module}"
        );
        assert!((number("iat") - now).abs() <= 300, "{module}");
        assert!(
            number("auth_time") <= now && number("auth_time") > now - 365 * 24 * 60 * 60,
            "{module}"
        );
        assert!(
            claims["acr"].as_str().is_some_and(|acr| !acr.is_empty()),
            "{module}"
        );
        let refreshed = params.is_empty();
        let nonce = params
            .iter()
            .find(|(own, _)| *own == "nonce")
            .map(|(_, value)| json!(value));
        assert!(
            refreshed || claims.get("nonce") == nonce.as_ref(),
            "{module}: {claims}"
        );
        let own = [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "azp",
            "at_hash",
            "c_hash",
            "s_hash",
            "nbf",
            "jti",
            "sid",
            "txn",
        ];
        for (name, value) in claims.as_object().expect("an object") {
            assert!(!value.is_null(), "{module}: {name}");
            let asked = self.row.response_type == ResponseType::IdToken;
            assert!(
                asked || own.contains(&name.as_str()),
                "{module}: {name} is for userinfo"
            );
        }
        claims
    }

    pub(crate) fn checked_userinfo(
        &self,
        params: &[(&'static str, String)],
        answer: &Answer,
        id_tokens: &[Value],
    ) {
        let module = self.row.module;
        assert_eq!(answer.status, 200, "{module}: {}", answer.body);
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{module}"
        );
        let claims = answer.json();
        for id_token in id_tokens {
            assert_eq!(claims["sub"], id_token["sub"], "{module}");
        }
        let scope = params
            .iter()
            .find(|(own, _)| *own == "scope")
            .map_or("openid", |(_, value)| value.as_str());
        let asks = params.iter().any(|(own, _)| *own == "claims");
        let allowed = claims_of(scope);
        for (name, value) in claims.as_object().expect("an object") {
            assert!(!value.is_null(), "{module}: {name}");
            assert!(
                asks || name == "sub" || allowed.contains(&name.as_str()),
                "{module}: {name} was not granted"
            );
        }
    }
}

/// As the suite does at the end of each module.
pub(crate) async fn delete(world: &World, registered: &Registered) {
    let all = std::mem::take(&mut *registered.lock().expect("not poisoned"));
    for (place, token) in all {
        let request = visitor::client().delete(world.route(&place)).bearer_auth(token);
        let answer = answer(request).await;
        assert_eq!(answer.status, 204, "{place}: {}", answer.body);
    }
}

/// OpenID Connect Core §5.4.
pub(crate) fn claims_of(scope: &str) -> Vec<&'static str> {
    let mut claims = Vec::new();
    for token in scope.split(' ') {
        claims.extend(match token {
            "profile" => vec![
                "name",
                "given_name",
                "family_name",
                "middle_name",
                "nickname",
                "profile",
                "picture",
                "website",
                "gender",
                "birthdate",
                "zoneinfo",
                "locale",
                "updated_at",
                "preferred_username",
            ],
            "email" => vec!["email", "email_verified"],
            "address" => vec!["address"],
            "phone" => vec!["phone_number", "phone_number_verified"],
            _ => vec![],
        });
    }
    claims
}

/// The left half of the digest that goes with RS256.
pub(crate) fn half_hash(text: &str) -> String {
    let digest = seal::sha256(text.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

/// The plan whose clients register themselves, with keys.
const DYNAMIC: &str = "dynamic";

async fn client(world: &World, row: &Row, more: &Value) -> App {
    let mut document = document(row, more);
    // The suite sends no challenge but in the module that is about it.
    document["require_pkce"] = json!(false);
    world.app_with(document).await
}

/// What the suite registers, with these members besides.
pub(crate) fn document(row: &Row, more: &Value) -> Value {
    let response_type = row.response_type;
    let mut grant_types: Vec<&str> = response_type
        .grant_types()
        .iter()
        .map(|own| own.as_str())
        .collect();
    if response_type.has_code() {
        grant_types.push("refresh_token");
    }
    let mut document = json!({
        "client_name": "Conformance suite",
        "redirect_uris": [REDIRECT_URI],
        "post_logout_redirect_uris": ["https://suite.example.com/test/a/alias/post_logout_redirect"],
        "grant_types": grant_types,
        "response_types": [response_type],
        "token_endpoint_auth_method": row.client_auth.unwrap_or(ClientAuthMethod::ClientSecretBasic),
        "contacts": ["certification@example.com"],
    });
    for (name, value) in more.as_object().expect("an object") {
        document[name] = value.clone();
    }
    document
}
