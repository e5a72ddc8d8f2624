//! How often a password may be guessed, wherever one is asked for: C070, C071, C076.
//!
//! Decides whether a password is looked at, before it is. A process counts by network and in all; the account is counted
//! in the database, so that any number of processes have one budget for it. The address is counted in its canonical
//! form, whether or not anybody has it. A browser in which the account is known has a budget of its own, and so has
//! a session that is asked once more: strangers spend theirs, and the owner enters all the same. What a person knew is given back.

use std::sync::Arc;
use std::time::Duration;

use accounts::allowances::{self, Rate};
use accounts::attempts::{Attempt, Attempts, TooMany};
use accounts::email::Email;
use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Conn;
use events::Context;
use http::HeaderMap;
use keyring::Purpose;
use protocol::{Error, SessionId, Timestamp};

use crate::Front;

/// In a day that makes 154 guesses at a password that a million do not find.
const AT_ONE_ACCOUNT: Rate = Rate {
    at_once: 10,
    every: Duration::from_secs(10 * 60),
};

/// The bounds, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Guesses {
    front: Front,
    attempts: Attempts,
}

/// A guess that counts as wrong unless it is given back.
#[derive(Debug)]
#[must_use]
pub struct Guess {
    /// None in a browser that is known, and in a session.
    attempt: Option<Attempt>,
    spent: Spent,
}

/// What a guess took of the budget of an account.
#[derive(Debug)]
#[must_use]
pub struct Spent(Option<String>);

/// Why a password is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Too many from this network, or of all, were wrong.
    Network(TooMany),
    /// Too many at this account were.
    Account(TooMany),
}

impl Held {
    /// Whole seconds.
    pub fn retry_after(self) -> u64 {
        match self {
            Self::Network(too_many) | Self::Account(too_many) => too_many.retry_after.as_secs(),
        }
    }

    /// As a page tells it, never too short.
    pub fn minutes(self) -> u64 {
        self.retry_after().div_ceil(60).max(1)
    }
}

impl Guesses {
    /// Without limits on attempts nothing is counted at all.
    pub fn new(front: Front, attempts: Attempts) -> Self {
        Self { front, attempts }
    }

    /// Counts a guess: the last thing before the password is looked at. At the account it counts for all processes;
    /// where the account is not known, at the network and in all for this one, first. `whose` is the address that was
    /// typed and whoever has it, if anybody does; none when it is no address.
    ///
    /// # Errors
    /// When the database fails. [`Held`] is no such error: then it is not counted where it was held.
    pub async fn take(
        &self,
        whose: Option<(&Email, Option<&User>)>,
        by: &Context,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Result<Guess, Held>, Error> {
        let user = whose.and_then(|(_, user)| user);
        let mark = match self.attempts.is_limited() {
            true => self.front.known(user, headers)?,
            false => None,
        };
        // Who floods a network, or all of them, does not keep the owner out either.
        let attempt = match &mark {
            Some(_) => None,
            None => match self.attempts.begin(by.network(), now) {
                Ok(attempt) => Some(attempt),
                Err(too_many) => return Ok(Err(Held::Network(too_many))),
            },
        };
        let name = match (mark, whose) {
            (Some(mark), _) => Some(format!("password at {mark}")),
            (None, Some((address, _))) => Some(self.hidden(address)?),
            (None, None) => None,
        };
        let Some(name) = name.filter(|_| self.attempts.is_limited()) else {
            let spent = Spent(None);
            return Ok(Ok(Guess { attempt, spent }));
        };
        self.count(name, attempt, now).await
    }

    /// The same in a live session of this user. Where the browser has no mark of theirs, the session has a budget of its
    /// own: nobody has more sessions than they know the password for, and whom strangers besiege can still change their
    /// password, or leave, where they are signed in.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub async fn take_in_session(
        &self,
        session: &SessionId,
        user: &User,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Result<Guess, Held>, Error> {
        if !self.attempts.is_limited() {
            let spent = Spent(None);
            return Ok(Ok(Guess { attempt: None, spent }));
        }
        let name = match self.front.known(Some(user), headers)? {
            Some(mark) => format!("password at {mark}"),
            None => format!("password in {session}"),
        };
        self.count(name, None, now).await
    }

    async fn count(
        &self,
        name: String,
        attempt: Option<Attempt>,
        now: Timestamp,
    ) -> Result<Result<Guess, Held>, Error> {
        let spent = name.clone();
        let take = self.front.db.write_at_once(move |conn| {
            Box::pin(async move { allowances::take(&name, AT_ONE_ACCOUNT, conn, now).await })
        });
        Ok(match take.await? {
            Ok(()) => Ok(Guess {
                attempt,
                spent: Spent(Some(spent)),
            }),
            // The try from that network stays counted: to ask has a price, whatever it came to.
            Err(too_many) => Err(Held::Account(too_many)),
        })
    }

    /// Nobody could look at it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_back(&self, guess: Guess) -> Result<(), Error> {
        self.give_back_alone(Arc::new(guess.was_right())).await
    }

    /// What was right, where nothing came of what the person wanted: its transaction has given nothing back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_back_alone(&self, spent: Arc<Spent>) -> Result<(), Error> {
        if spent.0.is_none() {
            return Ok(());
        }
        let work = self
            .front
            .db
            .write_at_once(move |conn| Box::pin(async move { spent.give_back(conn).await }));
        Ok(work.await?)
    }

    /// The database does not keep whose password strangers tried.
    fn hidden(&self, address: &Email) -> Result<String, Error> {
        let key = self.front.keyring.secret(Purpose::Guesses)?.key;
        let mac = seal::mac(&key, &[b"password of", address.canonical().as_bytes()]);
        Ok(format!("password of {}", URL_SAFE_NO_PAD.encode(mac)))
    }
}

impl Guess {
    /// The person knew it. What remains is given back in the transaction of what they wanted.
    pub fn was_right(self) -> Spent {
        if let Some(attempt) = self.attempt {
            attempt.give_back();
        }
        self.spent
    }
}

impl Spent {
    /// In the transaction of what the person wanted: once, and [alone](Guesses::give_back_alone) only where that failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_back(&self, conn: &mut Conn) -> db::Result<()> {
        match &self.0 {
            Some(name) => allowances::give_back(name, AT_ONE_ACCOUNT, conn).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
