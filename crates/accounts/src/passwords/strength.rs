//! How soon a password would be guessed, and why: NIST SP 800-63B §5.1.1.2.
//!
//! No rule about kinds of characters (they make people write `Password1!`), but an estimate of how many guesses come
//! before this one: the lists of common passwords, words and names that zxcvbn brings, rows of keys, dates, repeats, and
//! what belongs to the person. Whoever guesses here is slowed down after a few tries, so a password that stands behind a
//! million others will do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;
use zxcvbn::feedback::Warning;
use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Entropy, Score};

use super::Password;

/// Characters that are looked at: the time that it takes grows with the square of them. Whoever has a longer password
/// that begins badly is told so.
const LOOKED_AT: usize = 32;
/// Shorter words are in too many others.
const SHORTEST_WORD: usize = 3;
/// Of what belongs to a person: a name can be as long as they like.
const MOST_WORDS: usize = 32;

/// Why a password would soon be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    #[error("many people have it")]
    Common,
    #[error("many people have one like it")]
    Similar,
    #[error("it is made of the name, the e-mail address or the name of this site")]
    AboutThem,
    #[error("its keys are next to each other")]
    Keys,
    #[error("it repeats itself")]
    Repeats,
    #[error("its characters follow one another")]
    Sequence,
    #[error("it is a date")]
    Date,
    #[error("it is one word")]
    OneWord,
    #[error("it is a name")]
    Name,
    #[error("it is too simple")]
    Simple,
}

/// What a password is not to be made of: words of the person's name and address, and of where it is used.
#[derive(Clone, Debug, Default)]
pub struct About(Vec<String>);

impl About {
    /// The words of these texts, and the texts themselves.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut all: Vec<String> = texts.into_iter().map(str::to_lowercase).collect();
        let words = all
            .iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
        let words: Vec<String> = words.map(str::to_owned).collect();
        all.extend(words);
        all.retain(|word| word.chars().count() >= SHORTEST_WORD);
        all.truncate(MOST_WORDS);
        Self(all)
    }

    fn holds(&self, word: &str) -> bool {
        self.0.iter().any(|own| own == word)
    }
}

/// Why this password would soon be guessed; `None` when it would not. Letters of another width or shape are no secret: a
/// text is judged in their usual form as well.
pub(super) fn weakness(password: &Password, about: &About) -> Option<Weakness> {
    let given = password.0.expose();
    let usual: Zeroizing<String> = Zeroizing::new(given.nfkc().collect());
    let of_usual = weakness_of(&usual, about);
    match *usual == given {
        true => of_usual,
        false => of_usual.or_else(|| weakness_of(given, about)),
    }
}

fn weakness_of(text: &str, about: &About) -> Option<Weakness> {
    // However long it is, and in whatever case.
    if about.holds(&Zeroizing::new(text.to_lowercase())) {
        return Some(Weakness::AboutThem);
    }
    let text: String = text.chars().take(LOOKED_AT).collect();
    let text = Zeroizing::new(plain(text));
    let words: Vec<&str> = about.0.iter().map(String::as_str).collect();
    // A fault in what estimates must not end the thread that hashes for everybody.
    let entropy = catch_unwind(AssertUnwindSafe(|| zxcvbn::zxcvbn(&text, &words)));
    let Ok(entropy) = entropy else {
        tracing::error!("the strength of a password could not be estimated");
        return None;
    };
    (entropy.score() < Score::Two).then(|| reason(&entropy, about))
}

/// Signs that zxcvbn takes for a letter, where there are several for one.
const LOOKALIKES: [&str; 7] = ["4@", "({[<", "69", "1!|", "1|7", "$5", "+7"];
/// It tries every combination of them. No word is written with so many.
const MOST_READINGS: usize = 32;

/// The text without signs that stand for letters, if there are so many kinds that to read them takes half a second.
fn plain(text: String) -> String {
    let kinds = |signs: &str| signs.chars().filter(|sign| text.contains(*sign)).count();
    let readings: usize = LOOKALIKES.iter().map(|signs| kinds(signs).max(1)).product();
    match readings > MOST_READINGS {
        true => text.replace(['@', '(', '{', '[', '<', '!', '|', '$', '+'], "~"),
        false => text,
    }
}

