//! The task behind a verifier: a snapshot first, then the stream from there, or answers to long polls where streams
//! do not last. Decides when the feed counts as connected, and how soon a lost one is tried again.
//!
//! What is at hand stays in use until something newer has been accepted as a whole.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::Response;
use serde::Deserialize;
use tokio::time::{sleep, timeout, timeout_at};
use url::Url;

use super::answer::{Asked, Contents, Cursor, Held, Reader};
use super::error::FeedError;
use super::events::{Event, Parser};
use super::record::Record;
use super::{Feed, FeedState};

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Streams that break one after the other before there is polling.
const BROKEN_STREAMS: u32 = 3;
/// How long a snapshot may take, and a stream at most: then a new one shows that we are still welcome.
const LONGEST_ANSWER: Duration = Duration::from_secs(300);
const LONGEST_STREAM: Duration = Duration::from_secs(24 * 3600);
/// What an issuer may ask us to wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// An issuer without a feed may be renewed some day: five minutes.
const PAUSES_WITHOUT_A_FEED: u32 = 20;
/// Between two looks for records that have expired.
const SWEEP: Duration = Duration::from_secs(60);

struct Follower {
    feed: Arc<Feed>,
    held: Option<Held>,
    /// What is held can be gone on from.
    can_resume: bool,
    broken_streams: u32,
    poll_until: Option<Instant>,
    /// The issuer has no place for one more connection of ours that stays: polls do not wait.
    is_crowded: bool,
    swept: Instant,
}

/// A beat says how far the issuer is.
#[derive(Deserialize)]
struct Beat {
    sequence: u64,
}

pub(super) async fn follow(feed: Arc<Feed>) {
    let _watch = Watch(Arc::clone(&feed));
    let mut follower = Follower {
        held: None,
        can_resume: false,
        broken_streams: 0,
        poll_until: None,
        is_crowded: false,
        swept: Instant::now(),
        feed,
    };
    let mut failures = 0_u32;
    loop {
        let tried = Instant::now();
        let Err(problem) = follower.round().await;
        let feed = &follower.feed;
        // A whole that can be had again and again, and not gone on from, is no success.
        let worked = tried.elapsed() >= feed.pace.proper_stream || !problem.asks_for_the_whole();
        failures = match worked && feed.was_heard_since(tried) {
            true => 1,
            false => failures + 1,
        };
        let pause = feed.pause(failures, &problem);
        follower.note(&problem);
        follower.feed.lost(problem);
        sleep(pause).await;
    }
}

/// Says it when the task panics, as it may in the code of an author that makes access tokens.
struct Watch(Arc<Feed>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lost(FeedError::Ended);
        }
    }
}

impl Follower {
    /// Follows until something is in the way.
    async fn round(&mut self) -> Result<Infallible, FeedError> {
        let cursor = match &self.held {
            Some(held) if self.can_resume => held.cursor.clone(),
            _ => self.snapshot().await?,
        };
        match self.poll_until {
            Some(until) if Instant::now() < until => self.poll(cursor, until).await,
            _ => self.stream(cursor).await,
        }
    }

    /// What has to be another way next time.
    fn note(&mut self, problem: &FeedError) {
        self.can_resume &= !problem.asks_for_the_whole();
        if let FeedError::NotStreamed | FeedError::Crowded(_) = problem {
            self.broken_streams = BROKEN_STREAMS;
        }
        self.is_crowded |= matches!(problem, FeedError::Crowded(_));
        if self.broken_streams >= BROKEN_STREAMS {
            // After that time one stream more may break before there is polling again.
            self.broken_streams = BROKEN_STREAMS - 1;
            self.poll_until = Some(Instant::now() + self.feed.pace.polling);
            tracing::info!("streams of the revocation feed do not last; polling it for a while");
        }
    }

    async fn snapshot(&mut self) -> Result<Cursor, FeedError> {
        let (held, contents, heard) = self.answer(Asked::Snapshot, Duration::ZERO).await?;
        let feed = Arc::clone(&self.feed);
        // After a restore the issuer may have forgotten what it ended; what we know of that stays ended.
        let own = |old: &Held| old.cursor.feed == held.cursor.feed;
        if !self.held.as_ref().is_some_and(own) {
            contents.set.absorb_names(&feed.set.load(), feed.clock.now());
        }
        feed.set.store(Arc::new(contents.set));
        feed.withdraw(&contents.withdrawn);
        let cursor = held.cursor.clone();
        tracing::info!(
            feed = cursor.feed,
            sequence = cursor.n,
            "took a snapshot of the revocations"
        );
        self.accept(held, heard);
        Ok(cursor)
    }

