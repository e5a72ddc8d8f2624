//! Every word of our pages, in [Fluent](https://projectfluent.org), one file for each language.
//!
//! A sentence is never put together from pieces: what varies is a placeable. Values do not pass through
//! Fluent; it is given a marker for each, and the marker is replaced when the markup is made. So no value can
//! be read as markup, and a name in a sentence gets its `<bdi>` without any text holding HTML.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use askama::filters::HtmlSafe;
use fluent::concurrent::FluentBundle;
use fluent::{FluentArgs, FluentResource};

use crate::Locale;

/// The texts of one language.
#[derive(Clone, Copy, Debug)]
pub struct Texts(Locale);

/// Text that is already escaped, for an element or a double-quoted attribute.
#[derive(Clone, Debug)]
pub struct Markup(String);

/// Stands for the first value while Fluent formats; the following characters stand for the others. They are
/// of a private use area, which no text of ours holds.
const FIRST_MARKER: char = '\u{E000}';
const LAST_MARKER: char = '\u{F8FF}';

static ENGLISH: LazyLock<FluentBundle<FluentResource>> =
    LazyLock::new(|| bundle(Locale::En, include_str!("../texts/en.ftl")));

impl Texts {
    pub fn of(locale: Locale) -> Self {
        Self(locale)
    }

    pub fn locale(self) -> Locale {
        self.0
    }

    /// A text without placeables.
    pub fn text(self, key: &str) -> Markup {
        self.with(key, &[])
    }

    /// A text whose values are names and data of others: each stands in a `<bdi>` of its own, so that its
    /// writing direction cannot reorder our words.
    pub fn rich(self, key: &str, values: &[(&str, &str)]) -> Markup {
        let values: Vec<(&str, Markup)> = values
            .iter()
            .map(|(name, value)| (*name, Markup::isolated(value)))
            .collect();
        self.with(key, &values)
    }

    /// A text whose values are markup already.
    pub fn with(self, key: &str, values: &[(&str, Markup)]) -> Markup {
        let markers = || FIRST_MARKER..=LAST_MARKER;
        let args: FluentArgs<'_> = values
            .iter()
            .zip(markers())
            .map(|((name, _), marker)| (*name, marker.to_string()))
            .collect();

        let mut out = String::new();
        for c in self.format(key, &args).chars() {
            match markers().zip(values).find(|(marker, _)| *marker == c) {
                Some((_, (_, value))) => out.push_str(&value.0),
                None => push_escaped(&mut out, c),
            }
        }
        Markup(out)
    }

    /// A text as it is, not for a page: values stand in it as they are, and nothing is escaped.
    pub fn words(self, key: &str, values: &[(&str, &str)]) -> String {
        let markers = || FIRST_MARKER..=LAST_MARKER;
        let args: FluentArgs<'_> = values
            .iter()
            .zip(markers())
            .map(|((name, _), marker)| (*name, marker.to_string()))
            .collect();
        let mut out = String::new();
        for c in self.format(key, &args).chars() {
            match markers().zip(values).find(|(marker, _)| *marker == c) {
                Some((_, (_, value))) => out.push_str(value),
                None => out.push(c),
            }
        }
        out
    }

    fn format<'k>(self, key: &'k str, args: &FluentArgs<'_>) -> Cow<'k, str> {
        let bundle: &'static FluentBundle<FluentResource> = match self.0 {
            Locale::En => &ENGLISH,
        };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            tracing::error!(key, "a text is missing");
            return Cow::Borrowed(key);
        };
        let mut faults = Vec::new();
        let text = bundle.format_pattern(pattern, Some(args), &mut faults);
        if !faults.is_empty() {
            tracing::error!(key, ?faults, "a text does not fit its values");
        }
        Cow::Owned(text.into_owned())
    }
}

impl Markup {
    /// Text for a place that takes no elements: a title, an attribute.
    pub fn plain(text: &str) -> Self {
        let mut out = String::new();
        text.chars().for_each(|c| push_escaped(&mut out, c));
        Self(out)
    }

    /// Text of others, as an element of its own.
    pub fn isolated(text: &str) -> Self {
        Self(format!("<bdi>{}</bdi>", Self::plain(text)))
    }

    /// A link to an address of ours or our operator's, around text that stands for it.
    pub(crate) fn link(address: &str, text: &str) -> Self {
        Self(format!(
            "<a href=\"{}\" rel=\"noreferrer\">{}</a>",
            Self::plain(address),
            Self::isolated(text)
        ))
    }

