//! Distinguished names as text: RFC 4514. Two are the same when they have the same attributes in the same order, each
//! with the same value, to the letter.
//!
//! X.500 would pass over differences of case and spaces. Who is let in by a name is better served by a comparison that
//! passes over nothing.

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Relative names in the order in which certificates have them; the text has them the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DistinguishedName(Vec<Relative>);

/// The attributes of one relative name, in the order of the alphabet: they are a set.
type Relative = Vec<Attribute>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    oid: String,
    value: String,
}

/// RFC 4514 §3, and what certificates of clients have besides. Others are written as numbers.
const TYPES: &[(&str, &str)] = &[
    ("CN", "2.5.4.3"),
    ("SURNAME", "2.5.4.4"),
    ("SN", "2.5.4.4"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("S", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("TITLE", "2.5.4.12"),
    ("T", "2.5.4.12"),
    ("BUSINESSCATEGORY", "2.5.4.15"),
    ("POSTALCODE", "2.5.4.17"),
    ("GIVENNAME", "2.5.4.42"),
    ("GN", "2.5.4.42"),
    ("DNQUALIFIER", "2.5.4.46"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("E", "1.2.840.113549.1.9.1"),
    ("JURISDICTIONC", "1.3.6.1.4.1.311.60.2.1.3"),
    ("JURISDICTIONCOUNTRYNAME", "1.3.6.1.4.1.311.60.2.1.3"),
];

impl DistinguishedName {
    /// `None` for what is no distinguished name, and for the empty one, which would be everybody's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser(text);
        let mut names = vec![vec![parser.attribute()?]];
        while let Some((separator, rest)) = parser.next() {
            parser = Parser(rest);
            let attribute = parser.attribute()?;
            match separator {
                ',' | ';' => names.push(vec![attribute]),
                '+' => names.last_mut()?.push(attribute),
                _ => return None,
            }
        }
        names.reverse();
        for name in &mut names {
            name.sort();
        }
        Some(Self(names))
    }

    pub(super) fn is(&self, subject: &X509Name<'_>) -> bool {
        let mut own = self.0.iter();
        let same = subject.iter().all(|theirs| {
            let read: Option<Vec<Attribute>> = theirs.iter().map(Attribute::read).collect();
            let sorted = read.map(|mut all| {
                all.sort();
                all
            });
            sorted.is_some() && own.next() == sorted.as_ref()
        });
        same && own.next().is_none()
    }
}

impl Attribute {
    /// As text; `None` for a value that is none.
    fn read(attribute: &AttributeTypeAndValue<'_>) -> Option<Self> {
        Some(Self {
            oid: attribute.attr_type().to_id_string(),
            value: attribute.as_str().ok()?.to_owned(),
        })
    }
}

struct Parser<'t>(&'t str);

impl<'t> Parser<'t> {
    fn next(&self) -> Option<(char, &'t str)> {
        let mut rest = self.0.chars();
        rest.next().map(|first| (first, rest.as_str()))
    }

    /// `type=value`, up to the separator behind it.
    fn attribute(&mut self) -> Option<Attribute> {
        let (name, rest) = self.0.split_once('=')?;
        let oid = oid(name.trim_matches(' '))?;
        self.0 = rest.trim_start_matches(' ');
        Some(Attribute {
            oid,
            value: self.value()?,
        })
    }

    /// RFC 4514 §2.4. Spaces at the end count when they are escaped. The form with `#` is for values that are no text.
    fn value(&mut self) -> Option<String> {
        if self.0.starts_with('#') {
            return None;
        }
        let (mut bytes, mut kept) = (Vec::new(), 0);
        while let Some((first, rest)) = self.next() {
            match first {
                ',' | ';' | '+' => break,
                '"' | '<' | '>' | '\0' => return None,
                '\\' => {
                    let (byte, rest) = unescaped(rest)?;
                    bytes.push(byte);
                    kept = bytes.len();
                    self.0 = rest;
                }
                other => {
                    bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    kept = if other == ' ' { kept } else { bytes.len() };
                    self.0 = rest;
                }
            }
        }
        bytes.truncate(kept);
        String::from_utf8(bytes).ok().filter(|value| !value.is_empty())
    }
}

/// What stands behind a backslash: a character that would mean something, or a byte in hexadecimal.
fn unescaped(text: &str) -> Option<(u8, &str)> {
    let special = text.bytes().next().filter(|b| b" \"#+,;<=>\\".contains(b));
    match special {
        Some(byte) => Some((byte, text.get(1..)?)),
        None => Some((u8::from_str_radix(text.get(..2)?, 16).ok()?, text.get(2..)?)),
    }
}

fn oid(name: &str) -> Option<String> {
    let known = TYPES.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    if let Some((_, oid)) = known {
        return Some((*oid).to_owned());
    }
    let is_number = |arc: &str| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
    let arcs = name.split('.');
    (arcs.clone().count() > 1 && arcs.clone().all(is_number)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<DistinguishedName> {
        DistinguishedName::parse(text)
    }

    #[test]
    fn the_spellings_of_one_name_are_one() {
        let plain = parsed("CN=My app,O=Example\\, Inc.,C=GB").unwrap();
        for same in [
            "cn=My app,o=Example\\, Inc.,c=GB",
            "CN = My app , O = Example\\, Inc. , C = GB",
            "CN=My app; O=Example\\2C Inc.; C=GB",
            "2.5.4.3=My app,2.5.4.10=Example\\2c Inc.,2.5.4.6=GB",
            "CN=My\\ app,O=Ex\\61mple\\, Inc.,C=GB",
        ] {
            assert_eq!(parsed(same).as_ref(), Some(&plain), "{same}");
        }
        assert_eq!(parsed("CN=a+UID=b,O=x"), parsed("UID=b+CN=a,O=x"));
        assert_eq!(parsed("CN=M\\C3\\BCller"), parsed("CN=Müller"));
    }

    #[test]
    fn another_name_is_another() {
        let plain = parsed("CN=My app,O=Example,C=GB").unwrap();
        for other in [
            "CN=my app,O=Example,C=GB",
            "CN=My  app,O=Example,C=GB",
            "CN=My app\\ ,O=Example,C=GB",
            "CN=My app,O=Example",
            "O=Example,C=GB",
            "C=GB,O=Example,CN=My app",
            "CN=My app+O=Example,C=GB",
            "CN=My app,OU=Example,C=GB",
            "CN=My app\\,O=Example,C=GB",
        ] {
            assert_ne!(parsed(other).as_ref(), Some(&plain), "{other}");
        }
    }

    #[test]
    fn what_is_no_distinguished_name_is_refused() {
        for text in [
            "",
            " ",
            "CN",
            "CN=",
            "=x",
            "app",
            "CN=a,",
            ",CN=a",
            "CN=a,,O=b",
            "CN=a+",
            "NAME=a",
            "2=a",
            "2..5=a",
            "2.5.x=a",
            "CN=#04024869",
            "CN=\"a\"",
            "CN=a<b",
            "CN=a\\",
            "CN=a\\z",
            "CN=a\\f",
            "CN=\\FF",
            "CN=a\0",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }
}
