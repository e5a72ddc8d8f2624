//! How long ago something was, in words.

use pages::{Markup, Texts};
use protocol::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

pub(crate) fn ago(then: Timestamp, now: Timestamp, texts: Texts) -> Markup {
    let seconds = now.since(then).as_secs();
    let n = |unit: u64| [("n", Markup::plain(&(seconds / unit).to_string()))];
    match seconds {
        0..300 => texts.text("ago-now"),
        300..HOUR => texts.with("ago-minutes", &n(MINUTE)),
        HOUR..7200 => texts.text("ago-hour"),
        7200..DAY => texts.with("ago-hours", &n(HOUR)),
        DAY..172_800 => texts.text("ago-day"),
        172_800.. => texts.with("ago-days", &n(DAY)),
    }
}

/// When something happened: of today, how long ago.
pub(crate) fn told(at: Timestamp, now: Timestamp, texts: Texts) -> Markup {
    match now.since(at).as_secs() {
        0..300 => Markup::time(&at.to_string(), &texts.text("ago-just-now")),
        300..DAY => Markup::time(&at.to_string(), &ago(at, now, texts)),
        DAY.. => texts.moment(at),
    }
}

/// The day, for a mail.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use pages::Locale;

    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let now = Timestamp::from_secs(1_000_000);
        for (seconds, words) in [
            (-5, "Active now"),
            (299, "Active now"),
            (300, "5 minutes ago"),
            (3599, "59 minutes ago"),
            (3600, "An hour ago"),
            (7200, "2 hours ago"),
            (86_400, "Yesterday"),
            (172_800, "2 days ago"),
        ] {
            let then = Timestamp::from_secs(1_000_000 - seconds);
            assert_eq!(ago(then, now, Texts::of(Locale::En)).to_string(), words);
        }
        assert_eq!(day(Timestamp::from_secs(0)), "1970-01-01");
        for (seconds, words) in [
            (0, "<time datetime=\"1970-01-12T13:46:40Z\">Just now</time>"),
            (7200, "<time datetime=\"1970-01-12T11:46:40Z\">2 hours ago</time>"),
            (
                86_400,
                "<time datetime=\"1970-01-11T13:46:40Z\">11\u{a0}January\u{a0}1970, 13:46 UTC</time>",
            ),
        ] {
            let then = Timestamp::from_secs(1_000_000 - seconds);
            assert_eq!(told(then, now, Texts::of(Locale::En)).to_string(), words);
        }
    }
}
