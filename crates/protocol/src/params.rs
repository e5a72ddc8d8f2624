//! Parameters in `application/x-www-form-urlencoded`: RFC 6749 §3.1, §3.2 and Appendix B.

use crate::Error;

/// Every parameter that some endpoint of ours reads, or will read one day. Unknown ones are ignored;
/// these may stand only once (RFC 6749 §3.1), `resource` excepted (RFC 8707 §2).
const KNOWN: &[&str] = &[
    "acr_values",
    "access_token",
    "account",
    "after",
    "apps",
    "assertion",
    "before",
    "birthdate",
    "claims",
    "claims_locales",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "csrf",
    "current",
    "decision",
    "device",
    "device_code",
    "display",
    "dpop_jkt",
    "email",
    "family_name",
    "feed",
    "flow",
    "given_name",
    "grant_type",
    "id_token_hint",
    "link",
    "locale",
    "login_hint",
    "logout_hint",
    "max_age",
    "name",
    "nickname",
    "nonce",
    "others",
    "password",
    "phone_number",
    "post_logout_redirect_uri",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "registration",
    "remember",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "seen",
    "session",
    "state",
    "token",
    "token_type_hint",
    "ui_locales",
    "user_code",
    "username",
    "wait",
    "website",
    "zoneinfo",
];

/// More pairs than any honest request has.
const MAX_PAIRS: usize = 100;

/// The decoded parameters of one request.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// # Errors
    /// `invalid_request` for a repeated known parameter, bad percent-encoding or UTF-8, or too many pairs.
    pub fn parse(encoded: &[u8]) -> Result<Self, Error> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in encoded.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_PAIRS {
                return Err(Error::invalid_request("the request has more than 100 parameters"));
            }
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at_checked(at).unwrap_or((pair, &[]));
            let name = decode(name)?;
            if name != "resource"
                && KNOWN.contains(&name.as_str())
                && pairs.iter().any(|(own, _)| *own == name)
            {
                return Err(Error::invalid_request(format!(
                    "the parameter {name} appears more than once"
                )));
            }
            pairs.push((name, decode(value.strip_prefix(b"=").unwrap_or(value))?));
        }
        Ok(Self(pairs))
    }

    /// Parameters that were read elsewhere: out of a request object.
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// All of them, in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same, with this value of this parameter alone.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a parameter. One without a value counts as absent (RFC 6749 §3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a parameter that may be repeated.
    pub fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0
            .iter()
            .filter(move |(own, value)| own == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has to be there.
    ///
    /// # Errors
    /// `invalid_request`, naming the parameter.
    pub fn require(&self, name: &str) -> Result<&str, Error> {
        self.get(name)
            .ok_or_else(|| Error::invalid_request(format!("the parameter {name} is missing")))
    }
}

/// Decodes one name or value: `+` is a space, `%XX` a byte, and the whole must be UTF-8 without NUL
/// (PostgreSQL cannot store NUL, and nothing honest holds it).
pub(crate) fn decode(encoded: &[u8]) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Error::invalid_request("a parameter has broken percent-encoding")),
            },
            other => *other,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Error::invalid_request("a parameter is not valid UTF-8 text")),
    }
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c010_each_known_parameter_may_stand_once() {
        for name in KNOWN {
            let body = format!("{name}=a&x=1&{name}=b");
            let error = Params::parse(body.as_bytes()).unwrap_err();
            assert!(error.description().contains(name), "{name}");
        }
        assert!(Params::parse(b"foo=1&foo=2").is_ok());
        assert_eq!(
            Params::parse(b"resource=a&resource=b")
                .unwrap()
                .all("resource")
                .count(),
            2
        );
    }

    #[test]
    fn a_parameter_without_value_counts_as_absent() {
        let params = Params::parse(b"state=&nonce&scope=a+b%20c").unwrap();
        assert_eq!((params.get("state"), params.get("nonce")), (None, None));
        assert_eq!(params.get("scope"), Some("a b c"));
        assert!(params.require("state").is_err());
    }

    #[test]
    fn broken_encodings_are_refused() {
        for body in [
            &b"a=%"[..],
            b"a=%4",
            b"a=%zz",
            b"a=%ff",
            b"a=%00",
            b"a=\xff",
            b"a=\0",
        ] {
            assert!(Params::parse(body).is_err(), "{body:?}");
        }
        let many = "a=1&".repeat(101);
        assert!(Params::parse(many.as_bytes()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_it_panic(bytes: Vec<u8>) {
            let _ = Params::parse(&bytes);
        }
    }
}
