//! Users: the record, and what is read and written of it.
//!
//! An account is its `sub`: random, never reused, never changed. The e-mail address finds it, in canonical
//! form.

use std::collections::BTreeMap;

use db::{Conn, execute, run};
use events::audit::{self, Credentials};
use events::{Context, Event};
use protocol::{Asked, Scope, Subject, Timestamp};
use serde_json::{Map, Value};

use crate::claims::{Claim, Claims};
use crate::deletion;
use crate::email::Email;
use crate::former_addresses;
use crate::passwords::{ImportedDigest, StoredHash};

mod own;

pub(crate) use own::is_taken;
pub use own::{EDITABLE, Moved, change_email, set_claims};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub sub: Subject,
    pub email: Email,
    pub email_verified: bool,
    /// What is known besides the e-mail address.
    pub claims: Claims,
    /// None until the person sets a password.
    pub password_hash: Option<StoredHash>,
    /// Rises with each change of a credential or of the e-mail address; what was proven before is void.
    pub epoch: i64,
    pub disabled_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Of the claims, not of the password.
    pub updated_at: Timestamp,
}

impl User {
    /// The value of a claim about this user; `None` when it is not known.
    pub fn claim(&self, claim: Claim) -> Option<Value> {
        match claim {
            Claim::Email => Some(self.email.shown().into()),
            Claim::EmailVerified => Some(self.email_verified.into()),
            Claim::UpdatedAt => Some(self.updated_at.as_secs().into()),
            other => self.claims.of(other).cloned(),
        }
    }

    /// The claims that a scope releases: OpenID Connect Core §5.4.
    pub fn released(&self, scope: &Scope) -> Map<String, Value> {
        Claim::ALL
            .iter()
            .filter(|claim| scope.contains(claim.scope()))
            .filter_map(|claim| Some((claim.as_str().to_owned(), self.claim(*claim)?)))
            .collect()
    }

    /// The claims that a request asks for by name, as far as they are known and have a value that the client can
    /// use: OpenID Connect Core §5.5.1.
    pub fn asked(&self, asked: &BTreeMap<String, Asked>) -> Map<String, Value> {
        let told = asked.iter().filter_map(|(name, how)| {
            let value = self.claim(name.parse().ok()?)?;
            how.admits(&value).then(|| (name.clone(), value))
        });
        told.collect()
    }
}

/// What is to be recorded of a user. What is `None` is left as it is, or unknown where nothing is yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// `None`: a new random one.
    pub sub: Option<Subject>,
    pub email: Email,
    pub email_verified: Option<bool>,
    /// All of them: they replace the claims that are there.
    pub claims: Claims,
    pub password_hash: Option<StoredHash>,
    /// Of the hash, where another system made it: what it brings again and again is looked at once.
    pub imported: Option<ImportedDigest>,
    pub updated_at: Option<Timestamp>,
}

impl Draft {
    pub fn new(email: Email) -> Self {
        Self {
            sub: None,
            email,
            email_verified: None,
            claims: Claims::default(),
            password_hash: None,
            imported: None,
            updated_at: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another user already has the e-mail address {0}")]
    EmailTaken(String),
    #[error("another user already has the sub {0}")]
    SubTaken(Subject),
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// What became of a record that was to be there in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upserted {
    Created,
    Updated(Update),
}

/// What an update was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// Where they have changed, what was proven before is void, and whoever asks ends what hangs from it.
    pub credentials: Credentials,
    /// A hash was brought and not taken: the last import brought it as well.
    pub is_password_kept: bool,
}

/// All columns, in the order of [`Row`], before or after the rest of a statement.
macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " sub, email, email_canonical, email_verified, claims, password_hash, epoch, disabled_at, \
             created_at, updated_at ",
            $after
        )
    };
}

const BY_SUB: &str = columns!("SELECT", "FROM users WHERE sub = $1");
const BY_EMAIL: &str = columns!("SELECT", "FROM users WHERE email_canonical = $1");
const LIST: &str = columns!("SELECT", "FROM users WHERE sub > $1 ORDER BY sub LIMIT $2");

pub async fn by_sub(sub: &Subject, conn: &mut Conn) -> db::Result<Option<User>> {
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(BY_SUB)
        .bind(sub.as_str())
        .fetch_optional(c))?;
    row.map(User::try_from).transpose()
}

pub async fn by_email(email: &Email, conn: &mut Conn) -> db::Result<Option<User>> {
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(BY_EMAIL)
        .bind(email.canonical())
        .fetch_optional(c))?;
    row.map(User::try_from).transpose()
}

/// Users in the order of their `sub`, from behind `after` on.
pub async fn list(after: Option<&Subject>, limit: u32, conn: &mut Conn) -> db::Result<Vec<User>> {
    let after = after.map_or("", Subject::as_str);
    let rows: Vec<Row> = run!(conn, |c| sqlx::query_as(LIST)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(c))?;
    rows.into_iter().map(User::try_from).collect()
}

