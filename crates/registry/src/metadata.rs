//! Client metadata: RFC 7591 §2 and OpenID Connect Dynamic Client Registration §2. It decides which documents
//! describe a client that can exist here.
//!
//! Members that we know are checked; others are ignored, as the RFC has it.

use clients::{AssertionAudience, Localized, Metadata, shown};
use protocol::{
    ApplicationType, ClientAlg, ClientAuthMethod, Error, GrantType, RedirectUri, ResponseType, Scope,
    SubjectType,
};
use serde_json::Value;
use url::Url;

use crate::document::{Document, invalid};
use crate::{answers, certificates, keys, sector};

const MAX_REDIRECT_URIS: usize = 50;
const MAX_CONTACTS: usize = 20;
const MAX_LANGUAGES: usize = 50;
/// Longest mail address: RFC 5321 §4.5.3.1.3.
const MAX_CONTACT: usize = 254;
const MAX_LINK: usize = 2048;
const MAX_SCOPE: usize = 2048;
const MAX_NAME_OF_CERTIFICATES: usize = 1024;
const MAX_ACR_VALUES: usize = 20;
const MAX_ACR_VALUE: usize = 256;

/// The metadata in force for a client with this document.
///
/// # Errors
/// `invalid_redirect_uri` or `invalid_client_metadata`, naming the member.
pub fn metadata(document: &Value) -> Result<Metadata, Error> {
    let document = Document::new(document)?;
    let default = Metadata::default();
    let application_type = document
        .word("application_type", ApplicationType::ALL)?
        .unwrap_or(default.application_type);
    let grant_types = document
        .words("grant_types", GrantType::ALL)?
        .unwrap_or(default.grant_types);
    let [id_token, userinfo, requests] = answers::encrypted(document)?;
    let effective = Metadata {
        client_name: name(document)?,
        client_names: names(document)?,
        application_type,
        redirect_uris: redirect_uris(document, "redirect_uris", application_type)?,
        post_logout_redirect_uris: redirect_uris(document, "post_logout_redirect_uris", application_type)?,
        subject_type: document
            .word("subject_type", SubjectType::ALL)?
            .unwrap_or(default.subject_type),
        sector_identifier_uri: keys::fetched(document, "sector_identifier_uri")?,
        token_endpoint_auth_method: document
            .word("token_endpoint_auth_method", ClientAuthMethod::ALL)?
            .unwrap_or(default.token_endpoint_auth_method),
        response_types: document
            .words_by("response_types", ResponseType::ALL, ResponseType::parse)?
            .unwrap_or_else(|| fitting(&grant_types)),
        grant_types,
        scope: scope(document)?,
        default_max_age: document.seconds("default_max_age")?,
        require_auth_time: document
            .flag("require_auth_time")?
            .unwrap_or(default.require_auth_time),
        default_acr_values: acr_values(document)?,
        client_uri: link(document, "client_uri")?,
        logo_uri: keys::fetched_page(document, "logo_uri")?,
        policy_uri: link(document, "policy_uri")?,
        tos_uri: link(document, "tos_uri")?,
        backchannel_logout_uri: keys::fetched(document, "backchannel_logout_uri")?,
        backchannel_logout_session_required: document
            .flag("backchannel_logout_session_required")?
            .unwrap_or(default.backchannel_logout_session_required),
        frontchannel_logout_uri: link(document, "frontchannel_logout_uri")?,
        frontchannel_logout_session_required: document
            .flag("frontchannel_logout_session_required")?
            .unwrap_or(default.frontchannel_logout_session_required),
        initiate_login_uri: secure_link(document, "initiate_login_uri")?,
        contacts: contacts(document)?,
        require_pkce: document.flag("require_pkce")?.unwrap_or(default.require_pkce),
        jwks: keys::jwks(document)?,
        jwks_uri: keys::fetched(document, "jwks_uri")?,
        token_endpoint_auth_signing_alg: document.word("token_endpoint_auth_signing_alg", ClientAlg::ALL)?,
        tls_client_auth_subject_dn: name_of_certificates(document, "tls_client_auth_subject_dn")?,
        tls_client_auth_san_dns: name_of_certificates(document, "tls_client_auth_san_dns")?,
        tls_client_auth_san_uri: name_of_certificates(document, "tls_client_auth_san_uri")?,
        tls_client_auth_san_ip: name_of_certificates(document, "tls_client_auth_san_ip")?,
        tls_client_auth_san_email: name_of_certificates(document, "tls_client_auth_san_email")?,
        tls_client_certificate_bound_access_tokens: document
            .flag("tls_client_certificate_bound_access_tokens")?
            .unwrap_or(default.tls_client_certificate_bound_access_tokens),
        assertion_audience: document
            .word("assertion_audience", AssertionAudience::ALL)?
            .unwrap_or(default.assertion_audience),
        id_token_signed_response_alg: answers::signed(document, "id_token_signed_response_alg")?
            .unwrap_or(default.id_token_signed_response_alg),
        id_token_encrypted_response_alg: id_token.map(|(alg, _)| alg),
        id_token_encrypted_response_enc: id_token.map(|(_, enc)| enc),
        userinfo_signed_response_alg: answers::signed(document, "userinfo_signed_response_alg")?,
        userinfo_encrypted_response_alg: userinfo.map(|(alg, _)| alg),
        userinfo_encrypted_response_enc: userinfo.map(|(_, enc)| enc),
        request_object_encryption_alg: requests.map(|(alg, _)| alg),
        request_object_encryption_enc: requests.map(|(_, enc)| enc),
        request_object_signing_alg: answers::signed(document, "request_object_signing_alg")?,
        request_uris: keys::request_uris(document)?,
        require_signed_request_object: document
            .flag("require_signed_request_object")?
            .unwrap_or(default.require_signed_request_object),
        require_pushed_authorization_requests: document
            .flag("require_pushed_authorization_requests")?
            .unwrap_or(default.require_pushed_authorization_requests),
    };
    let faults = [
        incoherence,
        keys::incoherence,
        answers::incoherence,
        certificates::incoherence,
        sector::incoherence,
    ];
    match faults.into_iter().find_map(|fault| fault(&effective)) {
        None => Ok(effective),
        Some((member, fault)) => Err(invalid(member, fault)),
    }
}

