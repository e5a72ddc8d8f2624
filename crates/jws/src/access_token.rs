//! Access tokens: RFC 9068 §4. The one judge of them, for resource servers and for our own endpoints.

use std::time::Duration;

use protocol::Timestamp;
use protocol::access_token::{Claims, TYP};
use serde_json::Value;

use crate::{Alg, Error, KeySet, Meant, Rules, Typ, Unverified, Verified, times};

/// RFC 9068 §2.2, besides those that every token needs.
const REQUIRED: &[&str] = &["sub", "client_id", "iat", "jti"];

/// Whose token is accepted, for whom, and how it may be signed.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`, byte for byte.
    pub issuer: &'a str,
    pub audience: Meant<'a>,
    pub algorithms: &'a [Alg],
    /// How far `iat` and `nbf` may lie in the future.
    pub ahead: Duration,
}

impl<'a> Expected<'a> {
    /// Any algorithm that the issuer has keys for, and the usual leeway.
    fn usual(issuer: &'a str, audience: Meant<'a>) -> Self {
        Self {
            issuer,
            audience,
            algorithms: Alg::ALL,
            ahead: times::AHEAD,
        }
    }

    /// Judges an access token by the issuer's keys. The token is used up, so that its claims need no copy.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(&self, token: Unverified, keys: &KeySet, now: Timestamp) -> Result<Claims, Error> {
        self.check(&token, keys, now)?;
        unbound(token.into_claims()?)
    }

    /// Everything but the types of the claims.
    fn check<'t>(&self, token: &'t Unverified, keys: &KeySet, now: Timestamp) -> Result<Verified<'t>, Error> {
        let verified = token.verify(keys, self.algorithms, Typ::Is(TYP))?;
        let rules = Rules {
            issuer: self.issuer,
            audience: self.audience,
            required: REQUIRED,
        };
        verified.obey_within(&rules, self.ahead, now)?;
        // What is bound to nothing says so by leaving it out.
        if verified.members().get("cnf").is_some_and(Value::is_null) {
            return Err(Error::Bound);
        }
        Ok(verified)
    }
}

/// A token bound to a key is no bearer token: taking it without the proof would undo the binding.
fn unbound(claims: Claims) -> Result<Claims, Error> {
    match claims.cnf {
        None => Ok(claims),
        Some(_) => Err(Error::Bound),
    }
}

/// Judges an access token by the issuer's keys.
///
/// # Errors
/// [`Error::UnknownKey`] when the set lacks the key, so that the caller may look for a newer set; any other
/// reason is final.
pub fn verify(
    token: &Unverified,
    keys: &KeySet,
    issuer: &str,
    audience: Meant<'_>,
    now: Timestamp,
) -> Result<Claims, Error> {
    unbound(read(token, keys, issuer, audience, now)?)
}

