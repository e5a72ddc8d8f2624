//! Dates in a token: RFC 7519 §2 (`NumericDate`) and §4.1.4 to §4.1.6. Decides whether a token is alive.
//!
//! Leeway: `iat` and `nbf` may lie up to [`AHEAD`] in the future, because clocks differ, or as far as the caller
//! says within [`BOUNDS`]; `exp` has none, because a token lives too short by as much as clocks differ, and never
//! too long.

use std::ops::RangeInclusive;
use std::time::Duration;

use protocol::Timestamp;
use serde_json::{Map, Value};

use crate::Error;

/// How far `iat` and `nbf` may lie in the future. Ten seconds happen between honest clocks; more than a minute
/// is a token made for later.
pub const AHEAD: Duration = Duration::from_secs(30);

/// What a caller may choose instead.
pub const BOUNDS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(60);

/// 9999-12-31T23:59:59Z: what is later is no date, and arithmetic on it would overflow somewhere.
const LATEST: i64 = 253_402_300_799;

/// Judges the dates that are there. Which ones must be there is the caller's rule.
///
/// # Errors
/// When a date is malformed, `exp` has passed, or `nbf` or `iat` has not come.
pub fn check(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Error> {
    check_within(claims, AHEAD, now)
}

/// The same with another leeway.
///
/// # Errors
/// As [`check`].
pub fn check_within(claims: &Map<String, Value>, ahead: Duration, now: Timestamp) -> Result<(), Error> {
    if date(claims, "exp")?.is_some_and(|exp| exp <= now) {
        return Err(Error::Expired);
    }
    for name in ["nbf", "iat"] {
        if date(claims, name)?.is_some_and(|date| date > now + ahead) {
            return Err(Error::NotYet(name));
        }
    }
    Ok(())
}

/// A date of the claims; a fraction of a second is dropped.
///
/// # Errors
/// When it is there and not a number from 1970 to 9999.
pub fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, Error> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => seconds(value)
            .filter(|secs| (0..=LATEST).contains(secs))
            .map(|secs| Some(Timestamp::from_secs(secs)))
            .ok_or(Error::Date(name)),
    }
}

/// Whole seconds. A float becomes an integer by saturation, so that the range decides about it too.
fn seconds(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        number
            .as_f64()
            .filter(|float| *float >= 0.0)
            .map(|float| float as i64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn judge(claims: &Value) -> Result<(), Error> {
        check(claims.as_object().unwrap(), Timestamp::from_secs(NOW))
    }

    #[test]
    fn c043_ten_seconds_ahead_pass_and_more_than_sixty_do_not() {
        for name in ["nbf", "iat"] {
            for (ahead, passes) in [
                (-1000, true),
                (0, true),
                (10, true),
                (30, true),
                (31, false),
                (61, false),
            ] {
                let verdict = judge(&json!({ name: NOW + ahead }));
                let expected = if passes { Ok(()) } else { Err(Error::NotYet(name)) };
                assert_eq!(verdict, expected, "{name} {ahead}");
            }
        }
    }

    #[test]
    fn c043_a_caller_may_choose_the_leeway() {
        let claims = json!({ "iat": NOW + 15 });
        let judge = |ahead| {
            let claims = claims.as_object().unwrap();
            check_within(claims, Duration::from_secs(ahead), Timestamp::from_secs(NOW))
        };
        assert_eq!(judge(14), Err(Error::NotYet("iat")));
        assert_eq!(judge(15), Ok(()));
    }

    #[test]
    fn c043_a_token_dies_in_the_second_of_its_exp() {
        assert_eq!(judge(&json!({ "exp": NOW + 1 })), Ok(()));
        assert_eq!(judge(&json!({ "exp": NOW })), Err(Error::Expired));
        assert_eq!(judge(&json!({ "exp": NOW as f64 + 0.9 })), Err(Error::Expired));
        assert_eq!(judge(&json!({})), Ok(()));
    }

    #[test]
    fn c043_odd_numbers_are_no_dates() {
        for text in [
            "-1",
            "-0.5",
            "-1e300",
            "1e300",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "253402300800",
            "253402300799e1",
            "\"1800000000\"",
            "null",
            "true",
            "[1800000000]",
            "{}",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            for name in ["exp", "nbf", "iat"] {
                assert_eq!(
                    judge(&json!({ name: value })),
                    Err(Error::Date(name)),
                    "{name} {text}"
                );
            }
        }
        for (text, secs) in [
            ("0", 0),
            ("-0", 0),
            ("0.9", 0),
            ("1.8e9", NOW),
            ("253402300799.5", LATEST),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let read = date(json!({ "exp": value }).as_object().unwrap(), "exp");
            assert_eq!(read, Ok(Some(Timestamp::from_secs(secs))), "{text}");
        }
    }
}
