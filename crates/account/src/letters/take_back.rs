//! What is mailed to whoever asks for an account that had their address until a moment ago.
//!
//! To that address alone. Where another account has it by now, that one was meant, and nothing is given back: nobody came
//! by it without reading its mail, or without the operator.

use accounts::email::Email;
use accounts::users;
use accounts::{deletion, former_addresses, links};
use mail::Letter;
use pages::{BRAND, Texts};
use protocol::{Secret, path};

use super::{Letters, Words, written};

impl Letters {
    /// None where nobody had this address, it is another's by now, or the account cannot be had back.
    pub(super) async fn take_back(
        &self,
        email: Email,
        flow: Option<String>,
        texts: Texts,
    ) -> db::Result<Option<Letter>> {
        let Some((former, link)) = self.way_back(email, flow).await? else {
            return Ok(None);
        };
        let brand = [("brand", BRAND)];
        let words = Words {
            subject: texts.words("mail-take-back-subject", &brand),
            before: vec![texts.words("mail-take-back", &brand)],
            link: Some((
                texts.words("take-back-title", &[]),
                self.address(path::RECOVER_ACCOUNT, &link),
            )),
            after: vec![
                texts.words("mail-link-life", &[]),
                texts.words("mail-take-back-ignore", &[]),
            ],
            ..Words::default()
        };
        written(former.shown(), &words, texts).map(Some)
    }

    async fn way_back(&self, email: Email, flow: Option<String>) -> db::Result<Option<(Email, Secret)>> {
        let now = self.clock.now();
        let made = self.db.transact(move |conn| {
            Box::pin(async move {
                if users::by_email(&email, conn).await?.is_some() {
                    return Ok(None);
                }
                let Some(former) = former_addresses::find(&email, conn, now).await? else {
                    return Ok(None);
                };
                let Some(user) = users::by_sub(&former.sub, conn).await? else {
                    return Ok(None);
                };
                if user.disabled_at.is_some() || deletion::is_over(&former.sub, conn, now).await? {
                    return Ok(None);
                }
                let link = links::make_for_former(&former, flow.as_deref(), conn, now).await?;
                Ok(Some((former.email, link)))
            })
        });
        made.await
    }
}
