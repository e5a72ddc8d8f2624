//! The closed vocabularies of OAuth 2.0 and OpenID Connect, with their spelling on the wire.

use crate::wire_enum;

/// A word that is not in the vocabulary asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown value")]
pub struct Unknown;

wire_enum! {
    /// `grant_type` of a token request: RFC 6749 §4 and §6.
    pub enum GrantType {
        AuthorizationCode => "authorization_code",
        RefreshToken => "refresh_token",
        /// A client acting for itself.
        ClientCredentials => "client_credentials",
    }
}

wire_enum! {
    /// `response_type` of an authorization request: RFC 6749 §3.1.1.
    pub enum ResponseType {
        Code => "code",
    }
}

wire_enum! {
    /// `response_mode` of an authorization request: OAuth 2.0 Multiple Response Type Encoding Practices §2.1.
    pub enum ResponseMode {
        Query => "query",
    }
}

wire_enum! {
    /// `prompt` values: OpenID Connect Core §3.1.2.1.
    pub enum Prompt {
        None => "none",
        Login => "login",
        Consent => "consent",
        SelectAccount => "select_account",
    }
}

wire_enum! {
    /// `token_endpoint_auth_method` of a client: RFC 7591 §2.
    pub enum ClientAuthMethod {
        ClientSecretBasic => "client_secret_basic",
        ClientSecretPost => "client_secret_post",
        None => "none",
    }
}

wire_enum! {
    /// `application_type` of a client: OpenID Connect Dynamic Client Registration §2.
    pub enum ApplicationType {
        Web => "web",
        Native => "native",
    }
}

wire_enum! {
    /// Signature algorithms we sign with: RFC 7518 §3.1, RFC 8037 §3.1 with Ed25519.
    pub enum SigningAlg {
        Rs256 => "RS256",
        Ps256 => "PS256",
        Es256 => "ES256",
        EdDsa => "EdDSA",
    }
}
