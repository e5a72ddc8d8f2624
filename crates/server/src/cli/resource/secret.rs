//! `countersign resource secret`: with these a resource server asks about tokens (RFC 7662). Two may work at once,
//! so that one can be replaced in peace.
//!
//! The members are named as libraries for introspection know them: the identifier is the `client_id`.

use clap::Subcommand;
use clients::resources::{self, secrets};
use db::Conn;
use events::Context;
use serde_json::json;

use super::unknown;
use crate::cli::client::secret::{SHOWN_ONCE, listed};
use crate::cli::failure::Failure;
use crate::cli::installation::Installation;
use crate::cli::print::{Answer, Printer};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Secret {
    /// Make a first or second secret
    Add { identifier: String },
    /// The secrets that work, by their ids and last characters
    List { identifier: String },
    /// End a secret; without any the API cannot ask about tokens
    Delete {
        identifier: String,
        #[arg(allow_hyphen_values = true)]
        secret_id: String,
    },
}

impl Secret {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::Add { identifier } => printer.answer(&add(identifier, on).await?),
            Self::List { identifier } => list(&identifier, on, printer).await,
            Self::Delete {
                identifier,
                secret_id,
            } => printer.answer(&delete(identifier, secret_id, on).await?),
        }
    }
}

async fn known(identifier: &str, conn: &mut Conn) -> Result<(), Failure> {
    let found = resources::by_identifier(identifier, conn).await?;
    found.map(drop).ok_or_else(|| unknown(identifier))
}

async fn add(identifier: String, on: &Installation) -> Result<Answer, Failure> {
    let now = on.now;
    let added = on.db.transact(move |conn| {
        Box::pin(async move {
            known(&identifier, conn).await?;
            Ok::<_, Failure>((
                secrets::add(&identifier, &Context::command_line(), conn, now).await?,
                identifier,
            ))
        })
    });
    let (added, identifier) = added.await?;
    let json = json!({
        "client_id": identifier,
        "client_secret": added.secret.expose(),
        "secret_id": added.stored.secret_id,
        "created_at": added.stored.created_at,
    });
    let order = ["client_id", "client_secret", "secret_id"];
    Ok(Answer::of(json, &order).note(SHOWN_ONCE))
}

async fn list(identifier: &str, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut conn = on.db.reader().await?;
    known(identifier, &mut conn).await?;
    let stored = secrets::list(identifier, &mut conn).await?;
    let mut list = printer.list();
    for secret in stored {
        list.item(&listed(&secret))?;
    }
    list.end("this resource server has no secret: it verifies tokens by itself")
}

async fn delete(identifier: String, secret_id: String, on: &Installation) -> Result<Answer, Failure> {
    let now = on.now;
    let deleted = on.db.transact(move |conn| {
        Box::pin(async move {
            known(&identifier, conn).await?;
            secrets::delete(&identifier, &secret_id, &Context::command_line(), conn, now).await?;
            Ok::<_, Failure>(Answer {
                lines: vec![format!(
                    "secret {secret_id} of resource server {identifier} does not work any more"
                )],
                json: json!({ "client_id": identifier, "secret_id": secret_id }),
            })
        })
    });
    deleted.await
}
