//! `countersign user invite`: a link by which somebody makes their account, handed over or mailed.

use accounts::email::Email;
use accounts::invitations;
use accounts::sign_ups::{self, Way};
use accounts::users;
use clap::Args;
use events::Context;
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
                let invitation = invitations::add(&invited, way, &Context::command_line(), conn, now).await?;
                let link = match outbox {
                    Some(outbox) => {
                        outbox.invite(&invitation, "en", conn, now).await?;
                        None
                    }
                    None => Some(sign_ups::make_invited(&invitation, conn).await?),
                };
                Ok((invitation, link))
            })
        });
        let (invitation, link) = made.await?;
        let answer = match link {
            None => {
                let members = json!({
                    "invitation_id": invitation.id, "email": email.shown(), "mailed": true,
                    "expires_at": invitation.expires_at,
                });
                Answer::of(members, &["invitation_id", "email", "mailed", "expires_at"])
                    .note("An invitation is on its way to them. It works once, for 7 days.")
            }
            Some(link) => {
                let url = format!(
                    "{}{}?link={}",
                    issuer.as_str(),
                    path::SIGN_UP_ACCOUNT,
                    link.expose()
                );
                let members = json!({
                    "invitation_id": invitation.id, "email": email.shown(), "mailed": false, "invitation_url": url,
                    "expires_at": invitation.expires_at,
                });
                let order = ["invitation_id", "email", "invitation_url", "expires_at"];
                Answer::of(members, &order)
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
