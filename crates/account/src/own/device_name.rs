//! What a person calls a device of theirs. C086.
//!
//! The name belongs to the browser, so it is there again after the person signed out and in. Only they see it, but they
//! may look at it in haste, so it is one visible line like the name of an app (the attack: whoever is in the account for a
//! moment makes their device look like another).

use accounts::sessions;
use axum::response::Response;
use clients::shown::{self, Fault, MAX_NAME};
use pages::see_other;
use protocol::{SessionId, path};

use super::{Owner, Stop, absent};
use crate::{Account, Visit};

/// A name that was not taken.
pub(super) struct Odd {
    pub(super) session: SessionId,
    pub(super) typed: String,
}

impl Account {
    pub(super) async fn name_device(
        &self,
        owner: &Owner,
        session: SessionId,
        typed: &str,
        visit: &Visit,
    ) -> Result<Response, Stop> {
        let name = match shown::line(typed, MAX_NAME) {
            Ok(name) => Some(name),
            // Back to what the browser says of itself.
            Err(Fault::Empty) => None,
            Err(Fault::TooLong(_) | Fault::Invisible | Fault::Marks | Fault::Confusable) => {
                let typed = typed.to_owned();
                return self
                    .devices_page(owner, Some(Odd { session, typed }), None, visit)
                    .await;
            }
        };
        let (of, sub) = (session.clone(), owner.session.sub.clone());
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move { sessions::rename(&of, &sub, name.as_deref(), conn).await })
        });
        let is_done = work.await?;
        let mut conn = self.front.db.reader().await?;
        // One that has ended meanwhile is not on the list any more.
        match is_done || sessions::was_of(&session, &owner.session.sub, &mut conn).await? {
            true => Ok(see_other(&self.at(path::ACCOUNT_SESSIONS, &[]))),
            false => Err(absent()),
        }
    }
}
