//! The settings about keys: which rings there are, how fast they turn, and where the master key is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyring::Policy;
use keyring::master::{Setting, Source};
use protocol::{SigningAlg, SigningAlgs};

use super::{Mistake, Name, Reader};

/// Keys of an installation, as the operator wants them.
#[derive(Clone, Debug)]
pub struct KeySettings {
    pub master: Source,
    pub policy: Policy,
}

impl From<&Path> for KeySettings {
    /// As usual, with the master key in this folder.
    fn from(folder: &Path) -> Self {
        Self {
            master: folder.into(),
            policy: Policy::default(),
        }
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Longer than that, nobody remembers how a rotation goes.
const LONGEST: Duration = Duration::from_secs(3 * 365 * DAY);
/// Keys that turn faster would fill the JWK set: each stays in it for an hour after it signed.
const SHORTEST: Duration = Duration::from_secs(HOUR);

impl Reader {
    pub(super) fn keys(&mut self, folder: Option<PathBuf>) -> Option<KeySettings> {
        let setting = self.read(Name::MasterKey, Setting::parse);
        let rotate_every = self.read(Name::KeysRotateAfter, period);
        let announce = self.read(Name::KeysAnnounce, period);
        let algs = self.read(Name::KeysAlgs, algorithms);
        let policy = Policy {
            algs: algs?,
            announce: announce?,
            rotate_every: rotate_every?,
            ..Policy::default()
        };
        for (name, fault) in faults(&policy) {
            self.mistakes.push(Mistake::new(&name.variable(), fault));
        }
        let master = match setting {
            Some(setting) => Source::Setting(setting),
            None => Source::Folder(folder?),
        };
        Some(KeySettings { master, policy })
    }
}

/// What of it no verifier could follow.
fn faults(policy: &Policy) -> Vec<(Name, String)> {
    let mut faults = Vec::new();
    if policy.announce < keyring::JWKS_MAX_AGE {
        let least = keyring::JWKS_MAX_AGE.as_secs() / MINUTE;
        faults.push((
            Name::KeysAnnounce,
            format!("must be {least}m or more: for so long verifiers may go without looking for new keys"),
        ));
    }
    if !(SHORTEST..=LONGEST).contains(&policy.rotate_every) {
        faults.push((Name::KeysRotateAfter, "must be from 1h to 1095d".to_owned()));
    } else if policy.announce >= policy.rotate_every {
        faults.push((
            Name::KeysAnnounce,
            format!(
                "must be shorter than {}: a key would be replaced before it signs",
                Name::KeysRotateAfter.variable()
            ),
        ));
    }
    faults
}

/// A number and its unit, as in 90d, 36h, 15m.
fn period(text: &str) -> Result<Duration, String> {
    let split = text
        .char_indices()
        .next_back()
        .and_then(|(at, _)| text.split_at_checked(at));
    let parsed = split.and_then(|(number, unit)| {
        let unit = match unit {
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            _ => return None,
        };
        number.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
        let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
        // No date of ours is further away.
        (seconds <= 100 * 365 * DAY).then(|| Duration::from_secs(seconds))
    });
    parsed.ok_or_else(|| format!("{text:?} must be a number of days, hours or minutes, like 90d, 24h or 15m"))
}

/// Algorithms, with commas or spaces between them.
fn algorithms(text: &str) -> Result<SigningAlgs, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let parsed: Result<SigningAlgs, _> = words.map(str::parse::<SigningAlg>).collect();
    let all = SigningAlgs::default();
    match parsed {
        Ok(algs) if keyring::ALWAYS.iter().all(|alg| algs.contains(*alg)) => Ok(algs),
        Ok(_) => Err(format!(
            "{text:?} must have RS256, which OpenID Connect wants of every server, and ES256, by which access tokens \
             are signed"
        )),
        Err(_) => Err(format!("{text:?} must be a list of these: {all}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90d", 90 * DAY),
            ("24h", 24 * HOUR),
            ("15m", 15 * MINUTE),
            ("0d", 0),
        ] {
            assert_eq!(period(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "d",
            "90",
            "-1d",
            "+1d",
            "1.5d",
            "90 d",
            "1w",
            "90D",
            "5s",
            "1ä",
            "99999999999999999999d",
            "9999999999999d",
        ] {
            assert!(period(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn two_rings_are_always_there() {
        let given = algorithms("ES256, RS256").unwrap();
        assert_eq!(given.to_string(), "RS256, ES256");
        assert_eq!(algorithms("RS256 PS256,ES256,EdDSA"), Ok(SigningAlgs::default()));
        for text in [
            "",
            "RS256",
            "ES256",
            "PS256,EdDSA",
            "RS256,ES256,HS256",
            "RS256,ES256,none",
            "rs256,es256",
        ] {
            assert!(algorithms(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn c045_a_key_is_announced_for_longer_than_the_set_is_cached_and_signs_before_it_is_replaced() {
        let policy = |announce: u64, rotate: u64| Policy {
            announce: Duration::from_secs(announce),
            rotate_every: Duration::from_secs(rotate),
            ..Policy::default()
        };
        assert_eq!(faults(&Policy::default()), []);
        assert_eq!(faults(&policy(5 * MINUTE, HOUR)), []);
        for (bad, name) in [
            (policy(5 * MINUTE - 1, HOUR), Name::KeysAnnounce),
            (policy(0, DAY), Name::KeysAnnounce),
            (policy(DAY, DAY), Name::KeysAnnounce),
            (policy(5 * MINUTE, HOUR - 1), Name::KeysRotateAfter),
            (policy(DAY, 1096 * DAY), Name::KeysRotateAfter),
        ] {
            let all = faults(&bad);
            assert_eq!(all.len(), 1, "{all:?}");
            assert_eq!(all[0].0, name);
        }
    }
}
