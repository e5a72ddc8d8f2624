//! The claims every token is judged by: RFC 7519 §4.1, RFC 8725 §3.8 and §3.9. Decides whether a signed token is
//! from the right issuer, for this audience, and alive.

use std::time::Duration;

use protocol::Timestamp;
use serde_json::Value;

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

impl Meant<'_> {
    /// `aud` is one string or several (RFC 7519 §4.1.3); whatever else names nobody.
    fn is_in(self, aud: &Value) -> bool {
        let is_meant = |own: &str| match self {
            Self::For(wanted) => own == wanted,
            Self::Anyone => true,
        };
        match aud {
            Value::String(only) => is_meant(only),
            Value::Array(many) => {
                let are_names = many.iter().all(Value::is_string);
                are_names && (self == Self::Anyone || many.iter().filter_map(Value::as_str).any(is_meant))
            }
            _ => false,
        }
    }
}

impl Verified<'_> {
    /// # Errors
    /// The first rule that is broken: what is missing, before what is wrong.
    pub fn obey(&self, rules: &Rules<'_>, now: Timestamp) -> Result<(), Error> {
        self.obey_within(rules, times::AHEAD, now)
    }

    /// The same with another leeway for `iat` and `nbf`.
    ///
    /// # Errors
    /// As [`Self::obey`].
    pub fn obey_within(&self, rules: &Rules<'_>, ahead: Duration, now: Timestamp) -> Result<(), Error> {
        let claims = self.members();
        let missing = |name: &&&str| !claims.contains_key(**name);
        if let Some(name) = ["iss", "aud", "exp"].iter().chain(rules.required).find(missing) {
            return Err(Error::Missing(name));
        }
        if claims.get("iss").and_then(|iss| iss.as_str()) != Some(rules.issuer) {
            return Err(Error::Issuer);
        }
        if !claims.get("aud").is_some_and(|aud| rules.audience.is_in(aud)) {
            return Err(Error::Audience);
        }
        times::check_within(claims, ahead, now)
    }
}
