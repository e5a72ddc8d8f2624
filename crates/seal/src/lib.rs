//! Sealing with a purpose and a row, message authentication codes, digests. Pure: no I/O.
//!
//! A sealed value opens only under the key, the purpose and the row it was made for: a ciphertext moved to
//! another column or row is noise (the attack is a swap inside a stolen or tampered database).

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

const NONCE_LEN: usize = 24;

/// A symmetric key of 256 bits for one purpose.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

/// The value was not made by this key for this purpose and row, or was altered since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open: wrong key, wrong place, or altered")]
pub struct Broken;

impl Key {
    pub fn random() -> Self {
        Self(Zeroizing::new(protocol::random::bytes()))
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The raw key, for the one place that seals it under another key.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Encrypts `plain` (XChaCha20-Poly1305, random nonce), bound to `purpose` and `row`. The result is base64url.
pub fn seal(key: &Key, purpose: &str, row: &str, plain: &[u8]) -> String {
    let nonce: [u8; NONCE_LEN] = protocol::random::bytes();
    let aad = associated(purpose, row);
    let payload = Payload {
        msg: plain,
        aad: &aad,
    };
    #[expect(clippy::expect_used, reason = "fails only for messages of 256 GiB")]
    let sealed = cipher(key)
        .encrypt(&XNonce::from(nonce), payload)
        .expect("the message is short");
    URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
}

/// # Errors
/// [`Broken`] when the value was not sealed by this key for this purpose and row.
pub fn open(key: &Key, purpose: &str, row: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Broken)?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(Broken)?;
    let aad = associated(purpose, row);
    let plain = cipher(key).decrypt(
        &XNonce::from(*nonce),
        Payload {
            msg: sealed,
            aad: &aad,
        },
    );
    plain.map(Zeroizing::new).map_err(|_| Broken)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*key.0).into())
}

/// Purpose and row, each with its length before it, so that no two pairs read the same.
fn associated(purpose: &str, row: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + purpose.len() + row.len());
    for part in [purpose, row] {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// SHA-256 of bytes that come one after the other.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256 {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In base64url.
    pub fn finish(self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes())
    }

    pub fn bytes(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256(…)")
    }
}

/// SHA-1: for names that others have given by it, never to protect anything.
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    out
}

/// SHA-512.
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    out.copy_from_slice(digest::digest(&digest::SHA512, bytes).as_ref());
    out
}

/// SHA-256 in base64url: the form in which secrets of 256 random bits are stored.
pub fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(text.as_bytes()))
}

/// HMAC-SHA-256 over the parts, each with its length before it.
pub fn mac(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.bytes()));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// Whether `given` is the code of these parts, in constant time.
pub fn mac_matches(key: &Key, parts: &[&[u8]], given: &[u8]) -> bool {
    same(&mac(key, parts), given)
}

/// Equality in constant time (for equal lengths).
pub fn same(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c047_c049_a_value_opens_only_at_its_own_place() {
        let (key, other) = (Key::random(), Key::random());
        let sealed = seal(&key, "flow", "1", b"canary");
        assert_eq!(open(&key, "flow", "1", &sealed).unwrap().as_slice(), b"canary");
        assert!(!sealed.contains("canary"));
        for (key, purpose, row) in [
            (&other, "flow", "1"),
            (&key, "csrf", "1"),
            (&key, "flow", "2"),
            (&key, "flow1", ""),
        ] {
            assert_eq!(open(key, purpose, row, &sealed), Err(Broken));
        }
    }

    #[test]
    fn a_single_altered_character_is_noticed() {
        let key = Key::random();
        let sealed = seal(&key, "flow", "1", b"canary");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered.replace_range(at..=at, if &sealed[at..=at] == "A" { "B" } else { "A" });
            assert!(open(&key, "flow", "1", &altered).is_err(), "altered at {at}");
        }
        assert!(open(&key, "flow", "1", "").is_err());
    }

    #[test]
    fn the_parts_of_a_code_cannot_be_shifted_into_each_other() {
        let key = Key::random();
        assert_ne!(mac(&key, &[b"ab", b"c"]), mac(&key, &[b"a", b"bc"]));
        assert!(mac_matches(&key, &[b"ab"], &mac(&key, &[b"ab"])));
        assert!(!mac_matches(&key, &[b"ab"], &mac(&key, &[b"ab"])[..31]));
    }
}
