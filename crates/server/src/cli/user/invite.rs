//! `countersign user invite`: a link by which somebody makes their account, handed over or mailed.

use accounts::email::Email;
use accounts::sign_ups::{self, Way};
use accounts::users;
use clap::Args;
use events::{Context, Event, audit};
use protocol::{SignUp, path};
use serde_json::json;

use super::{Failure, Installation, outbox};
use crate::cli::print::Answer;

#[derive(Debug, Args)]
pub(in crate::cli) struct Invite {
    #[arg(long)]
    email: String,
    /// Mail them the link, instead of printing it
    #[arg(long)]
    mail: bool,
}

impl Invite {
    pub(super) async fn run(self, on: &Installation) -> Result<Answer, Failure> {
        let email = Email::parse(&self.email)?;
        let way = match self.mail {
            true => Way::Invited,
            false => Way::Handed,
        };
        let issuer = on
            .settings
            .require_issuer()
            .map_err(|mistake| Failure::from(mistake.to_string()))?;
        let outbox = match self.mail {
            true => Some(outbox(on).await?),
            false => None,
        };
        let (invited, now) = (email.clone(), on.now);
        let made = on.db.transact(move |conn| {
            Box::pin(async move {
                if let Some(user) = users::by_email(&invited, conn).await? {
                    return Err(Failure::from(format!(
                        "{} has an account: {}",
                        user.email, user.sub
                    )));
                }
                let event = Event::UserInvited { way: way.as_str() };
                audit::record(&event, &Context::command_line(), conn, now).await?;
                match outbox {
                    Some(outbox) => {
                        outbox.invite(&invited, "en", conn, now).await?;
                        Ok(None)
                    }
                    None => Ok(Some(sign_ups::make(way, &invited, None, conn, now).await?)),
                }
            })
        });
        let answer = match made.await? {
            None => Answer::of(
                json!({ "email": email.shown(), "mailed": true }),
                &["email", "mailed"],
            )
            .note("An invitation is on its way to them. It works once, for 7 days."),
            Some(link) => {
                let url = format!(
                    "{}{}?link={}",
                    issuer.as_str(),
                    path::SIGN_UP_ACCOUNT,
                    link.expose()
                );
                let expires_at = now + way.life();
                let members =
                    json!({ "email": email.shown(), "invitation_url": url, "expires_at": expires_at });
                Answer::of(members, &["email", "invitation_url", "expires_at"])
                    .note("The link is shown this once. Whoever opens it makes the account, so hand it over with care.")
            }
        };
        Ok(match on.settings.sign_up {
            SignUp::Closed => {
                answer.note("It works where the server runs with COUNTERSIGN_SIGN_UP=invitation or open.")
            }
            SignUp::Invitation | SignUp::Open => answer,
        })
    }
}
