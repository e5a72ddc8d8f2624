//! From an agreement on a curve to a key: RFC 7518 §4.6.2, the one-step function of NIST SP 800-56C.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap as _};
use protocol::{JweAlg, JweEnc};
use zeroize::Zeroizing;

use super::content::{self, Cek};

/// What both parties know of the agreement beside its result: RFC 7518 §4.6.1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parties<'a> {
    pub(super) apu: &'a [u8],
    pub(super) apv: &'a [u8],
}

/// The key that the agreement leads to: that of the content, or one that wraps it.
pub(super) fn key(
    agreed: &[u8],
    (alg, enc): (JweAlg, JweEnc),
    parties: Parties<'_>,
) -> Result<Cek, Unspecified> {
    let (name, len) = match alg {
        JweAlg::EcdhEs => (enc.as_str(), content::key_len(enc)),
        JweAlg::EcdhEsA128Kw => (alg.as_str(), 16),
        JweAlg::EcdhEsA256Kw => (alg.as_str(), 32),
        JweAlg::RsaOaep256 => return Err(Unspecified),
    };
    let bits = u32::try_from(len * 8).map_err(|_| Unspecified)?;
    let mut info = Vec::new();
    for part in [name.as_bytes(), parties.apu, parties.apv] {
        let length = u32::try_from(part.len()).map_err(|_| Unspecified)?;
        info.extend_from_slice(&length.to_be_bytes());
        info.extend_from_slice(part);
    }
    info.extend_from_slice(&bits.to_be_bytes());
    let mut key = Zeroizing::new(vec![0; len]);
    let sha256 = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(Unspecified)?;
    sskdf_digest(sha256, agreed, &info, &mut key)?;
    Ok(key)
}

/// RFC 3394.
pub(super) fn wrap(by: &Cek, key: &Cek) -> Result<Vec<u8>, Unspecified> {
    let mut wrapped = vec![0; key.len() + 8];
    kek(by)?.wrap(key, &mut wrapped)?;
    Ok(wrapped)
}

pub(super) fn unwrap(by: &Cek, wrapped: &[u8], enc: JweEnc) -> Result<Cek, Unspecified> {
    if wrapped.len() != content::key_len(enc) + 8 {
        return Err(Unspecified);
    }
    let mut key = Zeroizing::new(vec![0; content::key_len(enc)]);
    kek(by)?.unwrap(wrapped, &mut key)?;
    Ok(key)
}

fn kek(key: &Cek) -> Result<AesKek, Unspecified> {
    AesKek::new(if key.len() == 16 { &AES_128 } else { &AES_256 }, key)
}