/// RFC 7591 §2 has `code` where nothing is said, which only fits who uses codes: a client that acts for itself
/// has no response types.
fn fitting(grant_types: &[GrantType]) -> Vec<ResponseType> {
    match grant_types.contains(&GrantType::AuthorizationCode) {
        true => vec![ResponseType::Code],
        false => Vec::new(),
    }
}

/// What does not fit together in the whole, and the member to change.
fn incoherence(metadata: &Metadata) -> Option<(&'static str, &'static str)> {
    let public = metadata.token_endpoint_auth_method == ClientAuthMethod::None;
    if metadata.grant_types.is_empty() {
        return Some(("grant_types", "expected at least one"));
    }
    if metadata
        .grant_types
        .iter()
        .all(|own| *own == GrantType::RefreshToken)
    {
        return Some((
            "grant_types",
            "refresh_token continues another grant: name that as well",
        ));
    }
    if let Some(incoherence) = mismatch(metadata) {
        return Some(incoherence);
    }
    // Front-Channel Logout §2: the page it stands in is ours, so it is a page of the app and of nobody else.
    if let Some(uri) = &metadata.frontchannel_logout_uri
        && !metadata
            .redirect_uris
            .iter()
            .any(|own| same_origin(own.as_str(), uri))
    {
        return Some((
            "frontchannel_logout_uri",
            "expected the scheme, host and port of one of the redirect_uris",
        ));
    }
    // RFC 6749 §4.4: with nothing to prove who asks, its tokens would be everybody's.
    if public && metadata.grant_types.contains(&GrantType::ClientCredentials) {
        return Some((
            "grant_types",
            "client_credentials needs a client that authenticates; this one has token_endpoint_auth_method none",
        ));
    }
    // RFC 9700 §2.1.1: nothing else binds a public client's codes to it.
    if public && !metadata.require_pkce {
        return Some((
            "require_pkce",
            "a client with token_endpoint_auth_method none always needs PKCE",
        ));
    }
    None
}

/// RFC 7591 §2.1 and OpenID Connect Dynamic Client Registration §2: response types and grant types go together, and
/// with redirect URIs.
fn mismatch(metadata: &Metadata) -> Option<(&'static str, &'static str)> {
    let registered = |grant_type| metadata.grant_types.contains(&grant_type);
    let asked_for = |grant_type| {
        let mut all = metadata.response_types.iter();
        all.any(|own| own.grant_types().contains(&grant_type))
    };
    let (codes, implicit) = (GrantType::AuthorizationCode, GrantType::Implicit);
    if registered(codes) && !asked_for(codes) {
        return Some((
            "response_types",
            "the grant type authorization_code needs the response type code, or one with code in it",
        ));
    }
    if asked_for(codes) && !registered(codes) {
        return Some((
            "grant_types",
            "a response type with code in it needs the grant type authorization_code",
        ));
    }
    if registered(implicit) && !asked_for(implicit) {
        return Some((
            "response_types",
            "the grant type implicit needs a response type with id_token or token in it",
        ));
    }
    if asked_for(implicit) && !registered(implicit) {
        return Some((
            "grant_types",
            "a response type with id_token or token in it needs the grant type implicit",
        ));
    }
    if !metadata.response_types.is_empty() && metadata.redirect_uris.is_empty() {
        return Some(("redirect_uris", "a client with response types needs at least one"));
    }
    // Dynamic Client Registration §2, `application_type`: what carries tokens in its address is not sent in the clear.
    let in_the_clear = |uri: &RedirectUri| uri.as_str().starts_with("http:");
    if asked_for(implicit)
        && metadata.application_type == ApplicationType::Web
        && metadata.redirect_uris.iter().any(in_the_clear)
    {
        return Some((
            "redirect_uris",
            "a web client with the grant type implicit has https redirect URIs only",
        ));
    }
    None
}

fn same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin().is_tuple() && one.origin() == other.origin(),
        _ => false,
    }
}

