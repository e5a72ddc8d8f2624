//! Users as another system hands them over: one JSON object each, every standard claim of OpenID Connect Core
//! §5.1 by its name, with a password or its hash.
//!
//! Decides whether such a record is taken. Each refusal names the member, because somebody has to find it
//! among thousands.

use protocol::{Secret, Subject, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::claims::{BadClaim, Claim, Claims};
use crate::email::Email;
use crate::passwords::{Hasher, Outcome, Overloaded, Password, StoredHash};
use crate::users::{Draft, User};

/// A record that may be taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct ImportedUser {
    draft: Draft,
    password: Option<Password>,
}

impl TryFrom<Map<String, Value>> for ImportedUser {
    type Error = BadClaim;

    fn try_from(mut members: Map<String, Value>) -> Result<Self, BadClaim> {
        if let Some((null, _)) = members.iter().find(|(_, value)| value.is_null()) {
            return Err(BadClaim::of(
                null.clone(),
                "is null; leave it out when it is not known",
            ));
        }
        let sub = take(&mut members, "sub", subject)?;
        let email = take(&mut members, "email", |text| {
            Email::parse(text).map_err(|bad| bad.to_string())
        })?;
        let password = take(&mut members, "password", |text| {
            Password::chosen(&Secret::from(text)).map_err(|bad| format!("is not taken: {bad}"))
        })?;
        let password_hash = take(&mut members, "password_hash", |text| {
            StoredHash::parse(text).map_err(|bad| format!("is not taken: {bad}"))
        })?;
        if password.is_some() && password_hash.is_some() {
            return Err(BadClaim::of("password_hash", "and `password` exclude each other"));
        }
        let claims = claims(members)?;
        let mut draft = Draft {
            sub,
            email_verified: claims.of(Claim::EmailVerified).and_then(Value::as_bool),
            updated_at: claims
                .of(Claim::UpdatedAt)
                .and_then(Value::as_i64)
                .map(Timestamp::from_secs),
            claims,
            imported: password_hash.as_ref().map(StoredHash::imported_digest),
            password_hash,
            ..Draft::new(email.ok_or_else(|| BadClaim::of("email", "is missing"))?)
        };
        draft.claims.forget(Claim::EmailVerified);
        draft.claims.forget(Claim::UpdatedAt);
        Ok(Self { draft, password })
    }
}

impl ImportedUser {
    /// What is to be recorded, but for the password.
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The draft, with its password hashed. When `existing`, the user it will update, has that password
    /// already, its hash stays: an import that runs every night signs nobody out.
    ///
    /// # Errors
    /// [`Overloaded`] when too many passwords are waiting to be hashed.
    pub async fn hashed(self, existing: Option<&User>, hasher: &Hasher) -> Result<Draft, Overloaded> {
        let Self { mut draft, password } = self;
        let Some(password) = password else {
            return Ok(draft);
        };
        let stored = existing.and_then(|user| user.password_hash.as_ref());
        if let Some(stored) = stored
            && hasher.verify(Some(stored), password.clone()).await? != Outcome::Wrong
        {
            return Ok(draft);
        }
        draft.password_hash = Some(hasher.hash(password).await?);
        Ok(draft)
    }
}

/// OpenID Connect Core §2 allows 255 ASCII characters; a space or a control among them only hides.
fn subject(text: &str) -> Result<Subject, String> {
    match (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(text.into()),
        false => Err("is 1 to 255 printable ASCII characters without spaces".to_owned()),
    }
}

