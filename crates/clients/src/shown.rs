//! Text that strangers choose and people read: names of clients and resource servers, words about scopes.
//!
//! It is one short visible line in one spelling (NFKC). Characters that cannot be seen, or that change the
//! order in which others are seen, are refused: the attack is a name that looks like another one. For the same reason
//! the name of a client neither mixes scripts within a word nor reads, in another script, like words in Latin letters
//! (UTS #39): whoever registers it is a stranger, and people trust what they read on the page.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{
    GeneralSecurityProfile as _, MixedScript as _, RestrictionLevel, RestrictionLevelDetection as _, skeleton,
};

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
    #[error("the text piles up marks on one letter")]
    Marks,
    #[error(
        "the text mixes scripts or signs with the letters of one word, or reads like one in Latin letters; a space, or another \
         word of the same script beside it, helps"
    )]
    Confusable,
}

/// UTS #39 §5.4: no language that is written needs more.
const MOST_MARKS: usize = 4;

/// The name of a client, as it is kept and shown: [`line()`] of at most [`MAX_NAME`] characters that passes for no other.
///
/// # Errors
/// As [`line()`]; and when it could be taken for a name in other letters.
pub fn name(text: &str) -> Result<String, Fault> {
    let name = line(text, MAX_NAME)?;
    let words: Vec<&str> = name
        .split(|c: char| c.is_whitespace() || c.is_ascii_punctuation())
        .filter(|word| !word.is_ascii())
        .collect();
    let foreign = || words.iter().filter(|word| !is_latin(word));
    // One word that cannot be misread says which letters the others of its script are in: there are honest words in
    // Cyrillic, for one, of which every letter has its like in Latin.
    let is_vouched_for = |word: &str| {
        foreign().any(|other| !reads_as_latin(other) && format!("{word}{other}").is_single_script())
    };
    let is_misread = |word: &&&str| reads_as_latin(word) && !is_vouched_for(word);
    let is_odd = |word: &&str| mixes_scripts(word) || has_odd_letter(word) || has_sign(word);
    match words.iter().any(is_odd) || foreign().any(|word| is_misread(&word)) {
        true => Err(Fault::Confusable),
        false => Ok(name),
    }
}

/// Whether a client of this name would pass for the server itself: nobody but the people who run it gives it one.
pub fn is_of(brand: &str, name: &str) -> bool {
    let plain = |text: &str| {
        let skeleton: String = skeleton(&text.to_lowercase()).collect();
        let letters = skeleton.chars().filter(|c| c.is_alphanumeric());
        letters.collect::<String>().to_lowercase()
    };
    plain(name).contains(&plain(brand))
}

/// A letter of a script that is not in wide use today (UAX #31, table 5), or a Latin one that differs from a letter of the
/// keyboard by a hair. Whoever writes in such a script is asked to name their app in another one: nobody here could tell what
/// its letters look like.
fn has_odd_letter(word: &str) -> bool {
    word.chars()
        .filter(|c| c.is_alphabetic() && !c.is_ascii())
        .any(|c| {
            let own = c.to_string();
            let mut like = skeleton(&own);
            let is_like_ascii =
                matches!((like.next(), like.next()), (Some(like), None) if like.is_ascii_alphabetic());
            // The letter i of Turkish, which looks like the other one there is.
            !c.identifier_allowed() || is_like_ascii && is_latin(&own) && c != 'ı'
        })
}

/// A sign beside letters that is none of writing: among circles, bars and squares each has a letter that looks like it.
/// Emoji have colours.
fn has_sign(word: &str) -> bool {
    let is_sign = |c: char| {
        let is_writing = c.is_ascii() || c.is_alphanumeric() || is_combining_mark(c);
        !is_writing && !is_emoji(c) && !WRITTEN.contains(c)
    };
    word.chars().any(char::is_alphanumeric) && word.chars().any(is_sign)
}

/// What is shown in colours by itself: from here on all, and before that these (UTS #51, `Emoji_Presentation`).
fn is_emoji(c: char) -> bool {
    c >= '\u{1f000}'
        || "⌚⌛⏩⏪⏫⏬⏰⏳☔☕♿⚓⚡⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❓❔❕❗➰➿⭐".contains(c)
}

/// Punctuation and money, beside that of ASCII, as names are written with.
const WRITTEN: &str = "·‧・•‐‑‒–—−’‘“”„‚«»‹›¡¿§®©°№…×⁄€£¥₹₽₺₴₪₩฿、。「」『』《》〈〉【】〜׳״־་،؛؟।॥་";