    /// A time as a machine reads it, around the words for it.
    pub fn time(exact: &str, words: &Self) -> Self {
        Self(format!(
            "<time datetime=\"{}\">{words}</time>",
            Self::plain(exact)
        ))
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}

fn bundle(locale: Locale, source: &str) -> FluentBundle<FluentResource> {
    // A message with a fault is left out of what was read; the tests let none through.
    let resource = match FluentResource::try_new(source.to_owned()) {
        Ok(resource) | Err((resource, _)) => resource,
    };
    let language = locale.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    bundle.set_use_isolating(false); // `<bdi>` isolates
    bundle.add_resource_overriding(resource);
    bundle
}

/// Our attributes all stand in double quotes, so an apostrophe stays what it is.
fn push_escaped(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&#34;"),
        other => out.push(other),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_value_is_escaped_isolated_and_never_read_again() {
        let evil = "<i>\"&' { $app } \u{E000}\u{E001}";
        let markup = Texts::of(Locale::En).rich("consent-title", &[("app", evil), ("brand", "B")]);
        let held = "&lt;i&gt;&#34;&amp;' { $app } \u{E000}\u{E001}";
        assert_eq!(
            markup.to_string(),
            format!("<bdi>{held}</bdi> wants to use your <bdi>B</bdi> account")
        );
        assert_eq!(
            Markup::plain("a\"></title>").to_string(),
            "a&#34;&gt;&lt;/title&gt;"
        );
    }

    #[test]
    fn every_text_that_a_page_uses_exists_in_every_language_and_none_is_idle() {
        let defined: BTreeSet<String> = messages("en").into_keys().collect();
        let sources = sources();
        let used = used_keys(&sources);
        assert!(used.len() > 20, "the scan found only {used:?}");
        assert_eq!(
            used.difference(&defined).collect::<Vec<_>>(),
            [""; 0],
            "used, not defined"
        );
        // A key may be chosen first, and asked for afterwards.
        let is_idle = |key: &&String| {
            let quoted = format!("\"{key}\"");
            !sources.iter().any(|code| code.contains(&quoted))
        };
        assert_eq!(
            defined.iter().filter(is_idle).collect::<Vec<_>>(),
            [""; 0],
            "defined, not used"
        );
        for locale in Locale::ALL {
            assert_eq!(
                messages(locale.tag()),
                messages("en"),
                "keys and placeables of {}",
                locale.tag()
            );
        }
    }

    /// The messages of a language, each with the names of its placeables.
    fn messages(tag: &str) -> std::collections::BTreeMap<String, BTreeSet<String>> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("texts/{tag}.ftl"));
        let source = fs::read_to_string(file).unwrap();
        assert!(
            !source.chars().any(|c| (FIRST_MARKER..=LAST_MARKER).contains(&c)),
            "private use"
        );
        FluentResource::try_new(source.clone()).expect("every message is well-formed");
        let mut found = std::collections::BTreeMap::new();
        for line in source
            .lines()
            .filter(|line| !line.starts_with(['#', ' ']) && !line.is_empty())
        {
            let (key, text) = line.split_once(" = ").expect("one message a line");
            let names = text
                .split("{ $")
                .skip(1)
                .map(|rest| rest.split(" }").next().unwrap().to_owned());
            assert!(
                found.insert(key.to_owned(), names.collect()).is_none(),
                "{key} twice"
            );
        }
        found
    }

    /// The code of everything that shows texts, without its tests and its spaces.
    fn sources() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut sources = Vec::new();
        collect(&root.join("templates"), &mut sources);
        for package in fs::read_dir(root.join("crates")).unwrap() {
            collect(&package.unwrap().path().join("src"), &mut sources);
        }
        sources
            .iter()
            .map(|source| {
                let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
                code.split_whitespace().collect()
            })
            .collect()
    }

    fn used_keys(sources: &[String]) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for code in sources {
            let calls = [
                "texts.text(\"",
                "texts.with(\"",
                "texts.rich(\"",
                "texts.words(\"",
            ];
            for call in calls {
                let keys_called = code
                    .split(call)
                    .skip(1)
                    .map(|rest| rest.split('"').next().unwrap());
                keys.extend(keys_called.map(str::to_owned));
            }
        }
        keys
    }

    fn collect(folder: &Path, sources: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("html" | "txt" | "rs") => sources.push(fs::read_to_string(path).unwrap()),
                _ => collect(&path, sources),
            }
        }
    }
}
