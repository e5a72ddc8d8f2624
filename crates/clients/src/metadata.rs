//! Client metadata: RFC 7591 §2, with the defaults a missing member stands for.

use std::collections::BTreeSet;

use protocol::{
    ApplicationType, ClientAlg, ClientAuthMethod, GrantType, JweAlg, JweEnc, RedirectUri, ResponseType,
    Scope, SubjectType, wire_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Localized;

/// What is in force for a client, after defaults. Serialized it has the member names of the RFC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    #[serde(flatten)]
    pub client_names: Localized,
    pub application_type: ApplicationType,
    pub redirect_uris: Vec<RedirectUri>,
    /// OpenID Connect RP-Initiated Logout §3.1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// By which names it knows people: OpenID Connect Core §8. Ask [`crate::Names`].
    pub subject_type: SubjectType,
    /// A document that lists the redirect URIs; its host stands for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    pub token_endpoint_auth_method: ClientAuthMethod,
    pub grant_types: Vec<GrantType>,
    pub response_types: Vec<ResponseType>,
    /// What it may ask for; without it, every scope there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// OpenID Connect Dynamic Client Registration §2, in seconds: `max_age` of a request that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    /// Met without it: every ID token has `auth_time`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_auth_time: bool,
    /// `acr_values` of a request that has none: wishes, as those are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// OpenID Connect Back-Channel Logout §2.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Kept for those who read it: `sid` is always sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub backchannel_logout_session_required: bool,
    /// OpenID Connect Front-Channel Logout §2. Of the same origin as a redirect URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// Kept for those who read it: `iss` and `sid` are always sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frontchannel_logout_session_required: bool,
    /// Where a third party may begin a sign-in: OpenID Connect Core §4. Kept for those who read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// A member of our own. Ask [`crate::Client::requires_pkce`], which knows public clients.
    pub require_pkce: bool,
    /// Its public keys, or where they are: one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The one algorithm of its assertions; without it, each that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<ClientAlg>,
    /// The one name of its certificates: RFC 8705 §2.1.2. Ask [`crate::certificates::Name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
    /// RFC 8705 §3.4.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// A member of our own.
    #[serde(skip_serializing_if = "AssertionAudience::is_default")]
    pub assertion_audience: AssertionAudience,
    /// OpenID Connect Dynamic Client Registration §2, here and below.
    #[serde(skip_serializing_if = "is_usual")]
    pub id_token_signed_response_alg: ClientAlg,
    /// These two, and those below, are there together or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_alg: Option<JweAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_enc: Option<JweEnc>,
    /// Without it, userinfo is plain JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<ClientAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_alg: Option<JweAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_enc: Option<JweEnc>,
    /// Its request objects are encrypted so; without it, none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_alg: Option<JweAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_enc: Option<JweEnc>,
    /// The one algorithm of its request objects; without it, each by a key of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<ClientAlg>,
    /// Where its request objects may be: OpenID Connect Core §6.2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<String>,
    /// RFC 9101 §10.5: then nothing beside a request object counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_signed_request_object: bool,
    /// RFC 9126 §6.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_authorization_requests: bool,
}

/// ID tokens are RS256 by default: most clients know nothing else (OpenID Connect Core §15.1).
const USUAL_ALG: ClientAlg = ClientAlg::Rs256;

fn is_usual(alg: &ClientAlg) -> bool {
    *alg == USUAL_ALG
}

impl Metadata {
    /// As which people may see the client.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.client_name
            .as_deref()
            .into_iter()
            .chain(self.client_names.all())
    }

    pub fn id_token_encryption(&self) -> Option<(JweAlg, JweEnc)> {
        self.id_token_encrypted_response_alg
            .zip(self.id_token_encrypted_response_enc)
    }

    pub fn userinfo_encryption(&self) -> Option<(JweAlg, JweEnc)> {
        self.userinfo_encrypted_response_alg
            .zip(self.userinfo_encrypted_response_enc)
    }

    pub fn request_object_encryption(&self) -> Option<(JweAlg, JweEnc)> {
        self.request_object_encryption_alg
            .zip(self.request_object_encryption_enc)
    }

    /// Whether it authenticates by a secret that we gave it.
    pub fn has_secret(&self) -> bool {
        match self.token_endpoint_auth_method {
            ClientAuthMethod::ClientSecretBasic
            | ClientAuthMethod::ClientSecretPost
            | ClientAuthMethod::ClientSecretJwt => true,
            ClientAuthMethod::PrivateKeyJwt
            | ClientAuthMethod::TlsClientAuth
            | ClientAuthMethod::SelfSignedTlsClientAuth
            | ClientAuthMethod::None => false,
        }
    }

    /// Whether something that it is told is signed by its secret.
    pub fn is_told_by_secret(&self) -> bool {
        self.id_token_signed_response_alg == ClientAlg::Hs256
            || self.userinfo_signed_response_alg == Some(ClientAlg::Hs256)
    }

    /// Whether it signs its request objects with its secret.
    pub fn asks_by_secret(&self) -> bool {
        self.request_object_signing_alg == Some(ClientAlg::Hs256)
    }

    /// Whether a digest of its secret is not enough.
    pub fn needs_readable_secret(&self) -> bool {
        self.is_told_by_secret()
            || self.asks_by_secret()
            || self.token_endpoint_auth_method == ClientAuthMethod::ClientSecretJwt
    }
}

