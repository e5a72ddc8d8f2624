//! ID tokens of ours that come back as hints: `id_token_hint` of OpenID Connect Core §3.1.2.1 and of RP-Initiated
//! Logout §2.
//!
//! A hint is as good after its token expired, and after the key that signed it left the JWK set: a session
//! outlives both. What it may not be is another kind of token of ours, which `typ` tells.

use jws::{Alg, Typ, Unverified};
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
}

impl Hint {
    /// # Errors
    /// When the text is no ID token of this server, with the rule it breaks.
    pub fn read(token: &str, keyring: &Keyring, issuer: &Issuer, now: Timestamp) -> Result<Self, jws::Error> {
        let token = Unverified::parse(token)?;
        let published = keyring.published(now);
        let verified = token.verify(&published.ever, Alg::ALL, Typ::JwtOrAbsent)?;
        let hint: Self = verified.claims()?;
        match hint.iss == issuer.as_str() {
            true => Ok(hint),
            false => Err(jws::Error::Issuer),
        }
    }
}
