//! Browsers in which a person knew their password: C070.
//!
//! Decides whose guesses are counted apart from those of strangers, so that a stranger who guesses all the time does not
//! keep the owner out; and whether an account was signed in to in this browser before. The cookie holds a random name of
//! the browser, by which `accounts::sessions` knows it again, and, for each account that was signed in to there or got
//! its password there, two MACs over that name and the account. So none of it can be made by a stranger; it proves
//! nothing else, and names nobody.
//!
//! The first, the *mark*, is about the password as well: its epoch and its hash. It cannot be multiplied by whoever knew
//! the password before it was changed, and one of a history that a restore from a backup has undone is void, though the
//! epochs are counted from there once more. Hashing the same password anew makes strangers of the other browsers of the
//! person, for once, and a budget is all that they lose.
//!
//! The second says that the two have *met*, and outlives the password: who changes it is not told of each of their own
//! browsers then, nor is everybody after a restore. The name alone says nothing of that: all who use a browser know it,
//! and could take it along to one of their own, to sign in there with the password of another without a mail.

use accounts::passwords::StoredHash;
use accounts::sessions::Acquaintance;
use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use keyring::Purpose;
use protocol::opaque::{self, Kind};
use protocol::{Error, Secret, Subject};
use seal::Key;

use crate::Front;

/// 128 bits in base64url: one MAC.
const LEN: usize = 22;
const BITS_128: usize = 16;
/// Accounts that a browser is known for: the last ones. Where more people share one, whoever was not among the last is
/// told of their next sign-in there, and rightly: that browser is nobody's own.
const MOST: usize = 6;

/// An account, as its person has just shown that it is theirs.
#[derive(Clone, Copy, Debug)]
pub struct Proven<'u> {
    pub sub: &'u Subject,
    pub epoch: i64,
    /// Of the password from now on.
    pub hash: Option<&'u StoredHash>,
}

/// What the cookie holds.
struct Known {
    browser: String,
    accounts: Vec<Words>,
}

/// Of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    mark: String,
    met: String,
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
        let nobody = Subject::from("");
        let proven = user.map_or(
            Proven {
                sub: &nobody,
                epoch: 0,
                hash: None,
            },
            Proven::of,
        );
        let own = mark(&key, &known.browser, proven);
        let is_known = known.accounts.iter().any(|words| is_same(&words.mark, &own));
        Ok((is_known && user.is_some()).then_some(own))
    }

    /// By what the browser that sent the request is known again, whoever uses it.
    pub fn device(&self, headers: &HeaderMap) -> Option<Secret> {
        self.presented(headers)
            .map(|known| Secret::from(known.browser.as_str()))
    }

    /// The same, and whether it has met this account.
    ///
    /// # Errors
    /// When there is no key to check it with.
    pub fn acquaintance(&self, sub: &Subject, headers: &HeaderMap) -> Result<Option<Acquaintance>, Error> {
        let Some(known) = self.presented(headers) else {
            return Ok(None);
        };
        let key = self.keyring.secret(Purpose::Guesses)?.key;
        let own = met(&key, &known.browser, sub);
        let has_met = known.accounts.iter().any(|words| is_same(&words.met, &own));
        Ok(Some(Acquaintance {
            browser: Secret::from(known.browser.as_str()),
            has_met,
        }))
    }

    /// The cookie of a browser of this name in which the person has just shown that the account is theirs. What was marked
    /// under another name is void.
    ///
    /// # Errors
    /// When there is no key to make it with.
    pub fn acquaint(
        &self,
        browser: &Secret,
        proven: Proven<'_>,
        headers: &HeaderMap,
    ) -> Result<HeaderValue, Error> {
        let key = self.keyring.secret(Purpose::Guesses)?.key;
        let known = self
            .presented(headers)
            .filter(|known| known.browser == browser.expose());
        let mut accounts = known.map(|known| known.accounts).unwrap_or_default();
        let own = Words {
            mark: mark(&key, browser.expose(), proven),
            met: met(&key, browser.expose(), proven.sub),
        };
        accounts.retain(|words| words.met != own.met);
        accounts.insert(0, own);
        accounts.truncate(MOST);
        let words = accounts
            .iter()
            .map(|words| format!(".{}{}", words.mark, words.met));
        Ok(self
            .cookies
            .set_known(&format!("{}{}", browser.expose(), words.collect::<String>())))
    }

    fn presented(&self, headers: &HeaderMap) -> Option<Known> {
        let value = self.cookies.known(headers)?;
        Known::parse(value.expose())
    }
}