/// Removes a member whose value is a text, and reads it.
fn take<T>(
    members: &mut Map<String, Value>,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, BadClaim> {
    let Some(value) = members.remove(name) else {
        return Ok(None);
    };
    let text = value.as_str().ok_or_else(|| BadClaim::of(name, "is a text"))?;
    read(text).map(Some).map_err(|reason| BadClaim::of(name, reason))
}

fn claims(members: Map<String, Value>) -> Result<Claims, BadClaim> {
    let mut claims = Claims::default();
    for (name, value) in members {
        match name.parse::<Claim>() {
            Ok(claim) => claims.set(claim, value)?,
            Err(_) => return Err(BadClaim::of(name, "is not known")),
        }
    }
    if claims.of(Claim::PhoneNumberVerified).is_some() && claims.of(Claim::PhoneNumber).is_none() {
        return Err(BadClaim::of(
            "phone_number_verified",
            "says nothing without `phone_number`",
        ));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::passwords::{Cost, HasherSettings};

    fn read(value: Value) -> Result<ImportedUser, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_record_with_every_claim_is_taken_whole() {
        let user = read(json!({
            "sub": "auth0|248289761001", "email": "Jane@Example.com", "email_verified": true,
            "name": "Jane Doe", "given_name": "Jane", "family_name": "Doe", "middle_name": "Q",
            "nickname": "J", "preferred_username": "j.doe",
            "profile": "https://example.com/j", "picture": "https://example.com/j.png",
            "website": "http://jane.example", "gender": "female", "birthdate": "0000-10-31",
            "zoneinfo": "America/Los_Angeles", "locale": "en-US", "phone_number": "+1 (425) 555-1212",
            "phone_number_verified": false, "address": {"country": "US"}, "updated_at": 1_311_280_970,
            "password": "correct horse",
        }))
        .unwrap();
        let draft = user.draft();
        assert_eq!(draft.sub, Some("auth0|248289761001".into()));
        assert_eq!(draft.email.canonical(), "jane@example.com");
        assert_eq!(draft.email_verified, Some(true));
        assert_eq!(draft.updated_at, Some(Timestamp::from_secs(1_311_280_970)));
        let kept = serde_json::to_value(&draft.claims).unwrap();
        assert_eq!(kept.as_object().unwrap().len(), Claim::ALL.len() - 3);
    }

    #[test]
    fn a_refusal_names_the_member() {
        for (member, value) in [
            ("sub", json!("")),
            ("sub", json!("a".repeat(256))),
            ("sub", json!("jane doe")),
            ("sub", json!("jané")),
            ("sub", json!(17)),
            ("email", json!("jane")),
            ("email_verified", json!("yes")),
            ("name", json!(null)),
            ("nickname", json!(" ")),
            ("picture", json!("javascript:alert(1)")),
            ("birthdate", json!("31.10.1970")),
            ("address.planet", json!(null)),
            ("phone_number_verified", json!(true)),
            ("updated_at", json!("2011-07-21")),
            ("password", json!("short")),
            ("password_hash", json!("5f4dcc3b5aa765d61d8327deb882cf99")),
            ("is_admin", json!(true)),
        ] {
            let record = match member.split_once('.') {
                Some((outer, inner)) => json!({"email": "jane@example.com", outer: {inner: "x"}}),
                None => {
                    let mut record = json!({"email": "jane@example.com"});
                    record[member] = value;
                    record
                }
            };
            let error = read(record).unwrap_err();
            assert!(error.contains(member), "{member}: {error}");
        }
        assert!(read(json!({"name": "Jane"})).unwrap_err().contains("email"));
        let both = json!({"email": "j@example.com", "password": "correct horse",
            "password_hash": "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"});
        assert!(read(both).unwrap_err().contains("exclude"));
    }

    #[tokio::test]
    async fn a_password_that_is_there_already_is_not_hashed_again() {
        let settings = HasherSettings {
            cost: Cost::LEAST,
            ..HasherSettings::default()
        };
        let hasher = Hasher::start(settings).unwrap();
        let record = |password: &str| read(json!({"email": "j@example.com", "password": password})).unwrap();
        let first = record("correct horse").hashed(None, &hasher).await.unwrap();
        let existing = User {
            sub: "jane".into(),
            email: first.email.clone(),
            email_verified: false,
            claims: Claims::default(),
            password_hash: first.password_hash.clone(),
            epoch: 0,
            disabled_at: None,
            created_at: Timestamp::from_secs(0),
            updated_at: Timestamp::from_secs(0),
        };
        let same = record("correct horse")
            .hashed(Some(&existing), &hasher)
            .await
            .unwrap();
        assert_eq!(same.password_hash, None);
        let other = record("battery staple")
            .hashed(Some(&existing), &hasher)
            .await
            .unwrap();
        assert!(other.password_hash.is_some() && other.password_hash != first.password_hash);
    }
}
