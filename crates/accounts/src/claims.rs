//! Standard claims: OpenID Connect Core §5.1, and the scopes that release them, §5.4.
//!
//! Decides which values a claim may have. A claim that is known is there with the type the specification
//! gives it; one that is not is left out, never null and never empty.

use std::borrow::Cow;
use std::collections::BTreeMap;

use protocol::scope::{ADDRESS, EMAIL, PHONE, PROFILE};
use protocol::{ClaimsRequest, Scope, wire_enum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;

use crate::email::is_invisible;

wire_enum! {
    /// A claim about a user, besides `sub`.
    pub enum Claim {
        Name => "name",
        GivenName => "given_name",
        FamilyName => "family_name",
        MiddleName => "middle_name",
        Nickname => "nickname",
        PreferredUsername => "preferred_username",
        Profile => "profile",
        Picture => "picture",
        Website => "website",
        Gender => "gender",
        Birthdate => "birthdate",
        Zoneinfo => "zoneinfo",
        Locale => "locale",
        UpdatedAt => "updated_at",
        Email => "email",
        EmailVerified => "email_verified",
        Address => "address",
        PhoneNumber => "phone_number",
        PhoneNumberVerified => "phone_number_verified",
    }
}

impl Claim {
    /// The scope that releases it.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Name
            | Self::GivenName
            | Self::FamilyName
            | Self::MiddleName
            | Self::Nickname
            | Self::PreferredUsername
            | Self::Profile
            | Self::Picture
            | Self::Website
            | Self::Gender
            | Self::Birthdate
            | Self::Zoneinfo
            | Self::Locale
            | Self::UpdatedAt => PROFILE,
            Self::Email | Self::EmailVerified => EMAIL,
            Self::Address => ADDRESS,
            Self::PhoneNumber | Self::PhoneNumberVerified => PHONE,
        }
    }

    /// The value, when this claim may have it.
    fn parse(self, value: Value) -> Result<Value, BadClaim> {
        let parsed = match self {
            Self::Name
            | Self::GivenName
            | Self::FamilyName
            | Self::MiddleName
            | Self::Nickname
            | Self::PreferredUsername
            | Self::Gender
            | Self::PhoneNumber
            | Self::Email => text(&value, MAX_LINE).map(|()| value),
            Self::Profile | Self::Picture | Self::Website => url(&value).map(|()| value),
            Self::Birthdate => birthdate(&value).map(|()| value),
            Self::Zoneinfo => token(&value, "/_+-").map(|()| value),
            Self::Locale => token(&value, "-_").map(|()| value),
            Self::UpdatedAt => date(&value).map(|()| value),
            Self::EmailVerified | Self::PhoneNumberVerified => match value {
                Value::Bool(_) => Ok(value),
                _ => Err("is true or false, without quotes"),
            },
            Self::Address => return address(value),
        };
        parsed.map_err(|reason| BadClaim::of(self.as_str(), reason))
    }
}

/// The claims that a request asks for by name and its scope does not release: they are allowed one by one.
pub fn beyond(request: &ClaimsRequest, scope: &Scope) -> Vec<Claim> {
    let known = request.names().filter_map(|name| name.parse::<Claim>().ok());
    known.filter(|claim| !scope.contains(claim.scope())).collect()
}

/// What is wrong with which claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{claim}` {reason}")]
pub struct BadClaim {
    pub claim: Cow<'static, str>,
    pub reason: Cow<'static, str>,
}

impl BadClaim {
    pub(crate) fn of(claim: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            claim: claim.into(),
            reason: reason.into(),
        }
    }
}

/// The claims of one user, each valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(BTreeMap<Claim, Value>);

impl Claims {
    /// # Errors
    /// When the claim cannot have that value.
    pub fn set(&mut self, claim: Claim, value: Value) -> Result<(), BadClaim> {
        self.0.insert(claim, claim.parse(value)?);
        Ok(())
    }

    pub fn forget(&mut self, claim: Claim) {
        self.0.remove(&claim);
    }

    pub fn of(&self, claim: Claim) -> Option<&Value> {
        self.0.get(&claim)
    }

    /// The value of a claim whose values are texts.
    pub fn text(&self, claim: Claim) -> Option<&str> {
        self.of(claim)?.as_str()
    }
}

