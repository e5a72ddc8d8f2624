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
        /// Tokens straight from the authorization endpoint: registered, but nothing to ask the token endpoint for.
        Implicit => "implicit",
    }
}

wire_enum! {
    /// `response_type` of an authorization request: RFC 6749 §3.1.1, OAuth 2.0 Multiple Response Type Encoding
    /// Practices §3 and §5. Each is spelled with its words in the order of the alphabet.
    pub enum ResponseType {
        Code => "code",
        IdToken => "id_token",
        IdTokenToken => "id_token token",
        CodeIdToken => "code id_token",
        CodeToken => "code token",
        CodeIdTokenToken => "code id_token token",
    }
}

impl ResponseType {
    /// # Errors
    /// When it is none of ours. The order of its words has no meaning (RFC 6749 §3.1.1).
    pub fn parse(text: &str) -> Result<Self, Unknown> {
        let mut words: Vec<&str> = text.split(' ').collect();
        words.sort_unstable();
        words.join(" ").parse()
    }

    pub const fn has_code(self) -> bool {
        match self {
            Self::Code | Self::CodeIdToken | Self::CodeToken | Self::CodeIdTokenToken => true,
            Self::IdToken | Self::IdTokenToken => false,
        }
    }

    /// Whether the authorization endpoint itself issues an ID token.
    pub const fn has_id_token(self) -> bool {
        match self {
            Self::IdToken | Self::IdTokenToken | Self::CodeIdToken | Self::CodeIdTokenToken => true,
            Self::Code | Self::CodeToken => false,
        }
    }

    /// Whether the authorization endpoint itself issues an access token.
    pub const fn has_token(self) -> bool {
        match self {
            Self::IdTokenToken | Self::CodeToken | Self::CodeIdTokenToken => true,
            Self::Code | Self::IdToken | Self::CodeIdToken => false,
        }
    }

    /// The grant types that a client registers along with it: OpenID Connect Dynamic Client Registration §2.
    pub const fn grant_types(self) -> &'static [GrantType] {
        match self {
            Self::Code => &[GrantType::AuthorizationCode],
            Self::IdToken | Self::IdTokenToken => &[GrantType::Implicit],
            Self::CodeIdToken | Self::CodeToken | Self::CodeIdTokenToken => {
                &[GrantType::AuthorizationCode, GrantType::Implicit]
            }
        }
    }

    /// Where its answer goes when the request does not say: Multiple Response Type Encoding Practices §5.
    pub const fn default_mode(self) -> ResponseMode {
        match self {
            Self::Code => ResponseMode::Query,
            Self::IdToken
            | Self::IdTokenToken
            | Self::CodeIdToken
            | Self::CodeToken
            | Self::CodeIdTokenToken => ResponseMode::Fragment,
        }
    }
}

wire_enum! {
    /// Which response types an operator admits. RFC 9700 §2.1.2 advises against those whose tokens pass through
    /// the browser's address, so they have to be asked for.
    pub enum ResponseTypes {
        Code => "code",
        All => "all",
    }
}

impl ResponseTypes {
    pub const fn admitted(self) -> &'static [ResponseType] {
        match self {
            Self::Code => &[ResponseType::Code],
            Self::All => ResponseType::ALL,
        }
    }

    /// The grant types that clients can use with them.
    pub fn grant_types(self) -> impl Iterator<Item = GrantType> {
        let all = GrantType::ALL.iter().copied();
        all.filter(move |own| *own != GrantType::Implicit || self == Self::All)
    }
}

/// Whether an operator takes authorization requests that were not pushed: RFC 9126 §5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushedRequests {
    #[default]
    Optional,
    Required,
}

wire_enum! {
    /// `response_mode` of an authorization request: OAuth 2.0 Multiple Response Type Encoding Practices §2.1, OAuth
    /// 2.0 Form Post Response Mode §2.
    pub enum ResponseMode {
        Query => "query",
        Fragment => "fragment",
        FormPost => "form_post",
    }
}

wire_enum! {
    /// `prompt` values: OpenID Connect Core §3.1.2.1.
    pub enum Prompt {
        None => "none",
        Login => "login",
        Consent => "consent",
        SelectAccount => "select_account",
        /// Initiating User Registration via OpenID Connect §4.1: to make an account, where everybody may.
        Create => "create",
    }
}

wire_enum! {
    /// Who may make an account for themselves.
    pub enum SignUp {
        Closed => "closed",
        /// Whoever an operator sent a link.
        Invitation => "invitation",
        Open => "open",
    }
}

wire_enum! {
    /// `token_endpoint_auth_method` of a client: RFC 7591 §2.
    pub enum ClientAuthMethod {
        ClientSecretBasic => "client_secret_basic",
        ClientSecretPost => "client_secret_post",
        /// An assertion that the secret signed, which itself is never sent: OpenID Connect Core §9.
        ClientSecretJwt => "client_secret_jwt",
        /// An assertion signed by a key of the client: OpenID Connect Core §9.
        PrivateKeyJwt => "private_key_jwt",
        /// A certificate that an authority issued: RFC 8705 §2.1.
        TlsClientAuth => "tls_client_auth",
        /// A certificate that the client registered: RFC 8705 §2.2.
        SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        None => "none",
    }
}

/// Which certificates an operator has clients prove themselves by. Without a listener that asks for them, or a proxy
/// that tells of them, there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    #[default]
    None,
    /// Those that clients register themselves.
    Registered,
    /// Also those that an authority issued.
    Issued,
}

