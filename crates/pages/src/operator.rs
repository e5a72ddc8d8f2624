//! Who runs this site, as far as they say: links for the foot of every page, and how to reach them.
//!
//! All of it comes from the settings, checked before a port is opened. Nothing is shown of what is not set.

use crate::{Markup, Shell, Texts};

/// What the operator configured. Every address is a URL of a scheme that may stand in a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operator {
    pub terms: Option<String>,
    pub privacy: Option<String>,
    pub help: Option<String>,
    pub imprint: Option<String>,
    pub contact: Option<Contact>,
}

/// Where the people who run this site read what is written to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// An email address.
    Mailbox(String),
    /// The URL of a page.
    Page(String),
}

/// One link of the foot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Terms,
    Privacy,
    Help,
    Imprint,
    Contact,
}

impl Operator {
    /// What there is to lead to, in the order in which it is shown.
    pub fn links(&self) -> Vec<(Link, String)> {
        let contact = self.contact.as_ref().map(Contact::link);
        [
            (Link::Help, self.help.clone()),
            (Link::Contact, contact),
            (Link::Terms, self.terms.clone()),
            (Link::Privacy, self.privacy.clone()),
            (Link::Imprint, self.imprint.clone()),
        ]
        .into_iter()
        .filter_map(|(link, address)| Some((link, address?)))
        .collect()
    }
}

impl Link {
    pub fn text(self, texts: &Texts) -> Markup {
        match self {
            Self::Terms => texts.text("operator-terms"),
            Self::Privacy => texts.text("operator-privacy"),
            Self::Help => texts.text("operator-help"),
            Self::Imprint => texts.text("operator-imprint"),
            Self::Contact => texts.text("operator-contact"),
        }
    }

    /// For the page that does without texts.
    pub(crate) const fn in_english(self) -> &'static str {
        match self {
            Self::Terms => "Terms of service",
            Self::Privacy => "Privacy policy",
            Self::Help => "Help",
            Self::Imprint => "Imprint",
            Self::Contact => "Contact",
        }
    }
}

impl Contact {
    /// What a link to it leads to.
    pub fn link(&self) -> String {
        match self {
            Self::Mailbox(address) => format!("mailto:{}", quoted(address)),
            Self::Page(url) => url.clone(),
        }
    }

    /// The same for a message about something: a mail program writes it into the subject (RFC 6068 §2).
    pub fn about(&self, subject: &str) -> String {
        match self {
            Self::Mailbox(_) => format!("{}?subject={}", self.link(), quoted(subject)),
            Self::Page(_) => self.link(),
        }
    }

    /// As people read it on a page: the address, or the host of the page.
    pub fn shown(&self) -> &str {
        match self {
            Self::Mailbox(address) => address,
            Self::Page(url) => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                rest.split(['/', '?', '#']).next().unwrap_or(rest)
            }
        }
    }

    /// As people read it where nothing can be linked.
    pub fn whole(&self) -> &str {
        match self {
            Self::Mailbox(address) => address,
            Self::Page(url) => url,
        }
    }
}

impl Shell {
    /// How to reach the people who run this site, for a page that sends somebody to them.
    pub fn reach(&self) -> Option<Markup> {
        let contact = self.operator.contact.as_ref()?;
        let link = Markup::link(&contact.link(), contact.shown());
        Some(self.texts.with("operator-reach", &[("contact", link)]))
    }
}

/// Everything but what RFC 3986 §2.3 leaves unreserved, and the sign that an address has in its middle, as `%XX`: what
/// stands in an address must not be read as a field of the message (RFC 6068 §2).
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                out.push(byte.into())
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_linked() {
        assert_eq!(Operator::default().links(), []);
        let operator = Operator {
            privacy: Some("https://example.com/privacy".to_owned()),
            contact: Some(Contact::Mailbox("ops@example.com".to_owned())),
            ..Operator::default()
        };
        assert_eq!(
            operator.links(),
            [
                (Link::Contact, "mailto:ops@example.com".to_owned()),
                (Link::Privacy, "https://example.com/privacy".to_owned())
            ]
        );
    }

    #[test]
    fn no_address_and_no_subject_adds_a_field_to_a_message() {
        let odd = Contact::Mailbox("a&b?cc=c%@example.com".to_owned());
        assert_eq!(odd.link(), "mailto:a%26b%3Fcc%3Dc%25@example.com");
        let ops = Contact::Mailbox("ops@example.com".to_owned());
        assert_eq!(
            ops.about("https://a.test/?x=1&bcc=e"),
            "mailto:ops@example.com?subject=https%3A%2F%2Fa.test%2F%3Fx%3D1%26bcc%3De"
        );
        let page = Contact::Page("https://example.com/help?a=1".to_owned());
        assert_eq!((page.about("x"), page.shown()), (page.link(), "example.com"));
    }
}
