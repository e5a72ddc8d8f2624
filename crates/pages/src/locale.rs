//! Which language a page speaks: OpenID Connect Core §3.1.2.1 (`ui_locales`) and RFC 9110 §12.5.4.
//!
//! The list is closed: what a browser or a client sends only ever picks from it, and never becomes a name of
//! a file.

/// A language that every text exists in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locale {
    En,
}

/// More wishes than any browser sends; the rest is not looked at.
const MAX_WISHES: usize = 32;

impl Locale {
    pub const ALL: &'static [Self] = &[Self::En];

    /// What the client asked for, else what the browser asks for, else English.
    pub fn negotiate(ui_locales: Option<&str>, accept_language: Option<&str>) -> Self {
        let of_client = ui_locales.unwrap_or_default().split(' ').take(MAX_WISHES);
        of_client
            .chain(by_quality(accept_language.unwrap_or_default()))
            .find_map(Self::speaking)
            .unwrap_or(Self::En)
    }

    /// The BCP 47 tag, as `lang` has it.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
        }
    }

    /// Writing direction, as `dir` has it.
    pub const fn dir(self) -> &'static str {
        match self {
            Self::En => "ltr",
        }
    }

    /// RFC 4647 §3.4: subtags are dropped from the right until one of ours is left.
    fn speaking(range: &str) -> Option<Self> {
        let is = |locale: &Self| {
            let (tag, range) = (locale.tag().as_bytes(), range.as_bytes());
            range.split_at_checked(tag.len()).is_some_and(|(head, rest)| {
                head.eq_ignore_ascii_case(tag) && matches!(rest.first(), None | Some(b'-'))
            })
        };
        Self::ALL.iter().copied().find(is)
    }
}

fn by_quality(accept_language: &str) -> impl Iterator<Item = &str> {
    let mut wishes: Vec<(f32, &str)> = accept_language
        .split(',')
        .take(MAX_WISHES)
        .map(|wish| {
            let (range, parameters) = wish.split_once(';').unwrap_or((wish, ""));
            let quality = parameters.trim().strip_prefix("q=");
            (quality.map_or(1.0, |q| q.parse().unwrap_or(0.0)), range.trim())
        })
        .filter(|(quality, _)| *quality > 0.0)
        .collect();
    wishes.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    wishes.into_iter().map(|(_, range)| range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c078_only_a_language_of_the_closed_list_is_ever_chosen() {
        for wish in [
            "../../etc/passwd",
            "%2e%2e",
            "en/../de",
            "enx",
            "",
            "\0",
            "*",
            "x-klingon",
            "ën",
        ] {
            assert_eq!(Locale::speaking(wish), None, "{wish:?}");
            assert_eq!(Locale::negotiate(Some(wish), Some(wish)), Locale::En, "{wish:?}");
        }
        for wish in ["en", "EN", "en-GB", "en-Latn-US"] {
            assert_eq!(Locale::speaking(wish), Some(Locale::En), "{wish:?}");
        }
    }

    #[test]
    fn wishes_are_tried_best_first() {
        let order = |header| by_quality(header).collect::<Vec<_>>();
        assert_eq!(order("de;q=0.3, fr, en;q=0.8"), ["fr", "en", "de"]);
        assert_eq!(order("de;q=0, en;q=nonsense, it"), ["it"]);
        assert_eq!(order(&"en,".repeat(10_000)).len(), MAX_WISHES);
    }
}
