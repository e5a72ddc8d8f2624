//! Passwords: RFC 9106 (Argon2), RFC 8265 §4.2 (comparing passwords), NIST SP 800-63B §5.1.1.
//!
//! Decides which texts may be a password at all, before any of them is queued for hashing: the attack is a
//! megabyte of text that costs nothing to send. What a person chooses passes [`Hasher::choose`], wherever they do.

pub mod breached;
mod hasher;
mod queue;
mod stored;
mod strength;

pub use breached::Breached;
pub use hasher::{Cost, Hasher, HasherSettings, Outcome, Overloaded, Unchosen};
pub use stored::{BadHash, ImportedDigest, StoredHash};
pub use strength::{About, Weakness};

use protocol::Secret;
use unicode_normalization::UnicodeNormalization as _;

/// Characters a new password has at least, and any password at most.
pub const MIN_CHARS: usize = 8;
pub const MAX_CHARS: usize = 256;
/// Bytes of any password at most, looked at before anything else.
const MAX_BYTES: usize = 4 * MAX_CHARS;

/// A text that is worth hashing, in the form in which passwords are compared: NFC, every space the ASCII one.
#[derive(Clone, Debug)]
pub struct Password(Secret);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    #[error("a password has at least {MIN_CHARS} characters")]
    TooShort,
    #[error("a password has at most {MAX_CHARS} characters")]
    TooLong,
    #[error("a password holds no control characters")]
    Control,
    #[error("this password would soon be guessed: {0}")]
    Weak(Weakness),
    #[error("this password is known from a breach")]
    Breached,
}

impl Password {
    /// A password as presented at sign-in. It may be shorter than we would let anyone choose today.
    ///
    /// # Errors
    /// When no stored password can be like it.
    pub fn presented(text: &Secret) -> Result<Self, BadPassword> {
        if text.expose().len() > MAX_BYTES {
            return Err(BadPassword::TooLong);
        }
        let normal = Secret::new(text.expose().nfc().map(space).collect());
        if normal.expose().chars().count() > MAX_CHARS {
            return Err(BadPassword::TooLong);
        }
        // bcrypt repeats the password with a NUL between: "a" and "a\0a" are one password to it.
        if normal.expose().contains(char::is_control) {
            return Err(BadPassword::Control);
        }
        Ok(Self(normal))
    }

    /// A password that someone is to have from now on, if it is no bad one: [`Hasher::choose`] judges that.
    ///
    /// # Errors
    /// When it is too short, too long or cannot be typed.
    pub fn chosen(text: &Secret) -> Result<Self, BadPassword> {
        let password = Self::presented(text)?;
        if password.0.expose().chars().count() < MIN_CHARS {
            return Err(BadPassword::TooShort);
        }
        Ok(password)
    }

    fn bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl From<BadPassword> for protocol::Error {
    fn from(bad: BadPassword) -> Self {
        Self::invalid_request(bad.to_string())
    }
}

/// RFC 8265 §4.2.2 rule 2: spaces that look alike are one. Unicode category Zs.
fn space(c: char) -> char {
    match c {
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => ' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c074_length_is_judged_in_characters_before_any_work() {
        let presented = |text: &str| Password::presented(&Secret::from(text)).map(|_| ());
        let chosen = |text: &str| Password::chosen(&Secret::from(text)).map(|_| ());
        assert_eq!(presented(&"a".repeat(1 << 20)), Err(BadPassword::TooLong));
        assert_eq!(presented(&"a".repeat(257)), Err(BadPassword::TooLong));
        assert_eq!(presented(&"🔑".repeat(256)), Ok(()));
        assert_eq!(presented("short"), Ok(()));
        assert_eq!(chosen("1234567"), Err(BadPassword::TooShort));
        assert_eq!(chosen("🔑🔑🔑🔑🔑🔑🔑"), Err(BadPassword::TooShort));
        assert_eq!(chosen("12345678"), Ok(()));
        assert_eq!(chosen("with\0a NUL"), Err(BadPassword::Control));
    }

    #[test]
    fn one_password_typed_on_two_keyboards_is_one_password() {
        let bytes = |text: &str| Password::presented(&Secret::from(text)).unwrap().bytes().to_vec();
        assert_eq!(bytes("e\u{301}te\u{301} \u{3000}"), bytes("été\u{a0}\u{a0}"));
        assert_ne!(bytes("Password"), bytes("password"));
    }
}
