//! A network between a server and its database that can stop carrying anything, without telling either: no answer, no
//! reset. What was open when it stopped stays dead for good.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Wall {
    port: u16,
    stands: watch::Sender<bool>,
}

impl Wall {
    /// Before this database, whose URL names host and port.
    pub(crate) async fn before(database: &db::Url) -> (Self, db::Url) {
        let db::Url::Postgres(url) = database else {
            panic!("only PostgreSQL is reached over a network");
        };
        let start = url.find('@').map_or("postgres://".len(), |at| at + 1);
        let end = start + url[start..].find('/').expect("a database name");
        let server: SocketAddr = url[start..end].parse().expect("an address");

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (stands, seen) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, seen.clone()));
            }
        });
        let through = format!("{}127.0.0.1:{port}{}", &url[..start], &url[end..]);
        (Self { port, stands }, through.parse().expect("a URL"))
    }

    pub(crate) fn raise(&self) {
        self.stands.send_replace(true);
        eprintln!("nothing passes port {}", self.port);
    }

    pub(crate) fn tear_down(&self) {
        self.stands.send_replace(false);
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut stands: watch::Receiver<bool>) {
    if !*stands.borrow_and_update() {
        let mut server = TcpStream::connect(server).await.expect("the database");
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = stands.wait_for(|stands| *stands) => {}
        }
        // Both sides stay open.
        std::future::pending::<()>().await;
    }
    std::future::pending::<()>().await;
}
