//! The pages over plain HTTP: what a person without JavaScript, a password manager, and an attacker can do with
//! them.

mod cookies;
mod echo;
mod forms;
mod headers;
mod log;
pub(crate) mod logos;
mod names;
mod odd;
pub(crate) mod operator;
mod overload;
mod problems;
mod sign_in;
mod steps;

use http::Method;

use crate::harness::app::answer;
use crate::harness::visitor::client;
use crate::harness::wire::{self, Wire};
use crate::harness::{Answer, World};

/// A request with exactly these headers, whatever the visitor's browser would send.
async fn bare(world: &World, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let mut request = client().request(method, world.at(path)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request).await
}

/// The whole answer as it comes, headers and all, to a path that no client has tidied up.
async fn as_it_comes(world: &World, path: &str, headers: &[(&str, &str)]) -> String {
    let mut wire = Wire::connect(world.origin()).await.expect("a connection");
    let headers = [headers, &[("connection", "close")]].concat();
    wire.send(&wire::get(path, &headers))
        .await
        .expect("a sent request");
    wire.read_to_end().await
}

/// The `Set-Cookie` lines of an answer.
fn set_cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("set-cookie").iter();
    lines
        .map(|line| line.to_str().expect("readable").to_owned())
        .collect()
}