const MAX_LINE: usize = 256;
const MAX_TEXT: usize = 1024;
const MAX_URL: usize = 2048;
/// The last second of the year 9999.
const MAX_DATE: u64 = 253_402_300_799;

/// A name as somebody typed it, in the form in which it is kept: composed, without space around it, and without what
/// cannot be seen, or would turn the direction of the text after it. What joins the letters of a script stays.
pub fn typed_name(text: &str) -> String {
    let is_hidden = |c: char| {
        matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let text: String = text.chars().filter(|c| !is_hidden(*c)).nfc().collect();
    // Nothing but joiners and fillers is no name. (A blank of Braille is no space to Unicode.)
    let is_blank = |c: char| !c.is_control() && is_invisible(c) || matches!(c, '\n' | '\t' | '\u{2800}');
    match text.chars().all(is_blank) {
        true => String::new(),
        false => text.trim().to_owned(),
    }
}

type Checked = Result<(), &'static str>;

fn text(value: &Value, max_chars: usize) -> Checked {
    let text = value
        .as_str()
        .ok_or("is a text; leave it out when it is not known")?;
    if text.trim().is_empty() {
        return Err("is empty; leave it out when it is not known");
    }
    if text.chars().count() > max_chars {
        return Err("is too long");
    }
    if text.contains(|c: char| c.is_control() && c != '\n') || (max_chars == MAX_LINE && text.contains('\n'))
    {
        return Err("holds control characters");
    }
    Ok(())
}

fn url(value: &Value) -> Checked {
    text(value, MAX_URL)?;
    // Another scheme would make a link of the profile run as a script somewhere.
    let parsed = value.as_str().and_then(|text| url::Url::parse(text).ok());
    match parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
        true => Ok(()),
        false => Err("is a URL beginning with https:// or http://"),
    }
}

/// `YYYY-MM-DD`, `0000-MM-DD` where the year is not known, or `YYYY`.
fn birthdate(value: &Value) -> Checked {
    let valid = value.as_str().is_some_and(|text| {
        let digits = |from, to| {
            let part = text.get(from..to)?;
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse::<u32>().ok())?
        };
        let Some(year) = digits(0, 4) else { return false };
        if text.len() == 4 {
            return year > 0;
        }
        let (Some("-"), Some("-")) = (text.get(4..5), text.get(7..8)) else {
            return false;
        };
        let (Some(month), Some(day)) = (digits(5, 7), digits(8, 10)) else {
            return false;
        };
        text.len() == 10 && (1..=days(year, month)).contains(&day)
    });
    match valid {
        true => Ok(()),
        false => Err("is YYYY-MM-DD, 0000-MM-DD without the year, or YYYY"),
    }
}

/// The year 0000 stands for any, so it is a leap year.
fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

/// A name out of a registry: `Europe/Paris`, `en-US`.
fn token(value: &Value, marks: &str) -> Checked {
    text(value, MAX_LINE)?;
    let admitted = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    match value.as_str().is_some_and(|text| text.chars().all(admitted)) {
        true => Ok(()),
        false => Err("is a name like Europe/Paris (zoneinfo) or en-US (locale)"),
    }
}

fn date(value: &Value) -> Checked {
    match value.as_u64() {
        Some(0..=MAX_DATE) => Ok(()),
        _ => Err("is a number: whole seconds since 1970-01-01T00:00:00Z"),
    }
}

/// OpenID Connect Core §5.1.1.
const ADDRESS_MEMBERS: [&str; 6] = [
    "formatted",
    "street_address",
    "locality",
    "region",
    "postal_code",
    "country",
];

