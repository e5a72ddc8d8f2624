//! How a worker reaches servers that may be dead: over two connections, to two replicas where there are two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::harness::Answer;
use crate::harness::dice::Dice;
use crate::harness::wire::Wire;

/// Between two tries at somebody who is dead.
const BREATH: Duration = Duration::from_millis(5);
/// Far above what a restart takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Lines {
    ends: [End; 2],
    dice: Dice,
    /// Answers that any worker read whole.
    acknowledged: Arc<AtomicUsize>,
}

struct End {
    origin: String,
    wire: Option<Wire>,
    unanswered: usize,
}

impl Lines {
    pub(super) fn new(origins: &[String], dice: Dice, acknowledged: Arc<AtomicUsize>) -> Self {
        let end = |at: usize| End {
            origin: origins[at % origins.len()].clone(),
            wire: None,
            unanswered: 0,
        };
        Self {
            ends: [end(0), end(1)],
            dice,
            acknowledged,
        }
    }

    /// Asks one replica. `None`: nobody can say whether anything came of it.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Option<Answer> {
        let which = self.dice.below(self.ends.len());
        let answer = self.ends[which].ask(request).await;
        self.note(answer)
    }

    /// Asks both at one instant.
    pub(super) async fn ask_both(&mut self, request: &[u8]) -> [Option<Answer>; 2] {
        let [first, second] = &mut self.ends;
        let (first, second) = tokio::join!(first.ask(request), second.ask(request));
        [first, second].map(|answer| self.note(answer))
    }

    /// Asks until somebody answers.
    pub(super) async fn tell(&mut self, request: &[u8]) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.ask(request).await {
                return answer;
            }
            assert!(Instant::now() < deadline, "nobody answers any more");
        }
    }

    /// Requests that were sent, and of which nobody was told what came of them.
    pub(super) fn unanswered(&self) -> usize {
        self.ends.iter().map(|end| end.unanswered).sum()
    }

    fn note(&self, answer: Option<Answer>) -> Option<Answer> {
        if answer.is_some() {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

impl End {
    async fn ask(&mut self, request: &[u8]) -> Option<Answer> {
        if self.wire.is_none() {
            self.wire = Wire::connect(&self.origin).await.ok();
        }
        let Some(wire) = &mut self.wire else {
            sleep(BREATH).await;
            return None;
        };
        match wire.exchange(request).await {
            // What could not be told to have been done may have been done.
            Ok(busy) if busy.status == StatusCode::SERVICE_UNAVAILABLE => {
                assert!(busy.header("retry-after").is_some(), "{busy:?}");
            }
            Ok(answer) => {
                assert!(!answer.status.is_server_error(), "{answer:?}");
                return Some(answer);
            }
            Err(_) => self.wire = None,
        }
        self.unanswered += 1;
        sleep(BREATH).await;
        None
    }
}
