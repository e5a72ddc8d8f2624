//! The compact serialization: RFC 7515 §3.1 and §7.1. Decides what has the form of a token, and whether one of
//! the keys given signed it.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Alg, Error, KeySet, Part, json};

/// Bytes of a token.
const MAX_LENGTH: usize = 16 * 1024;

/// Characters of a `kid`. It is compared and never used for anything else.
const MAX_KID: usize = 128;

/// A token that has the right form. What it says is a claim of whoever sent it.
pub struct Unverified {
    header: Header,
    claims: Map<String, Value>,
    message: String,
    signature: Vec<u8>,
}

/// The header members that count. `jwk`, `jku`, `x5u` and `x5c` are not among them: a key that travels in the
/// token that it signed proves nothing (RFC 8725 §3.10).
#[derive(Debug)]
struct Header {
    signed_by: SignedBy,
    kid: Option<String>,
    typ: Option<String>,
}

/// What the header says made the signature. The two never meet: a public key is asked for one, a shared secret
/// for the other, so that no public key passes for a secret (RFC 8725 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignedBy {
    Key(Alg),
    /// HS256: RFC 7518 §3.2.
    Secret,
}

/// The name of the one algorithm with a shared secret.
pub const HS256: &str = "HS256";

/// The `typ` a token must have. Without it, a token made for one purpose passes for another (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typ {
    /// Exactly this type; `application/` in front of it may be left out (RFC 7515 §4.1.9).
    Is(&'static str),
    /// `JWT` or nothing: ID tokens and assertions, whose specifications ask for none.
    JwtOrAbsent,
    /// This type, or what a specification allowed before it named one.
    IsOrJwtOrAbsent(&'static str),
}

/// The claims of a token that one of the keys given has signed.
pub struct Verified<'a> {
    claims: &'a Map<String, Value>,
}

impl Unverified {
    /// # Errors
    /// When the text is not a compact JWS over a JSON object, or asks for an algorithm or an extension that is
    /// never accepted.
    pub fn parse(token: &str) -> Result<Self, Error> {
        if token.len() > MAX_LENGTH {
            return Err(Error::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Error::NotCompact)?;
        let (header, payload) = message.split_once('.').ok_or(Error::NotCompact)?;
        if payload.contains('.') {
            return Err(Error::NotCompact);
        }
        Ok(Self {
            header: Header::parse(&object(header, Part::Header)?)?,
            claims: object(payload, Part::Payload)?,
            message: message.to_owned(),
            signature: decode(signature, Part::Signature)?,
        })
    }

    /// Checks algorithm, type and signature. Claims are judged by [`Verified::obey`] or by the caller.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when the set lacks the key, so that the caller may look for a newer set.
    pub fn verify(&self, keys: &KeySet, allowed: &[Alg], typ: Typ) -> Result<Verified<'_>, Error> {
        let SignedBy::Key(alg) = self.header.signed_by else {
            return Err(Error::Algorithm);
        };
        if !allowed.contains(&alg) {
            return Err(Error::Algorithm);
        }
        if !typ.admits(self.header.typ.as_deref()) {
            return Err(Error::Typ);
        }
        let key = keys.pick(self.header.kid.as_deref(), alg)?;
        key.verify(self.message.as_bytes(), &self.signature)?;
        Ok(Verified { claims: &self.claims })
    }

    /// The same for a token that whoever shares a secret with us has signed, by HS256.
    ///
    /// # Errors
    /// When the token has another algorithm or type, or none of the secrets made its code.
    pub fn verify_by_secret<'s>(
        &self,
        secrets: impl IntoIterator<Item = &'s [u8]>,
        typ: Typ,
    ) -> Result<Verified<'_>, Error> {
        if self.header.signed_by != SignedBy::Secret {
            return Err(Error::Algorithm);
        }
        if !typ.admits(self.header.typ.as_deref()) {
            return Err(Error::Typ);
        }
        let made_it = |secret: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            hmac::verify(&key, self.message.as_bytes(), &self.signature).is_ok()
        };
        match secrets.into_iter().any(made_it) {
            true => Ok(Verified { claims: &self.claims }),
            false => Err(Error::Signature),
        }
    }

    /// The algorithm that the header names; none for one with a shared secret.
    pub fn alg(&self) -> Option<Alg> {
        match self.header.signed_by {
            SignedBy::Key(alg) => Some(alg),
            SignedBy::Secret => None,
        }
    }

    /// The key that the header names.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// What the token says of itself under this name, before anybody vouches for it: whose keys to look for.
    pub fn claimed(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }
}

impl Verified<'_> {
    /// The claims, as the type that such a token has.
    ///
    /// # Errors
    /// When a claim is missing or has another type.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(self.claims).map_err(|error| Error::Claims(error.to_string()))
    }

    /// The claims, as they stand.
    pub fn members(&self) -> &Map<String, Value> {
        self.claims
    }
}

impl Header {
    fn parse(members: &Map<String, Value>) -> Result<Self, Error> {
        // No extension is understood, so whichever is critical must be refused (RFC 7515 §4.1.11).
        if members.contains_key("crit") {
            return Err(Error::Critical);
        }
        let alg = text(members, "alg")?.ok_or(Error::Header("alg"))?;
        let kid = text(members, "kid")?;
        if kid.is_some_and(|kid| kid.chars().count() > MAX_KID) {
            return Err(Error::Header("kid"));
        }
        Ok(Self {
            signed_by: match alg {
                HS256 => SignedBy::Secret,
                "none" => return Err(Error::Unsigned),
                alg => SignedBy::Key(alg.parse().map_err(|_| Error::Algorithm)?),
            },
            kid: kid.map(str::to_owned),
            typ: text(members, "typ")?.map(str::to_owned),
        })
    }
}

impl Typ {
    fn admits(self, given: Option<&str>) -> bool {
        match (self, given.map(media_type)) {
            (Self::Is(expected), Some(given)) => given.eq_ignore_ascii_case(media_type(expected)),
            (Self::Is(_), None) => false,
            (Self::JwtOrAbsent, Some(given)) => given.eq_ignore_ascii_case("JWT"),
            (Self::IsOrJwtOrAbsent(expected), Some(given)) => {
                given.eq_ignore_ascii_case("JWT") || given.eq_ignore_ascii_case(media_type(expected))
            }
            (Self::JwtOrAbsent | Self::IsOrJwtOrAbsent(_), None) => true,
        }
    }
}

/// The type without its `application/`, which stands only where no other slash follows.
fn media_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}

fn text<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<Option<&'m str>, Error> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::Header(name)),
    }
}

fn object(encoded: &str, part: Part) -> Result<Map<String, Value>, Error> {
    json::object(&decode(encoded, part)?).map_err(|error| Error::Json {
        part,
        reason: error.to_string(),
    })
}

fn decode(encoded: &str, part: Part) -> Result<Vec<u8>, Error> {
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Error::Base64(part))
}

impl fmt::Debug for Unverified {
    /// A token is a credential: only its header may be seen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
