//! `countersign user invitation`: those that nobody has used yet, and how to take one back.

use accounts::invitations::{self, Invitation};
use accounts::sign_ups::Way;
use clap::Subcommand;
use events::Context;
use serde_json::json;

use super::{Failure, Installation, Printer, id};
use crate::cli::print::Answer;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Invited {
    /// The invitations that still work, the oldest first
    List,
    /// Take an invitation back; an account that was made by it stays
    Withdraw {
        /// As the list shows it
        #[arg(value_parser = id, allow_hyphen_values = true)]
        invitation_id: String,
    },
}

impl Invited {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::List => list(on, printer).await,
            Self::Withdraw { invitation_id } => printer.answer(&withdraw(invitation_id, on).await?),
        }
    }
}

async fn list(on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let waiting = invitations::list(&mut on.db.reader().await?, on.now).await?;
    let mut list = printer.list();
    for invitation in waiting {
        list.item(&listed(&invitation))?;
    }
    list.end("nobody is invited: countersign user invite --help")
}

fn listed(invitation: &Invitation) -> Answer {
    let mailed = invitation.way == Way::Invited;
    Answer {
        json: json!({
            "invitation_id": invitation.id,
            "email": invitation.email.shown(),
            "mailed": mailed,
            "invited_at": invitation.invited_at,
            "expires_at": invitation.expires_at,
        }),
        lines: vec![format!(
            "{}  {}  {}, until {}",
            invitation.id,
            invitation.email,
            if mailed { "mailed" } else { "handed over" },
            invitation.expires_at
        )],
    }
}

async fn withdraw(invitation_id: String, on: &Installation) -> Result<Answer, Failure> {
    let (id, now) = (invitation_id.clone(), on.now);
    let withdrawn = on.db.transact(move |conn| {
        Box::pin(async move { invitations::withdraw(&id, &Context::command_line(), conn, now).await })
    });
    match withdrawn.await? {
        true => Ok(Answer {
            lines: vec![format!("invitation {invitation_id} does not work any more")],
            json: json!({ "invitation_id": invitation_id }),
        }),
        false => Err(format!("there is no invitation {invitation_id} that waits").into()),
    }
}
