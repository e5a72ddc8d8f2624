//! Text that strangers choose and people read: names of clients and resource servers, words about scopes.
//!
//! It is one short visible line in one spelling (NFKC). Characters that cannot be seen, or that change the
//! order in which others are seen, are refused: the attack is a name that looks like another one.

use unicode_normalization::UnicodeNormalization as _;

/// Longest name of a client or a resource server, in characters.
pub const MAX_NAME: usize = 60;

/// Why a text is not shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the text is empty")]
    Empty,
    #[error("the text has more than {0} characters")]
    TooLong(usize),
    #[error("the text holds a control character or one that cannot be seen")]
    Invisible,
}

/// The text as it is kept and shown: normalized, without spaces around it.
///
/// # Errors
/// When nothing is left, when it has more than `most` characters, or when it holds an invisible one.
pub fn line(text: &str, most: usize) -> Result<String, Fault> {
    // Far above anything that could pass: no work is done for it.
    if text.len() > most.saturating_mul(16) {
        return Err(Fault::TooLong(most));
    }
    let text: String = text.nfkc().collect();
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if text.chars().count() > most {
        return Err(Fault::TooLong(most));
    }
    match text.chars().any(is_invisible) {
        true => Err(Fault::Invisible),
        false => Ok(text.to_owned()),
    }
}

/// Controls, line and paragraph separators, and what Unicode calls default-ignorable (zero width,
/// bidirectional controls, fillers, variation selectors, tags).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_names_are_kept_in_one_spelling() {
        for (given, kept) in [
            ("  Shop & Co. ", "Shop & Co."),
            ("Ｓｈｏｐ", "Shop"),
            ("Cafe\u{301}", "Café"),
            ("ﬁt", "fit"),
            ("日本の店", "日本の店"),
            ("متجر", "متجر"),
            ("🎉 Party", "🎉 Party"),
        ] {
            assert_eq!(line(given, MAX_NAME).as_deref(), Ok(kept));
        }
        assert!(line(&"é".repeat(60), MAX_NAME).is_ok());
    }

    #[test]
    fn c017_characters_that_cannot_be_seen_are_refused() {
        for c in [
            '\0',
            '\n',
            '\t',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(
                line(&format!("Ba{c}nk"), MAX_NAME),
                Err(Fault::Invisible),
                "{c:?}"
            );
        }
    }

    #[test]
    fn a_name_is_neither_empty_nor_long() {
        for text in ["", "   ", "\u{3000}"] {
            assert_eq!(line(text, MAX_NAME), Err(Fault::Empty));
        }
        for text in ["é".repeat(61), "\u{fdfa}".repeat(4), "x".repeat(1 << 20)] {
            assert_eq!(line(&text, MAX_NAME), Err(Fault::TooLong(60)));
        }
    }
}