/// The user that a draft would update: the one of its `sub`, else the one of its e-mail address.
pub async fn matching(draft: &Draft, conn: &mut Conn) -> db::Result<Option<User>> {
    if let Some(sub) = &draft.sub
        && let Some(user) = by_sub(sub, conn).await?
    {
        return Ok(Some(user));
    }
    by_email(&draft.email, conn).await
}

// DO NOTHING and not an error: on PostgreSQL an error would end the transaction before it can be explained.
const INSERT: &str = columns!(
    "INSERT INTO users (sub, email, email_canonical, email_verified, claims, password_hash, epoch, \
     created_at, updated_at, imported_digest) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9) \
     ON CONFLICT DO NOTHING RETURNING",
    ""
);

/// # Errors
/// [`Error::EmailTaken`] or [`Error::SubTaken`]; the transaction is still usable then.
pub async fn insert(draft: Draft, by: &Context, conn: &mut Conn, now: Timestamp) -> Result<User, Error> {
    if let Some(sub) = &draft.sub
        && deletion::is_former(sub, conn).await?
    {
        return Err(Error::SubTaken(sub.clone()));
    }
    let sub = draft.sub.unwrap_or_else(Subject::random);
    let claims = json(&draft.claims)?;
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(INSERT)
        .bind(sub.as_str())
        .bind(draft.email.shown())
        .bind(draft.email.canonical())
        .bind(draft.email_verified.unwrap_or(false))
        .bind(&claims)
        .bind(draft.password_hash.as_ref().map(StoredHash::as_str))
        .bind(now.as_secs())
        .bind(draft.updated_at.unwrap_or(now).as_secs())
        .bind(draft.imported.as_ref().map(ImportedDigest::as_str))
        .fetch_optional(c))
    .map_err(db::Error::from)?;
    match row {
        Some(row) => {
            audit::record(&Event::UserCreated { sub: &sub }, by, conn, now).await?;
            Ok(row.try_into()?)
        }
        None if by_email(&draft.email, conn).await?.is_some() => {
            Err(Error::EmailTaken(draft.email.to_string()))
        }
        None => Err(Error::SubTaken(sub)),
    }
}

// A verified address that is replaced is not verified any more. Rising the epoch ends what was proven with
// the old password or address. A hash that the last import brought as well ($9) is no news: what the account has by now
// is that password hashed anew, or one that its person chose since.
const UPDATE: &str = columns!(
    "UPDATE users SET \
     epoch = epoch + CASE WHEN email_canonical <> $3 \
         OR ($6 IS NOT NULL AND password_hash IS DISTINCT FROM $6 \
             AND ($9 IS NULL OR imported_digest IS DISTINCT FROM $9)) THEN 1 ELSE 0 END, \
     updated_at = COALESCE($7, CASE WHEN email = $2 AND claims = $5 \
         AND email_verified = COALESCE($4, email_verified) THEN updated_at ELSE $8 END), \
     email = $2, email_canonical = $3, \
     email_verified = COALESCE($4, email_verified AND email_canonical = $3), \
     claims = $5, \
     password_hash = CASE WHEN imported_digest = $9 THEN password_hash \
         ELSE COALESCE($6, password_hash) END, \
     imported_digest = CASE WHEN $6 IS NULL THEN imported_digest ELSE $9 END \
     WHERE sub = $1 RETURNING",
    ""
);

