//! Scopes: RFC 6749 §3.3 and OpenID Connect Core §5.4.

use std::fmt;

use crate::Error;

pub const OPENID: &str = "openid";
pub const PROFILE: &str = "profile";
pub const EMAIL: &str = "email";
pub const ADDRESS: &str = "address";
pub const PHONE: &str = "phone";
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Reading the revocation feed. Of clients that act for themselves, to which an operator gave it; no person can
/// allow it, and no API can call something else so.
pub const REVOCATIONS: &str = "revocations";

/// The scopes every installation knows, besides those of its resource servers.
pub const STANDARD: &[&str] = &[OPENID, PROFILE, EMAIL, ADDRESS, PHONE, OFFLINE_ACCESS];

/// A set of scope tokens. Kept sorted and without repeats: their order has no meaning (RFC 6749 §3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<String>);

impl Scope {
    /// # Errors
    /// `invalid_scope` when a token holds a character that RFC 6749 §3.3 does not allow.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let tokens: Vec<String> = text
            .split(' ')
            .filter(|token| !token.is_empty())
            .map(str::to_owned)
            .collect();
        if tokens.iter().any(|token| !is_token(token)) {
            return Err(Error::invalid_scope(
                "scope holds a character that RFC 6749 section 3.3 does not allow",
            ));
        }
        Ok(Self::from_tokens(tokens))
    }

    pub fn from_tokens(tokens: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut tokens: Vec<String> = tokens.into_iter().map(Into::into).collect();
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens)
    }

    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|own| own == token)
    }

    pub fn is_subset(&self, of: &Self) -> bool {
        self.0.iter().all(|token| of.contains(token))
    }

    /// The tokens of this scope for which `keep` holds.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|token| keep(token)).cloned().collect())
    }

    pub fn union(&self, other: &Self) -> Self {
        Self::from_tokens(self.0.iter().chain(&other.0).cloned())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`
pub fn is_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl TryFrom<String> for Scope {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repeats_do_not_matter() {
        assert_eq!(
            Scope::parse("openid  email openid").unwrap(),
            Scope::parse("email openid").unwrap()
        );
        assert_eq!(Scope::parse("openid email").unwrap().to_string(), "email openid");
    }

    #[test]
    fn characters_outside_the_grammar_are_refused() {
        for text in ["a\"b", "a\\b", "a\tb", "é", "a\u{7f}"] {
            assert!(Scope::parse(text).is_err(), "{text:?}");
        }
        assert!(Scope::parse("").unwrap().is_empty());
    }
}