fn reason(entropy: &Entropy, about: &About) -> Weakness {
    let theirs = entropy.sequence().iter().any(|part| match &part.pattern {
        MatchPattern::Dictionary(found) => about.holds(&found.matched_word),
        _ => false,
    });
    if theirs {
        return Weakness::AboutThem;
    }
    match entropy.feedback().and_then(|feedback| feedback.warning()) {
        Some(
            Warning::ThisIsATop10Password | Warning::ThisIsATop100Password | Warning::ThisIsACommonPassword,
        ) => Weakness::Common,
        Some(Warning::ThisIsSimilarToACommonlyUsedPassword) => Weakness::Similar,
        Some(Warning::StraightRowsOfKeysAreEasyToGuess | Warning::ShortKeyboardPatternsAreEasyToGuess) => {
            Weakness::Keys
        }
        Some(
            Warning::RepeatsLikeAaaAreEasyToGuess | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess,
        ) => Weakness::Repeats,
        Some(Warning::SequencesLikeAbcAreEasyToGuess) => Weakness::Sequence,
        Some(Warning::RecentYearsAreEasyToGuess | Warning::DatesAreOftenEasyToGuess) => Weakness::Date,
        Some(Warning::AWordByItselfIsEasyToGuess) => Weakness::OneWord,
        Some(
            Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
            | Warning::CommonNamesAndSurnamesAreEasyToGuess,
        ) => Weakness::Name,
        None => Weakness::Simple,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::Secret;

    use super::*;

    fn judged(text: &str) -> Option<Weakness> {
        let about = About::of([
            "Zaphod.Quill@example.com",
            "zaphodquill.xyzzy.vbnmq@mail.example",
            "Zaphod Quill",
            "Countersign",
        ]);
        weakness(&Password::presented(&Secret::from(text)).unwrap(), &about)
    }

    #[test]
    fn a_password_that_is_guessed_soon_is_refused_for_a_reason_that_says_what_to_change() {
        for (password, expected) in [
            ("password", Weakness::Common),
            ("12345678", Weakness::Common),
            ("Password", Weakness::Common),
            ("p4ssw0rd", Weakness::Similar),
            ("password1!", Weakness::Similar),
            ("zaphodquill", Weakness::AboutThem),
            ("Zaphod.Quill@example.com", Weakness::AboutThem),
            ("ZaPhOdQuIlL.xYzZy.vBnMq@mAiL.eXaMpLe", Weakness::AboutThem),
            ("countersign", Weakness::AboutThem),
            ("c0untersign1", Weakness::AboutThem),
            ("=-098765", Weakness::Keys),
            ("aaaaaaaaaaaa", Weakness::Repeats),
            ("jqjqjqjqjqjq", Weakness::Repeats),
            ("abcdefghij", Weakness::Sequence),
            ("13.11.1984", Weakness::Date),
            ("biodiversity", Weakness::OneWord),
        ] {
            assert_eq!(judged(password), Some(expected), "{password}");
        }
    }

    #[test]
    fn what_few_would_guess_is_taken_whatever_it_is_made_of() {
        for password in [
            "correct horse battery staple",
            "another horse, another battery",
            "mq8d-x2vw",
            "drei Ziegen im Nebel",
            "пять зелёных слонов",
            "🦊🌵🧊🎺🪁🥁🧲🪐",
        ] {
            assert_eq!(judged(password), None, "{password}");
        }
    }

    #[test]
    fn letters_of_another_width_or_shape_make_no_better_password() {
        for (password, expected) in [
            (
                "\u{FF50}\u{FF41}\u{FF53}\u{FF53}\u{FF57}\u{FF4F}\u{FF52}\u{FF44}",
                Weakness::Common,
            ),
            (
                "\u{1D4F9}\u{1D4EA}\u{1D4FC}\u{1D4FC}\u{1D500}\u{1D4F8}\u{1D4FB}\u{1D4ED}",
                Weakness::Common,
            ),
            (
                "\u{FF5A}\u{FF41}\u{FF50}\u{FF48}\u{FF4F}\u{FF44}quill",
                Weakness::AboutThem,
            ),
        ] {
            assert_eq!(judged(password), Some(expected), "{password}");
        }
        // The longest decomposition there is, as often as a password may hold it.
        assert!(judged(&"\u{FDFA}".repeat(256)).is_some());
    }

    #[test]
    fn c074_only_the_beginning_of_a_long_password_is_looked_at() {
        let tail = "mq8d-x2vw Ziegen im Nebel".repeat(8);
        for (beginning, expected) in [
            ("ab".repeat(16), Some(Weakness::Repeats)),
            ("ab".repeat(10), None),
        ] {
            assert_eq!(judged(&(beginning + &tail)), expected);
        }
    }

    #[test]
    fn signs_that_stand_for_letters_are_read_but_not_in_a_thousand_ways() {
        assert_eq!(judged("P@$$w0rd1!"), Some(Weakness::Similar));
        assert_eq!(plain("P@$$w0rd1!".to_owned()), "P@$$w0rd1!");
        let all = "4@8({[<369|1!0$5+7%2";
        assert_eq!(plain(all.to_owned()), "4~8~~~~369~1~0~5~7%2");
        assert_eq!(judged(all), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_to_judge(text in "\\PC{0,80}", name in "\\PC{0,40}") {
            let about = About::of([name.as_str()]);
            let password = Password::presented(&Secret::new(text)).unwrap();
            weakness(&password, &about);
        }
    }
}
