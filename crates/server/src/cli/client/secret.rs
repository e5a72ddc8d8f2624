//! `countersign client secret`: two may work at once, so that a client can change its secret without a moment
//! in which neither works.

use clap::Subcommand;
use clients::secrets;
use events::Context;
use protocol::ClientId;
use serde_json::json;

use super::{Which, known};
use crate::cli::failure::Failure;
use crate::cli::id;
use crate::cli::installation::Installation;
use crate::cli::print::{Answer, Printer};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Secret {
    /// Make a second secret
    Add(Which),
    /// The secrets that work, by their ids and last characters
    List(Which),
    /// End a secret
    Delete {
        #[command(flatten)]
        which: Which,
        /// As the list shows it
        #[arg(value_parser = id, allow_hyphen_values = true)]
        secret_id: String,
    },
}

pub(in crate::cli) const SHOWN_ONCE: &str = "The secret is shown this once.";

impl Secret {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::Add(Which { id }) => printer.answer(&add(id.into(), on).await?),
            Self::List(Which { id }) => list(&id.into(), on, printer).await,
            Self::Delete {
                which: Which { id },
                secret_id,
            } => printer.answer(&delete(id.into(), secret_id, on).await?),
        }
    }
}

async fn add(id: ClientId, on: &Installation) -> Result<Answer, Failure> {
    let (now, by) = (on.now, Context::command_line());
    let client = known(&id, &mut on.db.reader().await?).await?;
    let vault = on.vault_if(client.metadata.needs_readable_secret()).await?;
    let added = on.db.transact(move |conn| {
        Box::pin(async move {
            known(&id, conn).await?;
            Ok::<_, Failure>((secrets::add(&id, &vault, &by, conn, now).await?, id))
        })
    });
    let (added, id) = added.await?;
    let json = json!({
        "client_id": id,
        "client_secret": added.secret.expose(),
        // RFC 7591 §3.2.1: it does not expire.
        "client_secret_expires_at": 0,
        "secret_id": added.stored.secret_id,
        "created_at": added.stored.created_at,
    });
    let order = ["client_id", "client_secret", "secret_id"];
    Ok(Answer::of(json, &order).note(SHOWN_ONCE))
}

async fn list(id: &ClientId, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut conn = on.db.reader().await?;
    known(id, &mut conn).await?;
    let stored = secrets::list(id, &mut conn).await?;
    let mut list = printer.list();
    for secret in stored {
        list.item(&listed(&secret))?;
    }
    list.end("a public client has no secret")
}

/// One secret of a list, whoever has it.
pub(in crate::cli) fn listed(secret: &secrets::Stored) -> Answer {
    Answer {
        json: json!({
            "secret_id": secret.secret_id,
            "hint": secret.hint,
            "created_at": secret.created_at,
        }),
        lines: vec![format!(
            "{}  …{}  made {}",
            secret.secret_id, secret.hint, secret.created_at
        )],
    }
}

async fn delete(id: ClientId, secret_id: String, on: &Installation) -> Result<Answer, Failure> {
    let now = on.now;
    let deleted = on.db.transact(move |conn| {
        Box::pin(async move {
            known(&id, conn).await?;
            secrets::delete(&id, &secret_id, &Context::command_line(), conn, now).await?;
            Ok::<_, Failure>(Answer {
                lines: vec![format!(
                    "secret {secret_id} of client {id} does not work any more"
                )],
                json: json!({ "client_id": id, "secret_id": secret_id }),
            })
        })
    });
    deleted.await
}
