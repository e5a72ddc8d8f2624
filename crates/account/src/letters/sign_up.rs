//! What is mailed to whoever asked for an account, or is invited to one.
//!
//! The mail to an address that has an account says so: nobody but its owner reads that. Both of these mails carry a link
//! of the same kind, made by the same statements.

use accounts::email::Email;
use accounts::invitations;
use accounts::sign_ups::{self, Way};
use accounts::users::{self, User};
use accounts::{deletion, former_addresses};
use mail::Letter;
use pages::{BRAND, Texts};
use protocol::{Secret, path};

use super::{Letters, Words, written};

/// What is known of an address for which somebody asks, and a link that lets its owner on.
struct Admission {
    user: Option<User>,
    /// The account is there only until it is deleted any moment.
    is_over: bool,
    /// An account had the address until a moment ago, and can be had back by it.
    was_left: bool,
    link: Secret,
}

impl Letters {
    pub(super) async fn sign_up(
        &self,
        address: &str,
        flow: Option<&str>,
        texts: Texts,
    ) -> db::Result<Option<Letter>> {
        let Ok(email) = Email::parse(address) else {
            return Ok(None);
        };
        let Admission {
            user,
            is_over,
            was_left,
            link,
        } = self.admission(&email, flow).await?;
        // To the address that the account has: the one that was typed may be another mailbox, where letters differ in case.
        let (to, words) = match &user {
            None => (&email, self.welcome(&link, was_left, texts)),
            Some(user) if user.disabled_at.is_some() => (&user.email, self.disabled(texts)),
            Some(user) if is_over => (&user.email, leaving(texts)),
            Some(user) => (&user.email, self.known(&link, texts)),
        };
        written(to.shown(), &words, texts).map(Some)
    }

    /// Nothing where there is an account by now: it was invited to one. Nor where the invitation was withdrawn.
    pub(super) async fn invite(
        &self,
        address: &str,
        invitation: Option<String>,
        texts: Texts,
    ) -> db::Result<Option<Letter>> {
        let Ok(email) = Email::parse(address) else {
            return Ok(None);
        };
        let (invited, now) = (email.clone(), self.clock.now());
        let made = self.db.transact(move |conn| {
            Box::pin(async move {
                if users::by_email(&invited, conn).await?.is_some() {
                    return Ok(None);
                }
                let Some(id) = invitation else {
                    return sign_ups::make(Way::Invited, &invited, None, conn, now)
                        .await
                        .map(Some);
                };
                match invitations::one(&id, conn, now).await? {
                    Some(invitation) => sign_ups::make_invited(&invitation, conn).await.map(Some),
                    None => Ok(None),
                }
            })
        });
        let Some(link) = made.await? else {
            return Ok(None);
        };
        let brand = [("brand", BRAND)];
        let words = Words {
            subject: texts.words("mail-invite-subject", &brand),
            before: vec![texts.words("mail-invite", &brand)],
            link: Some(self.to_account("sign-up-account-submit", &link, texts)),
            after: vec![
                texts.words("mail-invite-life", &[]),
                texts.words("mail-invite-ignore", &[]),
            ],
            ..Words::default()
        };
        written(email.shown(), &words, texts).map(Some)
    }

    async fn admission(&self, email: &Email, flow: Option<&str>) -> db::Result<Admission> {
        let (email, flow, now) = (email.clone(), flow.map(str::to_owned), self.clock.now());
        let made = self.db.transact(move |conn| {
            Box::pin(async move {
                let user = users::by_email(&email, conn).await?;
                let is_over = match &user {
                    Some(user) => deletion::is_over(&user.sub, conn, now).await?,
                    None => false,
                };
                let link = sign_ups::make(Way::Asked, &email, flow.as_deref(), conn, now).await?;
                Ok(Admission {
                    user,
                    is_over,
                    was_left: former_addresses::find(&email, conn, now).await?.is_some(),
                    link,
                })
            })
        });
        made.await
    }

    /// Who was moved out of their account by a stranger finds their address unknown, and a new account would end the way back.
    fn welcome(&self, link: &Secret, was_left: bool, texts: Texts) -> Words {
        let brand = [("brand", BRAND)];
        let former = was_left.then(|| texts.words("mail-sign-up-former", &brand));
        let asked = texts.words("mail-sign-up", &brand);
        Words {
            subject: texts.words("mail-sign-up-subject", &brand),
            before: former.into_iter().chain([asked]).collect(),
            link: Some(self.to_account("sign-up-account-submit", link, texts)),
            after: vec![
                texts.words("mail-link-life", &[]),
                texts.words("mail-sign-up-ignore", &[]),
            ],
            ..Words::default()
        }
    }

    fn known(&self, link: &Secret, texts: Texts) -> Words {
        let brand = [("brand", BRAND)];
        Words {
            subject: texts.words("mail-known-subject", &brand),
            before: vec![texts.words("mail-known", &brand)],
            link: Some(self.to_account("login-submit", link, texts)),
            after: vec![
                texts.words("mail-known-ignore", &[]),
                texts.words("mail-known-forgot", &[]),
            ],
            also: Some((
                texts.words("password-title", &[]),
                format!("{}{}", self.issuer.as_str(), path::RECOVER),
            )),
        }
    }

    /// Neither a link nor another password would help them.
    fn disabled(&self, texts: Texts) -> Words {
        let brand = [("brand", BRAND)];
        let mut before = vec![texts.words("mail-known-disabled", &brand)];
        before.extend(self.reach(texts));
        before.push(texts.words("mail-known-ignore", &[]));
        Words {
            subject: texts.words("mail-known-subject", &brand),
            before,
            ..Words::default()
        }
    }

    fn to_account(&self, label: &str, link: &Secret, texts: Texts) -> (String, String) {
        (texts.words(label, &[]), self.address(path::SIGN_UP_ACCOUNT, link))
    }
}

/// The account that has this address cannot be had back, and until it is gone there is none to be made.
fn leaving(texts: Texts) -> Words {
    let brand = [("brand", BRAND)];
    Words {
        subject: texts.words("mail-leaving-subject", &brand),
        before: vec![
            texts.words("mail-leaving", &brand),
            texts.words("mail-known-ignore", &[]),
        ],
        ..Words::default()
    }
}
