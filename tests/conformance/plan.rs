//! The modules of the plans for a provider that registers clients dynamically, with the variants in which each runs.

use protocol::{ClientAuthMethod, ResponseMode, ResponseType};

/// One run of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) plan: &'static str,
    pub(crate) module: &'static str,
    pub(crate) response_type: ResponseType,
    /// `None`: the request does not say.
    pub(crate) response_mode: Option<ResponseMode>,
    /// None where the plan uses keys.
    pub(crate) client_auth: Option<ClientAuthMethod>,
}

/// With which response types of a plan a module runs.
#[derive(Clone, Copy)]
enum With {
    Each,
    /// `code` alone.
    Code,
    /// Those with a code.
    Codes,
    /// One of those with a code.
    CodesOnce,
    /// One of each plan.
    Once,
    /// Each, but one of the hybrid plan.
    EachOrOnce,
    IdTokenInFront,
    NoIdTokenInFront,
    /// Those that lead to an access token.
    Userinfo,
}

const CORE: &[(&str, With)] = &[
    ("oidcc-server", With::Each),
    ("oidcc-response-type-missing", With::Once),
    ("oidcc-idtoken-signature", With::Each),
    ("oidcc-idtoken-unsigned", With::Code),
    ("oidcc-userinfo-get", With::Userinfo),
    ("oidcc-userinfo-post-header", With::Userinfo),
    ("oidcc-userinfo-post-body", With::Userinfo),
    (
        "oidcc-ensure-request-without-nonce-succeeds-for-code-flow",
        With::NoIdTokenInFront,
    ),
    ("oidcc-ensure-request-without-nonce-fails", With::IdTokenInFront),
    ("oidcc-scope-profile", With::Each),
    ("oidcc-scope-email", With::Each),
    ("oidcc-scope-address", With::Each),
    ("oidcc-scope-phone", With::Each),
    ("oidcc-scope-all", With::Each),
    ("oidcc-alternate-happy-flow", With::EachOrOnce),
    ("oidcc-display-page", With::Each),
    ("oidcc-display-popup", With::Each),
    ("oidcc-prompt-login", With::Each),
    ("oidcc-prompt-none-not-logged-in", With::Each),
    ("oidcc-prompt-none-logged-in", With::Each),
    ("oidcc-max-age-1", With::Each),
    ("oidcc-max-age-10000", With::Each),
    ("oidcc-ensure-request-with-unknown-parameter-succeeds", With::Each),
    ("oidcc-id-token-hint", With::Each),
    ("oidcc-login-hint", With::Each),
    ("oidcc-ui-locales", With::Each),
    ("oidcc-claims-locales", With::Each),
    ("oidcc-ensure-request-with-acr-values-succeeds", With::Each),
    ("oidcc-codereuse", With::Codes),
    ("oidcc-codereuse-30seconds", With::Codes),
    ("oidcc-ensure-registered-redirect-uri", With::Each),
    ("oidcc-ensure-post-request-succeeds", With::Code),
    ("oidcc-server-client-secret-post", With::Codes),
    (
        "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
        With::Each,
    ),
    (
        "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
        With::Each,
    ),
    ("oidcc-claims-essential", With::Each),
    ("oidcc-ensure-request-object-with-redirect-uri", With::Each),
    ("oidcc-refresh-token", With::Codes),
    ("oidcc-ensure-request-with-valid-pkce-succeeds", With::CodesOnce),
];

const DYNAMIC: &[(&str, With)] = &[
    ("oidcc-idtoken-rs256", With::Each),
    ("oidcc-idtoken-unsigned", With::Code),
    ("oidcc-userinfo-rs256", With::Each),
    ("oidcc-ensure-redirect-uri-in-authorization-request", With::Each),
    ("oidcc-redirect-uri-query-OK", With::Each),
    ("oidcc-redirect-uri-query-mismatch", With::Each),
    ("oidcc-redirect-uri-query-added", With::Each),
    ("oidcc-redirect-uri-regfrag", With::Each),
    ("oidcc-discovery-endpoint-verification", With::Each),
    ("oidcc-server", With::Each),
    ("oidcc-registration-logo-uri", With::Each),
    ("oidcc-registration-policy-uri", With::Each),
    ("oidcc-registration-tos-uri", With::Each),
    ("oidcc-registration-jwks-uri", With::Each),
    ("oidcc-registration-sector-uri", With::Each),
    ("oidcc-registration-sector-bad", With::Each),
    ("oidcc-server-rotate-keys", With::Each),
    ("oidcc-refresh-token-rp-key-rotation", With::Codes),
    ("oidcc-request-uri-unsigned", With::Each),
    ("oidcc-request-uri-signed-rs256", With::Each),
    ("oidcc-ensure-request-object-with-redirect-uri", With::Each),
    ("oidcc-refresh-token", With::Codes),
    ("oidcc-ensure-client-assertion-with-iss-aud-succeeds", With::Codes),
];

const LOGOUT: &[&str] = &[
    "oidcc-rp-initiated-logout-discovery-endpoint-verification",
    "oidcc-rp-initiated-logout",
    "oidcc-rp-initiated-logout-no-state",
    "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-modified-id-token-hint",
    "oidcc-rp-initiated-logout-bad-id-token-hint",
    "oidcc-rp-initiated-logout-no-id-token-hint",
    "oidcc-rp-initiated-logout-no-params",
    "oidcc-rp-initiated-logout-only-state",
    "oidcc-rp-initiated-logout-no-post-logout-redirect-uri",
];

