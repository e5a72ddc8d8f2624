//! What people are told about a sign-in of theirs, queued in its transaction: that their account stays though it waited to
//! be deleted, or that it was in a browser where they were not signed in before; and of an app that may go on without them.
//! Whoever writes mails is on this floor as well, so the queue is handed in.

use std::fmt;
use std::sync::Arc;

use accounts::sessions::Session;
use clients::Trust;
use db::{BoxFuture, Conn};
use protocol::{ClientId, Timestamp};

/// One thing to tell.
#[derive(Clone, Debug)]
pub enum Tiding {
    CameBack,
    NewBrowser {
        /// What it says of itself.
        user_agent: String,
        /// What they signed in to, by a name that somebody vouches for.
        app: Option<String>,
    },
    /// An app may go on without the person from now on.
    AppStays {
        /// A name that somebody vouches for.
        app: Option<String>,
    },
}

type Tell = dyn for<'c> Fn(&Session, Tiding, &'static str, &'c mut Conn, Timestamp) -> BoxFuture<'c, db::Result<()>>
    + Send
    + Sync;

/// How they are told, behind any number of clones.
#[derive(Clone)]
pub struct Tidings(Arc<Tell>);

impl Tidings {
    /// Of whom, what, in which language, on which connection, now.
    pub fn new<F>(tell: F) -> Self
    where
        F: for<'c> Fn(
                &Session,
                Tiding,
                &'static str,
                &'c mut Conn,
                Timestamp,
            ) -> BoxFuture<'c, db::Result<()>>
            + Send
            + Sync
            + 'static,
    {
        Self(Arc::new(tell))
    }

    pub(crate) async fn tell(
        &self,
        session: &Session,
        tiding: Tiding,
        language: &'static str,
        conn: &mut Conn,
        now: Timestamp,
    ) -> db::Result<()> {
        (self.0)(session, tiding, language, conn, now).await
    }
}

impl fmt::Debug for Tidings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tidings")
    }
}

/// The name of an app as a mail may have it: what a stranger called theirs stands in none.
pub(crate) async fn vouched_for(
    app: Option<&ClientId>,
    language: &str,
    conn: &mut Conn,
) -> db::Result<Option<String>> {
    let Some(app) = app else { return Ok(None) };
    let client = clients::records::by_id(app, conn).await?;
    let trusted = client.filter(|client| client.trust == Trust::Trusted);
    Ok(trusted.map(|client| client.name_in(language)))
}
