//! A website of a test's own, on a loopback port that the kernel chose.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;

/// Serves until the runtime of the test ends; returns the origin.
pub(crate) async fn serve(site: Router) -> String {
    let (listener, origin) = bind().await;
    serve_on(listener, site);
    origin
}

/// A place for a site that has to know its own origin first.
pub(crate) async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port on loopback");
    let address = listener.local_addr().expect("a bound socket has an address");
    (listener, format!("http://{address}"))
}

pub(crate) fn serve_on(listener: TcpListener, site: Router) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(site.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}
