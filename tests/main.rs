//! Countersign as its users meet it: everything here goes through HTTP, a browser, or the command line.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[macro_use]
mod harness;

mod account;
mod anonymous;
mod architecture;
mod at_rest;
mod audit;
mod authorization_code;
mod authorization_request;
mod browser;
mod changes;
mod claims;
mod client_assertions;
mod client_authentication;
mod clock_steps;
mod command_line;
mod conformance;
mod contract;
mod crash;
mod database_away;
mod discovery;
mod equal_work;
mod exposure;
mod flows;
mod forged_tokens;
mod hostile;
mod https;
mod interop;
mod introspection;
mod ledger;
mod lines;
mod logout;
mod machines;
mod matrix;
mod mtls;
mod outbound;
mod pages;
mod pairwise;
mod passwords;
mod prompts;
mod pushed_requests;
mod races;
mod recovery;
mod redirect_uris;
mod refresh;
mod registration;
mod relying_party;
mod remembered_consent;
mod replicas;
mod request_objects;
mod resources;
mod response_types;
mod revocations;
mod revoke;
mod rings;
mod rotations;
mod sign_up;
mod smoke;
mod throttling;
mod token_protection;
mod tokens;
mod userinfo;
mod verification;