fn address(value: Value) -> Result<Value, BadClaim> {
    let Value::Object(mut given) = value else {
        return Err(BadClaim::of("address", "is an object"));
    };
    let mut kept = Map::new();
    for member in ADDRESS_MEMBERS {
        if let Some(value) = given.remove(member) {
            text(&value, MAX_TEXT).map_err(|reason| BadClaim::of(format!("address.{member}"), reason))?;
            kept.insert(member.to_owned(), value);
        }
    }
    if let Some(unknown) = given.keys().next() {
        return Err(BadClaim::of(format!("address.{unknown}"), "is not known"));
    }
    if kept.is_empty() {
        return Err(BadClaim::of(
            "address",
            "is empty; leave it out when it is not known",
        ));
    }
    Ok(Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_seen_is_left_out_of_a_name_and_scripts_stay_joined() {
        for (typed, kept) in [
            (" Zoe\u{308}\u{202e}\u{200b} ", "Zo\u{eb}"),
            ("Zoe\u{200b}\u{308}", "Zo\u{eb}"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("\u{feff}\u{2066}", ""),
            (" \u{200d}\u{200c}", ""),
            ("\u{3164}\u{115f} \u{fe0f}\u{34f}", ""),
            ("\u{2800}\u{2800}", ""),
            ("\u{1f468}\u{200d}\u{1f33e}", "\u{1f468}\u{200d}\u{1f33e}"),
            ("\u{7}", "\u{7}"),
        ] {
            assert_eq!(typed_name(typed), kept);
        }
    }

    #[test]
    fn every_claim_takes_its_own_type_and_no_other() {
        let address = json!({"formatted": "1 Rue X\n75001 Paris", "country": "FR"});
        for claim in Claim::ALL {
            let (good, bad) = match claim {
                Claim::UpdatedAt => (
                    vec![json!(0), json!(1_700_000_000)],
                    vec![json!(1.5), json!(-1), json!(1e30), json!("1")],
                ),
                Claim::EmailVerified | Claim::PhoneNumberVerified => {
                    (vec![json!(true)], vec![json!("true"), json!(1)])
                }
                Claim::Address => (
                    vec![address.clone()],
                    vec![
                        json!("x"),
                        json!({}),
                        json!({"country": ""}),
                        json!({"planet": "x"}),
                    ],
                ),
                Claim::Birthdate => (
                    vec![
                        json!("1970-12-31"),
                        json!("0000-02-29"),
                        json!("2000-02-29"),
                        json!("1970"),
                    ],
                    vec![
                        json!("1970-13-01"),
                        json!("1970-02-29"),
                        json!("1900-02-29"),
                        json!("1970-00-10"),
                        json!("1970-01-00"),
                        json!("0000"),
                        json!("70-01-01"),
                        json!("1970-1-1"),
                        json!("+970"),
                        json!("1970-01-011"),
                        json!("1970/01/01"),
                        json!("19é0"),
                    ],
                ),
                Claim::Profile | Claim::Picture | Claim::Website => (
                    vec![json!("https://example.com/a"), json!("http://example.com")],
                    vec![
                        json!("javascript:alert(1)"),
                        json!("data:text/html,x"),
                        json!("example.com"),
                        json!("https://"),
                    ],
                ),
                Claim::Zoneinfo => (
                    vec![json!("America/Argentina/Buenos_Aires"), json!("Etc/GMT+5")],
                    vec![json!("Europe Paris")],
                ),
                Claim::Locale => (vec![json!("en-US"), json!("zh_Hant")], vec![json!("en/US")]),
                _ => (
                    vec![json!("Zoë")],
                    vec![json!(1), json!("a\nb"), json!("\u{7}"), json!("x".repeat(257))],
                ),
            };
            for value in good {
                let mut claims = Claims::default();
                assert_eq!(claims.set(*claim, value.clone()), Ok(()), "{claim} {value}");
                assert_eq!(claims.of(*claim), Some(&value));
            }
            for value in bad
                .into_iter()
                .chain([json!(null), json!(""), json!(" "), json!([])])
            {
                let error = Claims::default()
                    .set(*claim, value.clone())
                    .unwrap_err()
                    .to_string();
                assert!(error.contains(claim.as_str()), "{claim} {value}: {error}");
            }
        }
    }

    #[test]
    fn equal_claims_are_stored_in_equal_spelling() {
        let given = [
            (Claim::Nickname, json!("Al")),
            (Claim::Address, json!({"country": "FR", "locality": "Paris"})),
        ];
        let mut reordered = given.clone();
        reordered.reverse();
        reordered[0].1 = json!({"locality": "Paris", "country": "FR"});
        let texts = [given, reordered].map(|members| {
            let mut claims = Claims::default();
            for (claim, value) in members {
                claims.set(claim, value).unwrap();
            }
            let text = serde_json::to_string(&claims).unwrap();
            assert_eq!(serde_json::from_str::<Claims>(&text).unwrap(), claims);
            text
        });
        assert_eq!(texts[0], texts[1]);
    }
}
