//! Tells clients what has ended: signs and delivers what the outbox holds.
//!
//! Decides when a notice is sent, how often, and when it is given up. Whoever signs out waits for none of this: the
//! notice is a row by then, which any replica sends, now or after a restart.

mod logout_token;

use std::time::Duration;

use clients::{Directory, Recipients};
use db::Database;
use egress::Egress;
use events::changes::{Topic, Watcher};
use events::logout_notices::{self, Notice};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use keyring::Keyring;
use protocol::delivery::pause;
use protocol::{ClientId, Clock, Error, Issuer, Timestamp};
use url::form_urlencoded::Serializer;

/// What the sender leans on.
#[derive(Clone, Debug)]
pub struct Signals {
    pub db: Database,
    pub keyring: Keyring,
    pub clients: Directory,
    /// How what they are told is protected.
    pub recipients: Recipients,
    /// Of its own: apps that do not answer keep nobody else waiting for a place.
    pub egress: Egress,
    pub issuer: Issuer,
    pub clock: Clock,
}

/// Under way at the same time.
const AT_ONCE: usize = egress::AT_ONCE;
/// To one client. As many as its host is asked at once; more would wait, and their time run out.
const AT_ONCE_PER_CLIENT: usize = egress::AT_ONCE_PER_HOST;
/// How often it is looked whether a further try is due.
const LOOK: Duration = Duration::from_secs(1);
/// Back-Channel Logout §2.5.
const FORM: &str = "application/x-www-form-urlencoded";

impl Signals {
    /// Sends what is due as soon as it is; never returns.
    pub async fn run(self, mut changes: Watcher) {
        let mut under_way = FuturesUnordered::new();
        let mut busy: Vec<ClientId> = Vec::new();
        let mut is_away = false;
        loop {
            let seen = changes.version(Topic::Notices);
            // Until there is no room, or nothing to take.
            while under_way.len() + AT_ONCE_PER_CLIENT <= AT_ONCE {
                match self.take(&busy).await {
                    Ok(taken) if taken.is_empty() => {
                        is_away = false;
                        break;
                    }
                    Ok(taken) => {
                        busy.extend(taken.iter().map(|notice| notice.client_id.clone()));
                        under_way.extend(taken.into_iter().map(|notice| self.deliver(notice)));
                    }
                    Err(error) => {
                        // Once for each time, however long it lasts.
                        match std::mem::replace(&mut is_away, true) {
                            false => tracing::warn!(%error, "logout notices could not be read"),
                            true => tracing::debug!(%error, "logout notices still could not be read"),
                        }
                        break;
                    }
                }
            }
            let is_full = under_way.len() + AT_ONCE_PER_CLIENT > AT_ONCE;
            tokio::select! {
                Some(client) = under_way.next() => {
                    if let Some(at) = busy.iter().position(|own| *own == client) {
                        busy.swap_remove(at);
                    }
                }
                () = changes.differs(Topic::Notices, seen), if !is_full => {}
                () = tokio::time::sleep(LOOK), if !is_full => {}
            }
        }
    }

    /// As many notices as one client may get at once, for clients that can take more.
    async fn take(&self, busy: &[ClientId]) -> db::Result<Vec<Notice>> {
        let now = self.clock.now();
        if !logout_notices::is_due(&mut self.db.reader().await?, now).await? {
            return Ok(Vec::new());
        }
        let count = |id: &ClientId| busy.iter().filter(|own| *own == id).count();
        let mut full: Vec<ClientId> = busy.to_vec();
        full.retain(|id| count(id) >= AT_ONCE_PER_CLIENT);
        let taken = self.db.transact(move |conn| {
            Box::pin(async move { logout_notices::take(AT_ONCE_PER_CLIENT, &full, conn, now).await })
        });
        taken.await
    }

    /// One attempt, and what follows from it. Says whose it was.
    async fn deliver(&self, notice: Notice) -> ClientId {
        let (client_id, now) = (notice.client_id.clone(), self.clock.now());
        let next = match self.send(&notice, now).await {
            Ok(()) => None,
            Err(why) => {
                let next = pause(notice.tries).map(|pause| now + pause);
                match next {
                    Some(_) => tracing::info!(%client_id, %why, "a client has not heard of a logout yet"),
                    None => tracing::warn!(%client_id, %why, "a client never heard of a logout"),
                }
                next
            }
        };
        if let Err(error) = self.note(notice, next).await {
            tracing::warn!(%client_id, %error, "a logout notice will be sent again");
        }
        client_id
    }

    async fn note(&self, notice: Notice, next: Option<Timestamp>) -> db::Result<()> {
        let noted = self.db.transact(move |conn| {
            Box::pin(async move {
                match next {
                    None => logout_notices::done(&notice, conn).await,
                    Some(due_at) => logout_notices::again(&notice, due_at, conn).await,
                }
            })
        });
        noted.await
    }

    /// Succeeds also where there is nobody to tell any more.
    async fn send(&self, notice: &Notice, now: Timestamp) -> Result<(), Unheard> {
        let client = self.clients.client(&notice.client_id).await?;
        let Some(client) = client else {
            return Ok(());
        };
        let Some(uri) = &client.metadata.backchannel_logout_uri else {
            return Ok(());
        };
        let token = self.logout_token(notice, &client, now).await?;
        let body = Serializer::new(String::new())
            .append_pair("logout_token", &token)
            .finish();
        let status = self.egress.post(uri, FORM, body).await?;
        // §2.8 has 200; some frameworks make 204 of an empty answer.
        match status.is_success() {
            true => Ok(()),
            false => Err(Unheard::Status(status.as_u16())),
        }
    }
}

/// Why a client has not heard. For our log only.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("it answered {0}")]
    Status(u16),
    #[error(transparent)]
    Egress(#[from] egress::Error),
    #[error(transparent)]
    Own(#[from] Error),
    #[error(transparent)]
    Database(#[from] db::Error),
}
