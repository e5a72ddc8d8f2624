//! Reading a registration document: JSON members of a wanted type, or an error that names the member.

use std::fmt::Display;
use std::str::FromStr;

use protocol::Error;
use serde_json::{Map, Value};

/// A registration document. A member that is null counts as left out (RFC 7592 §2.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'d>(&'d Map<String, Value>);

impl<'d> Document<'d> {
    pub(crate) fn new(value: &'d Value) -> Result<Self, Error> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(Error::invalid_client_metadata("a registration is a JSON object")),
        }
    }

    /// Whether the member is there at all.
    pub(crate) fn holds(self, member: &str) -> bool {
        self.member(member).is_some()
    }

    pub(crate) fn text(self, member: &str) -> Result<Option<&'d str>, Error> {
        match self.member(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(member, "expected a string")),
        }
    }

    pub(crate) fn object(self, member: &str) -> Result<Option<&'d Value>, Error> {
        match self.member(member) {
            None => Ok(None),
            Some(object @ Value::Object(_)) => Ok(Some(object)),
            Some(_) => Err(invalid(member, "expected an object")),
        }
    }

    pub(crate) fn flag(self, member: &str) -> Result<Option<bool>, Error> {
        match self.member(member) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(invalid(member, "expected true or false")),
        }
    }

    pub(crate) fn seconds(self, member: &str) -> Result<Option<u64>, Error> {
        let Some(value) = self.member(member) else {
            return Ok(None);
        };
        let seconds = value.as_u64().filter(|seconds| *seconds <= MAX_SECONDS);
        let seconds = seconds.ok_or_else(|| invalid(member, "expected a number of whole seconds"))?;
        Ok(Some(seconds))
    }

    /// An array of at most `most` strings.
    pub(crate) fn texts(self, member: &str, most: usize) -> Result<Option<Vec<&'d str>>, Error> {
        let Some(value) = self.member(member) else {
            return Ok(None);
        };
        let not_strings = || invalid(member, "expected an array of strings");
        let items = value.as_array().ok_or_else(not_strings)?;
        if items.len() > most {
            return Err(invalid(member, format_args!("expected at most {most} values")));
        }
        let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        texts.map(Some).ok_or_else(not_strings)
    }

    /// A word of a closed vocabulary.
    pub(crate) fn word<T: FromStr + Display>(self, member: &str, all: &[T]) -> Result<Option<T>, Error> {
        self.text(member)?
            .map(|text| text.parse().map_err(|_| unknown(member, all)))
            .transpose()
    }

    /// Words of a closed vocabulary, each once.
    pub(crate) fn words<T: FromStr + Display + PartialEq>(
        self,
        member: &str,
        all: &[T],
    ) -> Result<Option<Vec<T>>, Error> {
        self.words_by(member, all, str::parse)
    }

    /// The same where a word has more than one spelling.
    pub(crate) fn words_by<T: Display + PartialEq, E>(
        self,
        member: &str,
        all: &[T],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, Error> {
        let Some(texts) = self.texts(member, MAX_WORDS)? else {
            return Ok(None);
        };
        let mut words = Vec::new();
        for text in texts {
            let word = parse(text).map_err(|_| unknown(member, all))?;
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Ok(Some(words))
    }

    /// Texts in several languages: the members that begin so, by the tag that follows (BCP 47).
    pub(crate) fn by_language(self, prefix: &str) -> Result<Vec<(&'d str, &'d str)>, Error> {
        let mut texts = Vec::new();
        for (member, value) in self.0 {
            let Some(tag) = member.strip_prefix(prefix).filter(|_| !value.is_null()) else {
                continue;
            };
            if !is_language(tag) {
                return Err(invalid(
                    prefix,
                    "expected a language tag such as fr or pt-BR behind it",
                ));
            }
            let text = value
                .as_str()
                .ok_or_else(|| invalid(prefix, "expected a string"))?;
            texts.push((tag, text));
        }
        Ok(texts)
    }

    fn member(self, name: &str) -> Option<&'d Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// Longest tag that libraries are sure to take: RFC 5646 §4.4.1.
const MAX_LANGUAGE: usize = 35;

/// RFC 5646 §2.1, as far as the form goes.
fn is_language(tag: &str) -> bool {
    let is_subtag =
        |subtag: &str| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.len() <= MAX_LANGUAGE
        && tag.split('-').all(is_subtag)
        && tag
            .split('-')
            .next()
            .is_some_and(|first| first.bytes().all(|b| b.is_ascii_alphabetic()))
}

const MAX_WORDS: usize = 20;
/// What every reader of JSON holds exactly.
const MAX_SECONDS: u64 = 1 << 53;

fn unknown<T: Display>(member: &str, all: &[T]) -> Error {
    let all: Vec<String> = all.iter().map(T::to_string).collect();
    invalid(member, format_args!("supported is {}", all.join(", ")))
}

/// What is wrong with a member. The description never repeats the value: it is a stranger's text.
pub(crate) fn invalid(member: &str, fault: impl Display) -> Error {
    let description = format!("{member}: {fault}");
    match member {
        "redirect_uris" | "post_logout_redirect_uris" => Error::invalid_redirect_uri(description),
        _ => Error::invalid_client_metadata(description),
    }
}