wire_enum! {
    /// Whom the assertions of a client have to name as their audience.
    pub enum AssertionAudience {
        /// The issuer, alone: then an assertion that another server was tricked into asking for is no good here.
        Issuer => "issuer",
        /// The issuer or the address of the endpoint, also among others, as RFC 7523 §3 had it and many libraries
        /// have it; and a longer life.
        Compatible => "compatible",
    }
}

impl AssertionAudience {
    fn is_default(&self) -> bool {
        *self == Self::Issuer
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            client_name: None,
            client_names: Localized::default(),
            application_type: ApplicationType::Web,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            subject_type: SubjectType::Public,
            sector_identifier_uri: None,
            token_endpoint_auth_method: ClientAuthMethod::ClientSecretBasic,
            grant_types: vec![GrantType::AuthorizationCode],
            response_types: vec![ResponseType::Code],
            scope: None,
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: Vec::new(),
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            frontchannel_logout_uri: None,
            frontchannel_logout_session_required: false,
            initiate_login_uri: None,
            contacts: Vec::new(),
            require_pkce: true,
            jwks: None,
            jwks_uri: None,
            token_endpoint_auth_signing_alg: None,
            tls_client_auth_subject_dn: None,
            tls_client_auth_san_dns: None,
            tls_client_auth_san_uri: None,
            tls_client_auth_san_ip: None,
            tls_client_auth_san_email: None,
            tls_client_certificate_bound_access_tokens: false,
            assertion_audience: AssertionAudience::Issuer,
            id_token_signed_response_alg: USUAL_ALG,
            id_token_encrypted_response_alg: None,
            id_token_encrypted_response_enc: None,
            userinfo_signed_response_alg: None,
            userinfo_encrypted_response_alg: None,
            userinfo_encrypted_response_enc: None,
            request_object_encryption_alg: None,
            request_object_encryption_enc: None,
            request_object_signing_alg: None,
            request_uris: Vec::new(),
            require_signed_request_object: false,
            require_pushed_authorization_requests: false,
        }
    }
}

/// Whether a user would see another client on the consent page: then what was allowed to the old one does not
/// count for the new one (the attack is an app that earns trust under one name and changes it).
pub fn shows_differently(old: &Metadata, new: &Metadata) -> bool {
    let seen = |of: &Metadata| {
        (
            of.client_name.clone(),
            of.client_names.clone(),
            [
                of.logo_uri.clone(),
                of.client_uri.clone(),
                of.policy_uri.clone(),
                of.tos_uri.clone(),
            ],
            hosts(of),
        )
    };
    seen(old) != seen(new)
}

fn hosts(metadata: &Metadata) -> BTreeSet<String> {
    metadata
        .redirect_uris
        .iter()
        .map(RedirectUri::shown_host)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        let uri = |text| RedirectUri::register(text, ApplicationType::Web).unwrap();
        Metadata {
            client_name: Some("Shop".to_owned()),
            redirect_uris: vec![uri("https://a.test/cb"), uri("https://b.test/cb")],
            ..Metadata::default()
        }
    }

    fn change(edit: impl FnOnce(&mut Metadata)) -> bool {
        let (old, mut new) = (sample(), sample());
        edit(&mut new);
        shows_differently(&old, &new)
    }

    #[test]
    fn missing_members_stand_for_the_defaults_of_rfc_7591() {
        let read: Metadata = serde_json::from_str(r#"{"of_tomorrow": 1}"#).unwrap();
        assert_eq!(read, Metadata::default());
        let written = serde_json::to_value(&read).unwrap();
        let expected = serde_json::json!({
            "application_type": "web",
            "redirect_uris": [],
            "subject_type": "public",
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "require_pkce": true,
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn consent_is_asked_again_only_when_a_user_would_see_a_difference() {
        let uri = |text| RedirectUri::register(text, ApplicationType::Web).unwrap();
        assert!(change(|new| new.client_name = Some("Bank".to_owned())));
        assert!(change(|new| new.client_name = None));
        assert!(change(
            |new| new.client_names = Localized::from_iter([("fr".into(), "Banque".into())])
        ));
        assert!(change(|new| new.logo_uri = Some("https://a.test/l".to_owned())));
        assert!(change(|new| new.client_uri = Some("https://a.test/".to_owned())));
        assert!(change(|new| new.policy_uri = Some("https://a.test/p".to_owned())));
        assert!(change(|new| new.tos_uri = Some("https://a.test/t".to_owned())));
        assert!(change(|new| new.redirect_uris.push(uri("https://c.test/cb"))));
        assert!(change(|new| new.redirect_uris.truncate(1)));

        assert!(!change(|_| ()));
        assert!(!change(|new| new.redirect_uris.push(uri("https://a.test/other"))));
        assert!(!change(|new| new.redirect_uris.reverse()));
        assert!(!change(|new| new.require_pkce = false));
        assert!(!change(|new| new.contacts.push("a@b.test".to_owned())));
    }
}
