//! The flags of `client create` and `client update` that stand for members of RFC 7591 §2.

use clap::Args;
use clients::AssertionAudience;
use protocol::{ClientAlg, ClientAuthMethod, GrantType, ResponseType, SubjectType};
use serde_json::{Map, Value, json};

use crate::cli::word;

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Members {
    /// An app that cannot keep a secret: in a browser, on a phone; PKCE protects it
    #[arg(long, conflicts_with = "auth_method")]
    public: bool,
    /// An app installed on a device: private schemes are admitted, and any port of http://127.0.0.1
    #[arg(long)]
    native: bool,
    /// Admit authorization requests without PKCE; weaker, for old client libraries
    #[arg(long, conflicts_with = "public")]
    no_pkce: bool,
    /// Where people may be sent back to after sign-out, to the byte (repeatable)
    #[arg(long = "post-logout-redirect-uri", value_name = "URI", num_args = 1..)]
    post_logout_redirect_uris: Option<Vec<String>>,
    /// Where the app hears from us that a session has ended
    #[arg(long, value_name = "URL")]
    backchannel_logout_uri: Option<String>,
    /// A page of the app that ends its own session, loaded in a frame at sign-out
    #[arg(long, value_name = "URL")]
    frontchannel_logout_uri: Option<String>,
    /// pairwise: it knows people by names that no app of another host knows
    #[arg(long, value_name = "TYPE", value_parser = word(SubjectType::ALL, SubjectType::as_str))]
    subject_type: Option<SubjectType>,
    /// For pairwise apps of several hosts: a document that lists the redirect URIs; its host stands for them all
    #[arg(long, value_name = "URL")]
    sector_identifier_uri: Option<String>,
    /// What it may ask for, in one value or several; without, every scope there is
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Vec<String>>,
    /// How it obtains tokens (repeatable)
    #[arg(long = "grant-type", value_name = "TYPE", value_parser = word(GrantType::ALL, GrantType::as_str))]
    grant_types: Option<Vec<GrantType>>,
    /// What its authorization requests may ask for (repeatable); without, what fits its grant types
    #[arg(long = "response-type", value_name = "TYPE", value_parser = word(ResponseType::ALL, ResponseType::as_str))]
    response_types: Option<Vec<ResponseType>>,
    /// How it authenticates at the token endpoint
    #[arg(long, value_name = "METHOD", value_parser = word(ClientAuthMethod::ALL, ClientAuthMethod::as_str))]
    auth_method: Option<ClientAuthMethod>,
    /// Its public keys: a file with a JWK set
    #[arg(long, value_name = "FILE", value_parser = jwk_set, conflicts_with = "jwks_uri")]
    jwks: Option<Value>,
    /// Where its public keys are
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// The one algorithm of its client assertions; without, each that the server knows
    #[arg(long, value_name = "ALG", value_parser = word(ClientAlg::ALL, ClientAlg::as_str))]
    auth_signing_alg: Option<ClientAlg>,
    /// Whom its assertions name; compatible (also the endpoint's URL, also among others) is weaker, for old libraries
    #[arg(long, value_name = "RULE", value_parser = word(AssertionAudience::ALL, AssertionAudience::as_str))]
    assertion_audience: Option<AssertionAudience>,
    /// How its ID tokens are signed; without, RS256. HS256 signs with its secret
    #[arg(long, value_name = "ALG", value_parser = word(ClientAlg::ALL, ClientAlg::as_str))]
    id_token_alg: Option<ClientAlg>,
    /// Encrypt its ID tokens to a key of its key set
    #[arg(long, num_args = 2, value_names = ["ALG", "ENC"])]
    id_token_encryption: Option<Vec<String>>,
    /// Sign what userinfo says to it; without, that is plain JSON
    #[arg(long, value_name = "ALG", value_parser = word(ClientAlg::ALL, ClientAlg::as_str))]
    userinfo_alg: Option<ClientAlg>,
    /// Encrypt what userinfo says to it
    #[arg(long, num_args = 2, value_names = ["ALG", "ENC"])]
    userinfo_encryption: Option<Vec<String>>,
    /// The one algorithm of its request objects; without, each but HS256, which signs with its secret
    #[arg(long, value_name = "ALG", value_parser = word(ClientAlg::ALL, ClientAlg::as_str))]
    request_object_signing_alg: Option<ClientAlg>,
    /// How it encrypts its request objects, to a key of this server
    #[arg(long, num_args = 2, value_names = ["ALG", "ENC"])]
    request_object_encryption: Option<Vec<String>>,
    /// Where its request objects may be (repeatable)
    #[arg(long = "request-uri", value_name = "URL", num_args = 1..)]
    request_uris: Option<Vec<String>>,
    /// Whether each of its requests comes in a signed object
    #[arg(long, value_name = "true|false")]
    require_signed_request_object: Option<bool>,
    /// Whether each of its requests is pushed (PAR)
    #[arg(long, value_name = "true|false")]
    require_par: Option<bool>,
    /// For --auth-method tls_client_auth, the name in its certificates: the subject, as RFC 4514 writes it
    #[arg(long, value_name = "DN")]
    tls_client_auth_subject_dn: Option<String>,
    /// For --auth-method tls_client_auth, the name in its certificates: a host name
    #[arg(long, value_name = "NAME")]
    tls_client_auth_san_dns: Option<String>,
    /// For --auth-method tls_client_auth, the name in its certificates: a URI
    #[arg(long, value_name = "URI")]
    tls_client_auth_san_uri: Option<String>,
    /// For --auth-method tls_client_auth, the name in its certificates: an IP address
    #[arg(long, value_name = "ADDRESS")]
    tls_client_auth_san_ip: Option<String>,
    /// For --auth-method tls_client_auth, the name in its certificates: a mail address
    #[arg(long, value_name = "EMAIL")]
    tls_client_auth_san_email: Option<String>,
    /// Bind its access tokens to the certificate of the connection on which it asks for them
    #[arg(long, value_name = "true|false")]
    certificate_bound_tokens: Option<bool>,
    /// Its home page
    #[arg(long, value_name = "URL")]
    client_uri: Option<String>,
    /// Its logo
    #[arg(long, value_name = "URL")]
    logo_uri: Option<String>,
    /// Its privacy policy
    #[arg(long, value_name = "URL")]
    policy_uri: Option<String>,
    /// Its terms of service
    #[arg(long, value_name = "URL")]
    tos_uri: Option<String>,
    /// Mail address of someone responsible (repeatable)
    #[arg(long = "contact", value_name = "EMAIL")]
    contacts: Option<Vec<String>>,
}

