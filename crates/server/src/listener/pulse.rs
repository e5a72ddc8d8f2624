//! What a connection is doing, and until when it may: C099.
//!
//! hyper's own timer for headers also runs between two requests, and nothing of it covers a peer that does not
//! read its answer. So the stream reports each byte that moves, the service each request, and one deadline
//! follows from both.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::Limits;

/// Shared by the stream, the service and the watch over one connection. All three run in one task.
#[derive(Clone)]
pub(super) struct Pulse {
    state: Arc<Mutex<State>>,
    head: Duration,
    idle: Duration,
    linger: Duration,
}

#[derive(Clone, Copy)]
struct State {
    phase: Phase,
    /// When the phase began, or, where bytes count, when the last one moved.
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request is on its way, or the first is awaited.
    Head,
    /// A handler has the request.
    Request,
    /// The answer is given, the next request may come.
    Answered,
    /// We sent all and wait for the peer to close.
    Closing,
}

impl Pulse {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                phase: Phase::Head,
                since: Instant::now(),
            })),
            head: limits.head,
            idle: limits.idle,
            linger: limits.linger,
        }
    }

    pub(super) fn request_began(&self) {
        self.enter(Phase::Request);
    }

    pub(super) fn request_answered(&self) {
        self.enter(Phase::Answered);
    }

    /// Whether nothing would be lost by cutting the connection: it has sent no whole request since the last
    /// answer.
    pub(super) fn awaits_head(&self) -> bool {
        self.state().phase == Phase::Head
    }

    fn read(&self) {
        let phase = self.state().phase;
        match phase {
            // Bytes do not prolong these: a dribbler sends them.
            Phase::Head | Phase::Closing => {}
            Phase::Request => self.enter(Phase::Request),
            Phase::Answered => self.enter(Phase::Head),
        }
    }

    fn wrote(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Request | Phase::Answered) {
            state.since = Instant::now();
        }
    }

    fn closing(&self) {
        if self.state().phase != Phase::Closing {
            self.enter(Phase::Closing);
        }
    }

    fn enter(&self, phase: Phase) {
        *self.state() = State {
            phase,
            since: Instant::now(),
        };
    }

    fn deadline(&self) -> Instant {
        let State { phase, since } = *self.state();
        since
            + match phase {
                Phase::Head => self.head,
                Phase::Request | Phase::Answered => self.idle,
                Phase::Closing => self.linger,
            }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a connection until it ends or is overdue.
pub(super) async fn outlives<C: Future>(mut connection: Pin<&mut C>, pulse: &Pulse) {
    let mut alarm = pin!(sleep_until(pulse.deadline()));
    poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // A deadline that came nearer counts at once; one that moved away is seen when the alarm goes off, which
        // spares the timer a visit per request.
        if pulse.deadline() < alarm.deadline() {
            alarm.as_mut().reset(pulse.deadline());
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if pulse.deadline() <= Instant::now() {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(pulse.deadline());
        }
    })
    .await;
}

/// A stream that reports to its pulse, and whose end gives the peer time to read.
pub(super) struct Watched {
    stream: TcpStream,
    pulse: Pulse,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, pulse: Pulse) -> Self {
        Self { stream, pulse }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.pulse.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.pulse.wrote();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        self.pulse.wrote();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closing with unread input makes the system send a reset, and a reset can overtake our answer: a client
    /// that is still sending a body we refused would see a broken connection instead of the 413. So our half is
    /// closed first and what still comes is thrown away, for as long as the pulse allows.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        self.pulse.closing();
        let mut space = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
