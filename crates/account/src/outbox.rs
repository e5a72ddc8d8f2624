//! Where mails are queued, and how many strangers may have queued: C070.

use std::time::Duration;

use accounts::allowances::{self, Rate};
use accounts::claims::Claim;
use accounts::email::Email;
use accounts::invitations::Invitation;
use accounts::sessions::Session;
use accounts::users::User;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Conn;
use events::Context;
use keyring::{Keyring, Purpose};
use mail::{Place, Sealer};
use protocol::{Subject, Timestamp};

use crate::Lost;
use crate::letters::Job;
use crate::notices::{Deed, NewBrowser, Notice, What};

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
/// stranger who asks all the time fills a mailbox a little, and keeps nobody out. Each kind of mail counts by itself: one
/// who asks for accounts, or for the address of another, must not keep its owner from recovering.
const OF_ONE_ADDRESS: Rate = Rate {
    at_once: 3,
    every: Duration::from_secs(20 * 60),
};
const OF_ONE_NETWORK: Rate = Rate {
    at_once: 20,
    every: Duration::from_secs(60),
};
/// Of mails to an address that accounts want to have, beside [`OF_ONE_ADDRESS`] of each: nobody keeps another from moving
/// there by asking for it first.
const OF_ONE_WANTED: Rate = Rate {
    at_once: 12,
    every: Duration::from_secs(5 * 60),
};
/// Of mails that who has the password of an account can have sent: to addresses of their choice, or about sign-ins to its
/// own.
const OF_ONE_PERSON: Rate = Rate {
    at_once: 5,
    every: Duration::from_secs(10 * 60),
};
/// By which an account is told of apps: whoever allows and removes one all day fills no mailbox.
const OF_APPS: Rate = Rate {
    at_once: 10,
    every: Duration::from_secs(10 * 60),
};
/// A bound on the rows that wait, since each request leaves one whether or not there is an account. Whoever empties this
/// keeps everybody from recovering, so it is what a thousand networks may ask for at once.
const OF_ALL: Rate = Rate {
    at_once: 20_000,
    every: Duration::from_secs(1),
};

