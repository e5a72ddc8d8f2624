//! The keys of a client and what it signs with them: RFC 7591 §2, OpenID Connect Dynamic Client Registration §2.

use clients::Metadata;
use jws::{Alg, KeySet};
use protocol::{ClientAlg, ClientAuthMethod, Error};
use serde_json::Value;

use crate::document::{Document, invalid};

/// Bytes of a key set in a registration; a larger one stands behind a URL.
const MAX_JWKS: usize = 32 * 1024;

/// The key set that stands in the document: public keys, none of them weak. A name for each is not asked for.
pub(crate) fn jwks(document: Document<'_>) -> Result<Option<Value>, Error> {
    let Some(jwks) = document.object("jwks")? else {
        return Ok(None);
    };
    let Some(Value::Array(keys)) = jwks.get("keys") else {
        return Err(invalid(
            "jwks",
            "expected an object with an array keys (RFC 7517)",
        ));
    };
    if jwks.to_string().len() > MAX_JWKS {
        return Err(invalid("jwks", "expected at most 32 KiB; use jwks_uri for more"));
    }
    for key in keys {
        jws::check_public(key).map_err(|fault| invalid("jwks", fault))?;
    }
    KeySet::of_client(jwks).map_err(|fault| invalid("jwks", fault))?;
    // Members beside the keys mean nothing.
    Ok(Some(serde_json::json!({ "keys": keys })))
}

/// A URL that we will ask.
pub(crate) fn fetched(document: Document<'_>, member: &str) -> Result<Option<String>, Error> {
    let url = fetched_page(document, member)?;
    match &url {
        Some(text) if text.contains('#') => Err(invalid(member, "expected a URL without fragment")),
        Some(_) | None => Ok(url),
    }
}

/// The same for what people may open too: then it may have a fragment.
pub(crate) fn fetched_page(document: Document<'_>, member: &str) -> Result<Option<String>, Error> {
    let Some(text) = document.text(member)? else {
        return Ok(None);
    };
    match egress::url::parse(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(fault) => Err(invalid(member, fault)),
    }
}

/// Where request objects may be. A fragment, which is the digest of what is there, may change with each request.
pub(crate) fn request_uris(document: Document<'_>) -> Result<Vec<String>, Error> {
    let texts = document
        .texts("request_uris", MAX_REQUEST_URIS)?
        .unwrap_or_default();
    let checked = texts.into_iter().map(|text| match egress::url::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(fault) => Err(invalid("request_uris", fault)),
    });
    checked.collect()
}

const MAX_REQUEST_URIS: usize = 20;

/// What does not fit together, and the member to change.
pub(crate) fn incoherence(metadata: &Metadata) -> Option<(&'static str, &'static str)> {
    if metadata.jwks.is_some() && metadata.jwks_uri.is_some() {
        return Some(("jwks", "give jwks or jwks_uri, not both"));
    }
    let keyless = metadata.jwks.is_none() && metadata.jwks_uri.is_none();
    if metadata.require_signed_request_object && keyless && !metadata.asks_by_secret() {
        return Some((
            "require_signed_request_object",
            "request objects are checked by the client's public keys: give jwks or jwks_uri (or \
             request_object_signing_alg HS256, which is by its secret)",
        ));
    }
    let pinned = metadata.token_endpoint_auth_signing_alg;
    match (metadata.token_endpoint_auth_method, pinned) {
        (ClientAuthMethod::ClientSecretJwt, None | Some(ClientAlg::Hs256)) => return None,
        (ClientAuthMethod::ClientSecretJwt, Some(_)) => {
            return Some((
                "token_endpoint_auth_signing_alg",
                "assertions by client_secret_jwt are HS256: they are signed with the client's secret",
            ));
        }
        (ClientAuthMethod::PrivateKeyJwt, Some(ClientAlg::Hs256)) => {
            return Some((
                "token_endpoint_auth_signing_alg",
                "HS256 is for client_secret_jwt; private_key_jwt is by RS256, PS256, ES256 or EdDSA",
            ));
        }
        (ClientAuthMethod::PrivateKeyJwt, _) => {}
        // Nothing that such a client sends is signed: what it wrote here is kept for when it does.
        _ => return None,
    }
    let pinned = pinned.and_then(ClientAlg::signing).map(Alg::from);
    let algs = pinned.as_ref().map_or(Alg::ALL, std::slice::from_ref);
    match &metadata.jwks {
        None if metadata.jwks_uri.is_none() => Some((
            "token_endpoint_auth_method",
            "private_key_jwt needs the client's public keys: give jwks or jwks_uri",
        )),
        Some(jwks) if !KeySet::of_client(jwks).is_ok_and(|keys| algs.iter().any(|alg| keys.has(*alg))) => {
            Some((
                "jwks",
                "none of the keys is for signatures by RS256, PS256, ES256 or EdDSA, or by token_endpoint_auth_signing_alg",
            ))
        }
        _ => None,
    }
}
