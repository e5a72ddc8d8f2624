//! The feed of revocations, as a verifier holds it. Decides whether a token has been revoked, whether what is known
//! of that is of now, and what happens when it is not.

mod answer;
pub(crate) mod error;
mod events;
mod follow;
mod record;
pub(crate) mod set;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use protocol::{Clock, Timestamp};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::credentials::Credentials;
use crate::introspection::Introspection;
use crate::keys::Keys;
use crate::seen::Digest;
use crate::{Error, FeedError};
use set::{Marker, Marks, Set};

/// What a verifier does with tokens while it does not hear of revocations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LostFeed {
    /// Goes on with what it knows: a token that is revoked meanwhile is accepted until it expires, 15 minutes at
    /// most. [`crate::Verifier::feed`] says for how long this has been so.
    #[default]
    FailOpen,
    /// Goes on for so long, then refuses all tokens with 503. Before the first snapshot it refuses at once.
    FailClosed {
        /// Since the issuer was heard last: 15 seconds at least. A connection that stands and says nothing is known
        /// to be lost after those, so that less could not be kept.
        after: Duration,
    },
    /// Asks the issuer about each token (RFC 7662); refuses with 503 those that it cannot be asked about. Needs
    /// [`Credentials::basic`].
    Introspect,
}

/// How the feed of a verifier is, for a metric or a health check: [`crate::Verifier::feed`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FeedStatus {
    pub state: FeedState,
    /// Since when the issuer has not said that nothing is missing: at most 5 seconds while it is connected. None
    /// before the first snapshot.
    pub staleness: Option<Duration>,
    /// Revocations at hand.
    pub records: usize,
    /// What they take, in bytes.
    pub bytes: usize,
    /// The newest number in the feed.
    pub sequence: Option<u64>,
    /// Why it was lost last.
    pub problem: Option<String>,
}

/// Whether revocations are heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// There was no answer yet.
    Starting,
    Connected {
        since: Instant,
    },
    Lost {
        since: Instant,
    },
}

/// How long things take; other in tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Three beats of the issuer.
    pub(crate) silence: Duration,
    /// Before a first request is answered, and for one token when the issuer is asked about it.
    pub(crate) patience: Duration,
    /// Before the first new try, and at most before any.
    pub(crate) pause: Duration,
    pub(crate) longest_pause: Duration,
    /// How long a stream lives that is no broken one.
    pub(crate) proper_stream: Duration,
    /// How long a poll waits: less than the silence after which the feed is lost, in whole seconds.
    pub(crate) wait: Duration,
    /// How long there is polling after broken ones.
    pub(crate) polling: Duration,
    /// Between polls that do not wait.
    pub(crate) between_polls: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(15),
            patience: Duration::from_secs(3),
            pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(15),
            proper_stream: Duration::from_secs(30),
            wait: Duration::from_secs(10),
            polling: Duration::from_secs(300),
            between_polls: Duration::from_secs(5),
        }
    }
}

/// What the verifier and the task behind it share. The task must not hold the verifier: it ends with its last clone.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) marker: Marker,
    set: ArcSwap<Set>,
    keys: Arc<Keys>,
    credentials: Credentials,
    policy: LostFeed,
    introspection: Introspection,
    pace: Pace,
    clock: Clock,
    began: Instant,
    /// Milliseconds from then until the issuer was heard last, and one; zero is never.
    heard: AtomicU64,
    is_connected: AtomicBool,
    sequence: AtomicU64,
    state: Mutex<State>,
    /// What became of the first try.
    first: watch::Sender<Option<Result<(), Arc<FeedError>>>>,
}

#[derive(Debug)]
struct State {
    now: FeedState,
    problem: Option<String>,
}

/// A feed, and the task that follows it once it is needed.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) feed: Arc<Feed>,
    task: ArcSwapOption<Task>,
    /// Held by whoever starts one.
    starting: Mutex<()>,
}

#[derive(Debug)]
struct Task {
    handle: AbortHandle,
    began: Instant,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Followed {
    pub(crate) fn new(feed: Feed) -> Self {
        Self {
            feed: Arc::new(feed),
            task: ArcSwapOption::empty(),
            starting: Mutex::default(),
        }
    }

    /// Begins to follow, and waits for the first answer so that nobody is let in only because they were first; not
    /// for long, because the issuer may be down.
    pub(crate) async fn ready(&self) -> Option<Result<(), Arc<FeedError>>> {
        self.ready_within(self.feed.pace.patience).await
    }

    /// The same at start, where nobody waits yet and a big snapshot may take its time.
    pub(crate) async fn begun(&self) -> Option<Result<(), Arc<FeedError>>> {
        self.ready_within(self.feed.pace.patience * 10).await
    }

    async fn ready_within(&self, patience: Duration) -> Option<Result<(), Arc<FeedError>>> {
        if self.needs_a_task() {
            self.start();
        }
        let feed = &self.feed;
        if feed.is_connected.load(Ordering::Acquire) {
            return Some(Ok(()));
        }
        let mut first = feed.first.subscribe();
        match tokio::time::timeout(patience, first.wait_for(Option::is_some)).await {
            Ok(outcome) => outcome.ok()?.clone(),
            // Nobody else need wait for the same.
            Err(_) => feed.tell_first(Err(Arc::new(FeedError::Silent))),
        }
    }
}

impl Followed {
    /// A task that has ended is none: one ends by a panic in the code of the author that makes access tokens, and
    /// with the runtime in which it was started. One that ends at once is not started again at once.
    fn needs_a_task(&self) -> bool {
        let pause = self.feed.pace.longest_pause;
        let task = self.task.load();
        task.as_ref()
            .is_none_or(|task| task.handle.is_finished() && task.began.elapsed() >= pause)
    }

