//! The life of a key, a pure function of its record and the time: *published → signing → retired → gone*.
//!
//! A key is announced long before it signs, so that every verifier's cache of the JWK set has turned over, and
//! it stays published until no token that it signed can be valid. The first key of a ring signs at once. One that
//! somebody else may know is *withdrawn*, from any of these, at once and for ever.

use std::time::Duration;

use protocol::{SigningAlg, SigningAlgs, Timestamp, wire_enum};

wire_enum! {
    /// Where a key stands.
    pub enum Stage {
        Published => "published",
        Signing => "signing",
        Retired => "retired",
        Gone => "gone",
        Withdrawn => "withdrawn",
    }
}

/// The two instants of a key's record that decide its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Times {
    pub signs_at: Timestamp,
    pub published_at: Timestamp,
}

/// Whether a ring has keys that sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turning {
    On,
    /// It was switched off: what it signed is still verified, until it is past.
    Off,
}

/// Which rings there are and how fast they turn.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The rings that sign.
    pub algs: SigningAlgs,
    /// From publication until the first signature.
    pub announce: Duration,
    /// From the first signature until that of the successor.
    pub rotate_every: Duration,
    /// From the last signature until the key leaves the JWK set.
    pub keep: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            algs: SigningAlgs::default(),
            announce: Duration::from_secs(24 * 60 * 60),
            rotate_every: Duration::from_secs(90 * 24 * 60 * 60),
            // Longest token life, and five minutes for verifiers' leeway.
            keep: crate::LONGEST_TOKEN_LIFE + Duration::from_secs(5 * 60),
        }
    }
}

impl Policy {
    /// Whether the keys of this ring sign.
    pub fn turning(&self, alg: SigningAlg) -> Turning {
        match self.algs.contains(alg) {
            true => Turning::On,
            false => Turning::Off,
        }
    }

    /// The instant at which a new key of this ring should sign, when it is time to publish one.
    pub fn due(&self, ring: &[Times], now: Timestamp) -> Option<Timestamp> {
        match ring.iter().max() {
            None => Some(now),
            Some(newest) if newest.signs_at + self.rotate_every <= now + self.announce => {
                Some(now + self.announce)
            }
            Some(_) => None,
        }
    }

    /// The stage of each key of a ring, in the order given.
    pub fn stages(&self, ring: &[Times], turning: Turning, now: Timestamp) -> Vec<Stage> {
        ring.iter()
            .map(|key| self.stage(*key, ring, turning, now))
            .collect()
    }

    fn stage(&self, key: Times, ring: &[Times], turning: Turning, now: Timestamp) -> Stage {
        if turning == Turning::On && Some(key) == signing(ring, now) {
            return Stage::Signing;
        }
        match (turning, self.retires_at(key, ring, turning)) {
            // It will never sign, so nobody needs it.
            (Turning::Off, _) if key.signs_at > now => Stage::Gone,
            (Turning::On, _) if key.signs_at > now => Stage::Published,
            (_, Some(at)) if now >= at + self.keep => Stage::Gone,
            _ => Stage::Retired,
        }
    }

    /// When a key signs no more, as far as that is known: when its successor signs. The last of a ring that was
    /// switched off has none and may have signed until it would have had one.
    pub fn retires_at(&self, key: Times, ring: &[Times], turning: Turning) -> Option<Timestamp> {
        match turning {
            Turning::On => retired_at(key, ring),
            Turning::Off => retired_at(key, ring).or(Some(key.signs_at + self.rotate_every)),
        }
    }

    /// The next instant after `now` at which some stage of this ring changes.
    pub fn next_change(&self, ring: &[Times], turning: Turning, now: Timestamp) -> Option<Timestamp> {
        let ends = ring
            .iter()
            .filter_map(|key| self.retires_at(*key, ring, turning))
            .map(|at| at + self.keep);
        ring.iter()
            .map(|key| key.signs_at)
            .chain(ends)
            .filter(|at| *at > now)
            .min()
    }
}

/// The key that signs now: the newest whose time has come. The first of a ring signs at once, even for a replica
/// whose clock is a little behind that of the one that made it.
pub fn signing(ring: &[Times], now: Timestamp) -> Option<Times> {
    let come = ring.iter().filter(|key| key.signs_at <= now).max();
    come.or_else(|| ring.iter().min()).copied()
}

