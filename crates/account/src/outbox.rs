//! Where mails are queued, and how many strangers may have queued: C070.

use std::time::Duration;

use accounts::allowances::{self, Rate};
use accounts::email::Email;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Conn;
use events::Context;
use keyring::{Keyring, Purpose};
use mail::Sealer;
use protocol::{Subject, Timestamp};

use crate::Lost;
use crate::letters::Job;
use crate::notices::{Notice, What};

/// The queue, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Outbox {
    keyring: Keyring,
    mails: Mails,
}

/// Whether strangers may have any number of mails sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mails {
    Counted,
    /// For measurements and tests.
    Free,
}

/// With links that live for half an hour this means: whoever is refused was sent one that still works for a while. So a
/// stranger who asks all the time fills a mailbox a little, and keeps nobody out.
const OF_ONE_ADDRESS: Rate = Rate {
    at_once: 3,
    every: Duration::from_secs(20 * 60),
};
const OF_ONE_NETWORK: Rate = Rate {
    at_once: 20,
    every: Duration::from_secs(60),
};
/// A bound on the rows that wait, since each request leaves one whether or not there is an account. Whoever empties this
/// keeps everybody from recovering, so it is what a thousand networks may ask for at once.
const OF_ALL: Rate = Rate {
    at_once: 20_000,
    every: Duration::from_secs(1),
};

/// A link that comes later than this after it was asked for is not waited for any more.
const WITHIN_HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);
const WITHIN_A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Outbox {
    pub fn new(keyring: Keyring, mails: Mails) -> Self {
        Self { keyring, mails }
    }

    /// What seals mails at rest.
    pub fn sealer(&self) -> Sealer {
        let keyring = self.keyring.clone();
        Sealer::new(move |name| {
            let found = match name {
                None => keyring.secret(Purpose::Mail).ok(),
                Some(id) => keyring.secret_by_id(Purpose::Mail, id),
            };
            found.map(|secret| (secret.id, secret.key))
        })
    }

    /// Queues a link by which this user shows that they read their mail. Expects to be inside a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify(
        &self,
        sub: &Subject,
        locale: &str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        let job = Job::Verify {
            sub: sub.clone(),
            locale: locale.to_owned(),
        };
        self.put(&job, conn, now).await
    }

    /// Queues the mail that tells a person that their account stays. Expects to be inside a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn came_back(
        &self,
        address: String,
        locale: &str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        let job = Job::Notice(Notice {
            to: address,
            what: What::DeletionUndone,
            at: now,
            locale: locale.to_owned(),
        });
        self.put(&job, conn, now).await
    }

    /// Queues an invitation to make an account with this address. Expects to be inside a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invite(
        &self,
        email: &Email,
        locale: &str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        let job = Job::Invite {
            address: email.shown().to_owned(),
            locale: locale.to_owned(),
        };
        self.put(&job, conn, now).await
    }

    /// Queues a mail in the transaction of the act that it is about.
    pub(crate) async fn put(&self, job: &Job, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
        let within = match job {
            Job::Recover { .. } | Job::Verify { .. } | Job::Address { .. } | Job::SignUp { .. } => {
                WITHIN_HALF_AN_HOUR
            }
            Job::Recovered { .. } | Job::Notice(_) | Job::Invite { .. } => WITHIN_A_DAY,
        };
        let content = serde_json::to_vec(job).map_err(db::Error::corrupt)?;
        mail::put(&content, within, &self.sealer(), conn, now).await
    }

    /// Queues a mail that a stranger asks for, to be sent to whoever this address or name is of. On
    /// [`Lost::TooMany`] the transaction has to be rolled back, so that a refusal costs nothing.
    pub(crate) async fn ask(
        &self,
        job: &Job,
        whose: &str,
        by: &Context,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<(), Lost> {
        if self.mails == Mails::Counted {
            // Locks are taken in one order everywhere.
            for (name, rate) in [
                (format!("mail network {}", by.network()), OF_ONE_NETWORK),
                (self.hidden(whose)?, OF_ONE_ADDRESS),
                ("mail all".to_owned(), OF_ALL),
            ] {
                let taken = allowances::take(&name, rate, conn, now).await?;
                taken.map_err(Lost::TooMany)?;
            }
        }
        Ok(self.put(job, conn, now).await?)
    }

    /// The database does not keep whom strangers asked about.
    fn hidden(&self, whose: &str) -> db::Result<String> {
        let secret = self.keyring.secret(Purpose::Mail);
        let key = secret.map_err(|error| db::Error::Setup(error.to_string()))?.key;
        let mac = seal::mac(&key, &[b"mail address", whose.as_bytes()]);
        Ok(format!("mail address {}", URL_SAFE_NO_PAD.encode(mac)))
    }
}
