//! The keys of one party: RFC 7517 §5. Decides which of them a token is checked with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::{Alg, Error, Part, VerifyingKey, json};

/// Keys of one client.
const MAX_KEYS: usize = 50;

/// The keys of one party.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    /// In DER, the certificates of these keys: RFC 7517 §4.7. They vouch for no signature (C040).
    certificates: Vec<Vec<u8>>,
}

impl KeySet {
    /// Reads a JWK set. Keys that cannot be used are passed over (RFC 7517 §5): a party may publish kinds that
    /// we do not know. `absent` is the algorithm of a key that names none.
    ///
    /// # Errors
    /// When the text is not a JSON object with an array `keys`.
    pub fn parse(json: &[u8], absent: Option<Alg>) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Json {
            part: Part::KeySet,
            reason,
        };
        let set = json::object(json).map_err(|error| refuse(error.to_string()))?;
        let Some(Value::Array(keys)) = set.get("keys") else {
            return Err(refuse("it has no array of keys".to_owned()));
        };
        Ok(keys
            .iter()
            .filter_map(|jwk| VerifyingKey::from_jwk(jwk, absent).ok())
            .collect())
    }

    /// Reads the JWK set of a party that need not say for which algorithm a key is: one that names none serves for
    /// each that its kind has, and the caller's list says which of these count.
    ///
    /// # Errors
    /// As [`Self::parse`]; when there are more keys than anybody turns over.
    pub fn of_client(jwks: &Value) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Json {
            part: Part::KeySet,
            reason: reason.to_owned(),
        };
        let Some(Value::Array(keys)) = jwks.get("keys") else {
            return Err(refuse("it has no array of keys"));
        };
        if keys.len() > MAX_KEYS {
            return Err(refuse("it has more than 50 keys"));
        }
        let read = |jwk: &Value| match jwk.get("alg") {
            Some(_) => VerifyingKey::from_jwk(jwk, None).into_iter().collect(),
            None => Alg::ALL
                .iter()
                .filter_map(|alg| VerifyingKey::from_jwk(jwk, Some(*alg)).ok())
                .collect::<Vec<_>>(),
        };
        Ok(Self {
            keys: keys.iter().flat_map(read).collect(),
            certificates: keys.iter().filter_map(certificate).collect(),
        })
    }

    /// Reads the bytes of such a set.
    ///
    /// # Errors
    /// As [`Self::of_client`].
    pub fn parse_of_client(json: &[u8]) -> Result<Self, Error> {
        let set = json::object(json).map_err(|error| Error::Json {
            part: Part::KeySet,
            reason: error.to_string(),
        })?;
        Self::of_client(&Value::Object(set))
    }

    /// Whether a key of this algorithm is among them.
    pub fn has(&self, alg: Alg) -> bool {
        self.keys.iter().any(|key| key.alg() == alg)
    }

    /// Whether this certificate is the first one of a key.
    pub fn has_certificate(&self, der: &[u8]) -> bool {
        self.certificates.iter().any(|own| own == der)
    }

    pub fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Whether a key of this name is among them.
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// These keys but those of this name: one that was withdrawn vouches for nothing more.
    #[must_use]
    pub fn without(&self, kid: &str) -> Self {
        let mut left = self.clone();
        left.keys.retain(|key| key.kid() != Some(kid));
        left
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The one key for a token. A token without `kid` needs a set with one key of its algorithm; where two keys
    /// fit, guessing would let the weaker one decide.
    pub(crate) fn pick(&self, kid: Option<&str>, alg: Alg) -> Result<&VerifyingKey, Error> {
        let named = || self.keys.iter().filter(|key| kid.is_none() || key.kid() == kid);
        let mut fitting = named().filter(|key| key.alg() == alg);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(Error::AmbiguousKey),
            (None, _) => Err(match (kid, named().next()) {
                (Some(_), Some(other)) => Error::KeyAlgorithm(other.alg()),
                _ => Error::UnknownKey,
            }),
        }
    }
}

/// The certificate of a key itself; those behind it vouch for it.
fn certificate(jwk: &Value) -> Option<Vec<u8>> {
    let first = jwk.get("x5c")?.get(0)?.as_str()?;
    STANDARD.decode(first).ok().filter(|der| !der.is_empty())
}

