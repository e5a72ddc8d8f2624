//! The names of the settings, their defaults, and which of them this version cannot fulfil yet.

protocol::wire_enum! {
    /// A setting, spelled as in the environment without the prefix.
    pub enum Name {
        Issuer => "ISSUER",
        Listen => "LISTEN",
        PrivateListen => "PRIVATE_LISTEN",
        DatabaseUrl => "DATABASE_URL",
        KeysDir => "KEYS_DIR",
        MasterKey => "MASTER_KEY",
        KeysAlgs => "KEYS_ALGS",
        KeysRotateAfter => "KEYS_ROTATE_AFTER",
        KeysAnnounce => "KEYS_ANNOUNCE",
        TlsCert => "TLS_CERT",
        TlsKey => "TLS_KEY",
        MtlsListen => "MTLS_LISTEN",
        MtlsUrl => "MTLS_URL",
        MtlsRoots => "MTLS_ROOTS",
        TrustedProxies => "TRUSTED_PROXIES",
        EgressCa => "EGRESS_CA",
        EgressAllowPrivate => "EGRESS_ALLOW_PRIVATE",
        Limits => "LIMITS",
        Registration => "REGISTRATION",
        RegistrationTrust => "REGISTRATION_TRUST",
        RegistrationRequirePkce => "REGISTRATION_REQUIRE_PKCE",
        RegistrationAssertionAudience => "REGISTRATION_ASSERTION_AUDIENCE",
        ResponseTypes => "RESPONSE_TYPES",
        RequirePushedAuthorizationRequests => "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS",
        MailSmtpUrl => "MAIL_SMTP_URL",
        MailFrom => "MAIL_FROM",
        SignUp => "SIGN_UP",
        BreachedPasswords => "BREACHED_PASSWORDS",
        TermsUrl => "TERMS_URL",
        PrivacyUrl => "PRIVACY_URL",
        HelpUrl => "HELP_URL",
        ImprintUrl => "IMPRINT_URL",
        Contact => "CONTACT",
    }
}

pub(super) const PREFIX: &str = "COUNTERSIGN_";

/// A setting whose feature this version does not have.
pub(super) struct NotThereYet {
    /// The one value that is true nevertheless.
    pub(super) only: Option<&'static str>,
    pub(super) line: &'static str,
}

impl Name {
    /// The name in the environment.
    pub fn variable(self) -> String {
        format!("{PREFIX}{self}")
    }

    /// Whether the value can hold a secret, so that it has a `_FILE` form and is never shown whole.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::DatabaseUrl | Self::MasterKey | Self::MailSmtpUrl)
    }

    /// Whether the file may give it as an array.
    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::TrustedProxies | Self::EgressAllowPrivate | Self::KeysAlgs
        )
    }

    pub(super) fn default(self) -> Option<&'static str> {
        match self {
            Self::Listen => Some("127.0.0.1:8080"),
            Self::DatabaseUrl => Some("sqlite://data/countersign.db"),
            Self::KeysDir => Some("keys"),
            Self::KeysAlgs => Some("RS256,PS256,ES256,EdDSA"),
            Self::KeysRotateAfter => Some("90d"),
            Self::KeysAnnounce => Some("24h"),
            Self::TrustedProxies => Some("none"),
            Self::Limits => Some("on"),
            Self::ResponseTypes => Some("code"),
            Self::RequirePushedAuthorizationRequests => Some("false"),
            Self::Issuer
            | Self::MasterKey
            | Self::TlsCert
            | Self::TlsKey
            | Self::MtlsListen
            | Self::MtlsUrl
            | Self::MtlsRoots
            | Self::EgressCa
            | Self::EgressAllowPrivate
            | Self::MailSmtpUrl
            | Self::MailFrom
            | Self::BreachedPasswords
            | Self::TermsUrl
            | Self::PrivacyUrl
            | Self::HelpUrl
            | Self::ImprintUrl
            | Self::Contact => None,
            // `--dev` has another than the others.
            Self::Registration | Self::SignUp => None,
            Self::RegistrationTrust => Some("unverified"),
            Self::RegistrationRequirePkce => Some("true"),
            Self::RegistrationAssertionAudience => Some("issuer"),
            Self::PrivateListen => self.not_there_yet().and_then(|missing| missing.only),
        }
    }

    pub(super) fn not_there_yet(self) -> Option<NotThereYet> {
        let (only, line) = match self {
            Self::Issuer
            | Self::Listen
            | Self::DatabaseUrl
            | Self::KeysDir
            | Self::MasterKey
            | Self::KeysAlgs
            | Self::KeysRotateAfter
            | Self::KeysAnnounce
            | Self::TlsCert
            | Self::TlsKey
            | Self::MtlsListen
            | Self::MtlsUrl
            | Self::MtlsRoots
            | Self::TrustedProxies
            | Self::EgressCa
            | Self::EgressAllowPrivate
            | Self::Limits
            | Self::ResponseTypes
            | Self::RequirePushedAuthorizationRequests
            | Self::Registration
            | Self::RegistrationTrust
            | Self::RegistrationRequirePkce
            | Self::RegistrationAssertionAudience
            | Self::MailSmtpUrl
            | Self::MailFrom
            | Self::SignUp
            | Self::BreachedPasswords
            | Self::TermsUrl
            | Self::PrivacyUrl
            | Self::HelpUrl
            | Self::ImprintUrl
            | Self::Contact => return None,
            Self::PrivateListen => (
                Some("off"),
                "this version has no private listener; leave it unset or off",
            ),
        };
        Some(NotThereYet { only, line })
    }
}
