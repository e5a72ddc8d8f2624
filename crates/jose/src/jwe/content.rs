//! Content encryption with AES in Galois/Counter Mode: RFC 7518 §5.3.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::error::Unspecified;
use protocol::JweEnc;
use zeroize::Zeroizing;

/// 128 bits, always.
pub(super) const TAG_LEN: usize = 16;

/// A content encryption key, for one token.
pub(super) type Cek = Zeroizing<Vec<u8>>;

fn algorithm(enc: JweEnc) -> &'static Algorithm {
    match enc {
        JweEnc::A128Gcm => &AES_128_GCM,
        JweEnc::A192Gcm => &AES_192_GCM,
        JweEnc::A256Gcm => &AES_256_GCM,
    }
}

pub(super) fn key_len(enc: JweEnc) -> usize {
    algorithm(enc).key_len()
}

pub(super) fn random(enc: JweEnc) -> Cek {
    let bytes = Zeroizing::new(protocol::random::bytes::<32>());
    let (key, _) = bytes.split_at(key_len(enc).min(bytes.len()));
    Zeroizing::new(key.to_vec())
}

/// What stands in the last three parts of a token.
pub(super) struct Sealed {
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// Under a key that is used once, so the nonce may be any.
pub(super) fn seal(enc: JweEnc, key: &Cek, header: &str, plain: &[u8]) -> Result<Sealed, Unspecified> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm(enc), key)?);
    let nonce: [u8; NONCE_LEN] = protocol::random::bytes();
    let mut ciphertext = plain.to_vec();
    let tag = key.seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(header.as_bytes()),
        &mut ciphertext,
    )?;
    Ok(Sealed {
        nonce,
        ciphertext,
        tag: tag.as_ref().to_vec(),
    })
}

pub(super) fn open(
    enc: JweEnc,
    key: &Cek,
    header: &str,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm(enc), key)?);
    let mut text = Zeroizing::new([sealed.ciphertext.as_slice(), &sealed.tag].concat());
    let nonce = Nonce::assume_unique_for_key(sealed.nonce);
    let len = key
        .open_in_place(nonce, Aad::from(header.as_bytes()), &mut text)?
        .len();
    text.truncate(len);
    Ok(text)
}
