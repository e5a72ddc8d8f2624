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
    /// One of `aud`, byte for byte.
    pub audience: &'a str,
    /// Further claims that must be there.
    pub required: &'a [&'static str],
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
        if !audience.is_some_and(|audience| audience.contains(rules.audience)) {
            return Err(Error::Audience);
        }
        times::check(claims, now)
    }
}
