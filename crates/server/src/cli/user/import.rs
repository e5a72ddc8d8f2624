//! `countersign user import`: all records of a file, or none.
//!
//! Everything is read first, then hashed with no lock held, then written in one transaction.

use std::collections::BTreeMap;

use account::{Deed, Outbox};
use accounts::deletion;
use accounts::import::ImportedUser;
use accounts::users::{self, Draft, Upserted};
use db::Conn;
use events::Context;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::{Subject, Timestamp};
use serde::Deserialize as _;

use super::{hasher, members, outbox_if_sent, shown};
use crate::cli::failure::Failure;
use crate::cli::input::Records;
use crate::cli::installation::Installation;
use crate::cli::print::{Answer, Printer};

/// Passwords given to the hasher at once; its threads set the pace.
const AT_ONCE: usize = 64;

/// A user as they were, if they were there, and as they are.
type Written = (Option<users::User>, users::User, Upserted);

pub(super) async fn run(
    records: &Records,
    on: &Installation,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let imported =
        records.each(|record| ImportedUser::deserialize(record).map_err(|error| error.to_string().into()))?;
    let drafts = hashed(imported, on).await?;
    let outbox = outbox_if_sent(on).await?;
    let (own, now) = (records.clone(), on.now);
    let written = on.db.transact(move |conn| {
        Box::pin(async move {
            let written = write(drafts, &own, conn, now).await?;
            if let Some(outbox) = outbox {
                for (before, after, _) in &written {
                    tell(before.as_ref(), after, &outbox, conn, now).await?;
                }
            }
            Ok::<_, Failure>(written)
        })
    });
    let written: Vec<Answer> = written.await?.iter().map(told).collect();
    printer.records(records.is_array, &written)
}

async fn hashed(imported: Vec<ImportedUser>, on: &Installation) -> Result<Vec<Draft>, Failure> {
    let mut conn = on.db.reader().await?;
    let mut found = Vec::new();
    for record in imported {
        let existing = users::matching(record.draft(), &mut conn).await?;
        found.push((record, existing));
    }
    let hasher = hasher()?;
    let drafts = stream::iter(found).map(|(record, existing)| {
        let hasher = &hasher;
        async move { record.hashed(existing.as_ref(), hasher).await }
    });
    Ok(drafts.buffered(AT_ONCE).try_collect().await?)
}

async fn write(
    drafts: Vec<Draft>,
    records: &Records,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Vec<Written>, Failure> {
    let mut seen: BTreeMap<Subject, usize> = BTreeMap::new();
    let mut written = Vec::new();
    for (at, draft) in drafts.into_iter().enumerate() {
        let one = write_one(draft, conn, now).await;
        let (before, user, upserted) = one.map_err(|failure| records.at(at, failure))?;
        // Two records that mean one account: which of them is right is not for us to guess.
        if let Some(before) = seen.insert(user.sub.clone(), at) {
            let twice = Failure::from(format!("is the user of [{before}] as well"));
            return Err(records.at(at, twice));
        }
        written.push((before, user, upserted));
    }
    Ok(written)
}

async fn write_one(draft: Draft, conn: &mut Conn, now: Timestamp) -> Result<Written, Failure> {
    // RFC 9700 §4.15: a user with a client's id would be that client at a resource server that looks at sub
    // alone.
    if let Some(sub) = &draft.sub
        && clients::records::by_id(&sub.as_str().into(), conn)
            .await?
            .is_some()
    {
        return Err(format!("sub: a client has the id {sub}").into());
    }
    let before = users::matching(&draft, conn).await?;
    match revocation::import_user(draft, &Context::command_line(), conn, now).await {
        Err(users::Error::SubTaken(sub)) if deletion::is_former(&sub, conn).await? => Err(format!(
            "sub: {sub} belonged to an account that was deleted, and is given to nobody again; leave `sub` out"
        )
        .into()),
        written => {
            let (after, upserted) = written?;
            Ok((before, after, upserted))
        }
    }
}

/// Queues what a person is to know of their own account. An account that is new is none of it, nor a record that says what
/// was so before.
async fn tell(
    before: Option<&users::User>,
    after: &users::User,
    outbox: &Outbox,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<()> {
    let Some(before) = before else { return Ok(()) };
    if before.password_hash != after.password_hash {
        // To the address under which they had the old one.
        outbox.operator_did(Deed::PasswordSet, before, conn, now).await?;
    }
    if before.email.canonical() != after.email.canonical() {
        outbox.operator_did(Deed::AddressTaken, before, conn, now).await?;
        outbox.operator_did(Deed::AddressSet, after, conn, now).await?;
    }
    Ok(())
}

fn told((_, user, upserted): &Written) -> Answer {
    let (imported, is_kept) = match upserted {
        Upserted::Created => ("created", false),
        Upserted::Updated(update) => ("updated", update.is_password_kept),
    };
    let mut all = members(user);
    all.insert("imported".to_owned(), imported.into());
    all.insert("password_kept".to_owned(), is_kept.into());
    let kept = if is_kept { ", password kept" } else { "" };
    Answer {
        lines: vec![format!("{:<22}  {}  {imported}{kept}", user.sub, user.email)],
        ..shown(all)
    }
}
