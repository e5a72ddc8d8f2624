//! What happened, for those who must hear of it: revocation records and their sequence.

pub mod revocations;