impl Members {
    /// Puts what was given into a registration document. An empty text takes the member away.
    pub(super) fn edit(self, document: &mut Map<String, Value>) {
        let auth_method = self.auth_method.or(self.public.then_some(ClientAuthMethod::None));
        // RFC 7591 §2.1: the two go together.
        let response_types = self.response_types.or_else(|| {
            let codes = self.grant_types.as_ref()?.contains(&GrantType::AuthorizationCode);
            Some(codes.then_some(ResponseType::Code).into_iter().collect())
        });
        let given = [
            ("application_type", self.native.then(|| "native".into())),
            ("require_pkce", self.no_pkce.then(|| false.into())),
            (
                "token_endpoint_auth_method",
                auth_method.map(|method| method.as_str().into()),
            ),
            (
                "post_logout_redirect_uris",
                self.post_logout_redirect_uris.map(all_or_none),
            ),
            ("subject_type", self.subject_type.map(|own| own.as_str().into())),
            ("sector_identifier_uri", self.sector_identifier_uri.map(or_none)),
            ("grant_types", self.grant_types.map(|all| json!(all))),
            ("response_types", response_types.map(|all| json!(all))),
            // One takes the other away.
            ("jwks", self.jwks_uri.is_some().then_some(Value::Null)),
            ("jwks_uri", self.jwks.is_some().then_some(Value::Null)),
            ("jwks", self.jwks),
            ("jwks_uri", self.jwks_uri.map(or_none)),
            (
                "token_endpoint_auth_signing_alg",
                self.auth_signing_alg.map(|alg| alg.as_str().into()),
            ),
            (
                "assertion_audience",
                self.assertion_audience.map(|rule| rule.as_str().into()),
            ),
            (
                "id_token_signed_response_alg",
                self.id_token_alg.map(|alg| alg.as_str().into()),
            ),
            (
                "userinfo_signed_response_alg",
                self.userinfo_alg.map(|alg| alg.as_str().into()),
            ),
            (
                "id_token_encrypted_response_alg",
                nth(&self.id_token_encryption, 0),
            ),
            (
                "id_token_encrypted_response_enc",
                nth(&self.id_token_encryption, 1),
            ),
            (
                "userinfo_encrypted_response_alg",
                nth(&self.userinfo_encryption, 0),
            ),
            (
                "userinfo_encrypted_response_enc",
                nth(&self.userinfo_encryption, 1),
            ),
            (
                "request_object_signing_alg",
                self.request_object_signing_alg.map(|alg| alg.as_str().into()),
            ),
            (
                "request_object_encryption_alg",
                nth(&self.request_object_encryption, 0),
            ),
            (
                "request_object_encryption_enc",
                nth(&self.request_object_encryption, 1),
            ),
            ("request_uris", self.request_uris.map(all_or_none)),
            (
                "require_signed_request_object",
                self.require_signed_request_object.map(Value::from),
            ),
            (
                "require_pushed_authorization_requests",
                self.require_par.map(Value::from),
            ),
            (
                "tls_client_auth_subject_dn",
                self.tls_client_auth_subject_dn.map(or_none),
            ),
            (
                "tls_client_auth_san_dns",
                self.tls_client_auth_san_dns.map(or_none),
            ),
            (
                "tls_client_auth_san_uri",
                self.tls_client_auth_san_uri.map(or_none),
            ),
            ("tls_client_auth_san_ip", self.tls_client_auth_san_ip.map(or_none)),
            (
                "tls_client_auth_san_email",
                self.tls_client_auth_san_email.map(or_none),
            ),
            (
                "tls_client_certificate_bound_access_tokens",
                self.certificate_bound_tokens.map(Value::from),
            ),
            ("scope", self.scope.map(|scope| or_none(scope.join(" ")))),
            ("backchannel_logout_uri", self.backchannel_logout_uri.map(or_none)),
            (
                "frontchannel_logout_uri",
                self.frontchannel_logout_uri.map(or_none),
            ),
            ("client_uri", self.client_uri.map(or_none)),
            ("logo_uri", self.logo_uri.map(or_none)),
            ("policy_uri", self.policy_uri.map(or_none)),
            ("tos_uri", self.tos_uri.map(or_none)),
            ("contacts", self.contacts.map(all_or_none)),
        ];
        for (member, value) in given {
            if let Some(value) = value {
                document.insert(member.to_owned(), value);
            }
        }
    }
}

/// One of several values of a flag.
fn nth(values: &Option<Vec<String>>, at: usize) -> Option<Value> {
    Some(or_none(values.as_ref()?.get(at)?.clone()))
}

pub(in crate::cli) fn jwk_set(file: &str) -> Result<Value, String> {
    let text = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("holds no JSON: {error}"))
}

/// RFC 7592 §2.2: null counts as left out.
pub(super) fn or_none(text: String) -> Value {
    match text.is_empty() {
        true => Value::Null,
        false => text.into(),
    }
}

/// The same for a list: one empty text stands for none.
fn all_or_none(texts: Vec<String>) -> Value {
    match texts.iter().all(String::is_empty) {
        true => Value::Null,
        false => texts.into(),
    }
}
