//! What our mails say, made when their turn to be sent has come.
//!
//! Decides who gets one. A link goes to the address that the account has, never to the one that was typed; whoever has
//! no account, or one that is disabled, is sent nothing, and nobody who asked can see that. The host in a link is the
//! issuer's (the attack: a request with another `Host`, and a link that leads there). Nothing that a person wrote
//! stands in a mail, and no picture is fetched.

mod sign_up;
mod take_back;
#[cfg(test)]
mod tests;

use accounts::deletion;
use accounts::email::Email;
use accounts::links::{self, Purpose};
use accounts::users::{self, User};
use askama::Template;
use db::{Conn, Database};
use mail::{Content, Letter};
use pages::{BRAND, Contact, Locale, Texts};
use protocol::{Clock, Issuer, Secret, Subject, Timestamp, path};
use serde::{Deserialize, Serialize};

use crate::notices::{Notice, device};

/// What a row of the queue holds. Once written it keeps its meaning, for the length of a day.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Somebody says that they forgot the password of the account with this address.
    #[serde(rename = "recover")]
    Recover {
        address: String,
        locale: String,
        /// What they were about to do.
        flow: Option<String>,
    },
    /// Whether the address is theirs.
    #[serde(rename = "verify")]
    Verify { sub: Subject, locale: String },
    /// The person wants this address instead of theirs.
    #[serde(rename = "address")]
    Address {
        sub: Subject,
        /// Of the user when they asked: what changes meanwhile makes it void.
        epoch: i64,
        address: String,
        locale: String,
    },
    /// Something changed about an account, or somebody with its password did something.
    #[serde(rename = "notice")]
    Notice(Notice),
    /// Somebody asks for an account with this address.
    #[serde(rename = "sign_up")]
    SignUp {
        address: String,
        locale: String,
        /// What they were about to do.
        flow: Option<String>,
    },
    /// An operator invites whoever has this address.
    #[serde(rename = "invite")]
    Invite {
        address: String,
        locale: String,
        /// None in what an earlier version queued.
        #[serde(default)]
        invitation: Option<String>,
    },
    /// Another password was set by a link.
    #[serde(rename = "recovered")]
    Recovered {
        to: String,
        at: Timestamp,
        locale: String,
        /// What the browser says of itself; none in what an earlier version queued.
        #[serde(default)]
        user_agent: Option<String>,
    },
}

/// Composes letters.
#[derive(Clone, Debug)]
pub struct Letters {
    pub db: Database,
    pub issuer: Issuer,
    /// Where the people who run this site are reached.
    pub contact: Option<Contact>,
    pub clock: Clock,
}

/// What a letter says, for both of its forms.
#[derive(Default)]
pub(crate) struct Words {
    pub(crate) subject: String,
    /// Paragraphs before the link, and after it.
    pub(crate) before: Vec<String>,
    pub(crate) link: Option<(String, String)>,
    pub(crate) after: Vec<String>,
    /// Another way on, at the end.
    pub(crate) also: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'w> {
    words: &'w Words,
    brand: &'static str,
    locale: Locale,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Plain<'w> {
    words: &'w Words,
    brand: &'static str,
}

impl Letters {
    /// The letter of a row of the queue; none where there is nobody to write to.
    ///
    /// # Errors
    /// When the database fails, or the row is of a kind that this version does not know: then it is left to another, as long
    /// as it is worth sending.
    pub async fn letter(&self, content: Content) -> db::Result<Option<Letter>> {
        let unknown = |error| db::Error::corrupt(format!("a mail that another version queued: {error}"));
        match serde_json::from_slice(&content).map_err(unknown)? {
            Job::Recover {
                address,
                locale,
                flow,
            } => {
                let Ok(email) = Email::parse(&address) else {
                    return Ok(None);
                };
                let whose = Whose::Address(email.clone());
                match self.link(whose, Purpose::Recovery, flow.clone()).await? {
                    Some((user, link)) => self.recover(&user, &link, texts(&locale)).map(Some),
                    None => self.take_back(email, flow, texts(&locale)).await,
                }
            }
            Job::Verify { sub, locale } => {
                let link = self.link(Whose::User(sub), Purpose::Email, None).await?;
                let compose = |(user, link): (User, Secret)| self.verify(&user, &link, texts(&locale));
                link.map(compose).transpose()
            }
            Job::Address {
                sub,
                epoch,
                address,
                locale,
            } => {
                let Ok(email) = Email::parse(&address) else {
                    return Ok(None);
                };
                let link = self.address_link(sub, epoch, email.clone()).await?;
                let compose = |link: Secret| self.moved(&email, &link, texts(&locale));
                link.as_ref().map(|link| compose(link.clone())).transpose()
            }
            Job::Notice(notice) => {
                let texts = texts(&notice.locale);
                notice.letter(&self.issuer, self.reach(texts), texts).map(Some)
            }
            Job::SignUp {
                address,
                locale,
                flow,
            } => self.sign_up(&address, flow.as_deref(), texts(&locale)).await,
            Job::Invite {
                address,
                locale,
                invitation,
            } => self.invite(&address, invitation, texts(&locale)).await,
            Job::Recovered {
                to,
                at,
                locale,
                user_agent,
            } => {
                let device = device(user_agent.as_deref(), texts(&locale));
                self.recovered(to, at, device, texts(&locale)).map(Some)
            }
        }
    }

