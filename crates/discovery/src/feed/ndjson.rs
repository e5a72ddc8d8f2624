//! Answers that end: a snapshot, or what came after a number. NDJSON between a first line that says what it is and a
//! last one that signs it, so that one which was cut off, changed or kept is noticed.
//!
//! The body is made page by page as it is taken, and holds no connection to the database in between.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use events::revocations::{self, State};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use protocol::Error;
use seal::Sha256;
use tokio::time::{Instant, timeout_at};

use super::seats::Seat;
use super::tail::{Next, PAGE};
use super::{Feed, NO_STORE, body, lines};

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

#[derive(Debug)]
pub(super) struct Answer {
    feed: Arc<Feed>,
    _seat: Seat,
    after: i64,
    /// What this answer covers.
    state: State,
    /// Told so far.
    cursor: i64,
    records: u64,
    digest: Sha256,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Waiting(Instant),
    /// The first line is next, then these, which are all.
    Beginning(Vec<Bytes>),
    /// The first line is next, then what the database has.
    BeginningByPages,
    ByPages,
    Closing,
    Done,
}

impl Answer {
    pub(super) fn snapshot(feed: Arc<Feed>, seat: Seat, state: State) -> Self {
        Self::since(feed, seat, 0, state)
    }

    pub(super) fn since(feed: Arc<Feed>, seat: Seat, after: i64, state: State) -> Self {
        let phase = match after == state.sequence {
            true => Phase::Beginning(Vec::new()),
            false => Phase::BeginningByPages,
        };
        Self::new(feed, seat, after, state, phase)
    }

    /// What comes after the number of this state, as soon as there is something. The head of the answer is sent at
    /// once: no handler may take so long.
    pub(super) fn waiting(feed: Arc<Feed>, seat: Seat, state: State, wait: Duration) -> Self {
        let phase = Phase::Waiting(Instant::now() + wait);
        Self::new(feed, seat, state.sequence, state, phase)
    }

    fn new(feed: Arc<Feed>, seat: Seat, after: i64, state: State, phase: Phase) -> Self {
        Self {
            feed,
            _seat: seat,
            after,
            state,
            cursor: after,
            records: 0,
            digest: Sha256::default(),
            phase,
        }
    }

    /// The next part of the body.
    async fn part(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Done) {
                Phase::Waiting(until) => self.phase = self.news(until).await?,
                Phase::Beginning(lines) => {
                    self.phase = Phase::Closing;
                    return Ok(Some(self.hashed(self.first(), lines)));
                }
                Phase::BeginningByPages => {
                    let lines = self.page().await?;
                    return Ok(Some(self.hashed(self.first(), lines)));
                }
                Phase::ByPages => {
                    let lines = self.page().await?;
                    if !lines.is_empty() {
                        return Ok(Some(self.hashed(Bytes::new(), lines)));
                    }
                }
                Phase::Closing => return self.last().await.map(Some),
                Phase::Done => return Ok(None),
            }
        }
    }

    fn first(&self) -> Bytes {
        lines::first(self.feed.issuer.as_str(), self.after, &self.state)
    }

    async fn last(&self) -> Result<Bytes, Error> {
        let (feed, now) = (&self.feed, self.feed.clock.now());
        let digest = self.digest.clone().finish();
        let about = (self.after, &self.state);
        let content = (self.records, digest.as_str());
        let line = lines::last(feed.issuer.as_str(), about, content, &feed.keyring, now).await?;
        Ok([&line[..], b"\n"].concat().into())
    }

    /// Reads the next page, and decides whether another one follows it.
    async fn page(&mut self) -> Result<Vec<Bytes>, Error> {
        let (feed, now) = (&self.feed, self.feed.clock.now());
        let mut conn = feed.db.reader().await?;
        let records = revocations::page(self.cursor, self.state.sequence, PAGE, &mut conn, now).await?;
        drop(conn);
        let is_full = u32::try_from(records.len()).is_ok_and(|count| count == PAGE);
        self.phase = match is_full {
            true => Phase::ByPages,
            false => Phase::Closing,
        };
        self.cursor = records.last().map_or(self.cursor, |last| last.sequence);
        Ok(records.iter().map(lines::record).collect())
    }

    /// Waits for something to tell. Where it is not certain that there is nothing, nobody is told so.
    async fn news(&mut self, until: Instant) -> Result<Phase, Error> {
        let tail = self.feed.tail.clone();
        let mut bell = tail.bell();
        loop {
            bell.mark_unchanged();
            match tail.after(&self.state.feed, self.state.sequence) {
                Next::Lines(lines, reached) => {
                    self.state.sequence = reached;
                    if !lines.is_empty() {
                        return Ok(Phase::Beginning(
                            lines.into_iter().map(|(_, line)| line).collect(),
                        ));
                    }
                    continue;
                }
                Next::Beyond(state) => {
                    self.state = state;
                    return Ok(Phase::BeginningByPages);
                }
                // What it had was all there was of it; the next request is told that it is over.
                Next::Other(_) => return Ok(Phase::Beginning(Vec::new())),
                Next::Nothing => {}
            }
            let rung = timeout_at(until, async {
                tokio::select! {
                    rung = bell.changed() => rung.is_ok(),
                    () = tail.closed() => false,
                }
            });
            if rung.await.unwrap_or(false) {
                continue;
            }
            if !tail.confirm().await {
                return Err(Error::temporarily_unavailable("the database is not heard from"));
            }
            if let Next::Nothing = tail.after(&self.state.feed, self.state.sequence) {
                return Ok(Phase::Beginning(Vec::new()));
            }
        }
    }

    /// The lines as they go out, and into the digest.
    fn hashed(&mut self, first: Bytes, lines: Vec<Bytes>) -> Bytes {
        self.records += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let first = (!first.is_empty()).then_some(first);
        let length: usize = lines.iter().map(|line| line.len() + 1).sum();
        let mut part = Vec::with_capacity(length + first.as_ref().map_or(0, |first| first.len() + 1));
        for line in first.into_iter().chain(lines) {
            part.extend_from_slice(&line);
            part.push(b'\n');
        }
        self.digest.update(&part);
        part.into()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, NDJSON), (CACHE_CONTROL, NO_STORE)];
        let parts = body(self, |mut answer| async move {
            match answer.part().await {
                Ok(part) => part.map(|part| (Ok(part), answer)),
                Err(error) => {
                    error.log();
                    answer.phase = Phase::Done;
                    Some((Err(error), answer))
                }
            }
        });
        (headers, parts).into_response()
    }
}
