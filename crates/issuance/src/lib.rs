//! The one gate: approval in, tokens out; and the one judge of our own tokens when they come back.
//!
//! Every grant ends here. The gate checks client, user, consent and session once more inside the guard of its
//! write, because what was read before may have changed, and mints only after that write is committed. Most
//! published holes of authorization servers are a known check that one path forgot.

mod approve;
pub mod bearer;
mod granted;
mod hint;
mod known;
mod live;
mod reads;
mod redeem;
mod refresh;
mod standing;
mod target;
mod tokens;
mod vault;
mod writes;

use std::time::Duration;

use clients::Recipients;
use db::{Batcher, Database};
use keyring::Keyring;
use protocol::{ApprovalId, Error, Issuer, Timestamp};

use reads::Reads;
use writes::Writes;

pub use approve::{Approved, Approving};
pub use bearer::{Bearer, Proof, Refused};
pub use granted::Granted;
pub use hint::{Hint, Unbelieved};
pub use jws::Meant;
pub use keyring::sid;
pub use known::Known;
pub use target::Target;

pub use protocol::access_token::LIFE as ACCESS_TOKEN_LIFE;
pub use tokens::{Entitlement, Means, TokenResponse};
pub use vault::vault;

/// Life of an ID token.
pub const ID_TOKEN_LIFE: Duration = keyring::LONGEST_TOKEN_LIFE;

/// The gate.
#[derive(Clone, Debug)]
pub struct Gate {
    pub(crate) db: Database,
    pub(crate) keyring: Keyring,
    pub(crate) recipients: Recipients,
    pub(crate) issuer: Issuer,
    pub(crate) known: Known,
    pub(crate) reads: Batcher<Reads>,
    pub(crate) writes: Batcher<Writes>,
}

/// Why the gate gave nothing.
#[derive(Debug)]
pub enum Refusal {
    /// A valid credential came a second time: whoever holds it twice, this approval has to end.
    Reused(ApprovalId),
    /// A credential that we made is newer than what the database knows of it, which was let in at this time: it was
    /// restored to an older state.
    Ahead(Timestamp),
    Wire(Error),
}

impl Gate {
    /// Starts the tasks that read and write; needs a runtime.
    pub fn new(db: Database, keyring: Keyring, recipients: Recipients, known: Known, issuer: Issuer) -> Self {
        let reads = Batcher::start(db.clone());
        let writes = Batcher::start(db.clone());
        Self {
            db,
            keyring,
            recipients,
            issuer,
            known,
            reads,
            writes,
        }
    }

    /// `iss` of what it issues.
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Wire(error)
    }
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// The answer to a credential whose approval, client, user, consent or session is no longer live. Which of them
/// is for our log.
fn ended() -> Error {
    Error::invalid_grant(
        "this authorization has ended: send the user through the authorization endpoint again",
    )
}