    fn start(&self) {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever came first may have done it.
        if !self.needs_a_task() {
            return;
        }
        if self.task.load().is_some() {
            tracing::warn!("the task that follows the revocation feed has ended; starting another");
            self.feed.lost(FeedError::Ended);
            // What was ended meanwhile is not known: its first answer is waited for again.
            self.feed.first.send_replace(None);
        }
        let handle = tokio::spawn(follow::follow(Arc::clone(&self.feed))).abort_handle();
        let began = Instant::now();
        self.task.store(Some(Arc::new(Task { handle, began })));
    }
}

impl Feed {
    pub(crate) fn new(
        keys: Arc<Keys>,
        credentials: Credentials,
        policy: LostFeed,
        pace: Pace,
        clock: Clock,
    ) -> Self {
        Self {
            marker: Marker::default(),
            set: ArcSwap::from_pointee(Set::new()),
            introspection: Introspection::default(),
            keys,
            credentials,
            policy,
            pace,
            clock,
            began: Instant::now(),
            heard: AtomicU64::new(0),
            is_connected: AtomicBool::new(false),
            sequence: AtomicU64::new(0),
            state: Mutex::new(State {
                now: FeedState::Starting,
                problem: None,
            }),
            first: watch::Sender::new(None),
        }
    }

    /// Lets a token through that was not revoked, as far as that is known or the author wants it known.
    ///
    /// # Errors
    /// [`Error::Revoked`]; [`Error::FeedLost`] by the policy.
    pub(crate) async fn admit(
        &self,
        token: &str,
        digest: &Digest,
        marks: &Marks,
        now: Timestamp,
    ) -> Result<(), Error> {
        if self.set.load().covers(marks, now) {
            return Err(Error::Revoked);
        }
        match self.policy {
            LostFeed::FailOpen => Ok(()),
            LostFeed::FailClosed { after } => {
                let closed = self.is_lost() && self.staleness().is_none_or(|stale| stale >= after);
                match closed {
                    true => Err(Error::FeedLost(None)),
                    false => Ok(()),
                }
            }
            LostFeed::Introspect if self.is_lost() => self.introspect(token, digest).await,
            LostFeed::Introspect => Ok(()),
        }
    }

    /// Keeps what became of the first try, and says it.
    fn tell_first(&self, outcome: Result<(), Arc<FeedError>>) -> Option<Result<(), Arc<FeedError>>> {
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(outcome);
            is_first
        });
        self.first.borrow().clone()
    }

    /// Whether a key was withdrawn: before its signature is looked at, and without a look for newer keys.
    pub(crate) fn has_withdrawn(&self, kid: &str, now: Timestamp) -> bool {
        let mark = self.marker.mark(set::Subject::Key(kid));
        self.set.load().holds(mark, now)
    }

    async fn introspect(&self, token: &str, digest: &Digest) -> Result<(), Error> {
        let asked = self
            .introspection
            .is_active(token, digest, self.keys.issuer(), &self.credentials);
        match asked.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Revoked),
            Err(cause) => Err(Error::FeedLost(Some(Arc::new(cause)))),
        }
    }

    /// Also while the connection stands and says nothing, whether or not the task has noticed.
    fn is_lost(&self) -> bool {
        let silent = || self.staleness().is_none_or(|stale| stale >= self.pace.silence);
        !self.is_connected.load(Ordering::Acquire) || silent()
    }

    fn staleness(&self) -> Option<Duration> {
        let heard = self.heard.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(heard)))
    }

    pub(crate) fn status(&self) -> FeedStatus {
        let set = self.set.load();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let staleness = self.staleness();
        let silent = staleness.filter(|stale| *stale >= self.pace.silence);
        FeedStatus {
            state: match (state.now, silent) {
                (FeedState::Connected { .. }, Some(stale)) => FeedState::Lost {
                    since: Instant::now().checked_sub(stale).unwrap_or(self.began),
                },
                (state, _) => state,
            },
            staleness,
            records: set.len(),
            bytes: set.bytes(),
            sequence: staleness.map(|_| self.sequence.load(Ordering::Acquire)),
            problem: state.problem.clone(),
        }
    }
}
