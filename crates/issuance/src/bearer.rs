//! The one judge of our own access tokens: RFC 9068 §4, RFC 6750.

use std::sync::Arc;

use db::Database;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jws::{Meant, Unverified};
use keyring::Keyring;
use protocol::access_token::Claims;
use protocol::error::Challenge;
use protocol::{ClientCertificate, Error, Issuer, Timestamp};

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

/// What whoever shows a token proves by the way.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'p> {
    /// Their connection has this certificate.
    Certificate(Option<&'p ClientCertificate>),
    /// Nothing: they want to know of the token and do not use it.
    NotAsked,
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
    /// is live at this moment, and shown by the holder of what it is bound to.
    ///
    /// # Errors
    /// What is wrong with the token, or that this could not be found out.
    pub async fn judge(
        &self,
        token: &str,
        meant: Meant<'_>,
        proof: Proof<'_>,
        now: Timestamp,
    ) -> Result<Arc<Claims>, Refused> {
        let claims = self.of_anybody(token, meant, now).await?;
        match proof.is_of(&claims) {
            true => Ok(claims),
            false => Err(Refused::Unproven),
        }
    }

    async fn of_anybody(
        &self,
        token: &str,
        meant: Meant<'_>,
        now: Timestamp,
    ) -> Result<Arc<Claims>, Refused> {
        let digest = seal::sha256(token.as_bytes());
        let published = self.keyring.published(now);
        if let Some(known) = self.known.token(&digest, &published, now) {
            return match meant {
                Meant::For(wanted) if !known.aud.contains(wanted) => Err(jws::Error::Audience.into()),
                Meant::For(_) | Meant::Anyone => Ok(known),
            };
        }
        let before = self.known.before();
        let token = Unverified::parse(token)?;
        // We always name the key. Whoever stole one that was withdrawn would not.
        if token.kid().is_none() {
            return Err(jws::Error::UnknownKey.into());
        }
        let claims = Arc::new(self.claims_of(&token, meant, now)?);
        let until = self.look_up(&claims, token.kid(), now).await?;
        let found = Found {
            claims: claims.clone(),
            published,
            until: until.min(claims.exp),
        };
        self.known.keep_token(digest, found, before);
        Ok(claims)
    }

    /// Until when the approval of a token is live, by the database.
    async fn look_up(
        &self,
        claims: &Claims,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Timestamp, Refused> {
        let mut conn = self.db.reader().await?;
        if events::revocations::covers(claims, kid, &mut conn).await? {
            return Err(Refused::Revoked);
        }
        let until = live::live_until(&claims.approval, &mut conn, now).await?;
        until.ok_or(Refused::Ended)
    }

    /// The claims of a token that is ours, meant for the one named, and not expired. Whether anything has ended
    /// it is not asked, nor who shows it.
    ///
    /// # Errors
    /// The rule that it broke.
    pub fn read(&self, token: &str, meant: Meant<'_>, now: Timestamp) -> Result<Claims, jws::Error> {
        self.claims_of(&Unverified::parse(token)?, meant, now)
    }

    fn claims_of(&self, token: &Unverified, meant: Meant<'_>, now: Timestamp) -> Result<Claims, jws::Error> {
        let published = self.keyring.published(now);
        jws::access_token::read(token, &published.keys, self.issuer.as_str(), meant, now)
    }
}

impl Proof<'_> {
    /// RFC 8705 §3: without the key that it is bound to, a token is worth nothing (C036).
    fn is_of(self, claims: &Claims) -> bool {
        let Some(bound_to) = &claims.cnf else {
            return true;
        };
        match self {
            Self::NotAsked => true,
            Self::Certificate(None) => false,
            Self::Certificate(Some(own)) => serde_json::to_value(clients::certificates::confirmation(own))
                .is_ok_and(|own| own == *bound_to),
        }
    }
}

/// Why a token is not believed.
#[derive(Debug)]
pub enum Refused {
    /// It is none of ours, meant for another, or its time is over.
    Token(jws::Error),
    /// It is bound to something that whoever shows it did not prove.
    Unproven,
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
            Refused::Unproven => Self::invalid_token(
                "the access token is bound to a certificate: use it at mtls_endpoint_aliases, with that certificate",
            ),
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