impl FromIterator<VerifyingKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            certificates: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::KEYS;

    fn parsed(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), None).unwrap()
    }

    fn picked(set: &KeySet, kid: Option<&str>, alg: Alg) -> Result<Alg, Error> {
        set.pick(kid, alg).map(VerifyingKey::alg)
    }

    #[test]
    fn keys_that_cannot_be_used_are_passed_over() {
        let set = parsed(&[
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "1" }),
            json!({ "kty": "oct", "k": "AA", "kid": "2" }),
            json!("text"),
            KEYS.jwk("ES256"),
        ]);
        assert_eq!(set.keys.len(), 1);
        assert_eq!(picked(&set, Some("ES256"), Alg::Es256), Ok(Alg::Es256));
        assert!(parsed(&[]).is_empty());
    }

    #[test]
    fn c044_a_key_of_a_client_that_names_no_algorithm_serves_for_those_of_its_kind() {
        let mut rsa = KEYS.jwk("RS256");
        rsa.as_object_mut().unwrap().remove("alg");
        let set = KeySet::of_client(&json!({ "keys": [rsa, KEYS.jwk("ES256")] })).unwrap();
        assert_eq!(picked(&set, Some("RS256"), Alg::Rs256), Ok(Alg::Rs256));
        assert_eq!(picked(&set, Some("RS256"), Alg::Ps256), Ok(Alg::Ps256));
        assert!(picked(&set, Some("RS256"), Alg::Es256).is_err());
        assert!(set.has(Alg::Es256) && !set.has(Alg::EdDsa));
        // One that names its algorithm serves for no other.
        let set = KeySet::of_client(&json!({ "keys": [KEYS.jwk("RS256")] })).unwrap();
        assert!(picked(&set, Some("RS256"), Alg::Ps256).is_err());
        let many = vec![json!({}); MAX_KEYS + 1];
        for bad in [
            json!({ "keys": many }),
            json!({}),
            json!({ "keys": {} }),
            json!([]),
        ] {
            assert!(KeySet::of_client(&bad).is_err());
        }
        assert!(KeySet::parse_of_client(br#"{"keys":[],"keys":[]}"#).is_err());
    }

    #[test]
    fn a_key_that_is_taken_out_vouches_for_nothing() {
        let set = parsed(&[KEYS.jwk("ES256"), KEYS.jwk("RS256")]);
        let left = set.without("ES256");
        assert!(set.has_kid("ES256") && !left.has_kid("ES256") && left.has_kid("RS256"));
        assert_eq!(picked(&left, Some("ES256"), Alg::Es256), Err(Error::UnknownKey));
        assert_eq!(picked(&left, None, Alg::Rs256), Ok(Alg::Rs256));
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[],"keys":[]}"#,
            "<html>",
        ] {
            assert!(KeySet::parse(text.as_bytes(), None).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_without_kid_needs_a_single_key_of_its_algorithm() {
        let mut second = KEYS.jwk("ES256");
        second["kid"] = "second".into();
        let one = parsed(&[KEYS.jwk("ES256"), KEYS.jwk("RS256")]);
        let two = parsed(&[KEYS.jwk("ES256"), second.clone()]);
        assert_eq!(picked(&one, None, Alg::Es256), Ok(Alg::Es256));
        assert_eq!(picked(&one, None, Alg::EdDsa), Err(Error::UnknownKey));
        assert_eq!(picked(&two, None, Alg::Es256), Err(Error::AmbiguousKey));
        assert_eq!(picked(&two, Some("second"), Alg::Es256), Ok(Alg::Es256));

        let twice = parsed(&[second.clone(), second]);
        assert_eq!(
            picked(&twice, Some("second"), Alg::Es256),
            Err(Error::AmbiguousKey)
        );
    }

    #[test]
    fn a_key_without_kid_is_not_picked_by_name() {
        let mut nameless = KEYS.jwk("ES256");
        nameless.as_object_mut().unwrap().remove("kid");
        let set = parsed(&[nameless]);
        assert_eq!(picked(&set, Some("ES256"), Alg::Es256), Err(Error::UnknownKey));
        assert_eq!(picked(&set, None, Alg::Es256), Ok(Alg::Es256));
    }
}
