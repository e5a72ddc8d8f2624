//! `countersign user`: people and what they may.

mod import;
mod invitation;
mod invite;

use std::io;
use std::path::PathBuf;

use account::{Deed, Mails, Outbox};
use accounts::claims::Claim;
use accounts::deletion;
use accounts::email::Email;
use accounts::passwords::{About, Hasher, HasherSettings, Password, StoredHash};
use accounts::users::{self, Draft};
use clap::{Args, Subcommand};
use db::Conn;
use events::Context;
use pages::BRAND;
use protocol::{Secret, Subject, Timestamp};
use revocation::{Act, Outcome};
use serde_json::{Map, Value, json};

use invitation::Invited;
use invite::Invite;

use super::failure::Failure;
use super::id;
use super::input::{self, Records};
use super::installation::Installation;
use super::print::{Answer, Printer};

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Make an account
    Create(Create),
    /// All accounts, in the order of their sub
    List,
    /// One account
    Show(Who),
    /// Stop a person from signing in and end all access that apps have in their name
    Disable(Who),
    /// Let a person sign in again
    Enable(Who),
    /// Sign a person out everywhere and end all access that apps have in their name
    Revoke(Who),
    /// Mail a person a link by which they confirm their e-mail address
    Verify(Who),
    /// Give a person a link by which they make their account
    Invite(Invite),
    /// Invitations that wait
    #[command(subcommand)]
    Invitation(Invited),
    /// Make or update accounts from a file
    ///
    /// The file holds one JSON object or an array of them, with the standard claims of OpenID Connect Core
    /// section 5.1 by their names, and password or password_hash (argon2 or bcrypt); all or nothing. The account
    /// of the same sub is updated, else that of the same e-mail address, else a new one is made.
    Import {
        /// - for stdin
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Who {
    /// Their sub or e-mail address
    #[arg(value_parser = id, allow_hyphen_values = true)]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[arg(long)]
    email: String,
    /// Their full name
    #[arg(long)]
    name: Option<String>,
    /// Read the password from stdin, one line
    #[arg(long, conflicts_with = "generate_password")]
    password_stdin: bool,
    /// Make a random password and print it, this once
    #[arg(long)]
    generate_password: bool,
}

impl User {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(create) => printer.answer(&create.run(on).await?),
            Self::List => list(on, printer).await,
            Self::Show(Who { id }) => printer.answer(&show(&id, on).await?),
            Self::Disable(Who { id }) => {
                printer.answer(&end(&id, (Act::DisableUser, Deed::Disabled), on).await?)
            }
            Self::Enable(Who { id }) => printer.answer(&enable(&id, on).await?),
            Self::Revoke(Who { id }) => {
                printer.answer(&end(&id, (Act::RevokeUser, Deed::Revoked), on).await?)
            }
            Self::Verify(Who { id }) => printer.answer(&verify(&id, on).await?),
            Self::Invite(invite) => printer.answer(&invite.run(on).await?),
            Self::Invitation(invited) => invited.run(on, printer).await,
            Self::Import { file } => import::run(&Records::read(&file)?, on, printer).await,
        }
    }
}

impl Create {
    async fn run(self, on: &Installation) -> Result<Answer, Failure> {
        let mut draft = Draft::new(Email::parse(&self.email)?);
        if let Some(name) = self.name {
            draft.claims.set(Claim::Name, name.into())?;
        }
        let generated = self
            .generate_password
            .then(|| Secret::new(protocol::random::id()));
        draft.password_hash = match &generated {
            Some(generated) => Some(hasher()?.hash(Password::chosen(generated)?).await?),
            None if self.password_stdin => Some(chosen(&draft, on).await?),
            None => None,
        };
        let now = on.now;
        let inserted = on.db.transact(move |conn| {
            Box::pin(async move { users::insert(draft, &Context::command_line(), conn, now).await })
        });
        let user = inserted.await?;
        let answer = match &generated {
            Some(generated) => with("password", generated.expose().into(), &user),
            None => answer(&user),
        };
        Ok(match (generated, &user.password_hash) {
            (Some(_), _) => answer.note("The password is shown this once: only its hash is kept."),
            (None, Some(_)) => answer,
            (None, None) => {
                answer.note(
                    "There is no password: they set one by \"Forgot your password?\" where mail is sent, or `user \
                     import` gives one.",
                )
            }
        })
    }
}

/// The password on stdin, judged as on the pages.
async fn chosen(draft: &Draft, on: &Installation) -> Result<StoredHash, Failure> {
    let password = input::password(io::stdin().lock())?;
    let name = draft.claims.of(Claim::Name).and_then(Value::as_str);
    let about = About::of([draft.email.shown(), name.unwrap_or_default(), BRAND]);
    let hasher = match on.settings.breached()? {
        Some(breached) => hasher()?.refusing(breached),
        None => hasher()?,
    };
    Ok(hasher.choose(&password, about).await?)
}

