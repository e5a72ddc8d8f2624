//! The `claims` parameter: OpenID Connect Core §5.5. What a client asks to be told about the user, claim by claim, and
//! where.
//!
//! Decides what can be read as such a request. Whether a claim is known, and whether it may be told, is decided by who
//! knows claims.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Error;

/// More than there are claims.
const MAX_CLAIMS: usize = 100;

/// What is asked, by the name of the claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    #[serde(rename = "u", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, Asked>,
    #[serde(rename = "i", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, Asked>,
}

/// How a claim is asked for: OpenID Connect Core §5.5.1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    #[serde(rename = "e", default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The values that the client can use; none named means any.
    #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl ClaimsRequest {
    /// Members that are not known, and claims asked for in an unknown way, are ignored (§5.5).
    ///
    /// # Errors
    /// `invalid_request` when it is no JSON object of that form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Error::invalid_request("claims is not JSON").because(error))?;
        Self::read(&value)
    }

    /// The same from JSON that was read already, as in a request object.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read(value: &Value) -> Result<Self, Error> {
        let Value::Object(members) = value else {
            return Err(Error::invalid_request("claims is a JSON object"));
        };
        Ok(Self {
            userinfo: section(members, "userinfo")?,
            id_token: section(members, "id_token")?,
        })
    }

    /// The part of it for which `keep` holds.
    #[must_use]
    pub fn retain(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.userinfo.retain(|name, _| keep(name));
        self.id_token.retain(|name, _| keep(name));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// The name of each claim that is asked for, once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let further = self
            .id_token
            .keys()
            .filter(|name| !self.userinfo.contains_key(*name));
        self.userinfo.keys().chain(further).map(String::as_str)
    }
}

impl Asked {
    /// Whether the client can use this value.
    pub fn admits(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }

    /// The texts among the values.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter_map(Value::as_str)
    }
}

fn section(members: &Map<String, Value>, name: &'static str) -> Result<BTreeMap<String, Asked>, Error> {
    let claims = match members.get(name) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(claims)) => claims,
        Some(_) => {
            return Err(Error::invalid_request(format!(
                "{name} in claims is a JSON object with the claims as its members"
            )));
        }
    };
    if claims.len() > MAX_CLAIMS {
        return Err(Error::invalid_request("claims asks for more than 100 claims"));
    }
    claims
        .iter()
        .map(|(claim, how)| Ok((claim.clone(), asked(how)?)))
        .collect()
}

fn asked(how: &Value) -> Result<Asked, Error> {
    let members = match how {
        Value::Null => return Ok(Asked::default()),
        Value::Object(members) => members,
        _ => return Err(malformed("a claim in claims is null or a JSON object")),
    };
    let essential = match members.get("essential") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(essential)) => *essential,
        Some(_) => return Err(malformed("essential in claims is true or false")),
    };
    let mut values = match members.get("values") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values.clone(),
        Some(_) => return Err(malformed("values in claims is an array")),
    };
    values.extend(members.get("value").filter(|value| !value.is_null()).cloned());
    Ok(Asked { essential, values })
}

fn malformed(description: &'static str) -> Error {
    Error::invalid_request(description)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_example_of_the_specification_is_read() {
        let text = json!({
            "userinfo": {
                "given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
                "http://example.info/claims/groups": null,
            },
            "id_token": {
                "auth_time": {"essential": true}, "acr": {"values": ["urn:mace:incommon:iap:silver"]},
                "sub": {"value": "248289761001", "unknown": 1},
            },
            "elsewhere": 7,
        })
        .to_string();
        let read = ClaimsRequest::parse(&text).unwrap();
        assert_eq!(read.names().count(), 7);
        assert!(read.userinfo["given_name"].essential && !read.userinfo["nickname"].essential);
        let sub = &read.id_token["sub"];
        assert!(sub.admits(&json!("248289761001")) && !sub.admits(&json!("1")));
        assert_eq!(
            read.id_token["acr"].texts().collect::<Vec<_>>(),
            ["urn:mace:incommon:iap:silver"]
        );
        assert!(read.userinfo["nickname"].admits(&json!("any")));

        let kept = read.clone().retain(|name| name == "sub" || name == "nickname");
        assert_eq!(kept.names().collect::<Vec<_>>(), ["nickname", "sub"]);
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<ClaimsRequest>(&written).unwrap(), read);
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for text in [
            "",
            "name",
            "[]",
            "null",
            "{",
            r#"{"userinfo":[]}"#,
            r#"{"userinfo":"name"}"#,
            r#"{"id_token":{"name":1}}"#,
            r#"{"id_token":{"name":{"essential":"true"}}}"#,
            r#"{"id_token":{"name":{"values":"x"}}}"#,
        ] {
            assert!(ClaimsRequest::parse(text).is_err(), "{text}");
        }
        let many: Map<String, Value> = (0..101).map(|n| (n.to_string(), Value::Null)).collect();
        assert!(ClaimsRequest::read(&json!({ "userinfo": many })).is_err());
        assert!(ClaimsRequest::parse("{}").unwrap().is_empty());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(ClaimsRequest::parse(&deep).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = ClaimsRequest::parse(&text);
        }
    }
}
