//! What only a browser shows: that cookies, redirects and policies of several origins play together, and what
//! people see.

mod account;
mod keyboard;
mod looks;
mod main_job;
mod places;
mod recovery;
mod sign_out;
mod sign_up;
