//! Countersign as its users meet it: everything here goes through HTTP, a browser, or the command line.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[macro_use]
mod harness;

mod relying_party;
mod smoke;