/// Makes the record what the draft says: the one of its `sub`, else the one of its e-mail address (which
/// keeps its own `sub`), else a new one.
///
/// # Errors
/// [`Error::EmailTaken`] when the address belongs to a user of another `sub` than the one that was found.
pub async fn upsert(
    draft: Draft,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<(User, Upserted), Error> {
    let Some(found) = matching(&draft, conn).await? else {
        return Ok((insert(draft, by, conn, now).await?, Upserted::Created));
    };
    let owner = by_email(&draft.email, conn).await?;
    if owner.is_some_and(|owner| owner.sub != found.sub) {
        return Err(Error::EmailTaken(draft.email.to_string()));
    }
    let claims = json(&draft.claims)?;
    let updated: sqlx::Result<Row> = run!(conn, |c| sqlx::query_as(UPDATE)
        .bind(found.sub.as_str())
        .bind(draft.email.shown())
        .bind(draft.email.canonical())
        .bind(draft.email_verified)
        .bind(&claims)
        .bind(draft.password_hash.as_ref().map(StoredHash::as_str))
        .bind(draft.updated_at.map(Timestamp::as_secs))
        .bind(now.as_secs())
        .bind(draft.imported.as_ref().map(ImportedDigest::as_str))
        .fetch_one(c));
    match updated.map_err(db::Error::from) {
        Ok(row) => {
            let user = User::try_from(row)?;
            if user.email.canonical() != found.email.canonical() {
                former_addresses::forget_all(&user.sub, conn).await?;
            }
            let credentials = match found.epoch == user.epoch {
                true => Credentials::Kept,
                false => Credentials::Changed,
            };
            record_update((&found, &user), credentials, by, conn, now).await?;
            let update = Update {
                credentials,
                is_password_kept: draft.password_hash.is_some() && user.password_hash != draft.password_hash,
            };
            Ok((user, Upserted::Updated(update)))
        }
        Err(error) if error.is_conflict() => Err(Error::EmailTaken(draft.email.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// An import that runs every night and changes nothing leaves no trace.
async fn record_update(
    (before, after): (&User, &User),
    credentials: Credentials,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    if before == after {
        return Ok(());
    }
    let sub = &after.sub;
    audit::record(&Event::UserUpdated { sub, credentials }, by, conn, now).await
}

const REHASH: &str = "UPDATE users SET password_hash = $3 WHERE sub = $1 AND password_hash = $2";

/// Stores another hash of the same password; `false` when the password has been changed since `old` was read.
/// Nothing was proven anew and nothing is void: the epoch stays.
pub async fn rehash(sub: &Subject, old: &StoredHash, new: &StoredHash, conn: &mut Conn) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(REHASH)
            .bind(sub.as_str())
            .bind(old.as_str())
            .bind(new.as_str())
    )?;
    Ok(touched == 1)
}

const REPLACE_PASSWORD: &str = "UPDATE users SET password_hash = $3, epoch = epoch + 1 \
    WHERE sub = $1 AND epoch = $2 AND disabled_at IS NULL";

/// Gives the user of this epoch another password, and a new epoch: what was proven before is void. `false` when
/// another change came first, or the user is disabled. Whoever asks ends the sessions that are void by it.
pub async fn replace_password(
    sub: &Subject,
    epoch: i64,
    new: &StoredHash,
    conn: &mut Conn,
) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(REPLACE_PASSWORD)
            .bind(sub.as_str())
            .bind(epoch)
            .bind(new.as_str())
    )?;
    Ok(touched == 1)
}

const VERIFY_EMAIL: &str = "UPDATE users SET email_verified = TRUE, updated_at = $3 \
    WHERE sub = $1 AND epoch = $2 AND disabled_at IS NULL AND NOT email_verified";

/// Notes that the user of this epoch reads the mail of their address; `false` when that was known, the address is
/// another by now, or the user is disabled.
pub async fn verify_email(
    sub: &Subject,
    epoch: i64,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(VERIFY_EMAIL)
            .bind(sub.as_str())
            .bind(epoch)
            .bind(now.as_secs())
    )?;
    if touched == 1 {
        audit::record(&Event::EmailVerified { sub }, by, conn, now).await?;
    }
    Ok(touched == 1)
}

// A user who is disabled twice has been disabled since the first time.
const SET_DISABLED: &str = "UPDATE users SET disabled_at = \
    CASE WHEN $2 IS NULL THEN NULL ELSE COALESCE(disabled_at, $2) END WHERE sub = $1";

/// Disables a user since an instant, or enables one with `None`; `false` when there is no such user. Whoever
/// relies on a user looks at this column at use, so nothing else needs to change.
pub async fn set_disabled(
    sub: &Subject,
    since: Option<Timestamp>,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<bool> {
    let touched = execute!(
        conn,
        sqlx::query(SET_DISABLED)
            .bind(sub.as_str())
            .bind(since.map(Timestamp::as_secs))
    )?;
    if touched == 0 {
        return Ok(false);
    }
    let event = match since {
        None => Event::UserEnabled { sub },
        Some(_) => Event::UserDisabled {
            sub,
            approvals_ended: 0,
        },
    };
    audit::record(&event, by, conn, now).await?;
    Ok(true)
}

#[derive(sqlx::FromRow)]
struct Row {
    sub: String,
    email: String,
    email_canonical: String,
    email_verified: bool,
    claims: String,
    password_hash: Option<String>,
    epoch: i64,
    disabled_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for User {
    type Error = db::Error;

    fn try_from(row: Row) -> db::Result<Self> {
        Ok(Self {
            sub: row.sub.into(),
            email: Email::stored(row.email, row.email_canonical),
            email_verified: row.email_verified,
            claims: serde_json::from_str(&row.claims).map_err(db::Error::corrupt)?,
            password_hash: row
                .password_hash
                .map(|text| StoredHash::parse(&text))
                .transpose()
                .map_err(db::Error::corrupt)?,
            epoch: row.epoch,
            disabled_at: row.disabled_at.map(Timestamp::from_secs),
            created_at: Timestamp::from_secs(row.created_at),
            updated_at: Timestamp::from_secs(row.updated_at),
        })
    }
}

fn json(claims: &Claims) -> db::Result<String> {
    serde_json::to_string(claims).map_err(db::Error::corrupt)
}

#[cfg(test)]
mod tests;