    /// A new link for this user, if there is such a one who may use it.
    async fn link(
        &self,
        whose: Whose,
        purpose: Purpose,
        flow: Option<String>,
    ) -> db::Result<Option<(User, Secret)>> {
        let now = self.clock.now();
        let made = self.db.transact(move |conn| {
            Box::pin(async move {
                let Some(user) = whose.user(conn).await? else {
                    return Ok(None);
                };
                let is_moot = purpose == Purpose::Email && user.email_verified;
                let is_over = deletion::is_over(&user.sub, conn, now).await?;
                if user.disabled_at.is_some() || is_moot || is_over {
                    return Ok(None);
                }
                let link = links::make(purpose, &user, flow.as_deref(), conn, now).await?;
                Ok(Some((user, link)))
            })
        });
        made.await
    }

    /// A link for this user to have that address; none where somebody else has it, which nobody who asked can see.
    async fn address_link(&self, sub: Subject, epoch: i64, email: Email) -> db::Result<Option<Secret>> {
        let now = self.clock.now();
        let made = self.db.transact(move |conn| {
            Box::pin(async move {
                let user = users::by_sub(&sub, conn).await?;
                let is_as_before = |user: &User| user.disabled_at.is_none() && user.epoch == epoch;
                let Some(user) = user.filter(is_as_before) else {
                    return Ok(None);
                };
                let owner = users::by_email(&email, conn).await?;
                if owner.is_some_and(|owner| owner.sub != user.sub) {
                    return Ok(None);
                }
                links::make_for_address(&user, &email, conn, now).await.map(Some)
            })
        });
        made.await
    }

    fn moved(&self, email: &Email, link: &Secret, texts: Texts) -> db::Result<Letter> {
        let brand = [("brand", BRAND)];
        let words = Words {
            subject: texts.words("mail-verify-subject", &brand),
            before: vec![texts.words("mail-address", &brand)],
            link: Some((
                texts.words("verify-submit", &[]),
                self.address(path::ACCOUNT_EMAIL_CONFIRM, link),
            )),
            after: vec![
                texts.words("mail-link-life", &[]),
                texts.words("mail-verify-ignore", &[]),
            ],
            ..Words::default()
        };
        written(email.shown(), &words, texts)
    }

    fn reach(&self, texts: Texts) -> Option<String> {
        reach(self.contact.as_ref(), texts)
    }

    fn address(&self, path: &str, link: &Secret) -> String {
        format!("{}{path}?link={}", self.issuer.as_str(), link.expose())
    }

    fn recover(&self, user: &User, link: &Secret, texts: Texts) -> db::Result<Letter> {
        let brand = [("brand", BRAND)];
        let words = Words {
            subject: texts.words("mail-recover-subject", &brand),
            before: vec![texts.words("mail-recover", &brand)],
            link: Some((
                texts.words("password-title", &[]),
                self.address(path::RECOVER_PASSWORD, link),
            )),
            after: vec![
                texts.words("mail-link-life", &[]),
                texts.words("mail-recover-ignore", &[]),
            ],
            ..Words::default()
        };
        written(user.email.shown(), &words, texts)
    }

    fn verify(&self, user: &User, link: &Secret, texts: Texts) -> db::Result<Letter> {
        let brand = [("brand", BRAND)];
        let words = Words {
            subject: texts.words("mail-verify-subject", &brand),
            before: vec![texts.words("mail-verify", &brand)],
            link: Some((
                texts.words("verify-submit", &[]),
                self.address(path::VERIFY, link),
            )),
            after: vec![
                texts.words("mail-link-life", &[]),
                texts.words("mail-verify-ignore", &[]),
            ],
            ..Words::default()
        };
        written(user.email.shown(), &words, texts)
    }

    /// Has no link: one in a mail that nobody asked for is what phishing looks like.
    fn recovered(&self, to: String, at: Timestamp, device: Vec<String>, texts: Texts) -> db::Result<Letter> {
        let at = instant(at);
        let words = Words {
            subject: texts.words("mail-recovered-subject", &[("brand", BRAND)]),
            before: [
                vec![texts.words("mail-recovered", &[("brand", BRAND), ("time", &at)])],
                device,
                vec![
                    texts.words("mail-recovered-ended", &[]),
                    texts.words("mail-recovered-stranger", &[]),
                ],
            ]
            .concat(),
            ..Words::default()
        };
        written(&to, &words, texts)
    }
}

/// Whom a link is for.
enum Whose {
    Address(Email),
    User(Subject),
}

impl Whose {
    async fn user(&self, conn: &mut Conn) -> db::Result<Option<User>> {
        match self {
            Self::Address(email) => users::by_email(email, conn).await,
            Self::User(sub) => users::by_sub(sub, conn).await,
        }
    }
}

/// How to reach the people who run this site, for a mail that sends somebody to them.
fn reach(contact: Option<&Contact>, texts: Texts) -> Option<String> {
    let whole = contact?.whole();
    Some(texts.words("operator-reach", &[("contact", whole)]))
}

/// As people everywhere read it.
pub(crate) fn instant(at: Timestamp) -> String {
    at.to_string().replacen('T', " ", 1).replacen('Z', " UTC", 1)
}

fn texts(locale: &str) -> Texts {
    Texts::of(Locale::negotiate(Some(locale), None))
}

pub(crate) fn written(to: &str, words: &Words, texts: Texts) -> db::Result<Letter> {
    let html = Html {
        words,
        brand: BRAND,
        locale: texts.locale(),
    };
    let plain = Plain { words, brand: BRAND };
    let broken = |error: askama::Error| db::Error::Setup(format!("a mail cannot be rendered: {error}"));
    Ok(Letter {
        to: to.to_owned(),
        subject: words.subject.clone(),
        text: plain.render().map_err(broken)?,
        html: html.render().map_err(broken)?,
    })
}
