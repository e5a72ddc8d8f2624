//! A body that has to make progress: C099.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Whether the whole body of a request has been read.
#[derive(Clone)]
pub(super) struct Arrival(Arc<AtomicBool>);

impl Arrival {
    pub(super) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn complete(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The request with a body that fails when nothing of it comes for `patience`.
pub(super) fn watched(request: Request, patience: Duration) -> (Request, Arrival) {
    let empty = request.body().is_end_stream();
    let arrival = Arrival(Arc::new(AtomicBool::new(empty)));
    if empty {
        return (request, arrival);
    }
    let watch = arrival.clone();
    let request = request.map(|body| {
        Body::new(Watched {
            body,
            arrival: watch,
            patience,
            alarm: Box::pin(sleep(patience)),
        })
    });
    (request, arrival)
}

struct Watched {
    body: Body,
    arrival: Arrival,
    patience: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.alarm.as_mut().poll(cx));
            return Poll::Ready(Some(Err("the body stopped arriving".into())));
        };
        if frame.is_none() || self.body.is_end_stream() {
            self.arrival.complete();
        }
        let next = Instant::now() + self.patience;
        self.alarm.as_mut().reset(next);
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