impl ClientCertificates {
    pub const fn admit(self, method: ClientAuthMethod) -> bool {
        match (method, self) {
            (ClientAuthMethod::TlsClientAuth, Self::Issued)
            | (ClientAuthMethod::SelfSignedTlsClientAuth, Self::Issued | Self::Registered) => true,
            (ClientAuthMethod::TlsClientAuth | ClientAuthMethod::SelfSignedTlsClientAuth, _) => false,
            (
                ClientAuthMethod::ClientSecretBasic
                | ClientAuthMethod::ClientSecretPost
                | ClientAuthMethod::ClientSecretJwt
                | ClientAuthMethod::PrivateKeyJwt
                | ClientAuthMethod::None,
                _,
            ) => true,
        }
    }

    /// The ways in which clients can authenticate.
    pub fn methods(self) -> impl Iterator<Item = ClientAuthMethod> {
        ClientAuthMethod::ALL
            .iter()
            .copied()
            .filter(move |method| self.admit(*method))
    }
}

wire_enum! {
    /// `subject_type` of a client: OpenID Connect Core §8.
    pub enum SubjectType {
        /// It knows a person by the name that every such client knows.
        Public => "public",
        /// By one that only clients of its sector know.
        Pairwise => "pairwise",
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

/// Those that an installation signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningAlgs(u8);

impl SigningAlgs {
    pub fn contains(self, alg: SigningAlg) -> bool {
        self.0 & bit(alg) != 0
    }

    /// Whether what a client asks for can be signed. Its own secret can always sign.
    pub fn admit(self, alg: ClientAlg) -> bool {
        alg.signing().is_none_or(|own| self.contains(own))
    }

    pub fn iter(self) -> impl Iterator<Item = SigningAlg> {
        let all = SigningAlg::ALL.iter().copied();
        all.filter(move |alg| self.contains(*alg))
    }
}

const fn bit(alg: SigningAlg) -> u8 {
    match alg {
        SigningAlg::Rs256 => 1,
        SigningAlg::Ps256 => 2,
        SigningAlg::Es256 => 4,
        SigningAlg::EdDsa => 8,
    }
}

impl Default for SigningAlgs {
    /// All of them.
    fn default() -> Self {
        SigningAlg::ALL.iter().copied().collect()
    }
}

impl FromIterator<SigningAlg> for SigningAlgs {
    fn from_iter<T: IntoIterator<Item = SigningAlg>>(algs: T) -> Self {
        Self(algs.into_iter().fold(0, |bits, alg| bits | bit(alg)))
    }
}

impl std::fmt::Display for SigningAlgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<&str> = self.iter().map(SigningAlg::as_str).collect();
        f.write_str(&all.join(", "))
    }
}

wire_enum! {
    /// Signature algorithms between a client and us: by the key of one of us, or by the secret that both know
    /// (RFC 7518 §3.2). `none` is not among them: a token that nobody signed says what whoever sends it wants.
    pub enum ClientAlg {
        Rs256 => "RS256",
        Ps256 => "PS256",
        Es256 => "ES256",
        EdDsa => "EdDSA",
        Hs256 => "HS256",
    }
}

impl ClientAlg {
    /// The algorithm of a key of ours; none where the secret signs.
    pub const fn signing(self) -> Option<SigningAlg> {
        match self {
            Self::Rs256 => Some(SigningAlg::Rs256),
            Self::Ps256 => Some(SigningAlg::Ps256),
            Self::Es256 => Some(SigningAlg::Es256),
            Self::EdDsa => Some(SigningAlg::EdDsa),
            Self::Hs256 => None,
        }
    }
}

wire_enum! {
    /// How the key of an encrypted token reaches its reader: RFC 7518 §4.3 and §4.6. RSA1_5 leaks by its errors,
    /// passwords and `dir` have no place between two parties with key pairs.
    pub enum JweAlg {
        RsaOaep256 => "RSA-OAEP-256",
        EcdhEs => "ECDH-ES",
        EcdhEsA128Kw => "ECDH-ES+A128KW",
        EcdhEsA256Kw => "ECDH-ES+A256KW",
    }
}

wire_enum! {
    /// How the content of a token is encrypted: RFC 7518 §5.3. Those with CBC are left out.
    pub enum JweEnc {
        A128Gcm => "A128GCM",
        A192Gcm => "A192GCM",
        A256Gcm => "A256GCM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_response_type_may_come_in_any_order_each_once() {
        for (text, expected) in [
            ("token id_token", Ok(ResponseType::IdTokenToken)),
            ("token code id_token", Ok(ResponseType::CodeIdTokenToken)),
            ("id_token code", Ok(ResponseType::CodeIdToken)),
            ("code", Ok(ResponseType::Code)),
            ("token", Err(Unknown)),
            ("none", Err(Unknown)),
            ("code code", Err(Unknown)),
            ("code  token", Err(Unknown)),
            (" code", Err(Unknown)),
            ("CODE", Err(Unknown)),
            ("", Err(Unknown)),
        ] {
            assert_eq!(ResponseType::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_response_type_says_by_its_words_what_comes_of_it() {
        for own in ResponseType::ALL {
            let has = |word: &str| own.as_str().split(' ').any(|part| part == word);
            assert_eq!(own.has_code(), has("code"), "{own}");
            assert_eq!(own.has_id_token(), has("id_token"), "{own}");
            assert_eq!(own.has_token(), has("token"), "{own}");
            assert_eq!(
                own.default_mode() == ResponseMode::Query,
                *own == ResponseType::Code
            );
            let grants = own.grant_types();
            assert_eq!(grants.contains(&GrantType::AuthorizationCode), has("code"));
            assert_eq!(grants.contains(&GrantType::Implicit), *own != ResponseType::Code);
        }
        assert!(
            ResponseTypes::Code
                .grant_types()
                .all(|own| own != GrantType::Implicit)
        );
        assert!(
            ResponseTypes::All
                .grant_types()
                .eq(GrantType::ALL.iter().copied())
        );
    }
}
