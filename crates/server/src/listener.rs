//! The accept loop: HTTP/1.1 by RFC 9112, with a limit on everything a peer may take. C096, C099.
//!
//! Decides how long a connection may live and how many there may be. A stranger can open a connection and say
//! nothing, or one byte now and then; each such connection ends, and while it lasts it takes nobody else's place.

mod limits;
mod pulse;
mod seats;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::ClientCertificate;
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

pub use limits::Limits;

use pulse::{Pulse, Watched, outlives};
use seats::{Seat, Seats};

use crate::tls::Tls;

/// Request line and headers together, in bytes: more is answered 431 by the parser. The finer limits, with an
/// answer that says which it was, are in [`crate::middleware`].
const MAX_HEAD: usize = 48 * 1024;
/// What one connection may hold of input or output, in bytes.
const MAX_BUFFER: usize = 64 * 1024;
/// Pause after a failed accept, so that a process without free descriptors waits instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At most one line in this time says that connections are turned away.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// Where connections come from, and whether they are encrypted.
#[derive(Debug)]
pub struct Socket {
    listener: TcpListener,
    tls: Option<Tls>,
}

impl Socket {
    pub fn new(listener: TcpListener, tls: Option<Tls>) -> Self {
        Self { listener, tls }
    }
}

impl From<TcpListener> for Socket {
    fn from(listener: TcpListener) -> Self {
        Self::new(listener, None)
    }
}

/// The other end of the connection. A request extension; handlers want `protocol::ClientAddress` instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Serves `app` until `shutdown` is ready: then accepts no more, lets requests finish for [`Limits::grace`] and
/// returns. Idle connections end at once.
pub async fn serve(
    socket: impl Into<Socket>,
    app: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let Socket { listener, tls } = socket.into();
    let (close, closing) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut complaints = Complaints::default();
    let seats = Seats::new(&limits);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) if concerns_one_connection(&cause) => continue,
            Err(cause) => {
                complaints.cannot_accept(&cause);
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
                }
            }
        };
        let Some(seat) = seats.take(peer.ip()) else {
            complaints.too_many(peer);
            continue;
        };
        let limits = limits.clone();
        let connection = Connection {
            stream,
            peer,
            seat,
            limits,
            tls: tls.as_ref().map(Tls::config),
        };
        connections.spawn(connection.run(app.clone(), closing.clone()));
    }

    drop(listener);
    drop(close);
    finish(connections, limits.grace).await;
}

async fn finish(mut connections: JoinSet<()>, grace: Duration) {
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finished).await.is_err() {
        tracing::warn!("requests did not finish in time; their connections are cut");
    }
    connections.shutdown().await;
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    limits: Limits,
    tls: Option<Arc<ServerConfig>>,
}

impl Connection {
    async fn run(self, app: Router, mut closing: watch::Receiver<()>) {
        let Self {
            stream,
            peer,
            seat: _seat,
            limits,
            tls,
        } = self;
        // Answers are small and complete: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let pulse = Pulse::new(&limits);
        let stream = Watched::new(stream, pulse.clone());
        let Some(config) = tls else {
            return talk(stream, Peer::bare(peer), app, &pulse, closing).await;
        };
        let mut agreed = None;
        {
            let handshake = pin!(async { agreed = TlsAcceptor::from(config).accept(stream).await.ok() });
            tokio::select! {
                // The time for the first request runs already.
                () = outlives(handshake, &pulse) => {}
                _ = closing.changed() => return,
            }
        }
        if let Some(stream) = agreed {
            let peer = Peer {
                address: peer,
                certificate: certificate(stream.get_ref().1),
            };
            talk(stream, peer, app, &pulse, closing).await;
        }
    }
}

/// What a connection tells of the other end.
#[derive(Clone, Debug)]
struct Peer {
    address: SocketAddr,
    /// Where the listener asks for one.
    certificate: Option<ClientCertificate>,
}

impl Peer {
    fn bare(address: SocketAddr) -> Self {
        Self {
            address,
            certificate: None,
        }
    }
}

fn certificate(connection: &ServerConnection) -> Option<ClientCertificate> {
    let (leaf, intermediates) = connection.peer_certificates()?.split_first()?;
    let intermediates = intermediates.iter().map(|der| der.to_vec()).collect();
    Some(ClientCertificate::new(leaf, intermediates))
}

/// Requests and answers, until one of both sides has enough.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    app: Router,
    pulse: &Pulse,
    mut closing: watch::Receiver<()>,
) {
    let service = {
        let pulse = pulse.clone();
        service_fn(move |request| answer(request, peer.clone(), app.clone(), pulse.clone()))
    };
    let io = TokioIo::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The pulse knows a connection between two requests from one that is slow with its headers.
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(io, service);
    let mut connection = pin!(connection);

    tokio::select! {
        () = outlives(connection.as_mut(), pulse) => return,
        // Ready when the sender is gone.
        _ = closing.changed() => {}
    }
    if pulse.awaits_head() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    outlives(connection, pulse).await;
}

async fn answer(
    mut request: http::Request<Incoming>,
    peer: Peer,
    mut app: Router,
    pulse: Pulse,
) -> Result<Response, Infallible> {
    pulse.request_began();
    request.extensions_mut().insert(PeerAddress(peer.address));
    if let Some(certificate) = peer.certificate {
        request.extensions_mut().insert(certificate);
    }
    let response = app.call(request.map(Body::new)).await;
    pulse.request_answered();
    response
}

/// The peer was gone before we looked; the next one may be fine.
fn concerns_one_connection(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

/// A flood of connections must not become a flood of lines.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
}

impl Complaints {
    fn too_many(&mut self, peer: SocketAddr) {
        if self.is_due() {
            tracing::warn!(peer = %peer.ip(), "too many connections; new ones are closed at once");
        }
    }

    fn cannot_accept(&mut self, cause: &io::Error) {
        if self.is_due() {
            tracing::error!(%cause, "cannot accept connections");
        }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self
            .last
            .is_none_or(|last| now.duration_since(last) >= COMPLAINT_PAUSE);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
pub(crate) mod tests;
