//! Clients that prove themselves by a certificate, or have tokens bound to one: RFC 8705 §2 and §3.

use clients::Metadata;
use clients::certificates::Name;
use jws::KeySet;
use protocol::ClientAuthMethod;

/// What does not fit together, and the member to change.
pub(crate) fn incoherence(metadata: &Metadata) -> Option<(&'static str, &'static str)> {
    let name = match Name::of(metadata) {
        Ok(name) => name,
        Err(fault) => return Some(fault),
    };
    match metadata.token_endpoint_auth_method {
        ClientAuthMethod::TlsClientAuth if name.is_none() => {
            return Some((
                "token_endpoint_auth_method",
                "tls_client_auth needs the name of the client's certificates: give one of tls_client_auth_subject_dn, \
                 _san_dns, _san_uri, _san_ip and _san_email",
            ));
        }
        ClientAuthMethod::SelfSignedTlsClientAuth if !has_certificates(metadata) => {
            return Some((
                "token_endpoint_auth_method",
                "self_signed_tls_client_auth needs the client's certificates: give jwks with x5c in a key, or jwks_uri",
            ));
        }
        ClientAuthMethod::TlsClientAuth
        | ClientAuthMethod::SelfSignedTlsClientAuth
        | ClientAuthMethod::ClientSecretBasic
        | ClientAuthMethod::ClientSecretPost
        | ClientAuthMethod::ClientSecretJwt
        | ClientAuthMethod::PrivateKeyJwt
        | ClientAuthMethod::None => {}
    }
    // No certificate is at hand where it is made.
    let early = metadata.response_types.iter().any(|own| own.has_token());
    (early && metadata.tls_client_certificate_bound_access_tokens).then_some((
        "response_types",
        "tls_client_certificate_bound_access_tokens leaves no response type with token in it",
    ))
}

fn has_certificates(metadata: &Metadata) -> bool {
    match &metadata.jwks {
        Some(jwks) => KeySet::of_client(jwks).is_ok_and(|keys| keys.has_certificates()),
        None => metadata.jwks_uri.is_some(),
    }
}
