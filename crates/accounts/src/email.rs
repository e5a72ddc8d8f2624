//! E-mail addresses: RFC 5321 §4.5.3.1, RFC 6531, UTS #39 and UTS #46.
//!
//! Decides which addresses an account may have, and when two of them are one account. The attack is an
//! address that looks like, or is folded into, somebody else's.

use std::fmt;

use caseless::Caseless as _;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{GeneralSecurityProfile as _, MixedScript as _};

/// An address, as shown and as compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    shown: String,
    canonical: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEmail {
    #[error("an e-mail address is name@domain, with one @")]
    NotAnAddress,
    #[error("an e-mail address holds no spaces, invisible or control characters")]
    Invisible,
    #[error("an e-mail address has at most {MAX_LOCAL} bytes before the @ and {MAX_WHOLE} in all")]
    TooLong,
    #[error("the part before the @ holds a character that is not accepted there")]
    BadLocalPart,
    #[error("the part before the @ can be mistaken for another")]
    Confusable,
    #[error("the part after the @ is not a domain name")]
    BadDomain,
}

const MAX_LOCAL: usize = 64;
const MAX_WHOLE: usize = 254;

impl Email {
    /// # Errors
    /// When it is no address, or one that could pass for another.
    pub fn parse(text: &str) -> Result<Self, BadEmail> {
        let text = text.trim();
        // No address grows shorter by more than this: a cheap end for megabytes.
        if text.len() > 4 * MAX_WHOLE {
            return Err(BadEmail::TooLong);
        }
        if text.chars().any(is_invisible) {
            return Err(BadEmail::Invisible);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(BadEmail::NotAnAddress)?;
        let (local, folded) = (local.nfkc().collect::<String>(), fold(local));
        check_local(&local)?;
        check_local(&folded)?;
        let domain = domain_to_ascii(domain)?;
        let email = Self {
            shown: format!("{local}@{domain}"),
            canonical: format!("{folded}@{domain}"),
        };
        if email.shown.len().max(email.canonical.len()) > MAX_WHOLE {
            return Err(BadEmail::TooLong);
        }
        Ok(email)
    }

    /// As the person wrote it, without compatibility forms; the domain in A-labels, as mail needs it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What look-ups, unique indexes and counters compare.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Both forms as stored: they were parsed when they were written, and later rules shall not lock anyone
    /// out.
    pub(crate) fn stored(shown: String, canonical: String) -> Self {
        Self { shown, canonical }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Compatibility caseless form: The Unicode Standard §3.13, D146, composed.
fn fold(local: &str) -> String {
    let once: String = local.nfd().default_case_fold().nfkc().collect();
    once.chars().nfd().default_case_fold().nfkc().collect()
}

/// A dot-atom of RFC 5322 §3.2.3, widened by RFC 6531 §3.3 with what UTS #39 admits to identifiers.
fn check_local(local: &str) -> Result<(), BadEmail> {
    if local.len() > MAX_LOCAL {
        return Err(BadEmail::TooLong);
    }
    if local.contains('@') {
        return Err(BadEmail::NotAnAddress);
    }
    if local.chars().any(is_invisible) {
        return Err(BadEmail::Invisible);
    }
    let admitted = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        false => c.identifier_allowed(),
    };
    if !local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(admitted))
    {
        return Err(BadEmail::BadLocalPart);
    }
    if !local.is_ascii() && (!local.is_single_script() || looks_ascii(local)) {
        return Err(BadEmail::Confusable);
    }
    Ok(())
}

/// Whether the skeleton of UTS #39 §4 is all ASCII: a name in Cyrillic that reads as one in Latin. Outside of
/// Latin, accents do not tell the two apart; inside, only a dot above a letter that has one anyway does not.
fn looks_ascii(local: &str) -> bool {
    let is_latin = format!("a{local}").is_single_script();
    let mut before = None;
    unicode_security::skeleton(local).all(|c| {
        let unseen = match is_latin {
            true => c == '\u{307}' && matches!(before, Some('i' | 'j')),
            false => is_combining_mark(c),
        };
        before = Some(c);
        c.is_ascii() || unseen
    })
}

/// UTS #46 with STD3 rules: letters, digits and inner hyphens, in labels of sane length. One label will do.
fn domain_to_ascii(domain: &str) -> Result<String, BadEmail> {
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .map_err(|_| BadEmail::BadDomain)?;
    // An all-numeric last label is an IP address to many programs.
    let last = ascii.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadEmail::BadDomain);
    }
    Ok(ascii.into_owned())
}

