//! A user as another system hands them over, who may have other credentials by it than a moment ago.
//!
//! Then the sessions end, which the epoch has made void already, and with them what does not outlive them and codes that
//! wait. An app that was allowed to stay beyond a session stays; one that is only now being signed in to is not such a one:
//! that is done in a session of whoever knew the old password.

use accounts::users::{self, Draft, Upserted, User};
use db::Conn;
use events::Context;
use events::audit::Credentials;
use events::changes::{self, Topic};
use protocol::Timestamp;

use crate::acts;

/// Makes the record what the draft says, as [`users::upsert`] does, and ends what hung from credentials that it replaces.
///
/// # Errors
/// As [`users::upsert`].
pub async fn import_user(
    draft: Draft,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(User, Upserted), users::Error> {
    let (user, done) = users::upsert(draft, by, conn, now).await?;
    if let Upserted::Updated(update) = done
        && update.credentials == Credentials::Changed
    {
        acts::end_sessions(&user.sub, conn, now).await?;
        // Also where no record names what hangs from sessions that are void.
        changes::bump(Topic::Revocations, conn).await?;
    }
    Ok((user, done))
}