fn hasher() -> Result<Hasher, Failure> {
    Ok(Hasher::start(HasherSettings::default())?)
}

/// Read at once.
const PAGE: u32 = 500;

async fn list(on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut conn = on.db.reader().await?;
    let mut list = printer.list();
    let mut after = None;
    loop {
        let page = users::list(after.as_ref(), PAGE, &mut conn).await?;
        let (Some(first), Some(last)) = (page.first(), page.last()) else {
            break;
        };
        let waiting = deletion::waiting(&first.sub, &last.sub, &mut conn).await?;
        for user in &page {
            let deletion = waiting.get(&user.sub).copied();
            let mut line = format!("{:<22}  {}", user.sub, user.email);
            if let Some(at) = user.disabled_at {
                line.push_str(&format!("  disabled since {at}"));
            }
            if let Some(at) = deletion {
                line.push_str(&format!("  to be deleted after {at}"));
            }
            list.item(&Answer {
                lines: vec![line],
                ..in_full(user, deletion)
            })?;
        }
        after = Some(last.sub.clone());
    }
    list.end("there is no user yet: countersign user create --help")
}

async fn show(id: &str, on: &Installation) -> Result<Answer, Failure> {
    let mut conn = on.db.reader().await?;
    let user = known(id, &mut conn).await?;
    let waiting = deletion::waiting(&user.sub, &user.sub, &mut conn).await?;
    Ok(in_full(&user, waiting.get(&user.sub).copied()))
}

/// Turns a person off, or ends what they have, and tells them.
async fn end(
    id: &str,
    (act, deed): (fn(Subject) -> Act, Deed),
    on: &Installation,
) -> Result<Answer, Failure> {
    let outbox = outbox_if_sent(on).await?;
    let (id, now) = (id.to_owned(), on.now);
    let ended = on.db.transact(move |conn| {
        Box::pin(async move {
            let before = known(&id, conn).await?;
            let sub = before.sub.clone();
            let is_news = deed != Deed::Disabled || before.disabled_at.is_none();
            let act = act(sub.clone());
            let Outcome::Ended(ended) =
                revocation::perform_in(&act, &Context::command_line(), conn, now).await?
            else {
                return Err(unknown(&id));
            };
            if let Some(outbox) = outbox.filter(|_| is_news) {
                outbox.operator_did(deed, &before, conn, now).await?;
            }
            let user = users::by_sub(&sub, conn).await?.ok_or_else(|| unknown(&id))?;
            Ok((user, ended))
        })
    });
    let (user, ended) = ended.await?;
    Ok(with("approvals_ended", ended.into(), &user))
}

async fn enable(id: &str, on: &Installation) -> Result<Answer, Failure> {
    let outbox = outbox_if_sent(on).await?;
    let (id, now) = (id.to_owned(), on.now);
    let enabled = on.db.transact(move |conn| {
        Box::pin(async move {
            let before = known(&id, conn).await?;
            users::set_disabled(&before.sub, None, &Context::command_line(), conn, now).await?;
            if let Some(outbox) = outbox.filter(|_| before.disabled_at.is_some()) {
                outbox.operator_did(Deed::Enabled, &before, conn, now).await?;
            }
            users::by_sub(&before.sub, conn)
                .await?
                .ok_or_else(|| unknown(&id))
        })
    });
    Ok(answer(&enabled.await?))
}

/// Queues the mail; a running server sends it.
async fn verify(id: &str, on: &Installation) -> Result<Answer, Failure> {
    let outbox = outbox(on).await?;
    let (id, now) = (id.to_owned(), on.now);
    let queued = on.db.transact(move |conn| {
        Box::pin(async move {
            let user = known(&id, conn).await?;
            if user.email_verified {
                return Err(Failure::from(format!("{} is confirmed already", user.email)));
            }
            if user.disabled_at.is_some() {
                return Err(Failure::from(format!("{id} is disabled; enable them first")));
            }
            outbox.verify(&user.sub, "en", conn, now).await?;
            Ok(user)
        })
    });
    let user = queued.await?;
    Ok(with("mailed", true.into(), &user)
        .note("A link is on its way to them. It works once, for 30 minutes."))
}

/// The same for a mail that goes along with what is done in any case.
async fn outbox_if_sent(on: &Installation) -> Result<Option<Outbox>, Failure> {
    match on.settings.mail {
        Some(_) => outbox(on).await.map(Some),
        None => Ok(None),
    }
}

