//! "Sign in with Countersign", seen from the other side: a demo app and a demo API.
//!
//! Read this crate to learn how to integrate. [`App`] is a relying party on the `openidconnect` crate and
//! uses nothing of the authorization server but its public endpoints: `sign_in` sends the browser away and
//! takes it back, `provider` talks to the authorization server, `session` keeps the tokens. [`Api`] is a
//! resource server that checks access tokens by itself with the `verifier` crate.

mod api;
mod app;
mod cookie;
pub mod http_client;
mod page;
mod provider;
mod session;
mod sign_in;
mod store;
#[cfg(test)]
mod tests;

pub use api::Api;
pub use app::{App, Config};
pub use openidconnect::IssuerUrl;
pub use verifier::Credentials;

/// How the demo app is registered as a client.
pub const CLIENT_NAME: &str = "Countersign demo app";
/// Where the demo app lives.
pub const APP_ORIGIN: &str = "http://localhost:8081";
/// Path of the redirect URI, on the app's origin.
pub const REDIRECT_PATH: &str = "/callback";
/// Path of the post-logout redirect URI, on the app's origin.
pub const POST_LOGOUT_REDIRECT_PATH: &str = "/";

/// Where the demo API lives, and by what name tokens are meant for it: the identifier of its resource server.
/// Written as a `Url` writes it, since audiences are compared byte by byte.
pub const API: &str = "http://localhost:8082/";
/// The one scope of the demo API, and what people read about it on the consent page.
pub const API_SCOPE: &str = "greetings.read";
pub const API_SCOPE_TEXT: &str = "Read greetings made for you";