const OTHERS: &[(&str, &str)] = &[
    (
        "backchannel",
        "oidcc-backchannel-logout-discovery-endpoint-verification",
    ),
    ("backchannel", "oidcc-backchannel-rp-initiated-logout"),
    (
        "frontchannel",
        "oidcc-frontchannel-logout-discovery-endpoint-verification",
    ),
    ("frontchannel", "oidcc-frontchannel-rp-initiated-logout"),
    ("3rdparty-init-login", "oidcc-3rd_party-init-login"),
    ("3rdparty-init-login", "oidcc-3rd_party-init-login-nohttps"),
];

const BASIC: &[ResponseType] = &[ResponseType::Code];
const IMPLICIT: &[ResponseType] = &[ResponseType::IdToken, ResponseType::IdTokenToken];
const HYBRID: &[ResponseType] = &[
    ResponseType::CodeIdToken,
    ResponseType::CodeToken,
    ResponseType::CodeIdTokenToken,
];

/// Every run of every module.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let form_post = Some(ResponseMode::FormPost);
    for (plan, types, mode) in [
        ("basic", BASIC, None),
        ("implicit", IMPLICIT, None),
        ("hybrid", HYBRID, None),
        ("formpost-basic", BASIC, form_post),
        ("formpost-implicit", IMPLICIT, form_post),
        ("formpost-hybrid", HYBRID, form_post),
    ] {
        for (module, with) in CORE {
            let client_auth = match *module {
                "oidcc-server-client-secret-post" => ClientAuthMethod::ClientSecretPost,
                _ => ClientAuthMethod::ClientSecretBasic,
            };
            rows.extend(with.of(types).map(|response_type| Row {
                plan,
                module,
                response_type,
                response_mode: mode,
                client_auth: Some(client_auth),
            }));
        }
    }
    for types in [BASIC, HYBRID, IMPLICIT] {
        for (module, with) in DYNAMIC {
            rows.extend(with.of(types).map(|response_type| Row {
                plan: "dynamic",
                module,
                response_type,
                response_mode: None,
                client_auth: None,
            }));
        }
    }
    let config = [("config", "oidcc-discovery-endpoint-verification")];
    let logout = LOGOUT.iter().map(|module| ("rp-initiated-logout", *module));
    let singles = config.into_iter().chain(logout).chain(OTHERS.iter().copied());
    rows.extend(singles.map(|(plan, module)| Row {
        plan,
        module,
        response_type: ResponseType::Code,
        response_mode: None,
        client_auth: Some(ClientAuthMethod::ClientSecretBasic),
    }));
    rows
}

/// The plan in which everything is chosen freely (section 12 of the checklist).
pub(crate) const FREE: &str = "test-plan";

/// About the other ways in which a client proves who it is.
const OF_OTHER_METHODS: &[&str] = &[
    "oidcc-server-client-secret-post",
    "oidcc-registration-jwks-uri",
    "oidcc-refresh-token-rp-key-rotation",
];

/// Every run of the free plan whose client signs its assertions with its secret: the modules of the core, config and
/// dynamic plans, each once a response type.
pub(crate) fn rows_by_secret() -> Vec<Row> {
    let mut modules: Vec<(&'static str, With)> = CORE.to_vec();
    for (module, with) in DYNAMIC {
        if !CORE.iter().any(|(own, _)| own == module) {
            modules.push((module, *with));
        }
    }
    modules.retain(|(module, _)| !OF_OTHER_METHODS.contains(module));
    let run = |(module, with): &(&'static str, With), response_type| {
        with.admits(response_type).then_some(Row {
            plan: FREE,
            module,
            response_type,
            response_mode: None,
            client_auth: Some(ClientAuthMethod::ClientSecretJwt),
        })
    };
    let types = [BASIC, IMPLICIT, HYBRID].concat();
    let runs = types
        .iter()
        .flat_map(|own| modules.iter().filter_map(|module| run(module, *own)));
    runs.collect()
}

impl With {
    /// Whether a plan of this type alone has the module.
    fn admits(self, own: ResponseType) -> bool {
        match self {
            Self::Each | Self::Once | Self::EachOrOnce => true,
            Self::Code => own == ResponseType::Code,
            Self::Codes | Self::CodesOnce => own.has_code(),
            Self::IdTokenInFront => own.has_id_token(),
            Self::NoIdTokenInFront => !own.has_id_token(),
            Self::Userinfo => own != ResponseType::IdToken,
        }
    }

    fn of(self, types: &'static [ResponseType]) -> impl Iterator<Item = ResponseType> {
        let first = types.first().copied();
        // The one of the implicit plan is the one with an access token.
        let one = types
            .iter()
            .copied()
            .find(|own| !types.contains(&ResponseType::IdToken) || own.has_token());
        let hybrid = types == HYBRID;
        types.iter().copied().filter(move |own| match self {
            Self::CodesOnce => own.has_code() && Some(*own) == first,
            Self::Once => Some(*own) == one,
            Self::EachOrOnce => !hybrid || Some(*own) == first,
            Self::Each
            | Self::Code
            | Self::Codes
            | Self::IdTokenInFront
            | Self::NoIdTokenInFront
            | Self::Userinfo => self.admits(*own),
        })
    }
}
