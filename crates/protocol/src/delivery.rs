//! The pace of what is told to others' servers again and again until they have heard it: logout notices, mails.

use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(15);
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// With the pauses between them about a day: whoever was away for so long has other worries.
const MOST_TRIES: i64 = 30;

/// After so many tries that failed, how long until the next; `None` where there is none.
pub fn pause(tries: i64) -> Option<Duration> {
    if tries >= MOST_TRIES {
        return None;
    }
    let doubled = u32::try_from(tries.saturating_sub(1)).unwrap_or_default();
    let pause = 2_u32
        .checked_pow(doubled)
        .and_then(|times| FIRST_PAUSE.checked_mul(times));
    Some(pause.map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c056_whoever_does_not_answer_is_tried_ever_more_rarely_for_about_a_day() {
        assert_eq!(pause(1), Some(FIRST_PAUSE));
        assert_eq!(pause(2), Some(2 * FIRST_PAUSE));
        let pauses: Vec<Duration> = (1..).map_while(pause).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        assert_eq!(i64::try_from(pauses.len()).unwrap(), MOST_TRIES - 1);
        let hours = pauses.iter().sum::<Duration>().as_secs() / 3600;
        assert!((18..30).contains(&hours), "{hours}");
        // Ten minutes away cost at most as much again.
        let early: Duration = pauses.iter().take(6).sum();
        assert!(
            early > Duration::from_secs(600) && early < Duration::from_secs(1200),
            "{early:?}"
        );
        // A count that no honest row has.
        assert_eq!(pause(i64::MIN), Some(FIRST_PAUSE));
        assert_eq!(pause(i64::MAX), None);
    }
}
