//! `countersign client token`: initial access tokens (RFC 7591 §3), with which apps register themselves where not
//! everybody may.

use std::time::Duration;

use clap::{Args, Subcommand};
use clients::initial_tokens::{self, Stored};
use events::Context;
use protocol::Error;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::id;
use crate::cli::installation::Installation;
use crate::cli::print::{Answer, Printer};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Token {
    /// Make a token that lets its bearer register apps
    Create(Create),
    /// The tokens that still work, by their ids and last characters
    List,
    /// End a token; apps that it registered stay
    Delete {
        /// As the list shows it
        #[arg(value_parser = id, allow_hyphen_values = true)]
        token_id: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// How many apps it may register
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    uses: u32,
    /// In how many days it expires
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    expires: u32,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Token {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(create) => printer.answer(&create.run(on).await?),
            Self::List => list(on, printer).await,
            Self::Delete { token_id } => printer.answer(&delete(token_id, on).await?),
        }
    }
}

impl Create {
    async fn run(self, on: &Installation) -> Result<Answer, Failure> {
        let now = on.now;
        let life = DAY * self.expires;
        let added = on.db.transact(move |conn| {
            Box::pin(async move {
                initial_tokens::add(self.uses, life, &Context::command_line(), conn, now).await
            })
        });
        let added = added.await?;
        let json = json!({
            "initial_access_token": added.token.expose(),
            "token_id": added.stored.token_id,
            "uses_left": added.stored.uses_left,
            "created_at": added.stored.created_at,
            "expires_at": added.stored.expires_at,
        });
        let order = ["initial_access_token", "token_id", "uses_left", "expires_at"];
        Ok(Answer::of(json, &order).note("The token is shown this once: only its digest is kept."))
    }
}

async fn list(on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let stored = initial_tokens::list(&mut on.db.reader().await?, on.now).await?;
    let mut list = printer.list();
    for token in stored {
        list.item(&listed(&token))?;
    }
    list.end("there is no initial access token: countersign client token create --help")
}

fn listed(token: &Stored) -> Answer {
    Answer {
        json: json!({
            "token_id": token.token_id,
            "hint": token.hint,
            "uses_left": token.uses_left,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }),
        lines: vec![format!(
            "{}  …{}  uses left {}, until {}",
            token.token_id, token.hint, token.uses_left, token.expires_at
        )],
    }
}

async fn delete(token_id: String, on: &Installation) -> Result<Answer, Failure> {
    let now = on.now;
    let id = token_id.clone();
    let deleted = on.db.transact(move |conn| {
        Box::pin(async move { initial_tokens::delete(&id, &Context::command_line(), conn, now).await })
    });
    match deleted.await? {
        true => Ok(Answer {
            lines: vec![format!("initial access token {token_id} does not work any more")],
            json: json!({ "token_id": token_id }),
        }),
        false => Err(Error::invalid_request(format!("there is no initial access token {token_id}")).into()),
    }
}
