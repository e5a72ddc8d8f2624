//! How what a client is told is signed and encrypted, and so what it asks: OpenID Connect Dynamic Client
//! Registration §2.

use clients::Metadata;
use jose::EncryptionKey;
use protocol::{ClientAlg, Error, JweAlg, JweEnc, SigningAlgs};

use crate::document::{Document, invalid};

/// An algorithm for signatures. `none` is refused with its reason, since libraries offer it.
pub(crate) fn signed(document: Document<'_>, member: &str) -> Result<Option<ClientAlg>, Error> {
    match document.text(member)? {
        Some("none") => Err(invalid(
            member,
            "none is never used here: what nobody signed could be from anybody. Leave it out, or choose RS256, PS256, \
             ES256, EdDSA or HS256",
        )),
        _ => document.word(member, ClientAlg::ALL),
    }
}

/// Whether the server has keys for what this client is to be told.
pub(crate) fn signable(metadata: &Metadata, own: SigningAlgs) -> Result<(), Error> {
    let asked = [
        (
            "id_token_signed_response_alg",
            Some(metadata.id_token_signed_response_alg),
        ),
        (
            "userinfo_signed_response_alg",
            metadata.userinfo_signed_response_alg,
        ),
    ];
    let off = |(_, alg): &(_, Option<ClientAlg>)| alg.is_some_and(|alg| !own.admit(alg));
    match asked.into_iter().find(off) {
        Some((member, Some(alg))) => Err(invalid(
            member,
            format!("{alg} is switched off on this server (COUNTERSIGN_KEYS_ALGS): choose HS256, {own}"),
        )),
        _ => Ok(()),
    }
}

/// What ID tokens, userinfo answers and request objects are encrypted with.
pub(crate) fn encrypted(document: Document<'_>) -> Result<[Option<(JweAlg, JweEnc)>; 3], Error> {
    Ok([
        pair(
            document,
            "id_token_encrypted_response_alg",
            "id_token_encrypted_response_enc",
        )?,
        pair(
            document,
            "userinfo_encrypted_response_alg",
            "userinfo_encrypted_response_enc",
        )?,
        pair(
            document,
            "request_object_encryption_alg",
            "request_object_encryption_enc",
        )?,
    ])
}

/// The specification has A128CBC-HS256 where `enc` is left out. That is not offered, and another one would be a
/// surprise: it has to be said.
fn pair(
    document: Document<'_>,
    alg_member: &str,
    enc_member: &str,
) -> Result<Option<(JweAlg, JweEnc)>, Error> {
    let alg = document.word(alg_member, JweAlg::ALL)?;
    let enc = document.word(enc_member, JweEnc::ALL)?;
    match (alg, enc) {
        (None, None) => Ok(None),
        (Some(alg), Some(enc)) => Ok(Some((alg, enc))),
        (Some(_), None) => Err(invalid(
            enc_member,
            "choose A128GCM, A192GCM or A256GCM: the default of the specification, A128CBC-HS256, is not offered here",
        )),
        (None, Some(_)) => Err(invalid(alg_member, "expected along with the enc that is given")),
    }
}

/// What does not fit together, and the member to change.
pub(crate) fn incoherence(metadata: &Metadata) -> Option<(&'static str, &'static str)> {
    for (member, alg) in [
        (
            "id_token_signed_response_alg",
            Some(metadata.id_token_signed_response_alg),
        ),
        (
            "userinfo_signed_response_alg",
            metadata.userinfo_signed_response_alg,
        ),
        ("request_object_signing_alg", metadata.request_object_signing_alg),
    ] {
        if alg == Some(ClientAlg::Hs256) && !metadata.has_secret() {
            return Some((
                member,
                "HS256 signs with the client's secret, and a client with this token_endpoint_auth_method has none",
            ));
        }
    }
    for (member, encryption) in [
        ("id_token_encrypted_response_alg", metadata.id_token_encryption()),
        ("userinfo_encrypted_response_alg", metadata.userinfo_encryption()),
    ] {
        let Some((alg, _)) = encryption else {
            continue;
        };
        match &metadata.jwks {
            None if metadata.jwks_uri.is_none() => {
                return Some((
                    member,
                    "encryption is to a key of the client: give jwks or jwks_uri",
                ));
            }
            Some(jwks) if EncryptionKey::choose(jwks, alg).is_none() => {
                return Some((
                    "jwks",
                    "none of the keys can be encrypted to by the algorithm that is registered: RSA for RSA-OAEP-256, \
                     EC on P-256 for ECDH-ES, with use enc or none",
                ));
            }
            _ => {}
        }
    }
    None
}
