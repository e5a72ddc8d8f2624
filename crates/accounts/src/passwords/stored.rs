//! What is stored of a password: a PHC string of Argon2, or bcrypt's own form for imported users.
//!
//! An imported hash names its own cost, and every sign-in of that user pays it: hence the limits.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Cost;
use super::hasher::{Failed, Memory};

/// The hash of a password, known to be one that we can check.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredHash {
    text: String,
    scheme: Scheme,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    Argon2(Argon2Hash),
    Bcrypt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

/// What is remembered of a hash that another system made.
///
/// SHA-256 without a key is enough: to try a password with it one needs the salt of that hash as well, which is in none
/// of our tables once the hash was replaced; and where that can be guessed, each try still costs what the hash does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedDigest(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHash {
    #[error("a password hash is $argon2id$…, $argon2i$… (PHC strings) or bcrypt ($2a$, $2b$, $2y$)")]
    UnknownForm,
    #[error("argon2 is accepted up to m={MAX_MEMORY_KIB},t={MAX_PASSES},p={MAX_LANES}")]
    Argon2Cost,
    #[error("bcrypt is accepted with costs from 4 to {MAX_BCRYPT_COST}")]
    BcryptCost,
}

const MAX_MEMORY_KIB: u32 = 64 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;
/// About a second of one core.
const MAX_BCRYPT_COST: u32 = 14;
const MAX_TEXT: usize = 512;
/// All that bcrypt looks at of a password.
const BCRYPT_BYTES: usize = 72;

pub(super) const SALT_BYTES: usize = 16;
pub(super) const OUTPUT_BYTES: usize = 32;

impl StoredHash {
    /// # Errors
    /// When it is not a hash of a known form, or one that costs too much to check.
    pub fn parse(text: &str) -> Result<Self, BadHash> {
        if text.len() > MAX_TEXT {
            return Err(BadHash::UnknownForm);
        }
        let scheme = if text.starts_with("$argon2") {
            Scheme::Argon2(Argon2Hash::parse(text)?)
        } else {
            check_bcrypt(text)?;
            Scheme::Bcrypt
        };
        let text = text.to_owned();
        Ok(Self { text, scheme })
    }

    pub(super) fn argon2id(params: Params, salt: &[u8], output: &[u8]) -> Self {
        let text = format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(output)
        );
        let scheme = Scheme::Argon2(Argon2Hash {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params,
            salt: salt.to_vec(),
            output: output.to_vec(),
        });
        Self { text, scheme }
    }

    /// The form in which it is stored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// By which an import knows it again.
    pub fn imported_digest(&self) -> ImportedDigest {
        ImportedDigest(seal::digest(&self.text))
    }

    /// Memory that checking it takes. bcrypt's 4 KiB are on the stack.
    pub(super) fn memory_kib(&self) -> u32 {
        match &self.scheme {
            Scheme::Argon2(stored) => stored.params.m_cost(),
            Scheme::Bcrypt => 0,
        }
    }

    /// Whether this is the password's hash. Compared in constant time.
    pub(super) fn matches(&self, password: &[u8], memory: &mut Memory) -> Result<bool, Failed> {
        match &self.scheme {
            Scheme::Argon2(stored) => stored.matches(password, memory),
            Scheme::Bcrypt => bcrypt::verify(password, &self.text).map_err(|_| Failed),
        }
    }

    /// Whether the right `password` should be hashed anew, at our own cost: weaker hashes go, and a user
    /// whose check takes another time than that of an unknown user can be told apart.
    pub(super) fn is_outdated(&self, password: &[u8], cost: Cost) -> bool {
        match &self.scheme {
            Scheme::Argon2(stored) => {
                stored.algorithm != Algorithm::Argon2id
                    || stored.version != Version::V0x13
                    || stored.output.len() != OUTPUT_BYTES
                    || !cost.is_of(&stored.params)
            }
            // Of a longer password bcrypt has not seen the end: hashing it anew would set a mistyped one.
            Scheme::Bcrypt => password.len() <= BCRYPT_BYTES,
        }
    }
}

impl ImportedDigest {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash(…)")
    }
}

impl Argon2Hash {
    /// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`; `v` was not written before version 19.
    fn parse(text: &str) -> Result<Self, BadHash> {
        let mut parts = text.split('$').skip(1).peekable();
        let algorithm = match parts.next() {
            Some("argon2id") => Algorithm::Argon2id,
            Some("argon2i") => Algorithm::Argon2i,
            _ => return Err(BadHash::UnknownForm),
        };
        let version = match parts.next_if(|part| part.starts_with("v=")) {
            Some("v=19") => Version::V0x13,
            Some("v=16") | None => Version::V0x10,
            Some(_) => return Err(BadHash::UnknownForm),
        };
        let (Some(costs), Some(salt), Some(output), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadHash::UnknownForm);
        };
        let decode = |text| STANDARD_NO_PAD.decode(text).map_err(|_| BadHash::UnknownForm);
        let (salt, output) = (decode(salt)?, decode(output)?);
        if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&output.len()) {
            return Err(BadHash::UnknownForm);
        }
        let params = params(costs, output.len())?;
        Ok(Self {
            algorithm,
            version,
            params,
            salt,
            output,
        })
    }

    fn matches(&self, password: &[u8], memory: &mut Memory) -> Result<bool, Failed> {
        let mut output = zeroize::Zeroizing::new(vec![0; self.output.len()]);
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        memory.fill(&argon2, &self.params, password, &self.salt, &mut output)?;
        Ok(seal::same(&self.output, &output))
    }
}

