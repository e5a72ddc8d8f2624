//! ID tokens of ours that come back as hints: `id_token_hint` of OpenID Connect Core §3.1.2.1 and of RP-Initiated
//! Logout §2.
//!
//! A hint is as good after its token expired, and after the key that signed it left the JWK set: a session
//! outlives both. What it may not be is another kind of token of ours, which `typ` tells.

use clients::Recipients;
use jws::{Alg, Typ, Unverified, Verified};
use keyring::Keyring;
use protocol::access_token::Audience;
use protocol::{Issuer, Subject, Timestamp};
use serde::Deserialize;

/// What an ID token of ours said when it was issued.
#[derive(Debug, Deserialize)]
pub struct Hint {
    iss: String,
    pub sub: Subject,
    /// The client that it was issued to.
    pub aud: Audience,
    /// [`crate::sid`] of its session.
    pub sid: Option<String>,
    /// When it ended. A userinfo answer that is signed has no end, and is no hint.
    #[serde(rename = "exp")]
    _exp: Timestamp,
}

impl Hint {
    /// # Errors
    /// When the text is no ID token of this server, with the rule it breaks.
    pub async fn read(
        token: &str,
        (keyring, recipients): (&Keyring, &Recipients),
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<Self, Unbelieved> {
        let token = Unverified::parse(token)?;
        let published = keyring.published(now);
        let hint: Self = match token.alg() {
            Some(_) => token
                .verify(&published.ever, Alg::ALL, Typ::JwtOrAbsent)?
                .claims()?,
            None => by_secret(&token, recipients).await?.claims()?,
        };
        match hint.iss == issuer.as_str() {
            true => Ok(hint),
            false => Err(jws::Error::Issuer.into()),
        }
    }
}

/// By the secret of the client that it is for, which may make such a token itself: it says as much as the client could
/// say anyway, and nothing about another one.
async fn by_secret<'t>(token: &'t Unverified, recipients: &Recipients) -> Result<Verified<'t>, Unbelieved> {
    let client = token.claimed("aud").ok_or(jws::Error::Audience)?;
    // NUL: PostgreSQL cannot be asked about it.
    if client.contains('\0') {
        return Err(jws::Error::Audience.into());
    }
    let secrets = recipients.signing_secrets(&client.into()).await;
    let secrets = secrets.map_err(Unbelieved::Unknown)?;
    let keys = secrets.iter().map(|secret| secret.expose().as_bytes());
    Ok(token.verify_by_secret(keys, Typ::JwtOrAbsent)?)
}

/// Why a hint is none.
#[derive(Debug, thiserror::Error)]
pub enum Unbelieved {
    #[error(transparent)]
    Token(#[from] jws::Error),
    /// The database has to be asked, and fails.
    #[error("{}", .0.description())]
    Unknown(protocol::Error),
}
