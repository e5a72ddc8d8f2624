//! What stands before the replicas of an issuer: one address, each new connection to the next of them that lives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Balancer {
    cuts: watch::Sender<()>,
}

impl Balancer {
    pub(crate) async fn before(ports: &[u16], at: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", at)).await.expect("the port");
        let (cuts, seen) = watch::channel(());
        let (ports, turn): (Arc<[u16]>, _) = (ports.into(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (ports, turn) = (ports.clone(), turn.fetch_add(1, Ordering::Relaxed));
                tokio::spawn(carry(client, ports, turn, seen.clone()));
            }
        });
        Self { cuts }
    }

    /// Ends every connection there is; new ones are let through.
    pub(crate) fn cut(&self) {
        self.cuts.send_replace(());
    }
}

async fn carry(mut client: TcpStream, ports: Arc<[u16]>, turn: usize, mut cuts: watch::Receiver<()>) {
    cuts.mark_unchanged();
    for at in 0..ports.len() {
        let port = ports[(turn + at) % ports.len()];
        let Ok(mut server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await else {
            continue;
        };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = cuts.changed() => {}
        }
        return;
    }
}