/// `m=19456,t=2,p=1`
fn params(text: &str, output_len: usize) -> Result<Params, BadHash> {
    let mut parts = text.split(',');
    let mut number = |name: &str| {
        let digits = parts.next().and_then(|part| part.strip_prefix(name));
        digits
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u32>().ok())
            .ok_or(BadHash::UnknownForm)
    };
    let (memory_kib, passes, lanes) = (number("m=")?, number("t=")?, number("p=")?);
    if parts.next().is_some() {
        return Err(BadHash::UnknownForm);
    }
    if memory_kib > MAX_MEMORY_KIB || passes > MAX_PASSES || lanes > MAX_LANES {
        return Err(BadHash::Argon2Cost);
    }
    Params::new(memory_kib, passes, lanes, Some(output_len)).map_err(|_| BadHash::UnknownForm)
}

/// `$2b$12$` and 53 characters. `$2x$` marks hashes made by a faulty implementation.
fn check_bcrypt(text: &str) -> Result<(), BadHash> {
    if !["$2a$", "$2b$", "$2y$"].iter().any(|form| text.starts_with(form)) {
        return Err(BadHash::UnknownForm);
    }
    let parts: bcrypt::HashParts = text.parse().map_err(|_| BadHash::UnknownForm)?;
    match parts.get_cost() {
        4..=MAX_BCRYPT_COST => Ok(()),
        _ => Err(BadHash::BcryptCost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argon2(costs: &str) -> String {
        format!("$argon2id$v=19${costs}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
    }

    #[test]
    fn hashes_made_elsewhere_are_checked() {
        // Argon2: the reference implementation's own tests (test.c). bcrypt: the tests of crypt_blowfish.
        for (password, text) in [
            ("password", &*argon2("m=256,t=2,p=1")),
            (
                "password",
                "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            ),
            (
                "password",
                "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
            ),
            (
                "U*U",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            ),
            (
                "U*U*",
                "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
            ),
            ("", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
        ] {
            let mut memory = Memory::default();
            let stored = StoredHash::parse(text).unwrap();
            assert_eq!(stored.as_str(), text);
            assert!(
                stored.matches(password.as_bytes(), &mut memory).unwrap(),
                "{text}"
            );
            assert!(!stored.matches(b"other", &mut memory).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_hash_that_costs_too_much_or_is_none_is_refused() {
        let salted = |text: &str| format!("{text}CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        let short = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$c2hvcnQ".to_owned();
        for (text, expected) in [
            (argon2("m=65536,t=10,p=4"), None),
            (argon2("m=65537,t=2,p=1"), Some(BadHash::Argon2Cost)),
            (argon2("m=4294967295,t=2,p=1"), Some(BadHash::Argon2Cost)),
            (argon2("m=256,t=11,p=1"), Some(BadHash::Argon2Cost)),
            (argon2("m=256,t=2,p=5"), Some(BadHash::Argon2Cost)),
            (argon2("m=4,t=2,p=1"), Some(BadHash::UnknownForm)),
            (argon2("m=256,t=0,p=1"), Some(BadHash::UnknownForm)),
            (argon2("m=256,t=2,p=0"), Some(BadHash::UnknownForm)),
            (argon2("m=+256,t=2,p=1"), Some(BadHash::UnknownForm)),
            (argon2("m=256,t=2,p=1,keyid=AAAA"), Some(BadHash::UnknownForm)),
            (argon2("t=2,m=256,p=1"), Some(BadHash::UnknownForm)),
            (
                argon2("m=256,t=2,p=1").replace("argon2id", "argon2d"),
                Some(BadHash::UnknownForm),
            ),
            (
                argon2("m=256,t=2,p=1").replace("v=19", "v=20"),
                Some(BadHash::UnknownForm),
            ),
            (argon2("m=256,t=2,p=1") + "$", Some(BadHash::UnknownForm)),
            (short, Some(BadHash::UnknownForm)),
            (salted("$2a$14$"), None),
            (salted("$2a$15$"), Some(BadHash::BcryptCost)),
            (salted("$2a$03$"), Some(BadHash::BcryptCost)),
            (salted("$2x$05$"), Some(BadHash::UnknownForm)),
            (salted("$2a$05$C"), Some(BadHash::UnknownForm)),
            (
                "5f4dcc3b5aa765d61d8327deb882cf99".to_owned(),
                Some(BadHash::UnknownForm),
            ),
            (String::new(), Some(BadHash::UnknownForm)),
            ("$argon2id".repeat(1000), Some(BadHash::UnknownForm)),
        ] {
            assert_eq!(StoredHash::parse(&text).err(), expected, "{text}");
        }
    }

    #[test]
    fn the_unseen_end_of_a_long_password_never_becomes_the_password() {
        let long = "x".repeat(73);
        let hash = bcrypt::hash(&long, 4).unwrap();
        let stored = StoredHash::parse(&hash).unwrap();
        let mistyped = format!("{}y", "x".repeat(72));
        assert!(
            stored
                .matches(mistyped.as_bytes(), &mut Memory::default())
                .unwrap()
        );
        assert!(!stored.is_outdated(mistyped.as_bytes(), Cost::STANDARD));
        assert!(stored.is_outdated(b"short enough", Cost::STANDARD));
    }

    #[test]
    fn a_stored_hash_stays_out_of_logs() {
        let stored = StoredHash::parse(&argon2("m=256,t=2,p=1")).unwrap();
        assert_eq!(format!("{stored:?}"), "StoredHash(…)");
    }
}
