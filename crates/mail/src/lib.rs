//! Mail: a queue in the database, and whoever sends what is in it.
//!
//! A mail is a row that is written in the transaction of the act it tells of, sealed, and goes when a relay has taken
//! it: no crash loses one, and nobody who clicks a button waits for a mail server. What the row holds is the caller's:
//! it is made into a letter when its turn has come, so a link that a letter carries exists nowhere before that, and who
//! asks for one learns nothing from what happens then.

mod letter;
mod mailbox;
mod post;
mod queue;
mod relay;
mod sealer;

pub use letter::{Letter, Sender};
pub use mailbox::{Delivered, Mailbox};
pub use post::{Post, Way};
pub use queue::{Place, put};
pub use relay::{Relay, Smtp};
pub use sealer::{Content, Sealer};

#[cfg(test)]
#[path = "../../../tests/harness/smtp.rs"]
mod smtp;