/// Mails to addresses that belong to nobody here, a budget for each kind: these go out whoever they name, and recovery
/// neither pays nor waits for them.
const OF_ALL_STRANGERS: Rate = Rate {
    at_once: 2_000,
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
            user_agent: None,
        });
        self.put(&job, conn, now).await
    }

    /// Queues the mail that tells a person of a sign-in in a browser that they did not use before. Whoever signs in from
    /// many does not fill a mailbox by that. Expects to be inside a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signed_in(
        &self,
        session: &Session,
        browser: NewBrowser,
        locale: &str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        if self.mails == Mails::Counted {
            let name = format!("mail sign-in of {}", session.sub);
            if allowances::take(&name, OF_ONE_PERSON, conn, now).await?.is_err() {
                tracing::info!(sub = %session.sub, "a sign-in was not mailed: too many were, a moment ago");
                return Ok(());
            }
        }
        let job = Job::Notice(Notice {
            to: session.email.clone(),
            what: What::SignedIn(browser),
            at: now,
            locale: locale.to_owned(),
            user_agent: None,
        });
        self.put(&job, conn, now).await
    }

    /// Queues the mail that tells a person of an app that may use their account without them from now on. Expects to be
    /// inside a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn app_stays(
        &self,
        session: &Session,
        app: Option<String>,
        locale: &str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        self.about_app(session, What::AppStays(app), locale, conn, now)
            .await
    }

    /// Queues a mail about an app, within bounds.
    pub(crate) async fn about_app(
        &self,
        session: &Session,
        what: What,
        locale: &str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        if self.mails == Mails::Counted {
            let name = format!("mail apps of {}", session.sub);
            if allowances::take(&name, OF_APPS, conn, now).await?.is_err() {
                tracing::info!(sub = %session.sub, "an app was not mailed: too many were, a moment ago");
                return Ok(());
            }
        }
        let job = Job::Notice(Notice {
            to: session.email.clone(),
            what,
            at: now,
            locale: locale.to_owned(),
            user_agent: None,
        });
        self.put(&job, conn, now).await
    }

    /// Queues the mail that tells a person what an operator did with their account. Expects to be inside the transaction of
    /// that. Whoever changes thousands at once keeps nobody else waiting.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn operator_did(
        &self,
        deed: Deed,
        to: &User,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        let job = Job::Notice(Notice {
            to: to.email.shown().to_owned(),
            what: What::ByOperator(deed),
            at: now,
            locale: to.claims.text(Claim::Locale).unwrap_or("en").to_owned(),
            user_agent: None,
        });
        self.put(&job, conn, now).await
    }

    /// Queues an invitation to make an account with this address. Expects to be inside a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invite(
        &self,
        invitation: &Invitation,
        locale: &str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        let job = Job::Invite {
            address: invitation.email.shown().to_owned(),
            locale: locale.to_owned(),
            invitation: Some(invitation.id.clone()),
        };
        self.put(&job, conn, now).await
    }

    /// Queues a mail in the transaction of the act that it is about.
    pub(crate) async fn put(&self, job: &Job, conn: &mut Conn, now: Timestamp) -> db::Result<()> {
        let content = serde_json::to_vec(job).map_err(db::Error::corrupt)?;
        mail::put(&content, terms(job), &self.sealer(), conn, now).await
    }

    /// Queues a mail that somebody asks for, to be sent to whoever this address or name is of. On
    /// [`Lost::TooMany`] the transaction has to be rolled back, so that a refusal costs nothing.
    pub(crate) async fn ask(
        &self,
        job: &Job,
        whose: &Counts,
        by: &Context,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<(), Lost> {
        if self.mails == Mails::Counted {
            let (kind, asker) = counted(job);
            let (of_all, all) = match kind {
                "sign-up" | "address" => (format!("mail {kind} all"), OF_ALL_STRANGERS),
                _ => ("mail all".to_owned(), OF_ALL),
            };
            let of_asker = asker.map(|sub| (format!("mail {kind} of {sub}"), OF_ONE_PERSON));
            // Locks are taken in one order everywhere.
            let bounds = [(format!("mail network {}", by.network()), OF_ONE_NETWORK)]
                .into_iter()
                .chain(of_asker)
                .chain(self.of_address(kind, &whose.counted, asker)?);
            for (name, rate) in bounds {
                let taken = allowances::take(&name, rate, conn, now).await?;
                taken.map_err(Lost::TooMany)?;
            }
            if let Some(tags) = &whose.tags {
                // Spent with it, and refuses nothing.
                for (name, rate) in self.of_address(kind, tags, asker)? {
                    let _ = allowances::take(&name, rate, conn, now).await?;
                }
            }
            let taken = allowances::take(&of_all, all, conn, now).await?;
            taken.map_err(Lost::TooMany)?;
        }
        Ok(self.put(job, conn, now).await?)
    }

    /// Lets whoever reads this address ask for a new password as if they never had: those links that they have are void from
    /// now on. The attack: whoever knows the password asks in the owner's name until no more is sent, and then sets another
    /// password. How often they do that is bounded as well, and more tightly.
    pub(crate) async fn forget_asked(&self, email: &Email, conn: &mut Conn) -> db::Result<()> {
        allowances::forget(&self.hidden(RECOVERY, email.canonical())?, conn).await
    }

    /// What a mail to this address counts against, beside whoever asks for it.
    fn of_address(
        &self,
        kind: &str,
        whose: &str,
        asker: Option<&Subject>,
    ) -> db::Result<Vec<(String, Rate)>> {
        let of_all = self.hidden(kind, whose)?;
        let Some(sub) = asker else {
            return Ok(vec![(of_all, OF_ONE_ADDRESS)]);
        };
        let of_both = self.hidden(kind, &format!("{whose} by {sub}"))?;
        Ok(vec![(of_both, OF_ONE_ADDRESS), (of_all, OF_ONE_WANTED)])
    }

    /// The database does not keep whom strangers asked about.
    fn hidden(&self, kind: &str, whose: &str) -> db::Result<String> {
        let secret = self.keyring.secret(Purpose::Mail);
        let key = secret.map_err(|error| db::Error::Setup(error.to_string()))?.key;
        let mac = seal::mac(&key, &[b"mail to", kind.as_bytes(), whose.as_bytes()]);
        Ok(format!("mail {kind} to {}", URL_SAFE_NO_PAD.encode(mac)))
    }
}

