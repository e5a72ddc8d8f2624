//! The claims every token is judged by: RFC 7519 §4.1, RFC 8725 §3.8 and §3.9. Decides whether a signed token is
//! from the right issuer, for this audience, and alive.

use protocol::Timestamp;
use protocol::access_token::Audience;
use serde::Deserialize as _;

use crate::{Error, Verified, times};

/// What a token must say. `exp` is always asked for: a token without end is none.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// `iss`, byte for byte.
    pub issuer: &'a str,
    pub audience: Meant<'a>,
    /// Further claims that must be there.
    pub required: &'a [&'static str],
}

/// Whom a token may be meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant<'a> {
    /// This one is among `aud`, byte for byte.
    For(&'a str),
    /// Whoever is named: for the issuer, who looks at a token without serving anything for it.
    Anyone,
}

impl Verified<'_> {
    /// # Errors
    /// The first rule that is broken: what is missing, before what is wrong.
    pub fn obey(&self, rules: &Rules<'_>, now: Timestamp) -> Result<(), Error> {
        let claims = self.members();
        let missing = |name: &&&str| !claims.contains_key(**name);
        if let Some(name) = ["iss", "aud", "exp"].iter().chain(rules.required).find(missing) {
            return Err(Error::Missing(name));
        }
        if claims.get("iss").and_then(|iss| iss.as_str()) != Some(rules.issuer) {
            return Err(Error::Issuer);
        }
        let audience = claims.get("aud").and_then(|aud| Audience::deserialize(aud).ok());
        let audience = audience.ok_or(Error::Audience)?;
        match rules.audience {
            Meant::For(wanted) if !audience.contains(wanted) => return Err(Error::Audience),
            Meant::For(_) | Meant::Anyone => {}
        }
        times::check(claims, now)
    }
}
