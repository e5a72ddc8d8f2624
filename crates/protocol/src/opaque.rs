//! Opaque values that we issue: a prefix that scanners recognise, a payload, a checksum.
//!
//! `cs_rt_` + base64url(payload) + six characters of CRC-32. The checksum lets a leak scanner, and us, tell a
//! real value from noise without a look-up; it protects nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Secret;

/// What an opaque value is. A value of one kind is never accepted where another is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    AuthorizationCode,
    RefreshToken,
    ClientSecret,
    /// It lets a client that registered itself manage its registration: RFC 7592 §1.2.
    RegistrationAccess,
    /// It lets its bearer register clients: RFC 7591 §1.2.
    InitialAccess,
    /// The cookie that names a browser and its sessions.
    Browser,
    /// The cookie by which a browser is known again after everybody signed out of it. It signs nobody in.
    Device,
    /// It lets whoever reads the mail of an account act for it, once.
    MailedLink,
}

impl Kind {
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "cs_ac_",
            Self::RefreshToken => "cs_rt_",
            Self::ClientSecret => "cs_cs_",
            Self::RegistrationAccess => "cs_ra_",
            Self::InitialAccess => "cs_ia_",
            Self::Browser => "cs_br_",
            Self::Device => "cs_dv_",
            Self::MailedLink => "cs_ml_",
        }
    }
}

/// Characters the checksum takes: 32 bits in base64url.
const CHECKSUM_LEN: usize = 6;
/// Longer values are none of ours.
const MAX_LEN: usize = 512;

/// A new value of 256 random bits.
pub fn random(kind: Kind) -> Secret {
    encode(kind, &crate::random::bytes::<32>())
}

/// A new value of 512 random bits: a secret that is itself a key for MACs has at least as many bits as their digest.
pub fn random_long(kind: Kind) -> Secret {
    encode(kind, &crate::random::bytes::<64>())
}

pub fn encode(kind: Kind, payload: &[u8]) -> Secret {
    let mut text = String::from(kind.prefix());
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let sum = checksum(&text);
    text.push_str(&sum);
    Secret::new(text)
}

/// The payload of a value of this kind; `None` for anything that we cannot have issued.
pub fn decode(kind: Kind, text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_LEN || !text.is_ascii() {
        return None;
    }
    let (body, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_LEN)?)?;
    if checksum(body) != sum {
        return None;
    }
    URL_SAFE_NO_PAD.decode(body.strip_prefix(kind.prefix())?).ok()
}

fn checksum(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(crc32fast::hash(text.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_only_as_its_own_kind() {
        let value = encode(Kind::RefreshToken, b"payload");
        assert_eq!(
            decode(Kind::RefreshToken, value.expose()).as_deref(),
            Some(&b"payload"[..])
        );
        assert_eq!(decode(Kind::AuthorizationCode, value.expose()), None);
    }

    #[test]
    fn any_altered_character_is_noticed() {
        let value = random(Kind::ClientSecret);
        let text = value.expose();
        for at in 0..text.len() {
            let mut altered = text.to_owned();
            altered.replace_range(at..=at, if &text[at..=at] == "A" { "B" } else { "A" });
            assert_eq!(decode(Kind::ClientSecret, &altered), None, "altered at {at}");
            assert_eq!(decode(Kind::ClientSecret, &text[..at]), None, "cut at {at}");
        }
        assert_eq!(decode(Kind::ClientSecret, &format!("{text}A")), None);
    }

    #[test]
    fn a_secret_survives_clients_that_do_not_percent_encode() {
        for _ in 0..100 {
            let value = random(Kind::ClientSecret);
            assert!(
                value
                    .expose()
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
            );
        }
    }
}