fn name(document: Document<'_>) -> Result<Option<String>, Error> {
    let Some(text) = document.text("client_name")? else {
        return Ok(None);
    };
    shown::name(text)
        .map(Some)
        .map_err(|fault| invalid("client_name", fault))
}

/// OpenID Connect Dynamic Client Registration §2.1. One name a language, whatever the case of its tag.
fn names(document: Document<'_>) -> Result<Localized, Error> {
    let mut names: Vec<(String, String)> = Vec::new();
    for (tag, name) in document.by_language(Localized::MEMBER)? {
        let name = shown::name(name).map_err(|fault| invalid("client_name#", fault))?;
        if names.iter().any(|(own, _)| own.eq_ignore_ascii_case(tag)) {
            return Err(invalid("client_name#", "expected each language once"));
        }
        names.push((tag.to_owned(), name));
    }
    match names.len() <= MAX_LANGUAGES {
        true => Ok(names.into_iter().collect()),
        false => Err(invalid("client_name#", "expected at most 50 languages")),
    }
}

/// Each URI once: a client with one registered may leave it out of its requests.
fn redirect_uris(
    document: Document<'_>,
    member: &str,
    application_type: ApplicationType,
) -> Result<Vec<RedirectUri>, Error> {
    let mut uris = Vec::new();
    for text in document.texts(member, MAX_REDIRECT_URIS)?.unwrap_or_default() {
        let uri = RedirectUri::register(text, application_type)
            .map_err(|error| invalid(member, error.description()))?;
        if !uris.contains(&uri) {
            uris.push(uri);
        }
    }
    Ok(uris)
}

fn scope(document: Document<'_>) -> Result<Option<Scope>, Error> {
    let Some(text) = document.text("scope")? else {
        return Ok(None);
    };
    if text.len() > MAX_SCOPE {
        return Err(invalid("scope", "expected at most 2048 characters"));
    }
    match Scope::parse(text) {
        Ok(scope) if scope.is_empty() => Err(invalid("scope", "name at least one scope, or leave it out")),
        Ok(scope) => Ok(Some(scope)),
        Err(error) => Err(invalid("scope", error.description())),
    }
}

fn acr_values(document: Document<'_>) -> Result<Vec<String>, Error> {
    let texts = document
        .texts("default_acr_values", MAX_ACR_VALUES)?
        .unwrap_or_default();
    let is_word = |text: &&str| {
        !text.is_empty() && text.len() <= MAX_ACR_VALUE && text.bytes().all(|b| b.is_ascii_graphic())
    };
    match texts.iter().all(is_word) {
        true => Ok(texts.into_iter().map(str::to_owned).collect()),
        false => Err(invalid(
            "default_acr_values",
            "expected words of at most 256 printable ASCII characters",
        )),
    }
}

/// The address of a page or picture. It will stand in an `href`, so it is what it looks like: no other
/// scheme, no user name that poses as a host, no character that needs escaping.
fn link(document: Document<'_>, member: &str) -> Result<Option<String>, Error> {
    let Some(text) = document.text(member)? else {
        return Ok(None);
    };
    if text.len() > MAX_LINK {
        return Err(invalid(member, "expected at most 2048 characters"));
    }
    let after = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(after) = after else {
        return Err(invalid(
            member,
            "expected a URL that begins with https:// or http://",
        ));
    };
    let authority = after.split(['/', '?', '#']).next().unwrap_or(after);
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&b);
    // Browsers skip a third slash: what follows it would be the host.
    let hosted = !authority.is_empty() && !authority.contains('@');
    if !text.bytes().all(plain) || !hosted || Url::parse(text).is_err() {
        return Err(invalid(
            member,
            "expected a valid URL without user name, in plain ASCII (write host names in their xn-- form)",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// The same, where the specification wants https.
fn secure_link(document: Document<'_>, member: &str) -> Result<Option<String>, Error> {
    match link(document, member)? {
        Some(text) if !text.starts_with("https://") => {
            Err(invalid(member, "expected a URL that begins with https://"))
        }
        link => Ok(link),
    }
}

/// What it means is judged with the whole.
fn name_of_certificates(document: Document<'_>, member: &str) -> Result<Option<String>, Error> {
    match document.text(member)? {
        Some(text) if text.len() > MAX_NAME_OF_CERTIFICATES => {
            Err(invalid(member, "expected at most 1024 characters"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn contacts(document: Document<'_>) -> Result<Vec<String>, Error> {
    let texts = document.texts("contacts", MAX_CONTACTS)?.unwrap_or_default();
    texts.into_iter().map(contact).collect()
}

/// Something like a mail address: one @ with something on both sides, nothing invisible.
fn contact(text: &str) -> Result<String, Error> {
    let visible = shown::line(text, MAX_CONTACT).is_ok() && !text.contains(char::is_whitespace);
    match text.split_once('@') {
        Some((name, host)) if visible && !name.is_empty() && !host.is_empty() && !host.contains('@') => {
            Ok(text.to_owned())
        }
        _ => Err(invalid("contacts", "expected mail addresses")),
    }
}
