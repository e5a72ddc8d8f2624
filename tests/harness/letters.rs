//! What people find in their mailboxes.

use std::time::Duration;

use mail::{Delivered, Mailbox, Way};
use tokio::time::{Instant, sleep};

use super::World;
use super::world::Own;

/// Far above what a mail takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// As long as it takes that a mail would have come.
const LONG_ENOUGH: Duration = Duration::from_millis(2500);

/// The mail about a sign-in in another browser than before: people in tests have many, so it is looked at only by the tests
/// that are about it.
const SIGN_IN: &str = "New sign-in to your Countersign account";
/// That about an app that stays: people in tests allow many.
const APP: &str = "An app can use your Countersign account";
/// And that about one that was removed.
const REMOVED: &str = "An app was disconnected from your Countersign account";

fn is_aside(held: &Delivered) -> bool {
    [SIGN_IN, APP, REMOVED].contains(&held.letter.subject.as_str())
}

/// All mailboxes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letters(Mailbox);

/// A server that puts what it sends there.
pub(crate) async fn world(database: db::Url) -> (World, Letters) {
    world_with(database, Own::default()).await
}

pub(crate) async fn world_with(database: db::Url, own: Own) -> (World, Letters) {
    let letters = Letters::default();
    let own = Own {
        mail: Some(Way::Mailbox(letters.0.clone())),
        ..own
    };
    (World::here_with(database, own).await, letters)
}

impl Letters {
    /// What came for this address, the newest first, but for mails about sign-ins and apps.
    pub(crate) fn held(&self, address: &str) -> Vec<Delivered> {
        let mut letters = self.0.letters();
        letters.retain(|held| held.letter.to == address && !is_aside(held));
        letters
    }

    /// What came for this address about sign-ins, when all that will come has come; the newest first.
    pub(crate) async fn of_sign_ins(&self, address: &str) -> Vec<Delivered> {
        self.with_subject(SIGN_IN, address).await
    }

    /// The same of those about apps.
    pub(crate) async fn of_apps(&self, address: &str) -> Vec<Delivered> {
        self.with_subject(APP, address).await
    }

    pub(crate) async fn of_removed_apps(&self, address: &str) -> Vec<Delivered> {
        self.with_subject(REMOVED, address).await
    }

    async fn with_subject(&self, subject: &str, address: &str) -> Vec<Delivered> {
        sleep(LONG_ENOUGH).await;
        let mut letters = self.0.letters();
        letters.retain(|held| held.letter.to == address && held.letter.subject == subject);
        letters
    }

    /// The newest for this address, once there are so many.
    pub(crate) async fn newest(&self, address: &str, count: usize) -> Delivered {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let held = self.held(address);
            if held.len() >= count {
                return held.into_iter().next().expect("a letter");
            }
            assert!(
                Instant::now() < deadline,
                "{} letters and not {count}",
                held.len()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many of them carry a link.
    pub(crate) fn links(&self, address: &str) -> usize {
        self.with_link(address).len()
    }

    /// The link of the newest that carries one, once there are so many.
    pub(crate) async fn newest_link(&self, address: &str, count: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let held = self.with_link(address);
            if held.len() >= count {
                return link(held.first().expect("a letter"));
            }
            assert!(Instant::now() < deadline, "{} links and not {count}", held.len());
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn with_link(&self, address: &str) -> Vec<Delivered> {
        let mut letters = self.held(address);
        letters.retain(|held| held.letter.text.contains("http"));
        letters
    }

    /// How many came for anybody, when all that will come has come, but for mails about sign-ins and apps.
    pub(crate) async fn settled(&self) -> usize {
        sleep(LONG_ENOUGH).await;
        let letters = self.0.letters();
        letters.iter().filter(|held| !is_aside(held)).count()
    }
}

/// The link that a letter carries: the same in both of its forms.
pub(crate) fn link(held: &Delivered) -> String {
    let line = held.letter.text.lines().find(|line| line.starts_with("http"));
    let link = line.unwrap_or_else(|| panic!("no link: {}", held.letter.text));
    assert!(
        held.letter.html.contains(&format!("href=\"{link}\"")),
        "{}",
        held.letter.html
    );
    link.to_owned()
}