impl<'u> Proven<'u> {
    pub fn of(user: &'u User) -> Self {
        Self {
            sub: &user.sub,
            epoch: user.epoch,
            hash: user.password_hash.as_ref(),
        }
    }
}

impl Known {
    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('.');
        let browser = parts.next()?.to_owned();
        let accounts: Vec<Words> = parts.map(Words::parse).collect::<Option<_>>()?;
        let is_named = opaque::decode(Kind::Device, &browser).is_some();
        (is_named && accounts.len() <= MOST).then_some(Self { browser, accounts })
    }
}

impl Words {
    fn parse(text: &str) -> Option<Self> {
        let is_of_ours = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if text.len() != 2 * LEN || !text.bytes().all(is_of_ours) {
            return None;
        }
        let (mark, met) = text.split_at_checked(LEN)?;
        Some(Self {
            mark: mark.to_owned(),
            met: met.to_owned(),
        })
    }
}

fn is_same(given: &str, own: &str) -> bool {
    seal::same(given.as_bytes(), own.as_bytes())
}

fn mark(key: &Key, browser: &str, proven: Proven<'_>) -> String {
    let epoch = proven.epoch.to_string();
    let hash = proven.hash.map_or("", StoredHash::as_str);
    word(key, &["known", browser, proven.sub.as_str(), &epoch, hash])
}

fn met(key: &Key, browser: &str, sub: &Subject) -> String {
    word(key, &["met", browser, sub.as_str()])
}

fn word(key: &Key, parts: &[&str]) -> String {
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    let mac = seal::mac(key, &parts);
    URL_SAFE_NO_PAD.encode(mac.get(..BITS_128).unwrap_or(&mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    const OTHER_HASH: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK";

    #[test]
    fn only_a_cookie_of_our_own_shape_counts() {
        let (name, words) = (opaque::random(Kind::Device), "A".repeat(2 * LEN));
        let name = name.expose();
        let full = [&[name], [words.as_str(); MOST].as_slice()].concat().join(".");
        for (value, accounts) in [
            (name.to_owned(), Some(0)),
            (format!("{name}.{words}"), Some(1)),
            (words.clone(), None),
            (format!("{words}.{words}"), None),
            (full.clone(), Some(MOST)),
            (format!("{full}.{words}"), None),
            (format!("{name}."), None),
            (format!("{name}.x"), None),
            (format!("{name}.{}", "A".repeat(LEN)), None),
            (format!("{name}.{}é", "A".repeat(2 * LEN - 2)), None),
            (String::new(), None),
            (".".repeat(5000), None),
        ] {
            let known = Known::parse(&value).map(|known| known.accounts.len());
            assert_eq!(known, accounts, "{value}");
        }
    }

    #[test]
    fn c070_a_mark_is_of_one_browser_one_account_and_one_password() {
        let key = Key::random();
        let (alex, other) = (Subject::from("sub"), Subject::from("bus"));
        let (hash, other_hash) = (
            StoredHash::parse(HASH).unwrap(),
            StoredHash::parse(OTHER_HASH).unwrap(),
        );
        let proven = Proven {
            sub: &alex,
            epoch: 7,
            hash: Some(&hash),
        };
        let own = mark(&key, "browser", proven);
        assert_eq!(own.len(), LEN);
        assert_eq!(own, mark(&key, "browser", proven));
        let shifted = Subject::from("ssub");
        for different in [
            mark(&key, "other", proven),
            mark(
                &key,
                "browser",
                Proven {
                    sub: &other,
                    ..proven
                },
            ),
            mark(&key, "browser", Proven { epoch: 8, ..proven }),
            // The same number once more, after a restore.
            mark(
                &key,
                "browser",
                Proven {
                    hash: Some(&other_hash),
                    ..proven
                },
            ),
            mark(&key, "browser", Proven { hash: None, ..proven }),
            mark(
                &key,
                "browse",
                Proven {
                    sub: &shifted,
                    ..proven
                },
            ),
            mark(&Key::random(), "browser", proven),
        ] {
            assert_ne!(own, different);
        }
    }

    #[test]
    fn that_a_browser_has_met_an_account_is_of_those_two() {
        let key = Key::random();
        let (alex, other) = (Subject::from("sub"), Subject::from("bus"));
        let own = met(&key, "browser", &alex);
        assert_eq!(own.len(), LEN);
        for different in [
            met(&key, "browser", &other),
            met(&key, "other", &alex),
            met(&Key::random(), "browser", &alex),
        ] {
            assert_ne!(own, different);
        }
    }
}
