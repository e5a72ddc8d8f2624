//! Whoever sends what is in the queue. Any number of processes may; each row is taken by one at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use db::Database;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use protocol::delivery::pause;
use protocol::{Clock, Timestamp};

use crate::letter::BadLetter;
use crate::queue::{self, Taken};
use crate::relay::Unsent;
use crate::{Content, Delivered, Letter, Mailbox, Sealer, Smtp};

/// Where letters go.
#[derive(Clone, Debug)]
pub enum Way {
    Smtp(Smtp),
    Mailbox(Mailbox),
}

/// What the sender leans on.
#[derive(Clone, Debug)]
pub struct Post {
    pub db: Database,
    pub sealer: Sealer,
    pub way: Way,
    pub clock: Clock,
}

/// Under way at the same time. Relays think little of many connections from one place.
const AT_ONCE: usize = 4;
/// How often it is looked whether anything is due.
const LOOK: Duration = Duration::from_secs(1);

/// Why a mail has not gone. For our log only.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    Relay(#[from] Unsent),
    #[error(transparent)]
    Letter(#[from] BadLetter),
    #[error("it does not open")]
    Sealed,
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// Whether the relay takes nothing at present. That it begins is said once, however many mails wait and however long.
#[derive(Debug, Default)]
struct Outage(AtomicBool);

impl Outage {
    /// Says whether this is news.
    fn began(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    fn ended(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Unwritten {
    /// Whether it is about the relay as a whole and not about this mail.
    fn is_outage(&self) -> bool {
        match self {
            Self::Relay(unsent) => unsent.is_outage(),
            Self::Letter(_) | Self::Sealed | Self::Database(_) => false,
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Relay(unsent) => unsent.may_pass(),
            // The key of a row may be one that this process has not heard of yet.
            Self::Sealed | Self::Database(_) => true,
            Self::Letter(_) => false,
        }
    }
}

impl Post {
    /// Sends what is due; never returns. `compose` makes the letter of what a row holds, or says that there is none to
    /// send; it is asked anew for each attempt.
    pub async fn run<C, F>(self, compose: C)
    where
        C: Fn(Content) -> F,
        F: Future<Output = db::Result<Option<Letter>>>,
    {
        let outage = Outage::default();
        let mut under_way = FuturesUnordered::new();
        let mut is_away = false;
        loop {
            let room = AT_ONCE.saturating_sub(under_way.len());
            match self.take(room).await {
                Ok(taken) => {
                    is_away = false;
                    under_way.extend(
                        taken
                            .into_iter()
                            .map(|mail| self.deliver(mail, &compose, &outage)),
                    );
                }
                Err(error) => match std::mem::replace(&mut is_away, true) {
                    // Once for each time, however long it lasts.
                    false => tracing::warn!(%error, "mails could not be read"),
                    true => tracing::debug!(%error, "mails still could not be read"),
                },
            }
            let is_full = under_way.len() >= AT_ONCE;
            tokio::select! {
                Some(()) = under_way.next() => {}
                () = tokio::time::sleep(LOOK), if !is_full => {}
            }
        }
    }

    async fn take(&self, room: usize) -> db::Result<Vec<Taken>> {
        let now = self.clock.now();
        if room == 0 || !queue::is_due(&mut self.db.reader().await?, now).await? {
            return Ok(Vec::new());
        }
        let taken = self
            .db
            .transact(move |conn| Box::pin(async move { queue::take(room, conn, now).await }));
        taken.await
    }

    /// One attempt, and what follows from it.
    async fn deliver<C, F>(&self, mail: Taken, compose: &C, outage: &Outage)
    where
        C: Fn(Content) -> F,
        F: Future<Output = db::Result<Option<Letter>>>,
    {
        let (mail_id, now) = (mail.mail_id.clone(), self.clock.now());
        let expires_at = Timestamp::from_secs(mail.expires_at);
        let next = match self.send(&mail, compose, outage, now).await {
            Ok(()) => None,
            Err(why) => {
                let next = pause(mail.tries)
                    .map(|pause| now + pause)
                    .filter(|next| *next < expires_at && why.may_pass());
                match next {
                    Some(_) if why.is_outage() && outage.began() => tracing::warn!(
                        mail_id, %why,
                        "the mail server takes no mail (COUNTERSIGN_MAIL_SMTP_URL); it is tried again, and this is said once"
                    ),
                    Some(_) => tracing::info!(mail_id, %why, "a mail has not been sent yet"),
                    None => tracing::warn!(mail_id, %why, "a mail was never sent"),
                }
                next
            }
        };
        if let Err(error) = self.note(mail, next).await {
            tracing::warn!(mail_id, %error, "a mail will be sent again");
        }
    }

    async fn note(&self, mail: Taken, next: Option<Timestamp>) -> db::Result<()> {
        let noted = self.db.transact(move |conn| {
            Box::pin(async move {
                match next {
                    None => queue::done(&mail, conn).await,
                    Some(due_at) => queue::again(&mail, due_at, conn).await,
                }
            })
        });
        noted.await
    }

    /// Succeeds also where there is nothing to send, and where it would come too late.
    async fn send<C, F>(
        &self,
        mail: &Taken,
        compose: &C,
        outage: &Outage,
        now: Timestamp,
    ) -> Result<(), Unwritten>
    where
        C: Fn(Content) -> F,
        F: Future<Output = db::Result<Option<Letter>>>,
    {
        if now >= Timestamp::from_secs(mail.expires_at) {
            tracing::warn!(mail_id = mail.mail_id, "a mail came too late to be sent");
            return Ok(());
        }
        let content = self.sealer.open(&mail.mail_id, &mail.sealed_by, &mail.sealed);
        let Some(letter) = compose(content.ok_or(Unwritten::Sealed)?).await? else {
            return Ok(());
        };
        match &self.way {
            Way::Smtp(smtp) => {
                let message = letter.message(&mail.mail_id, smtp.from(), now)?;
                smtp.send(message).await?;
                if outage.ended() {
                    tracing::info!("the mail server takes mail again");
                }
            }
            Way::Mailbox(mailbox) => mailbox.deliver(Delivered {
                mail_id: mail.mail_id.clone(),
                letter,
                at: now,
            }),
        }
        tracing::info!(mail_id = mail.mail_id, tries = mail.tries, "a mail was sent");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
