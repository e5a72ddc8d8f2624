//! Localized of a client by language, `client_name#fr`: OpenID Connect Dynamic Client Registration §2.1.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Localized by BCP 47 tag, in the spelling in which they were registered. Serialized it is the members, so it has to be
/// flattened into the object that they belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Localized(BTreeMap<String, String>);

impl Localized {
    /// What stands before the tag in the name of a member.
    pub const MEMBER: &'static str = "client_name#";

    /// In whatever languages.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// The name for a page in this language: that of the language, of one that holds it, or of one of its regions.
    pub fn speaking(&self, tag: &str) -> Option<&str> {
        let holding =
            std::iter::successors(Some(tag), |tag| tag.rsplit_once('-').map(|(shorter, _)| shorter));
        let named = |wanted: &str| self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(wanted));
        let within = |(own, _): &(&String, &String)| {
            own.split_at_checked(tag.len())
                .is_some_and(|(head, rest)| head.eq_ignore_ascii_case(tag) && rest.starts_with('-'))
        };
        let found = holding
            .into_iter()
            .find_map(named)
            .or_else(|| self.0.iter().find(within));
        found.map(|(_, name)| name.as_str())
    }
}

impl FromIterator<(String, String)> for Localized {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl Serialize for Localized {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .iter()
                .map(|(tag, name)| (format!("{}{tag}", Self::MEMBER), name)),
        )
    }
}

impl<'de> Deserialize<'de> for Localized {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Localized;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Localized, A::Error> {
        let mut names = BTreeMap::new();
        while let Some(member) = map.next_key::<String>()? {
            match member.strip_prefix(Localized::MEMBER) {
                Some(tag) => {
                    names.insert(tag.to_owned(), map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Localized(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[(&str, &str)]) -> Localized {
        all.iter()
            .map(|(tag, name)| ((*tag).to_owned(), (*name).to_owned()))
            .collect()
    }

    #[test]
    fn a_page_shows_the_name_of_its_language_or_of_a_region_of_it() {
        let names = names(&[
            ("fr", "Boutique"),
            ("en-GB", "Shop"),
            ("pt-BR", "Loja"),
            ("PT", "Loja geral"),
        ]);
        for (page, shown) in [
            ("fr", Some("Boutique")),
            ("FR-ca", Some("Boutique")),
            ("en", Some("Shop")),
            ("en-GB", Some("Shop")),
            ("en-US", None),
            ("pt", Some("Loja geral")),
            ("pt-br", Some("Loja")),
            ("pt-PT", Some("Loja geral")),
            ("e", None),
            ("de", None),
            ("", None),
        ] {
            assert_eq!(names.speaking(page), shown, "{page}");
        }
    }

    #[test]
    fn names_stand_in_the_object_as_members_and_others_are_left_alone() {
        #[derive(Serialize, Deserialize)]
        struct Object {
            #[serde(flatten)]
            names: Localized,
        }
        let json = r#"{"client_name#fr":"Boutique","client_name#ja-Kana-JP":"ミセ"}"#;
        let with_others = json.replace(
            '{',
            r#"{"other":{"a":[1]},"client_name":"Shop","client_name_x":2,"#,
        );
        for text in [json, &with_others] {
            let read: Object = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        assert!(serde_json::from_str::<Object>(r#"{"client_name#fr":1}"#).is_err());
    }
}
