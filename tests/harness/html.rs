//! HTML as far as our own pages use it: strict, so that a page that browsers would have to mend is noticed.

use std::collections::BTreeMap;

/// A page, its elements in the order in which they begin.
#[derive(Debug, Default)]
pub(crate) struct Html {
    pub(crate) elements: Vec<Element>,
}

#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) tag: String,
    pub(crate) attributes: BTreeMap<String, String>,
    parent: Option<usize>,
    text: String,
}

const VOID: [&str; 6] = ["meta", "link", "input", "img", "br", "hr"];
const RAW: [&str; 2] = ["script", "style"];

impl Html {
    /// # Errors
    /// What does not fit, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut page = Self::default();
        let mut open: Vec<usize> = Vec::new();
        let mut rest = text;
        while let Some((words, markup)) = rest.split_once('<') {
            page.say(words, &open);
            if let Some(comment) = markup.strip_prefix("!--") {
                rest = comment.split_once("-->").ok_or("an endless comment")?.1;
                continue;
            }
            let (tag, after) = markup
                .split_once('>')
                .ok_or_else(|| format!("an endless tag: {markup:.60}"))?;
            rest = after;
            if tag.starts_with('!') {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                let ended = open.pop().map(|at| page.elements[at].tag.clone());
                if ended.as_deref() != Some(name.trim()) {
                    return Err(format!("</{name}> ends {ended:?}, before {after:.60}"));
                }
                continue;
            }
            let element = Element::parse(tag, open.last().copied())?;
            let (name, alone) = (element.tag.clone(), tag.ends_with('/'));
            page.elements.push(element);
            if RAW.contains(&name.as_str()) {
                let end = format!("</{name}>");
                let (inside, after) = rest.split_once(&end).ok_or("an endless script")?;
                page.elements
                    .last_mut()
                    .expect("just pushed")
                    .text
                    .push_str(inside);
                rest = after;
            } else if !alone && !VOID.contains(&name.as_str()) {
                open.push(page.elements.len() - 1);
            }
        }
        match open.last() {
            Some(at) => Err(format!("<{}> has no end", page.elements[*at].tag)),
            None => Ok(page),
        }
    }

    fn say(&mut self, words: &str, open: &[usize]) {
        let words = decoded(words);
        for at in open {
            self.elements[*at].text.push_str(&words);
        }
    }

    pub(crate) fn all<'h>(&'h self, tag: &'h str) -> impl Iterator<Item = &'h Element> {
        self.elements.iter().filter(move |element| element.tag == tag)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Element> {
        self.elements.iter().find(|element| element.get("id") == Some(id))
    }

    pub(crate) fn by_class<'h>(&'h self, class: &'h str) -> impl Iterator<Item = &'h Element> {
        self.elements
            .iter()
            .filter(move |element| element.has_class(class))
    }

    /// The elements inside of another.
    pub(crate) fn inside<'h>(&'h self, outer: &'h Element) -> impl Iterator<Item = &'h Element> {
        self.elements
            .iter()
            .filter(move |element| self.ancestors(element).any(|it| std::ptr::eq(it, outer)))
    }

    /// The nearest element of this tag around another.
    pub(crate) fn around(&self, element: &Element, tag: &str) -> Option<&Element> {
        let mut outer = self.parent(element);
        while let Some(it) = outer.filter(|it| it.tag != tag) {
            outer = self.parent(it);
        }
        outer
    }

    fn ancestors<'h>(&'h self, element: &'h Element) -> impl Iterator<Item = &'h Element> {
        std::iter::successors(self.parent(element), |it| self.parent(it))
    }

    fn parent(&self, element: &Element) -> Option<&Element> {
        element.parent.map(|at| &self.elements[at])
    }

    /// What a reader sees, on one line.
    pub(crate) fn shown(&self) -> String {
        match self.all("body").next() {
            Some(body) => body.words(),
            None => self.elements.iter().map(Element::words).collect(),
        }
    }
}

impl Element {
    fn parse(tag: &str, parent: Option<usize>) -> Result<Self, String> {
        let tag = tag.trim_end_matches('/');
        let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let mut attributes = BTreeMap::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            let end = rest
                .find(|c: char| c == '=' || c.is_whitespace())
                .unwrap_or(rest.len());
            let (own, after) = rest.split_at(end);
            let value = match after.strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) = quoted
                        .split_once('"')
                        .ok_or_else(|| format!("an endless attribute: {tag}"))?;
                    rest = after;
                    decoded(value)
                }
                None if after.starts_with('=') => return Err(format!("an attribute without quotes: {tag}")),
                None => {
                    rest = after;
                    String::new()
                }
            };
            if attributes.insert(own.to_owned(), value).is_some() {
                return Err(format!("{own} twice: {tag}"));
            }
        }
        Ok(Self {
            tag: name.to_owned(),
            attributes,
            parent,
            text: String::new(),
        })
    }

    pub(crate) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }

    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }

    pub(crate) fn has_class(&self, class: &str) -> bool {
        let classes = self.get("class").unwrap_or_default();
        classes.split_whitespace().any(|own| own == class)
    }

    /// Its text, on one line.
    pub(crate) fn words(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Several ids, as `aria-describedby` names them.
    pub(crate) fn ids(&self, attribute: &str) -> Vec<&str> {
        self.get(attribute)
            .unwrap_or_default()
            .split_whitespace()
            .collect()
    }
}

fn decoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after.split_once(';').and_then(|(name, rest)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                _ => char::from_u32(name.strip_prefix('#')?.parse().ok()?)?,
            };
            Some((c, rest))
        });
        match known {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

#[test]
fn a_page_is_read_and_a_broken_one_is_noticed() {
    let page = "<!DOCTYPE html><html lang=\"en\"><body><main id=\"m\"><h1>A &#38; <bdi>B</bdi></h1>\n\
                <form action=\"/x?a=1&#38;b=2\"><input name=\"n\" required><br></form></main></body></html>";
    let page = Html::parse(page).expect("a page");
    assert_eq!(
        page.all("h1").next().map(Element::words).as_deref(),
        Some("A & B")
    );
    let input = page.all("input").next().expect("an input");
    assert!(input.has("required"));
    let form = page.around(input, "form").expect("its form");
    assert_eq!(form.get("action"), Some("/x?a=1&b=2"));
    assert_eq!(page.inside(form).count(), 2);
    for broken in [
        "<p><b></p>",
        "<p>",
        "<p class=x></p>",
        "<p id=\"a\" id=\"b\"></p>",
        "<p",
    ] {
        assert!(Html::parse(broken).is_err(), "{broken}");
    }
}