    async fn poll(&mut self, mut cursor: Cursor, until: Instant) -> Result<Infallible, FeedError> {
        while Instant::now() < until {
            let asked = Asked::After(cursor);
            let wait = match self.is_crowded {
                true => Duration::ZERO,
                false => self.feed.pace.wait,
            };
            let (held, contents, heard) = self.answer(asked, wait).await?;
            self.feed.set.load().absorb(&contents.set, self.feed.clock.now());
            self.feed.withdraw(&contents.withdrawn);
            cursor = held.cursor.clone();
            self.accept(held, heard);
            if wait.is_zero() {
                sleep(self.feed.pace.between_polls).await;
            }
        }
        self.poll_until = None;
        self.is_crowded = false;
        self.stream(cursor).await
    }

    fn accept(&mut self, held: Held, heard: Instant) {
        self.feed.sequence.store(held.cursor.n, Ordering::Release);
        self.held = Some(held);
        self.can_resume = true;
        self.feed.heard(heard);
        self.sweep();
    }

    fn sweep(&mut self) {
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            self.feed.set.load().sweep(self.feed.clock.now());
        }
    }

    /// Reads a sealed answer to its end and checks it. It says what was so when it began to come.
    async fn answer(&self, asked: Asked, wait: Duration) -> Result<(Held, Contents, Instant), FeedError> {
        let feed = &self.feed;
        let query = |url: &mut Url| match &asked {
            Asked::Snapshot => {}
            Asked::After(cursor) => {
                url.query_pairs_mut()
                    .append_pair("after", &cursor.n.to_string())
                    .append_pair("feed", &cursor.feed)
                    .append_pair("wait", &wait.as_secs().to_string());
            }
        };
        let headers = HeaderMap::from_iter([(ACCEPT, NDJSON)]);
        let longest = LONGEST_ANSWER + wait;
        let mut response = feed
            .ask(query, headers, feed.pace.silence + wait, longest)
            .await?;
        let mut heard = Instant::now();
        let mut reader = Reader::new(asked.clone(), &feed.marker, feed.clock.now());
        let mut is_first = true;
        while let Some(chunk) = feed.within(feed.pace.silence + wait, response.chunk()).await?? {
            // An answer to a poll may wait behind its head; then it says what was so when its body began.
            if std::mem::take(&mut is_first) && !wait.is_zero() {
                heard = Instant::now();
            }
            reader.push(&chunk)?;
        }
        let whole = reader.end()?;
        let now = feed.clock.now();
        // As with a token: without its name, a withdrawn key could not be told from the rest.
        let kid = whole.kid().ok_or(jws::Error::Header("kid"))?;
        if whole.withdraws_its_own_key() || feed.has_withdrawn(kid, now) {
            return Err(jws::Error::UnknownKey.into());
        }
        let issuer = feed.keys.issuer().name();
        let check = |keys: &jws::KeySet| whole.check(keys, issuer, self.held.as_ref(), now);
        let held = match check(&feed.keys.current(now).await?.set) {
            Err(FeedError::Seal(jws::Error::UnknownKey)) => check(&feed.keys.newer(kid, now).await?.set),
            held => held,
        };
        Ok((held?, whole.contents(), heard))
    }

    async fn stream(&mut self, cursor: Cursor) -> Result<Infallible, FeedError> {
        let opened = Instant::now();
        let Err(problem) = self.read_stream(cursor).await;
        // What stands before the issuer and takes no streams may say so in any way.
        if let FeedError::Cut
        | FeedError::Silent
        | FeedError::Http(_)
        | FeedError::Status(_)
        | FeedError::Busy(_) = problem
        {
            self.broken_streams = match opened.elapsed() < self.feed.pace.proper_stream {
                true => self.broken_streams + 1,
                false => 0,
            };
        }
        Err(problem)
    }

    async fn read_stream(&mut self, mut cursor: Cursor) -> Result<Infallible, FeedError> {
        let feed = Arc::clone(&self.feed);
        let resume = HeaderValue::try_from(format!("{}.{}", cursor.feed, cursor.n));
        let resume =
            resume.map_err(|_| FeedError::Unreadable("the feed has no name that could be sent back"))?;
        let headers = HeaderMap::from_iter([(ACCEPT, EVENT_STREAM), (LAST_EVENT_ID, resume)]);
        let mut response = feed
            .ask(|_| {}, headers, feed.pace.silence, LONGEST_STREAM)
            .await?;
        if !is_stream(&response) {
            return Err(FeedError::NotStreamed);
        }
        let mut parser = Parser::default();
        let mut deadline = Instant::now() + feed.pace.silence;
        let mut is_current = false;
        loop {
            let chunk = timeout_at(deadline.into(), response.chunk()).await;
            let chunk = chunk.map_err(|_| FeedError::Silent)??.ok_or(FeedError::Cut)?;
            for event in parser.push(&chunk)? {
                // A comment would keep a connection alive that has nothing to say; only these count.
                deadline = Instant::now() + feed.pace.silence;
                is_current |= feed.take(&event, &mut cursor)?;
                if let Some(held) = &mut self.held {
                    held.cursor.n = cursor.n;
                }
                feed.sequence.store(cursor.n, Ordering::Release);
                if is_current {
                    feed.heard(Instant::now());
                }
            }
            self.sweep();
        }
    }
}

