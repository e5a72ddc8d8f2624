//! What a form of ours has just done, told on the page that its answer leads to.
//!
//! The word travels in the address of that page, sealed to the session and good for a minute: a link that somebody else
//! made, or kept, says nothing.

use std::time::Duration;

use keyring::Purpose;
use pages::{Markup, Texts};
use protocol::{Error, Timestamp, wire_enum};

use super::Owner;
use crate::{Account, Visit};

const SEALED_AS: &str = "news";
/// From the answer to the page. Afterwards a reload says nothing any more.
const FRESH: Duration = Duration::from_secs(60);

wire_enum! {
    /// What was done.
    pub enum News {
        /// The profile is as it was typed.
        Saved => "saved",
        EmailChanged => "email",
        PasswordChanged => "password",
        SignedOut => "session",
        SignedOutElsewhere => "others",
        AppRemoved => "app",
    }
}

impl News {
    pub(crate) fn words(&self, texts: &Texts) -> Markup {
        texts.text(match self {
            Self::Saved => "profile-done",
            Self::EmailChanged => "email-changed",
            Self::PasswordChanged => "change-done",
            Self::SignedOut => "devices-ended",
            Self::SignedOutElsewhere => "devices-others-ended",
            Self::AppRemoved => "apps-removed",
        })
    }
}

impl Account {
    /// The address of a page of ours that tells it.
    pub(crate) fn telling(
        &self,
        path: &str,
        news: News,
        owner: &Owner,
        visit: &Visit,
    ) -> Result<String, Error> {
        let key = self.front.keyring.secret(Purpose::Flow)?.key;
        let told = format!("{} {news}", visit.now.as_secs());
        let sealed = seal::seal(
            &key,
            SEALED_AS,
            owner.session.session_id.as_str(),
            told.as_bytes(),
        );
        Ok(self.at(path, &[("done", Some(&sealed))]))
    }

    /// What there is to tell this person, if the address of the page says so.
    pub(crate) fn news(
        &self,
        given: Option<&str>,
        owner: &Owner,
        visit: &Visit,
    ) -> Result<Option<News>, Error> {
        let Some(given) = given else {
            return Ok(None);
        };
        let key = self.front.keyring.secret(Purpose::Flow)?.key;
        let opened = seal::open(&key, SEALED_AS, owner.session.session_id.as_str(), given);
        Ok(opened.ok().and_then(|told| {
            let (at, news) = std::str::from_utf8(&told).ok()?.split_once(' ')?;
            let at = Timestamp::from_secs(at.parse().ok()?);
            let is_fresh = at <= visit.now && visit.now.since(at) < FRESH;
            news.parse().ok().filter(|_| is_fresh)
        }))
    }
}
