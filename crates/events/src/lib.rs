//! What happened, for those who must hear of it: the audit trail, notices of changes for other processes,
//! revocation records and their sequence.

pub mod audit;
pub mod changes;
pub mod logout_notices;
pub mod revocations;
pub mod sign_ins;

pub use audit::{Context, Event};