/// Controls, spaces, and what Unicode calls Default_Ignorable_Code_Point, bidirectional controls among them.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, BadEmail> {
        Email::parse(text).map(|email| email.canonical)
    }

    #[test]
    fn c076_what_looks_like_an_account_is_that_account_or_refused() {
        for (real, lookalikes) in [
            (
                "user@example.com",
                &[
                    "USER@EXAMPLE.COM",
                    " user@example.com ",
                    "u\u{17F}er@example.com",
                    "ｕｓｅｒ@example.com",
                    "𝓊𝓈𝑒𝓇@example.com",
                    "ⓤⓢⓔⓡ@example.com",
                    "us\u{435}r@example.com",
                    "u\u{455}er@example.com",
                    "\u{57D}ser@example.com",
                    "us\u{200B}er@example.com",
                    "us\u{200D}er@example.com",
                    "us\u{AD}er@example.com",
                    "us\u{2060}er@example.com",
                    "us\u{FE0F}er@example.com",
                    "us\u{E0065}er@example.com",
                    "us\u{3164}er@example.com",
                    "\u{202E}resu@example.com",
                    "us\u{2066}er@example.com",
                    "user\0@example.com",
                    "us er@example.com",
                    "us\u{A0}er@example.com",
                    "user@exam\u{AD}ple.com",
                    "user@example。com",
                    "user@ｅｘａｍｐｌｅ.com",
                    "user＠example.com",
                    "user﹫example.com",
                    "\"user\"@example.com",
                    "user(comment)@example.com",
                    "user@[127.0.0.1]",
                    "user@example.com.",
                    "user@example.com@evil.example",
                    "evil.example@user@example.com",
                    "user@example.com\r\nBcc: x@evil.example",
                ][..],
            ),
            (
                "mike@example.com",
                &[
                    "m\u{131}ke@example.com",
                    "m\u{130}ke@example.com",
                    "mi\u{307}ke@example.com",
                    "MI\u{307}KE@example.com",
                    "mi\u{212A}e@example.com",
                    "m\u{456}ke@example.com",
                    "m\u{2170}ke@example.com",
                    "\u{217F}ike@example.com",
                ][..],
            ),
            ("áá@example.com", &["\u{3AC}\u{3AC}@example.com"][..]),
            (
                "coco@example.com",
                &[
                    "\u{441}\u{43E}\u{441}\u{43E}@example.com",
                    "\u{3F2}\u{3BF}\u{3F2}\u{3BF}@example.com",
                ][..],
            ),
            (
                "strasse@example.com",
                &["stra\u{DF}e@example.com", "STRA\u{1E9E}E@example.com"][..],
            ),
            ("office@example.com", &["o\u{FB03}ce@example.com"][..]),
            (
                "\u{E9}t\u{E9}@example.com",
                &["e\u{301}te\u{301}@example.com", "\u{C9}T\u{C9}@example.com"][..],
            ),
            (
                "\u{3C3}\u{3BF}\u{3C6}\u{3CC}\u{3C2}@example.com",
                &["\u{3A3}\u{39F}\u{3A6}\u{38C}\u{3A3}@example.com"][..],
            ),
            (
                "info@b\u{FC}cher.example",
                &["info@BU\u{308}CHER.example", "info@xn--bcher-kva.example"][..],
            ),
        ] {
            let account = canonical(real).unwrap();
            for text in lookalikes {
                if let Ok(other) = canonical(text) {
                    assert_eq!(other, account, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn ordinary_addresses_of_many_languages_are_accepted() {
        for (text, shown, compared) in [
            (
                "Alex.Doe+tag@Example.COM",
                "Alex.Doe+tag@example.com",
                "alex.doe+tag@example.com",
            ),
            ("ørsted@example.com", "ørsted@example.com", "ørsted@example.com"),
            ("김철수@example.com", "김철수@example.com", "김철수@example.com"),
            ("alex@localhost", "alex@localhost", "alex@localhost"),
            (
                "Ürsula@bücher.example",
                "Ürsula@xn--bcher-kva.example",
                "ürsula@xn--bcher-kva.example",
            ),
            (
                "Иван1@почта.рф",
                "Иван1@xn--80a1acny.xn--p1ai",
                "иван1@xn--80a1acny.xn--p1ai",
            ),
            ("太郎@例え.jp", "太郎@xn--r8jz45g.jp", "太郎@xn--r8jz45g.jp"),
            ("प्रिया@example.com", "प्रिया@example.com", "प्रिया@example.com"),
        ] {
            let email = Email::parse(text).unwrap();
            assert_eq!((email.shown(), email.canonical()), (shown, compared));
        }
    }

    #[test]
    fn each_refusal_says_its_reason() {
        let longest = format!("{}@{}.com", "a".repeat(64), "b".repeat(60));
        assert!(Email::parse(&longest).is_ok());
        for (text, reason) in [
            ("", BadEmail::NotAnAddress),
            ("alex", BadEmail::NotAnAddress),
            ("a@b@c", BadEmail::NotAnAddress),
            ("@example.com", BadEmail::BadLocalPart),
            ("a..b@example.com", BadEmail::BadLocalPart),
            (".a@example.com", BadEmail::BadLocalPart),
            ("a\\b@example.com", BadEmail::BadLocalPart),
            ("\u{1F511}@example.com", BadEmail::BadLocalPart),
            ("a@", BadEmail::BadDomain),
            ("a@b..c", BadEmail::BadDomain),
            ("a@-b.com", BadEmail::BadDomain),
            ("a@b_c.com", BadEmail::BadDomain),
            ("a@127.0.0.1", BadEmail::BadDomain),
            ("us\u{435}r@example.com", BadEmail::Confusable),
            ("us\u{200D}er@example.com", BadEmail::Invisible),
            (&format!("a{longest}"), BadEmail::TooLong),
            (&format!("a@{}", ["b"; 127].join(".")), BadEmail::TooLong),
            (&"a".repeat(1 << 20), BadEmail::TooLong),
        ] {
            assert_eq!(Email::parse(text).err(), Some(reason), "{text:.60}");
        }
    }

    proptest! {
        #[test]
        fn c076_the_canonical_form_is_its_own(
            local in "[a-zA-ZÀ-ʯ]{1,8}|[А-ѿ]{1,8}|[ͰͲΆ-ϡἀ-ῼ]{1,8}|[ａ-ｚＡ-Ｚﬀ-ﬆ℀-⅏]{1,8}|\\PC{1,4}",
            domain in "[a-zA-ZüßéА-я0-9]{1,10}(\\.[a-z]{2,5})?",
        ) {
            if let Ok(email) = Email::parse(&format!("{local}@{domain}")) {
                prop_assert_eq!(canonical(email.canonical()), Ok(email.canonical.clone()));
                prop_assert_eq!(canonical(email.shown()), Ok(email.canonical));
            }
        }
    }
}
