//! The stream: `text/event-stream` by the HTML Living Standard §9.2, for whoever wants to know at once.
//!
//! A beat says that nothing was missed up to its number, so there is none while the database is not heard from: the
//! reader's own patience then decides what it does.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use events::revocations::{self, State};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use protocol::Error;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::admission::Reader;
use super::seats::Seat;
use super::tail::{Next, PAGE};
use super::{Asked, Feed, NO_STORE, body, lines};

const BEAT: Duration = Duration::from_secs(5);
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Some proxies keep answers until there is enough of them, unless they are told.
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO: HeaderValue = HeaderValue::from_static("no");

#[derive(Debug)]
pub(super) struct Stream {
    feed: Arc<Feed>,
    reader: Reader,
    _seat: Seat,
    /// The history, and the number up to which everything was told.
    at: State,
    bell: watch::Receiver<()>,
    beats: Interval,
    phase: Phase,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// What was missed comes first, and then a beat.
    Backlog,
    Live,
    /// The reader's number is of another history than this one.
    Stale(String),
    Done,
}

impl Stream {
    pub(super) fn new(
        feed: Arc<Feed>,
        reader: Reader,
        seat: Seat,
        asked: &Asked,
        state: State,
        is_stale: bool,
    ) -> Self {
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            reader,
            _seat: seat,
            phase: match is_stale {
                true => Phase::Stale(state.feed.clone()),
                false => Phase::Backlog,
            },
            at: State {
                sequence: asked.after.unwrap_or(0),
                ..state
            },
            bell: feed.tail.bell(),
            beats,
            feed,
        }
    }

    /// The next events, or the end.
    async fn part(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Phase::Stale(feed) = &self.phase {
                let reset = event("reset", None, &lines::reset(feed));
                self.phase = Phase::Done;
                return Ok(Some(reset.into()));
            }
            if self.phase == Phase::Done {
                return Ok(None);
            }
            self.bell.mark_unchanged();
            match self.feed.tail.after(&self.at.feed, self.at.sequence) {
                Next::Lines(lines, reached) => {
                    self.at.sequence = reached;
                    if !lines.is_empty() {
                        return Ok(Some(self.told(lines)));
                    }
                }
                Next::Beyond(state) => {
                    let lines = self.page(state.sequence).await?;
                    if !lines.is_empty() {
                        return Ok(Some(self.told(lines)));
                    }
                }
                Next::Other(feed) => self.phase = Phase::Stale(feed),
                Next::Nothing if self.phase == Phase::Backlog => {
                    self.phase = Phase::Live;
                    if let Some(beat) = self.beat().await {
                        return Ok(Some(beat));
                    }
                }
                Next::Nothing => {
                    let tail = self.feed.tail.clone();
                    tokio::select! {
                        biased;
                        () = tail.closed() => return Ok(None),
                        rung = self.bell.changed() => if rung.is_err() { return Ok(None) },
                        _ = self.beats.tick() => {
                            if !self.feed.still_admits(&self.reader, self.feed.clock.now()).await {
                                return Ok(None);
                            }
                            if let Some(beat) = self.beat().await {
                                return Ok(Some(beat));
                            }
                        }
                    }
                }
            }
        }
    }

    /// None, where it is not certain that nothing was missed.
    async fn beat(&self) -> Option<Bytes> {
        let tail = &self.feed.tail;
        if !tail.confirm().await || !matches!(tail.after(&self.at.feed, self.at.sequence), Next::Nothing) {
            return None;
        }
        let id = lines::event_id(&self.at.feed, self.at.sequence);
        Some(event("beat", Some(&id), &lines::beat(self.at.sequence)).into())
    }

    async fn page(&mut self, last: i64) -> Result<Vec<(i64, Bytes)>, Error> {
        let now = self.feed.clock.now();
        let mut conn = self.feed.db.reader().await?;
        let records = revocations::page(self.at.sequence, last, PAGE, &mut conn, now).await?;
        drop(conn);
        let is_full = u32::try_from(records.len()).is_ok_and(|count| count == PAGE);
        self.at.sequence = match records.last() {
            Some(record) if is_full => record.sequence,
            Some(_) | None => last,
        };
        let line = |record: &revocations::Record| (record.sequence, lines::record(record));
        Ok(records.iter().map(line).collect())
    }

    fn told(&self, lines: Vec<(i64, Bytes)>) -> Bytes {
        let mut part = Vec::new();
        for (n, line) in lines {
            let id = lines::event_id(&self.at.feed, n);
            part.extend(event("revocation", Some(&id), &line));
        }
        part.into()
    }
}

/// One event. Its data is JSON, which has no end of line in it.
fn event(name: &str, id: Option<&str>, data: &[u8]) -> Vec<u8> {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    let head = format!("event: {name}\n{id}data: ");
    [head.as_bytes(), data, b"\n\n"].concat()
}

impl IntoResponse for Stream {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, EVENT_STREAM), (CACHE_CONTROL, NO_STORE)];
        let unbuffered = [(&X_ACCEL_BUFFERING, NO)];
        let parts = body(self, |mut stream| async move {
            match stream.part().await {
                Ok(part) => part.map(|part| (Ok(part), stream)),
                Err(error) => {
                    error.log();
                    stream.phase = Phase::Done;
                    Some((Err(error), stream))
                }
            }
        });
        (headers, unbuffered, parts).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_name_its_id_and_one_line() {
        assert_eq!(
            event("beat", Some("G.17"), b"{\"sequence\":17}"),
            b"event: beat\nid: G.17\ndata: {\"sequence\":17}\n\n"
        );
        assert_eq!(event("reset", None, b"{}"), b"event: reset\ndata: {}\n\n");
    }
}