/// Chinese, Japanese and Korean words hold Latin letters as a matter of course, and none of theirs looks like one.
fn mixes_scripts(word: &str) -> bool {
    let letters: String = word.chars().filter(|c| c.is_alphabetic()).collect();
    !word.is_single_script() && !letters.check_restriction_level(RestrictionLevel::HighlyRestrictive)
}

fn is_latin(word: &str) -> bool {
    format!("a{word}").is_single_script()
}

/// Whether the skeleton of UTS #39 §4 is a word in ASCII letters, whatever stands above them. A letter that looks like a digit,
/// or like a mark, says that it is another script.
fn reads_as_latin(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some()
        && letters.all(|c| {
            let own = c.to_string();
            let mut like = skeleton(&own).filter(|c| !is_combining_mark(*c)).peekable();
            like.peek().is_some() && like.all(|c| c.is_ascii_alphabetic())
        })
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
    if text.chars().any(is_invisible) {
        return Err(Fault::Invisible);
    }
    match piles_up_marks(text) {
        true => Err(Fault::Marks),
        false => Ok(text.to_owned()),
    }
}

fn piles_up_marks(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    letters
        .windows(MOST_MARKS + 1)
        .any(|run| run.iter().all(|c| is_combining_mark(*c)))
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
    fn c017_a_name_that_reads_like_another_is_refused() {
        for homograph in [
            "P\u{430}ypal",
            "P\u{430}ypal Inc.",
            "\u{420}\u{430}\u{443}\u{440}\u{430}\u{443}",
            "\u{430}\u{440}\u{440}\u{435}",
            "\u{430}\u{440}\u{440}\u{435} Store",
            "Ex\u{430}mple-Bank",
            "G\u{43E}\u{43E}gle",
            "\u{397}\u{399}\u{3A4}",
            "M\u{3B9}crosoft",
            "\u{251}pple",
            "\u{261}oogle",
            "\u{13D2}\u{13AA}\u{13A2}",
            "Bank \u{43E}f \u{455}c\u{43E}t",
            // Another script beside it vouches for nothing.
            "\u{430}\u{440}\u{440}\u{4CF}\u{435} 店",
            "Goog\u{2223}e",
            "Paypa\u{2758}",
            "Appl\u{212E}",
            "\u{237A}pple",
            "Amaz\u{25CB}n",
            "\u{196}BM",
            "\u{2C9F}\u{2CA3}\u{2C89}\u{2C9B}",
        ] {
            assert_eq!(name(homograph), Err(Fault::Confusable), "{homograph}");
        }
        for honest in [
            "Shop & Co.",
            "Café Ångström",
            "Straße 7",
            "日本の店",
            "LINEギフト",
            "네이버 Pay",
            "متجر",
            "Яндекс Музыка",
            "Яндекс.Music",
            "Сахар и Соль Магазин",
            "Ελληνική Τράπεζα",
            "🎉 Party",
            "חנות 24",
            "हिन्दी समाचार",
            "1 & 1",
            "L’Étoile – Café",
            "Łódź Żabka Ørsted Đakovo",
            "Kapı Işık",
            "Việt Nam",
            "Party🎉",
            "I ♥ Bread",
            "Acme® Cloud",
            "L·lull",
            "ไทยพาณิชย์",
            "セブン・イレブン",
            "Færge & Læs",
            "Cœur de Lyon",
            "Oʻzbekiston",
            "Сбер",
            "АЗС",
            "Кавʼярня",
            "יוסי",
            "תל־אביב",
            "¡Hola!",
            "¿Qué pasa?",
            "عربي؟",
            "सेवा।",
            "《读书》",
            "カラオケ〜館",
            "₹500 Club",
            "Coffee☕",
            "བོད་ཡིག",
        ] {
            assert_eq!(name(honest).as_deref(), Ok(honest));
        }
        assert_eq!(name("Ba\u{200b}nk"), Err(Fault::Invisible));
    }

    #[test]
    fn c017_marks_are_not_piled_up() {
        assert_eq!(
            line(&format!("Z{}algo", "\u{321}".repeat(5)), MAX_NAME),
            Err(Fault::Marks)
        );
        assert!(line(&format!("Z{}algo", "\u{321}".repeat(4)), MAX_NAME).is_ok());
    }

    #[test]
    fn c017_whose_name_would_pass_for_ours() {
        for name in [
            "Countersign",
            "COUNTERSIGN Security",
            "Counter-Sign",
            "Cοuntersıgn",
            "My countersign",
        ] {
            assert!(is_of("Countersign", name), "{name}");
        }
        for name in ["Counter", "Signs & Counters", "Shop"] {
            assert!(!is_of("Countersign", name), "{name}");
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