/// As whose a mail counts that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    counted: String,
    /// All addresses that differ from this one by what stands behind a `+`. What is behind it is its owner's to choose
    /// nearly everywhere, and a stranger's too, so they count as one, and what comes to the bare address counts with
    /// them. Never the other way: where a host knows no such thing, none of theirs reaches the owner of the bare one,
    /// who would be kept out by mails that went to nobody.
    tags: Option<String>,
}

impl Counts {
    /// Of an account, or of an address as it is.
    pub(crate) fn of(name: &str) -> Self {
        Self {
            counted: name.to_owned(),
            tags: None,
        }
    }

    /// Of the mailbox that an address reaches, as far as can be seen from outside.
    pub(crate) fn mailbox(email: &Email) -> Self {
        let canonical = email.canonical();
        let Some((local, domain)) = canonical.rsplit_once('@') else {
            return Self::of(canonical);
        };
        match local.split_once('+') {
            Some((base, _)) if !base.is_empty() => Self::of(&format!("{base}+@{domain}")),
            Some(_) => Self::of(canonical),
            None => Self {
                counted: canonical.to_owned(),
                tags: Some(format!("{local}+@{domain}")),
            },
        }
    }
}

/// For how long it is worth sending, and before what.
fn terms(job: &Job) -> (Duration, Place) {
    match job {
        Job::Recover { .. } | Job::Verify { .. } => (WITHIN_HALF_AN_HOUR, Place::Asked),
        Job::Address { .. } | Job::SignUp { .. } => (WITHIN_HALF_AN_HOUR, Place::Later),
        Job::Notice(Notice {
            what: What::ByOperator(_),
            ..
        }) => (WITHIN_A_DAY, Place::Last),
        Job::Recovered { .. } | Job::Notice(_) | Job::Invite { .. } => (WITHIN_A_DAY, Place::First),
    }
}

/// As what links to a new password count.
const RECOVERY: &str = "recover";

/// As what a mail counts, and who asks for it where that is known.
fn counted(job: &Job) -> (&'static str, Option<&Subject>) {
    match job {
        Job::Recover { .. } => (RECOVERY, None),
        Job::Verify { .. } => ("verify", None),
        Job::Address { sub, .. } => ("address", Some(sub)),
        Job::SignUp { .. } => ("sign-up", None),
        Job::Notice(_) | Job::Recovered { .. } | Job::Invite { .. } => ("notice", None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn c070_what_strangers_ask_for_goes_behind_what_was_done_and_a_new_password_before_a_new_account() {
        let notice = |what: serde_json::Value| json!({"notice": {"to": "a@b.example", "what": what, "at": 1, "locale": "en"}});
        for (row, place) in [
            (notice(json!({"password_changed": true})), Place::First),
            (
                notice(json!({"signed_in": {"user_agent": "", "app": null}})),
                Place::First,
            ),
            (
                json!({"recovered": {"to": "a@b.example", "at": 1, "locale": "en"}}),
                Place::First,
            ),
            (
                json!({"invite": {"address": "a@b.example", "locale": "en"}}),
                Place::First,
            ),
            (
                json!({"recover": {"address": "a@b.example", "locale": "en", "flow": null}}),
                Place::Asked,
            ),
            (json!({"verify": {"sub": "alex", "locale": "en"}}), Place::Asked),
            (
                json!({"sign_up": {"address": "a@b.example", "locale": "en", "flow": null}}),
                Place::Later,
            ),
            (
                json!({"address": {"sub": "alex", "epoch": 1, "address": "a@b.example", "locale": "en"}}),
                Place::Later,
            ),
        ] {
            let job: Job = serde_json::from_value(row.clone()).unwrap();
            assert_eq!(terms(&job).1, place, "{row}");
        }
    }
}
