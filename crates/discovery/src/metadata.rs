//! Provider metadata: OpenID Connect Discovery §3, RFC 8414 §2, RFC 8705 §5, RFC 9207 §3, RP-Initiated Logout §2.1.
//!
//! Every member is derived from what exists. Members whose absence would mean "true" are said to be false.

use accounts::claims::Claim;
use accounts::sessions::Acr;
use protocol::{
    ClientAlg, ClientAuthMethod, GrantType, Issuer, JweAlg, JweEnc, Prompt, PushedRequests, ResponseMode,
    ResponseTypes, SignUp, SubjectType, path, scope,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Offered;

/// Claims about the token rather than the person.
const TOKEN_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "at_hash",
    "sid",
];

pub(crate) fn document(issuer: &Issuer, offered: &Offered) -> Value {
    let response_types = offered.response_types;
    let at = |path: &str| format!("{}{path}", issuer.as_str());
    let person = Claim::ALL.iter().map(|claim| claim.as_str());
    // A hash of the code is in ID tokens that come together with one.
    let with_code = (response_types == ResponseTypes::All).then_some("c_hash");
    let of_tokens = TOKEN_CLAIMS.iter().copied().chain(with_code);
    let claims: Vec<&str> = of_tokens.chain(person).collect();
    let methods: Vec<ClientAuthMethod> = offered.certificates.methods().collect();
    let proving: Vec<_> = methods
        .iter()
        .filter(|method| **method != ClientAuthMethod::None)
        .collect();
    let all = ClientAlg::ALL.iter().copied();
    let signed: Vec<ClientAlg> = all.filter(|alg| offered.signing.admit(*alg)).collect();
    let prompts = Prompt::ALL.iter().copied();
    // By invitation nobody makes an account who has just come by.
    let prompts = prompts.filter(|prompt| *prompt != Prompt::Create || offered.sign_up == SignUp::Open);
    let prompts: Vec<Prompt> = prompts.collect();
    let mut document = json!({
        "issuer": issuer.as_str(),
        "authorization_endpoint": at(path::AUTHORIZE),
        "token_endpoint": at(path::TOKEN),
        "userinfo_endpoint": at(path::USERINFO),
        "revocation_endpoint": at(path::REVOCATION),
        "introspection_endpoint": at(path::INTROSPECTION),
        "jwks_uri": at(path::JWKS),
        "end_session_endpoint": at(path::LOGOUT),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        "scopes_supported": scope::STANDARD,
        "response_types_supported": words(response_types.admitted()),
        "response_modes_supported": words(ResponseMode::ALL),
        "grant_types_supported": response_types.grant_types().collect::<Vec<GrantType>>(),
        "prompt_values_supported": words(&prompts),
        "acr_values_supported": words(Acr::ALL),
        "subject_types_supported": words(SubjectType::ALL),
        "id_token_signing_alg_values_supported": words(&signed),
        "id_token_encryption_alg_values_supported": words(JweAlg::ALL),
        "id_token_encryption_enc_values_supported": words(JweEnc::ALL),
        "userinfo_signing_alg_values_supported": words(&signed),
        "userinfo_encryption_alg_values_supported": words(JweAlg::ALL),
        "userinfo_encryption_enc_values_supported": words(JweEnc::ALL),
        "token_endpoint_auth_methods_supported": words(&methods),
        "token_endpoint_auth_signing_alg_values_supported": words(ClientAlg::ALL),
        "revocation_endpoint_auth_methods_supported": words(&methods),
        "revocation_endpoint_auth_signing_alg_values_supported": words(ClientAlg::ALL),
        // Whoever asks about tokens proves who they are (RFC 7662 §2.1).
        "introspection_endpoint_auth_methods_supported": proving,
        "introspection_endpoint_auth_signing_alg_values_supported": words(ClientAlg::ALL),
        "code_challenge_methods_supported": ["S256"],
        "claim_types_supported": ["normal"],
        "claims_supported": claims,
        "ui_locales_supported": pages::Locale::ALL.iter().map(|locale| locale.tag()).collect::<Vec<_>>(),
        "authorization_response_iss_parameter_supported": true,
        "claims_parameter_supported": true,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": true,
        "request_object_signing_alg_values_supported": words(ClientAlg::ALL),
        "request_object_encryption_alg_values_supported": words(JweAlg::ALL),
        "request_object_encryption_enc_values_supported": words(JweEnc::ALL),
        "pushed_authorization_request_endpoint": at(path::PAR),
        // Of everybody; a client may say so for itself.
        "require_pushed_authorization_requests": offered.pushed_requests == PushedRequests::Required,
    });
    if let Some(members) = document.as_object_mut()
        && offered.registration
    {
        members.insert("registration_endpoint".to_owned(), at(path::REGISTER).into());
    }
    if let Some(members) = document.as_object_mut()
        && let Some(mtls) = &offered.mtls
    {
        members.insert("mtls_endpoint_aliases".to_owned(), aliases(mtls));
        members.insert(
            "tls_client_certificate_bound_access_tokens".to_owned(),
            true.into(),
        );
    }
    document
}

/// The same as RFC 8414 has it, with what is ours alone: the metadata of an authorization server may have members of
/// its own (§2), while some who check OpenID providers complain of any that they do not know.
pub(crate) fn of_authorization_server(issuer: &Issuer, mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        let feed = format!("{}{}", issuer.as_str(), path::REVOCATIONS);
        members.insert("revocation_feed_endpoint".to_owned(), feed.into());
    }
    document
}

/// RFC 8705 §5: the addresses of the listener that asks for certificates.
fn aliases(mtls: &Issuer) -> Value {
    let at = |path: &str| format!("{}{path}", mtls.as_str());
    json!({
        "token_endpoint": at(path::TOKEN),
        "userinfo_endpoint": at(path::USERINFO),
        "revocation_endpoint": at(path::REVOCATION),
        "introspection_endpoint": at(path::INTROSPECTION),
        "pushed_authorization_request_endpoint": at(path::PAR),
    })
}

fn words(all: &[impl Serialize]) -> Value {
    json!(all)
}
