//! Browsers in which a person knew their password: C070.
//!
//! Decides whose guesses are counted apart from those of strangers, so that a stranger who guesses all the time does not
//! keep the owner out. The cookie holds a random name of the browser, by which `accounts::sessions` knows it again, and,
//! for each account that was signed in to there or got its password there, a MAC over that name, the account and its
//! epoch. So it can neither be made by a stranger, nor be multiplied by whoever knew the password before it was changed;
//! it proves nothing else, and names nobody.

use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use keyring::Purpose;
use protocol::opaque::{self, Kind};
use protocol::{Error, Secret, Subject};
use seal::Key;

use crate::Front;

/// 128 bits in base64url: a mark.
const LEN: usize = 22;
const BITS_128: usize = 16;
/// Accounts that a browser is known for: the last ones.
const MOST: usize = 6;

/// What the cookie holds.
struct Known {
    browser: String,
    marks: Vec<String>,
}

impl Front {
    /// The mark of this account in this browser; none where nobody has known its password there since it last changed.
    /// For nobody's account the same work is done.
    ///
    /// # Errors
    /// When there is no key to check it with.
    pub(crate) fn known(&self, user: Option<&User>, headers: &HeaderMap) -> Result<Option<String>, Error> {
        let Some(known) = self.presented(headers) else {
            return Ok(None);
        };
        let key = self.keyring.secret(Purpose::Guesses)?.key;
        let (sub, epoch) = user.map_or(("", 0), |user| (user.sub.as_str(), user.epoch));
        let own = mark(&key, &known.browser, sub, epoch);
        let is_known = known
            .marks
            .iter()
            .any(|mark| seal::same(mark.as_bytes(), own.as_bytes()));
        Ok((is_known && user.is_some()).then_some(own))
    }

    /// By what the browser that sent the request is known again.
    pub fn device(&self, headers: &HeaderMap) -> Option<Secret> {
        self.presented(headers)
            .map(|known| Secret::from(known.browser.as_str()))
    }

    /// The cookie of a browser in which the user of this epoch has just shown that the account is theirs. With a device
    /// the browser has that name from now on, and what was marked under another is void.
    ///
    /// # Errors
    /// When there is no key to make it with.
    pub fn acquaint(
        &self,
        device: Option<&Secret>,
        (sub, epoch): (&Subject, i64),
        headers: &HeaderMap,
    ) -> Result<HeaderValue, Error> {
        let key = self.keyring.secret(Purpose::Guesses)?.key;
        let known = self.presented(headers);
        let named = |browser: &Secret| Known {
            browser: browser.expose().to_owned(),
            marks: Vec::new(),
        };
        let mut known = match (known, device) {
            (Some(known), None) => known,
            (Some(known), Some(device)) if known.browser == device.expose() => known,
            (_, Some(device)) => named(device),
            (None, None) => named(&opaque::random(Kind::Device)),
        };
        let own = mark(&key, &known.browser, sub.as_str(), epoch);
        known.marks.retain(|mark| *mark != own);
        known.marks.insert(0, own);
        known.marks.truncate(MOST);
        Ok(self
            .cookies
            .set_known(&format!("{}.{}", known.browser, known.marks.join("."))))
    }

    fn presented(&self, headers: &HeaderMap) -> Option<Known> {
        let value = self.cookies.known(headers)?;
        Known::parse(value.expose())
    }
}

impl Known {
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split('.').map(str::to_owned);
        let browser = words.next()?;
        let marks: Vec<String> = words.collect();
        let is_mark = |word: &String| {
            let mut bytes = word.bytes();
            word.len() == LEN && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let is_named = opaque::decode(Kind::Device, &browser).is_some();
        let all = is_named && marks.len() <= MOST && marks.iter().all(is_mark);
        all.then_some(Self { browser, marks })
    }
}

fn mark(key: &Key, browser: &str, sub: &str, epoch: i64) -> String {
    let epoch = epoch.to_string();
    let parts: [&[u8]; 4] = [b"known", browser.as_bytes(), sub.as_bytes(), epoch.as_bytes()];
    let mac = seal::mac(key, &parts);
    URL_SAFE_NO_PAD.encode(mac.get(..BITS_128).unwrap_or(&mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cookie_of_our_own_shape_counts() {
        let (name, word) = (opaque::random(Kind::Device), "A".repeat(LEN));
        let name = name.expose();
        let full = [&[name], [word.as_str(); MOST].as_slice()].concat().join(".");
        for (value, marks) in [
            (name.to_owned(), Some(0)),
            (format!("{name}.{word}"), Some(1)),
            (word.clone(), None),
            (format!("{word}.{word}"), None),
            (full.clone(), Some(MOST)),
            (format!("{full}.{word}"), None),
            (format!("{name}."), None),
            (format!("{name}.x"), None),
            (format!("{name}.{}é", "A".repeat(LEN - 2)), None),
            (String::new(), None),
            (".".repeat(5000), None),
        ] {
            let known = Known::parse(&value).map(|known| known.marks.len());
            assert_eq!(known, marks, "{value}");
        }
    }

    #[test]
    fn c070_a_mark_is_of_one_browser_one_account_and_one_password() {
        let key = Key::random();
        let own = mark(&key, "browser", "sub", 7);
        assert_eq!(own.len(), LEN);
        assert_eq!(own, mark(&key, "browser", "sub", 7));
        for other in [
            mark(&key, "other", "sub", 7),
            mark(&key, "browser", "bus", 7),
            mark(&key, "browser", "sub", 8),
            mark(&key, "browsers", "ub", 7),
            mark(&Key::random(), "browser", "sub", 7),
        ] {
            assert_ne!(own, other);
        }
    }
}
