//! Who signs in while their account waits to be deleted keeps it: a mail tells them, queued in the transaction of the
//! sign-in. Whoever writes mails is on this floor as well, so the queue is handed in.

use std::fmt;
use std::sync::Arc;

use accounts::sessions::Session;
use db::{BoxFuture, Conn};
use protocol::Timestamp;

type Tell = dyn for<'c> Fn(&Session, &'static str, &'c mut Conn, Timestamp) -> BoxFuture<'c, db::Result<()>>
    + Send
    + Sync;

/// How they are told, behind any number of clones.
#[derive(Clone)]
pub struct CameBack(Arc<Tell>);

impl CameBack {
    /// Of whom, in which language, on which connection, now.
    pub fn new<F>(tell: F) -> Self
    where
        F: for<'c> Fn(&Session, &'static str, &'c mut Conn, Timestamp) -> BoxFuture<'c, db::Result<()>>
            + Send
            + Sync
            + 'static,
    {
        Self(Arc::new(tell))
    }

    pub(crate) async fn tell(
        &self,
        session: &Session,
        language: &'static str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        (self.0)(session, language, conn, now).await
    }
}

impl fmt::Debug for CameBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CameBack")
    }
}
