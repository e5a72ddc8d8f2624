//! Whose names for people a client shares: OpenID Connect Core §8.1, Dynamic Client Registration §5.
//!
//! A sector identifier is a document in which a host says which redirect URIs are its own, so that nobody learns its
//! names for people by saying that they belong to it. An app keeps the names it has: they are its accounts.

use clients::{Metadata, sector};
use egress::Egress;
use protocol::{Error, SubjectType};
use serde_json::Value;

use crate::document::{Document, invalid};

const MEMBER: &str = "sector_identifier_uri";

/// What does not fit together, and the member to change.
pub(crate) fn incoherence(metadata: &Metadata) -> Option<(&'static str, &'static str)> {
    match metadata.subject_type {
        SubjectType::Public => None,
        // Nothing would show that the sector knows the client.
        SubjectType::Pairwise if metadata.redirect_uris.is_empty() => Some((
            "subject_type",
            "pairwise needs redirect_uris: whose they are tells whose names for people the client knows",
        )),
        SubjectType::Pairwise if sector(metadata).is_none() => Some((
            "subject_type",
            "pairwise needs one host for all redirect_uris, by https, or a sector_identifier_uri that lists them",
        )),
        SubjectType::Pairwise => None,
    }
}

/// Whether there is a document to ask.
pub(crate) fn is_named(document: &Value) -> Result<bool, Error> {
    Ok(Document::new(document)?.holds(MEMBER))
}

/// Whether the document behind the URL need not be asked again.
pub(crate) fn said_before(old: &Metadata, new: &Metadata) -> bool {
    let mut uris = new.redirect_uris.iter();
    old.sector_identifier_uri == new.sector_identifier_uri && uris.all(|uri| old.redirect_uris.contains(uri))
}

/// Asks the document behind the URL.
///
/// # Errors
/// `invalid_client_metadata`, the same whatever was wrong there: what lies behind a URL is told to nobody (C052).
pub(crate) async fn prove(metadata: &Metadata, egress: &Egress) -> Result<(), Error> {
    let Some(url) = &metadata.sector_identifier_uri else {
        return Ok(());
    };
    let refused = |cause: String| {
        invalid(
            MEMBER,
            "expected a JSON array there (application/json, at most 64 KiB, within five seconds, no redirect) that \
             has each of the redirect_uris",
        )
        .because(cause)
    };
    let fetched = egress.fetch(url, &["application/json"]).await;
    let json = fetched.map_err(|error| refused(error.to_string()))?;
    let listed: Vec<String> = serde_json::from_slice(&json).map_err(|error| refused(error.to_string()))?;
    match metadata
        .redirect_uris
        .iter()
        .find(|uri| !listed.iter().any(|own| own == uri.as_str()))
    {
        None => Ok(()),
        Some(_) if protocol::defect("any-sector") => Ok(()),
        Some(_) => Err(refused("a redirect URI is not listed".to_owned())),
    }
}

/// A client that manages itself keeps the names by which it knows people.
///
/// # Errors
/// `invalid_client_metadata`.
pub(crate) fn check_kept(old: &Metadata, new: &Metadata) -> Result<(), Error> {
    if old.subject_type != new.subject_type {
        return Err(invalid(
            "subject_type",
            "a client keeps the names by which it knows people; ask the people who run this server to change it",
        ));
    }
    match new.subject_type {
        SubjectType::Pairwise if sector(old) != sector(new) => Err(invalid(
            MEMBER,
            "a client keeps the names by which it knows people, and those belong to the host of this URL, or of the \
             redirect_uris where there is none; ask the people who run this server to change it",
        )),
        SubjectType::Public | SubjectType::Pairwise => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metadata;

    fn pairwise(members: Value) -> Metadata {
        let mut document = json!({ "subject_type": "pairwise", "redirect_uris": ["https://a.test/cb"] });
        for (name, value) in members.as_object().unwrap() {
            document[name] = value.clone();
        }
        metadata(&document).unwrap()
    }

    #[test]
    fn what_a_sector_said_before_is_not_asked_again() {
        let uri = |path: &str| format!("https://s.test/{path}");
        let of = |path: &str, uris: &[&str]| {
            pairwise(json!({ "sector_identifier_uri": uri(path), "redirect_uris": uris }))
        };
        let old = of("x", &["https://a.test/cb", "https://b.test/cb"]);
        for (new, expected) in [
            (old.clone(), true),
            (of("x", &["https://b.test/cb"]), true),
            (of("x", &["https://b.test/cb", "https://c.test/cb"]), false),
            (of("y", &["https://b.test/cb"]), false),
        ] {
            assert_eq!(said_before(&old, &new), expected, "{new:?}");
        }
        assert!(!said_before(&pairwise(json!({})), &old));
    }

    #[test]
    fn a_client_keeps_the_names_that_it_has() {
        let of = |sector: Option<&str>, uri: &str| {
            pairwise(json!({ "sector_identifier_uri": sector, "redirect_uris": [uri] }))
        };
        let public = |uri: &str| metadata(&json!({ "redirect_uris": [uri] })).unwrap();
        let own = of(None, "https://a.test/cb");
        for (old, new, kept) in [
            (&own, own.clone(), true),
            (&own, of(None, "https://a.test:8443/other"), true),
            (
                &own,
                of(Some("https://a.test/sector.json"), "https://b.test/cb"),
                true,
            ),
            (&own, of(None, "https://b.test/cb"), false),
            (
                &own,
                of(Some("https://b.test/sector.json"), "https://a.test/cb"),
                false,
            ),
            (&own, public("https://a.test/cb"), false),
            (&public("https://a.test/cb"), own.clone(), false),
            (&public("https://a.test/cb"), public("https://b.test/cb"), true),
        ] {
            assert_eq!(check_kept(old, &new).is_ok(), kept, "{old:?} {new:?}");
        }
    }
}