impl Feed {
    /// Takes in an event, and says whether it shows that nothing is missing.
    fn take(&self, event: &Event, cursor: &mut Cursor) -> Result<bool, FeedError> {
        match event.kind.as_str() {
            "revocation" => {
                let record = Record::parse(event.data.as_bytes())?;
                if event.n_in(&cursor.feed)? != record.n {
                    return Err(FeedError::Unreadable(
                        "an event has another number than its record",
                    ));
                }
                record.enter(&self.set.load(), &self.marker, self.clock.now());
                if let Some(kid) = record.key() {
                    self.withdraw(&[kid.to_owned()]);
                }
                cursor.n = cursor.n.max(record.n);
                Ok(false)
            }
            "beat" => {
                let beat: Beat = serde_json::from_str(&event.data)
                    .map_err(|_| FeedError::Unreadable("a beat does not say how far the issuer is"))?;
                event.n_in(&cursor.feed)?;
                // The issuer went back, or this replica is behind the one that we came from.
                if beat.sequence < cursor.n {
                    return Err(FeedError::Stale);
                }
                cursor.n = beat.sequence;
                Ok(true)
            }
            "reset" => Err(FeedError::Stale),
            // Of an issuer that knows more than we do.
            _ => Ok(false),
        }
    }

    /// A withdrawn key vouches for nothing from here on; what is there instead is looked for meanwhile.
    fn withdraw(&self, kids: &[String]) {
        let mut renew = false;
        for kid in kids {
            renew |= self.keys.withdraw(kid);
        }
        if renew {
            tracing::warn!(?kids, "the issuer has withdrawn keys; fetching the new ones");
            let (keys, clock) = (Arc::clone(&self.keys), self.clock.clone());
            tokio::spawn(async move { keys.renew(&clock).await });
        }
    }

