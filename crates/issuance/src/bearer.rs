//! The one judge of our own access tokens: RFC 9068 §4, RFC 6750.

use std::sync::Arc;

use db::Database;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jws::{Meant, Unverified};
use keyring::Keyring;
use protocol::access_token::Claims;
use protocol::error::Challenge;
use protocol::{Error, Issuer, Timestamp};

use crate::known::Found;
use crate::{Known, live};

/// Judges tokens presented to endpoints of ours.
#[derive(Clone, Debug)]
pub struct Bearer {
    db: Database,
    keyring: Keyring,
    known: Known,
    issuer: Issuer,
}

impl Bearer {
    pub fn new(db: Database, keyring: Keyring, known: Known, issuer: Issuer) -> Self {
        Self {
            db,
            keyring,
            known,
            issuer,
        }
    }

    /// The claims of a token that is ours, meant for the one named, alive and not revoked, of an approval that
    /// is live at this moment.
    ///
    /// # Errors
    /// What is wrong with the token, or that this could not be found out.
    pub async fn judge(&self, token: &str, meant: Meant<'_>, now: Timestamp) -> Result<Arc<Claims>, Refused> {
        let digest = seal::sha256(token.as_bytes());
        let published = self.keyring.published(now);
        if let Some(known) = self.known.token(&digest, &published, now) {
            return match meant {
                Meant::For(wanted) if !known.aud.contains(wanted) => Err(jws::Error::Audience.into()),
                Meant::For(_) | Meant::Anyone => Ok(known),
            };
        }
        let before = self.known.before();
        let claims = Arc::new(self.read(token, meant, now)?);
        let until = self.look_up(&claims, now).await?;
        let found = Found {
            claims: claims.clone(),
            published,
            until: until.min(claims.exp),
        };
        self.known.keep_token(digest, found, before);
        Ok(claims)
    }

    /// Until when the approval of a token is live, by the database.
    async fn look_up(&self, claims: &Claims, now: Timestamp) -> Result<Timestamp, Refused> {
        let mut conn = self.db.reader().await?;
        if events::revocations::covers(claims, &mut conn).await? {
            return Err(Refused::Revoked);
        }
        let until = live::live_until(&claims.approval, &mut conn, now).await?;
        until.ok_or(Refused::Ended)
    }

    /// The claims of a token that is ours, meant for the one named, and not expired. Whether anything has ended
    /// it is not asked.
    ///
    /// # Errors
    /// The rule that it broke.
    pub fn read(&self, token: &str, meant: Meant<'_>, now: Timestamp) -> Result<Claims, jws::Error> {
        let published = self.keyring.published(now);
        let token = Unverified::parse(token)?;
        jws::access_token::verify(&token, &published.keys, self.issuer.as_str(), meant, now)
    }
}

/// Why a token is not believed.
#[derive(Debug)]
pub enum Refused {
    /// It is none of ours, meant for another, or its time is over.
    Token(jws::Error),
    /// A revocation record covers it.
    Revoked,
    /// Its approval, client, user, consent or session has ended.
    Ended,
    /// Nobody can tell.
    Failed(db::Error),
}

impl From<jws::Error> for Refused {
    fn from(error: jws::Error) -> Self {
        Self::Token(error)
    }
}

impl From<db::Error> for Refused {
    fn from(error: db::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Token(reason) => {
                Self::invalid_token("the access token is malformed, expired or not meant for this resource")
                    .because(reason)
            }
            Refused::Revoked => Self::invalid_token("the access token was revoked"),
            Refused::Ended => Self::invalid_token("the authorization of this access token has ended"),
            Refused::Failed(error) => error.into(),
        }
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
