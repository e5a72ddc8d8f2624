//! Countersign: an OAuth 2.0 and OpenID Connect authorization server.

pub mod background;
pub mod cli;
mod dev;
mod exposed;
mod fallback;
mod health;
pub mod listener;
pub mod logging;
pub mod middleware;
pub mod restores;
pub mod serve;
pub mod settings;
pub mod tls;
pub mod wiring;