    async fn ask(
        &self,
        query: impl FnOnce(&mut Url),
        headers: HeaderMap,
        patience: Duration,
        longest: Duration,
    ) -> Result<Response, FeedError> {
        let issuer = self.keys.issuer();
        let mut url = issuer.feed_endpoint().await?;
        query(&mut url);
        let request = issuer.http().get(url).headers(headers).timeout(longest);
        let request = self.within(patience, self.credentials.sign(request)).await??;
        let response = self.within(patience, request.send()).await??;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::GONE => Err(FeedError::Stale),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(FeedError::Refused(status)),
            StatusCode::TOO_MANY_REQUESTS => Err(FeedError::Crowded(retry_after(response.headers()))),
            StatusCode::SERVICE_UNAVAILABLE => Err(FeedError::Busy(retry_after(response.headers()))),
            status => {
                if status == StatusCode::NOT_FOUND {
                    issuer.doubt();
                }
                Err(FeedError::Status(status))
            }
        }
    }

    async fn within<F: Future>(&self, patience: Duration, future: F) -> Result<F::Output, FeedError> {
        let waited = timeout(patience, future).await;
        waited.map_err(|_| FeedError::Silent)
    }

    /// The issuer said at this time that nothing is missing.
    fn heard(&self, at: Instant) {
        let since = at.saturating_duration_since(self.began).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.heard.fetch_max(since + 1, Ordering::AcqRel);
        if self.is_connected.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.now {
            FeedState::Lost { since } => {
                let lost_for = since.elapsed().as_secs_f32();
                tracing::info!(lost_for, "the revocation feed is back");
            }
            FeedState::Starting | FeedState::Connected { .. } => {
                tracing::info!("following the revocation feed")
            }
        }
        state.now = FeedState::Connected { since: at };
        drop(state);
        self.tell_first(Ok(()));
    }

    pub(super) fn lost(&self, problem: FeedError) {
        self.is_connected.store(false, Ordering::Release);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = problem.to_string();
        let cause = std::error::Error::source(&problem).map(ToString::to_string);
        match state.now {
            FeedState::Lost { .. } => {
                tracing::debug!(problem = text, cause, "the revocation feed is still lost")
            }
            FeedState::Starting | FeedState::Connected { .. } => {
                tracing::warn!(problem = text, cause, policy = ?self.policy, "the revocation feed is lost");
                state.now = FeedState::Lost {
                    since: Instant::now(),
                };
            }
        }
        state.problem = Some(text);
        drop(state);
        self.tell_first(Err(Arc::new(problem)));
    }

    fn was_heard_since(&self, then: Instant) -> bool {
        let heard = self.heard.load(Ordering::Acquire).checked_sub(1);
        heard.is_some_and(|heard| self.began + Duration::from_millis(heard) >= then)
    }

    /// Twice as long after each failure, less a random part: a hundred resource servers that lost the same issuer
    /// must not come back in the same instant.
    fn pause(&self, failures: u32, problem: &FeedError) -> Duration {
        let doubled = self
            .pace
            .pause
            .saturating_mul(1 << failures.saturating_sub(1).min(10));
        let mut longest = doubled.min(self.pace.longest_pause);
        if problem.is_refusal() {
            longest = self.pace.longest_pause;
        }
        if let FeedError::NotOffered = problem {
            longest = self.pace.longest_pause * PAUSES_WITHOUT_A_FEED;
        }
        let random = RandomState::new().hash_one(failures) % 1024;
        let jittered = longest.mul_f64(0.25 + 0.75 * random as f64 / 1024.0);
        match problem {
            FeedError::Busy(Some(asked)) | FeedError::Crowded(Some(asked)) => {
                jittered + (*asked).min(LONGEST_RETRY_AFTER)
            }
            _ => jittered,
        }
    }
}

impl Event {
    /// The number in its id, which names the feed first.
    fn n_in(&self, feed: &str) -> Result<u64, FeedError> {
        let (own, n) = self
            .id
            .rsplit_once('.')
            .ok_or(FeedError::Unreadable("an event has no id"))?;
        if own != feed {
            return Err(FeedError::Stale);
        }
        n.parse()
            .map_err(|_| FeedError::Unreadable("an event has no number"))
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("text/event-stream"))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use protocol::Clock;

    use super::super::{LostFeed, Pace};
    use super::*;
    use crate::credentials::Credentials;
    use crate::issuer::Issuer;
    use crate::keys::Keys;

    #[tokio::test]
    async fn silence_loses_the_feed_even_where_no_task_is_left_to_notice() {
        let pace = Pace {
            silence: Duration::from_millis(200),
            ..Pace::default()
        };
        let keys = Keys::new(Issuer::new("http://127.0.0.1:1".to_owned()).unwrap());
        let credentials = Credentials::basic("https://api.test/", "secret");
        let feed = Feed::new(
            Arc::new(keys),
            credentials,
            LostFeed::FailOpen,
            pace,
            Clock::System,
        );
        assert!(feed.is_lost());
        feed.heard(Instant::now());
        assert!(!feed.is_lost());
        sleep(Duration::from_millis(210)).await;
        assert!(feed.is_lost());
        assert!(matches!(feed.status().state, FeedState::Lost { .. }));
    }
}