/// A key retires when its successor begins to sign.
pub fn retired_at(key: Times, ring: &[Times]) -> Option<Timestamp> {
    ring.iter()
        .filter(|other| **other > key)
        .min()
        .map(|successor| successor.signs_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_secs(day * DAY)
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let policy = Policy::default();
        assert_eq!(policy.due(&[], at(5)), Some(at(5)));
        let ring = [Times {
            published_at: at(5),
            signs_at: at(5),
        }];
        assert_eq!(policy.stages(&ring, Turning::On, at(5)), [Stage::Signing]);
        assert_eq!(policy.due(&ring, at(93)), None);
    }

    #[test]
    fn c045_a_year_of_rotation_never_signs_with_an_unannounced_key_nor_drops_one_in_use() {
        let policy = Policy::default();
        let mut ring: Vec<Times> = Vec::new();
        let mut rotations = 0;
        for hour in 0..(365 * 24) {
            let now = Timestamp::from_secs(hour * 60 * 60);
            if let Some(signs_at) = policy.due(&ring, now) {
                ring.push(Times {
                    published_at: now,
                    signs_at,
                });
                rotations += 1;
            }
            let stages = policy.stages(&ring, Turning::On, now);
            assert_eq!(
                stages.iter().filter(|stage| **stage == Stage::Signing).count(),
                1,
                "hour {hour}"
            );
            for (key, stage) in ring.iter().zip(&stages) {
                let genesis = key.published_at == key.signs_at;
                assert!(genesis || key.signs_at.since(key.published_at) == policy.announce);
                if *stage == Stage::Gone {
                    let retired = retired_at(*key, &ring).unwrap();
                    assert!(now.since(retired) >= policy.keep);
                }
            }
        }
        assert_eq!(rotations, 5);
    }

    #[test]
    fn the_first_key_signs_for_a_replica_whose_clock_is_behind() {
        let ring = [
            Times {
                published_at: at(5),
                signs_at: at(5),
            },
            Times {
                published_at: at(6),
                signs_at: at(7),
            },
        ];
        assert_eq!(
            Policy::default().stages(&ring, Turning::On, at(4)),
            [Stage::Signing, Stage::Published]
        );
        assert_eq!(signing(&[], at(4)), None);
    }

    #[test]
    fn a_key_that_signs_now_retires_its_predecessor_now() {
        let policy = Policy::default();
        let ring = [
            Times {
                published_at: at(0),
                signs_at: at(0),
            },
            Times {
                published_at: at(3),
                signs_at: at(3),
            },
        ];
        assert_eq!(
            policy.stages(&ring, Turning::On, at(3)),
            [Stage::Retired, Stage::Signing]
        );
        assert_eq!(
            policy.next_change(&ring, Turning::On, at(3)),
            Some(at(3) + policy.keep)
        );
        assert_eq!(
            policy.stages(&ring, Turning::On, at(4)),
            [Stage::Gone, Stage::Signing]
        );
        assert_eq!(policy.next_change(&ring, Turning::On, at(4)), None);
    }

    #[test]
    fn a_ring_that_was_switched_off_signs_no_more_and_leaves_when_what_it_signed_is_past() {
        let policy = Policy::default();
        let times = |published, signs| Times {
            published_at: at(published),
            signs_at: at(signs),
        };
        let ring = [times(0, 0), times(89, 90), times(179, 180)];
        let stages = |now| policy.stages(&ring, Turning::Off, now);
        assert_eq!(stages(at(90)), [Stage::Retired, Stage::Retired, Stage::Gone]);
        assert_eq!(stages(at(91)), [Stage::Gone, Stage::Retired, Stage::Gone]);
        let last = at(270) + policy.keep;
        let before = last - Duration::from_secs(1);
        assert_eq!(stages(before), [Stage::Gone, Stage::Gone, Stage::Retired]);
        assert_eq!(policy.next_change(&ring, Turning::Off, before), Some(last));
        assert_eq!(stages(last), [Stage::Gone; 3]);
    }
}
