//! What only a browser shows: that cookies, redirects and policies of several origins play together, and what
//! people see.

#[macro_use]
mod tour;

mod account;
mod errors;
mod keyboard;
mod looks;
mod main_job;
mod markup;
mod places;
mod reader;
mod recovery;
mod shell;
mod sign_out;
mod sign_up;

pub(crate) use places::demo_app;
