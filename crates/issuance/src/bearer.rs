//! The one judge of our own access tokens: RFC 9068 §4, RFC 6750.

use db::Database;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jws::Unverified;
use keyring::Keyring;
use protocol::access_token::Claims;
use protocol::error::Challenge;
use protocol::{Error, Issuer, Timestamp};

/// Judges tokens presented to endpoints of ours.
#[derive(Clone, Debug)]
pub struct Bearer {
    db: Database,
    keyring: Keyring,
    issuer: Issuer,
}

impl Bearer {
    pub fn new(db: Database, keyring: Keyring, issuer: Issuer) -> Self {
        Self { db, keyring, issuer }
    }

    /// The claims of a token that is ours, meant for us, alive and not revoked.
    ///
    /// # Errors
    /// `invalid_token`; the log says which rule it broke.
    pub async fn judge(&self, token: &str, now: Timestamp) -> Result<Claims, Error> {
        let refuse = |reason: jws::Error| {
            Error::invalid_token("the access token is malformed, expired or not meant for this resource")
                .because(reason)
        };
        let published = self.keyring.published(now);
        let token = Unverified::parse(token).map_err(refuse)?;
        let own = self.issuer.as_str();
        let claims = jws::access_token::verify(&token, &published.keys, own, own, now).map_err(refuse)?;
        if events::revocations::covers(&claims, &mut self.db.reader().await?).await? {
            return Err(Error::invalid_token("the access token was revoked"));
        }
        Ok(claims)
    }
}

/// The token in the `Authorization` header (RFC 6750 §2.1). The scheme is case-insensitive (RFC 9110 §11.1).
///
/// # Errors
/// `invalid_request` when the header is there more than once or malformed.
pub fn from_header(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), more) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let malformed = || {
        Error::invalid_request("send one header: Authorization: Bearer <token>")
            .with_challenge(Challenge::Bearer)
    };
    if more.is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    Ok(Some(token.trim_start_matches(' ')))
}
