//! Days and instants as people write them, with what a machine reads beside them.

use protocol::Timestamp;

use crate::{Markup, Texts};

/// In the order of the year.
const MONTHS: [&str; 12] = [
    "month-1", "month-2", "month-3", "month-4", "month-5", "month-6", "month-7", "month-8", "month-9",
    "month-10", "month-11", "month-12",
];

impl Texts {
    /// `22 November 2026`, of UTC, on one line.
    pub fn day(self, at: Timestamp) -> Markup {
        let exact = at.to_string();
        let date = exact.split_once('T').map_or(exact.as_str(), |(date, _)| date);
        Markup::time(date, &self.date(date))
    }

    /// `22 November 2026, 15:52 UTC`.
    pub fn moment(self, at: Timestamp) -> Markup {
        let exact = at.to_string();
        let (date, time) = exact.split_once('T').unwrap_or((&exact, ""));
        let minute: String = time.chars().take(5).collect();
        let values = [("day", self.date(date)), ("time", Markup::plain(&minute))];
        Markup::time(&exact, &self.with("moment", &values))
    }

    /// As it is, where it is not one of four digits, two and two.
    fn date(self, date: &str) -> Markup {
        let mut parts = date.splitn(3, '-');
        let (year, month, day) = (parts.next(), parts.next(), parts.next());
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok());
        let month = number(month).and_then(|month| MONTHS.get(month.checked_sub(1)?));
        match (year, month, number(day)) {
            (Some(year), Some(month), Some(day)) => {
                let values = [
                    ("day", Markup::plain(&day.to_string())),
                    ("month", self.text(month)),
                    ("year", Markup::plain(year)),
                ];
                self.with("date", &values)
            }
            _ => Markup::plain(date),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Locale;

    #[test]
    fn days_and_instants_are_told_to_people_and_to_machines() {
        let (texts, at) = (
            Texts::of(Locale::En),
            Timestamp::from_secs(86_400 * 35 + 3600 * 9 + 61),
        );
        assert_eq!(
            texts.day(at).to_string(),
            "<time datetime=\"1970-02-05\">5\u{a0}February\u{a0}1970</time>"
        );
        assert_eq!(
            texts.moment(at).to_string(),
            "<time datetime=\"1970-02-05T09:01:01Z\">5\u{a0}February\u{a0}1970, 09:01 UTC</time>"
        );
        assert_eq!(texts.date("1-2").to_string(), "1-2");
        assert_eq!(texts.date("2026-13-01").to_string(), "2026-13-01");
    }
}