/// Where mails are queued, where they are sent.
async fn outbox(on: &Installation) -> Result<Outbox, Failure> {
    match on.settings.mail {
        Some(_) => Ok(Outbox::new(on.keyring().await?, Mails::Counted)),
        None => Err("no mail is sent without COUNTERSIGN_MAIL_SMTP_URL and COUNTERSIGN_MAIL_FROM".into()),
    }
}

/// The user with this `sub` or this e-mail address.
async fn known(id: &str, conn: &mut Conn) -> Result<users::User, Failure> {
    let by_sub = users::by_sub(&id.into(), conn).await?;
    let by_email = match Email::parse(id) {
        Ok(email) => users::by_email(&email, conn).await?,
        Err(_) => None,
    };
    match (by_sub, by_email) {
        // Imported subs may look like addresses; the wrong person must not be the one who is shut out.
        (Some(one), Some(other)) if one.sub != other.sub => Err(format!(
            "{id} is the sub of one user and the e-mail address of another, {}",
            other.sub
        )
        .into()),
        (Some(user), _) | (None, Some(user)) => Ok(user),
        (None, None) => Err(unknown(id)),
    }
}

fn unknown(id: &str) -> Failure {
    format!("there is no user with the sub or e-mail address {id}").into()
}

/// The members that people read, in their order; the claims stand between.
const FIRST: &[&str] = &["sub", "email", "email_verified", "password"];
const LAST: &[&str] = &[
    "has_password",
    "disabled",
    "disabled_at",
    "delete_at",
    "created_at",
    "updated_at",
    "approvals_ended",
];

fn answer(user: &users::User) -> Answer {
    shown(members(user))
}

/// With when the account is to be deleted, if its person wants that.
fn in_full(user: &users::User, deletion: Option<Timestamp>) -> Answer {
    match deletion {
        Some(at) => with("delete_at", json!(at), user),
        None => answer(user),
    }
}

/// What is known of the user, and one thing more.
fn with(member: &str, value: Value, user: &users::User) -> Answer {
    let mut members = members(user);
    members.insert(member.to_owned(), value);
    shown(members)
}

fn shown(members: Map<String, Value>) -> Answer {
    let claims = Claim::ALL.iter().map(|claim| claim.as_str());
    let claims = claims.filter(|claim| !FIRST.contains(claim) && !LAST.contains(claim));
    let order: Vec<&str> = FIRST
        .iter()
        .copied()
        .chain(claims)
        .chain(LAST.iter().copied())
        .collect();
    Answer::of(Value::Object(members), &order)
}

/// `sub`, every claim that is known, and the state of the account.
fn members(user: &users::User) -> Map<String, Value> {
    let claims = Claim::ALL
        .iter()
        .filter_map(|claim| Some((claim.as_str(), user.claim(*claim)?)));
    let state = [
        ("has_password", user.password_hash.is_some().into()),
        ("disabled", user.disabled_at.is_some().into()),
        ("created_at", json!(user.created_at)),
    ];
    let since = user.disabled_at.map(|at| ("disabled_at", json!(at)));
    let all = std::iter::once(("sub", json!(user.sub)))
        .chain(claims)
        .chain(state)
        .chain(since);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(disabled_at: Option<Timestamp>) -> users::User {
        let mut draft = Draft::new(Email::parse("Jane@Example.com").unwrap());
        draft.claims.set(Claim::Name, "Jane".into()).unwrap();
        draft
            .claims
            .set(Claim::Address, json!({"country": "FR"}))
            .unwrap();
        users::User {
            sub: "s".into(),
            email: draft.email,
            email_verified: false,
            claims: draft.claims,
            password_hash: None,
            epoch: 0,
            disabled_at,
            created_at: Timestamp::from_secs(0),
            updated_at: Timestamp::from_secs(60),
        }
    }

    #[test]
    fn a_user_is_shown_with_every_claim_and_nothing_of_the_password() {
        let answer = with("approvals_ended", 2.into(), &user(Some(Timestamp::from_secs(60))));
        let expected = json!({
            "sub": "s", "email": "Jane@example.com", "email_verified": false, "name": "Jane",
            "address": {"country": "FR"}, "updated_at": 60, "created_at": 0, "has_password": false,
            "disabled": true, "disabled_at": 60, "approvals_ended": 2,
        });
        assert_eq!(answer.json, expected);
        assert_eq!(answer.lines.len(), expected.as_object().unwrap().len());
        assert_eq!(answer.lines[4], "address          country: FR");
        assert_eq!(answer.lines[8], "created_at       1970-01-01T00:00:00Z");
        assert!(super::answer(&user(None)).json.get("disabled_at").is_none());
    }
}