/// The same for whoever asks for the proof themselves, or only wants to know of the token.
///
/// # Errors
/// As [`verify`].
pub fn read(
    token: &Unverified,
    keys: &KeySet,
    issuer: &str,
    audience: Meant<'_>,
    now: Timestamp,
) -> Result<Claims, Error> {
    Expected::usual(issuer, audience)
        .check(token, keys, now)?
        .claims()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{AUDIENCE, ISSUER, NOW, access_token, claims, set, signed};

    fn verdict(token: &str) -> Result<Claims, Error> {
        verify(
            &Unverified::parse(token)?,
            &set(&["ES256"]),
            ISSUER,
            Meant::For(AUDIENCE),
            NOW,
        )
    }

    #[test]
    fn a_proper_token_gives_its_claims() {
        for aud in [
            json!(AUDIENCE),
            json!([AUDIENCE]),
            json!(["https://other.test", AUDIENCE]),
        ] {
            let claims = verdict(&access_token("ES256", &json!({ "aud": aud }))).unwrap();
            assert_eq!(claims.sub.as_str(), "user");
            assert!(claims.scope.contains("reports"));
        }
    }

    #[test]
    fn c043_what_is_missing_is_named_before_what_is_wrong() {
        for name in ["iss", "aud", "exp", "sub", "client_id", "iat", "jti"] {
            let token = access_token("ES256", &json!({ name: null }));
            assert_eq!(verdict(&token), Err(Error::Missing(name)));
        }
        let token = access_token(
            "ES256",
            &json!({ "iss": "https://evil.test", "exp": 1, "jti": null }),
        );
        assert_eq!(verdict(&token), Err(Error::Missing("jti")));
    }

    #[test]
    fn c043_each_wrong_claim_is_refused() {
        let (now, trailing) = (NOW.as_secs(), format!("{ISSUER}/"));
        for (changes, expected) in [
            (json!({ "iss": "https://evil.test" }), Error::Issuer),
            (json!({ "iss": trailing }), Error::Issuer),
            (json!({ "iss": [ISSUER] }), Error::Issuer),
            (json!({ "aud": "https://other.test" }), Error::Audience),
            (json!({ "aud": format!("{AUDIENCE}/") }), Error::Audience),
            (json!({ "aud": [] }), Error::Audience),
            (json!({ "aud": [AUDIENCE, 7] }), Error::Audience),
            (json!({ "aud": { AUDIENCE: true } }), Error::Audience),
            (json!({ "exp": now }), Error::Expired),
            (json!({ "exp": "9999999999" }), Error::Date("exp")),
            (json!({ "exp": 1e300 }), Error::Date("exp")),
            (json!({ "iat": now + 61 }), Error::NotYet("iat")),
            (json!({ "nbf": now + 61 }), Error::NotYet("nbf")),
            (json!({ "iat": -1 }), Error::Date("iat")),
            (json!({ "nbf": false }), Error::Date("nbf")),
        ] {
            assert_eq!(
                verdict(&access_token("ES256", &changes)),
                Err(expected),
                "{changes}"
            );
        }
        for changes in [
            json!({ "sub": 7 }),
            json!({ "client_id": ["app"] }),
            json!({ "scope": ["openid"] }),
            json!({ "scope": "a\"b" }),
            json!({ "roles": "admin" }),
        ] {
            let verdict = verdict(&access_token("ES256", &changes));
            assert!(matches!(verdict, Err(Error::Claims(_))), "{changes}");
        }
        assert!(
            verdict(&access_token(
                "ES256",
                &json!({ "iat": now + 10, "nbf": now + 10 })
            ))
            .is_ok()
        );
    }

    #[test]
    fn the_issuer_may_look_at_a_token_whomever_it_is_for_and_checks_all_else() {
        let look = |changes: Value| {
            let token = access_token("ES256", &changes);
            let token = Unverified::parse(&token).unwrap();
            verify(&token, &set(&["ES256"]), ISSUER, Meant::Anyone, NOW).map(|_| ())
        };
        assert_eq!(look(json!({ "aud": "https://other.test" })), Ok(()));
        assert_eq!(look(json!({ "aud": null })), Err(Error::Missing("aud")));
        assert_eq!(look(json!({ "aud": 7 })), Err(Error::Audience));
        assert_eq!(look(json!({ "iss": "https://evil.test" })), Err(Error::Issuer));
        assert_eq!(look(json!({ "exp": NOW.as_secs() })), Err(Error::Expired));
    }

    #[test]
    fn a_token_bound_to_a_key_is_no_bearer_token() {
        let token = access_token("ES256", &json!({ "cnf": { "jkt": "thumbprint" } }));
        assert_eq!(verdict(&token), Err(Error::Bound));
        let known = read(
            &Unverified::parse(&token).unwrap(),
            &set(&["ES256"]),
            ISSUER,
            Meant::For(AUDIENCE),
            NOW,
        );
        assert_eq!(known.unwrap().cnf, Some(json!({ "jkt": "thumbprint" })));
    }

    #[test]
    fn c039_a_resource_server_may_accept_fewer_algorithms_than_the_issuer_has_keys_for() {
        let token = access_token("ES256", &json!({}));
        let judge = |algorithms: &[Alg]| {
            let token = Unverified::parse(&token).unwrap();
            let expected = Expected {
                algorithms,
                ..Expected::usual(ISSUER, Meant::For(AUDIENCE))
            };
            expected.verify(token, &set(&["ES256", "RS256"]), NOW).map(drop)
        };
        assert_eq!(judge(&[Alg::Rs256, Alg::Es256]), Ok(()));
        assert_eq!(judge(&[Alg::Rs256]), Err(Error::Algorithm));
        assert_eq!(judge(&[]), Err(Error::Algorithm));
    }

    #[test]
    fn c041_an_id_token_is_no_access_token() {
        for header in [json!({ "alg": "ES256" }), json!({ "alg": "ES256", "typ": "JWT" })] {
            let token = signed("ES256", &header.to_string(), &claims(&json!({})).to_string());
            assert_eq!(verdict(&token), Err(Error::Typ));
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn c043_no_number_makes_it_panic(exp: f64, iat: f64, nbf: i64, aud: String) {
            let changes = json!({ "exp": exp, "iat": iat, "nbf": nbf, "aud": aud });
            let _ = verdict(&access_token("ES256", &changes));
            let _ = verdict(&access_token("ES256", &json!({ "exp": u64::MAX, "iat": Value::Null, "nbf": iat })));
        }
    }
}
