//! Links that are mailed to a person: whoever follows one reads their mail. C073.
//!
//! A link is 256 random bits, of which only a digest is kept. It acts for one user, for one purpose, once, within half
//! an hour, and only while that user's credentials are those of the time it was made: a password that is changed, or an
//! address, makes every older link void. (Not one to a former address: that is for whom a thief changes passwords.) Looking at it changes nothing, because programs follow links before people do.
//! A newer link does not end an older one: else a stranger who keeps asking would keep the owner out.

use std::time::Duration;

use db::{Conn, execute, run};
use events::audit;
use events::{Context, Event};
use protocol::opaque::{self, Kind};
use protocol::{Secret, Subject, Timestamp, wire_enum};

use crate::email::Email;
use crate::former_addresses::Former;
use crate::users::User;

/// For so long a link works.
pub const LIFE: Duration = Duration::from_secs(30 * 60);
/// For so long it is remembered afterwards, to tell a person why it does not.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

wire_enum! {
    /// What a link is for. One for a purpose is none for another.
    pub enum Purpose {
        /// To set another password.
        Recovery => "recovery",
        /// To show that the address is theirs.
        Email => "email",
        /// To have another address, to which it was sent.
        Address => "address",
        /// To have a former address back, to which it was sent, and with it the account.
        Former => "former",
    }
}

/// A link that somebody followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    digest: String,
    pub sub: Subject,
    /// Of the user when it was made; of a former address, the one with which it was left.
    pub epoch: i64,
    /// Their address, as they wrote it.
    pub email: String,
    /// The sealed flow of whoever asked for it.
    pub flow: Option<String>,
    /// The address that they want instead, a new one or a former one.
    pub wanted: Option<String>,
}

/// What a link is by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Live(Link),
    /// Half an hour has passed.
    Expired(Link),
    /// It was used, or the account has changed since.
    Used(Link),
    /// The account is disabled.
    Disabled,
    /// None of ours, for another purpose, or forgotten; or its account is past the time at which it is deleted.
    Foreign,
}

const MAKE: &str = "INSERT INTO mailed_links (digest, purpose, sub, epoch, flow, expires_at, email) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Makes a link for this user. It is told once, here.
pub async fn make(
    purpose: Purpose,
    user: &User,
    flow: Option<&str>,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    let whose = (&user.sub, user.epoch);
    let link = write(purpose, whose, (flow, None), conn, now).await?;
    let made = Event::LinkMailed {
        sub: &user.sub,
        purpose: purpose.as_str(),
    };
    audit::record(&made, &Context::server(), conn, now).await?;
    Ok(link)
}

/// Makes a link that is mailed to another address than the user's: whoever follows it reads the mail of that one. No event
/// is written here, but when it is asked for: one only where the address is free would tell the asker whether somebody
/// has it (C076).
pub async fn make_for_address(
    user: &User,
    wanted: &Email,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    let whose = (&user.sub, user.epoch);
    write(Purpose::Address, whose, (None, Some(wanted.shown())), conn, now).await
}

/// Makes a link that is mailed to a former address: whoever follows it reads the mail of that one. Nothing that is done with
/// the account makes it void while that address is one to have it back by: else whoever stole it would only have to set
/// another password as often as its owner asks.
pub async fn make_for_former(
    former: &Former,
    flow: Option<&str>,
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    let (whose, wanted) = ((&former.sub, former.epoch), former.email.shown());
    let link = write(Purpose::Former, whose, (flow, Some(wanted)), conn, now).await?;
    let made = Event::LinkMailed {
        sub: &former.sub,
        purpose: Purpose::Former.as_str(),
    };
    audit::record(&made, &Context::server(), conn, now).await?;
    Ok(link)
}

async fn write(
    purpose: Purpose,
    (sub, epoch): (&Subject, i64),
    (flow, wanted): (Option<&str>, Option<&str>),
    conn: &mut Conn,
    now: Timestamp,
) -> db::Result<Secret> {
    let link = opaque::random(Kind::MailedLink);
    execute!(
        conn,
        sqlx::query(MAKE)
            .bind(seal::digest(link.expose()))
            .bind(purpose.as_str())
            .bind(sub.as_str())
            .bind(epoch)
            .bind(flow)
            .bind((now + LIFE).as_secs())
            .bind(wanted)
    )?;
    Ok(link)
}

#[derive(sqlx::FromRow)]
struct Row {
    sub: String,
    epoch: i64,
    flow: Option<String>,
    expires_at: i64,
    used_at: Option<i64>,
    email: String,
    wanted: Option<String>,
    epoch_now: i64,
    disabled_at: Option<i64>,
    delete_at: Option<i64>,
}

const FIND: &str = "SELECT l.sub, l.epoch, l.flow, l.expires_at, l.used_at, \
        l.email AS wanted, u.email, u.epoch AS epoch_now, u.disabled_at, \
        u.delete_at \
    FROM mailed_links l JOIN users u ON u.sub = l.sub WHERE l.digest = $1 AND l.purpose = $2";

/// What is known of a link. Changes nothing.
pub async fn find(purpose: Purpose, given: &str, conn: &mut Conn, now: Timestamp) -> db::Result<Found> {
    if opaque::decode(Kind::MailedLink, given).is_none() {
        return Ok(Found::Foreign);
    }
    let digest = seal::digest(given);
    let row: Option<Row> = run!(conn, |c| sqlx::query_as(FIND)
        .bind(&digest)
        .bind(purpose.as_str())
        .fetch_optional(c))?;
    let Some(row) = row else {
        return Ok(Found::Foreign);
    };
    // Its time is over: that its row is still there may not promise anything.
    if row.delete_at.is_some_and(|at| Timestamp::from_secs(at) <= now) {
        return Ok(Found::Foreign);
    }
    if row.disabled_at.is_some() {
        return Ok(Found::Disabled);
    }
    let is_void = match purpose {
        Purpose::Recovery | Purpose::Email | Purpose::Address => row.epoch != row.epoch_now,
        // Whoever asks looks whether the address is still good.
        Purpose::Former => false,
    };
    let is_used = row.used_at.is_some() || is_void;
    let link = Link {
        digest,
        sub: row.sub.into(),
        epoch: row.epoch,
        email: row.email,
        flow: row.flow,
        wanted: row.wanted,
    };
    Ok(match now < Timestamp::from_secs(row.expires_at) {
        _ if is_used => Found::Used(link),
        true => Found::Live(link),
        false => Found::Expired(link),
    })
}

const CLAIM: &str = "UPDATE mailed_links SET used_at = $2 \
    WHERE digest = $1 AND used_at IS NULL AND expires_at > $2";

/// Uses a link up; `false` when somebody else has. Expects the user to be locked, by a change that is guarded by their
/// epoch.
pub async fn claim(link: &Link, conn: &mut Conn, now: Timestamp) -> db::Result<bool> {
    let touched = execute!(conn, sqlx::query(CLAIM).bind(&link.digest).bind(now.as_secs()))?;
    Ok(touched == 1)
}

const SWEEP: &str = "DELETE FROM mailed_links WHERE digest IN \
    (SELECT digest FROM mailed_links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// Deletes links that nobody will ask about any more, at most `limit`; says how many those were.
pub async fn sweep(limit: u32, conn: &mut Conn, now: Timestamp) -> db::Result<u64> {
    Ok(execute!(
        conn,
        sqlx::query(SWEEP)
            .bind((now - REMEMBERED).as_secs())
            .bind(i64::from(limit))
    )?)
}

const WANTED: &str = "SELECT email, expires_at FROM mailed_links \
    WHERE sub = $1 AND purpose = $2 AND email IS NOT NULL ORDER BY expires_at, email";

/// The addresses that this user asked for and that are still remembered, each with the end of its link.
///
/// # Errors
/// When the database fails.
pub async fn wanted(sub: &Subject, conn: &mut Conn) -> db::Result<Vec<(String, Timestamp)>> {
    let rows: Vec<(String, i64)> = run!(conn, |c| sqlx::query_as(WANTED)
        .bind(sub.as_str())
        .bind(Purpose::Address.as_str())
        .fetch_all(c))?;
    Ok(rows
        .into_iter()
        .map(|(email, until)| (email, Timestamp::from_secs(until)))
        .collect())
}

#[cfg(test)]
mod tests {
    use db::Database;
    use db::testing::both;

    use super::*;
    use crate::passwords::StoredHash;
    use crate::users::{self, Draft};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    async fn user(email: &str, db: &Database) -> User {
        let draft = Draft::new(Email::parse(email).unwrap());
        db.transact(|conn| Box::pin(async move { users::insert(draft, &Context::server(), conn, NOW).await }))
            .await
            .unwrap()
    }

    async fn made(user: &User, db: &Database) -> Secret {
        let user = user.clone();
        db.transact(move |conn| {
            Box::pin(async move { make(Purpose::Recovery, &user, Some("flow"), conn, NOW).await })
        })
        .await
        .unwrap()
    }

    async fn found(link: &Secret, db: &Database, now: Timestamp) -> Found {
        let mut conn = db.reader().await.unwrap();
        find(Purpose::Recovery, link.expose(), &mut conn, now)
            .await
            .unwrap()
    }

    /// Uses the link as a recovery does.
    async fn used(link: &Link, db: &Database, now: Timestamp) -> bool {
        let link = link.clone();
        db.transact(move |conn| {
            Box::pin(async move {
                let hash = StoredHash::parse(HASH).unwrap();
                Ok::<_, db::Error>(
                    users::replace_password(&link.sub, link.epoch, &hash, conn).await?
                        && claim(&link, conn, now).await?,
                )
            })
        })
        .await
        .unwrap()
    }

    fn live(found: Found) -> Link {
        match found {
            Found::Live(link) => link,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn c073_a_link_works_once_within_half_an_hour_and_looking_at_it_changes_nothing() {
        both(|db| async move {
            let user = user("Alex@example.com", &db).await;
            let (link, older) = (made(&user, &db).await, made(&user, &db).await);
            let own = live(found(&link, &db, NOW).await);
            assert_eq!(
                (&own.sub, &*own.email, own.flow.as_deref()),
                (&user.sub, "Alex@example.com", Some("flow"))
            );
            let last = NOW + LIFE - Duration::from_secs(1);
            assert_eq!(found(&link, &db, last).await, Found::Live(own.clone()));
            assert_eq!(found(&link, &db, NOW + LIFE).await, Found::Expired(own.clone()));
            assert!(!used(&own, &db, NOW + LIFE).await, "time is up at use");
            // The attempt has raised the epoch, because only the caller's guard rolls it back.
            assert!(matches!(found(&link, &db, NOW).await, Found::Used(_)));
            assert!(matches!(found(&older, &db, NOW).await, Found::Used(_)));
        })
        .await;
    }

    #[tokio::test]
    async fn c073_a_link_is_of_one_purpose_and_dies_with_the_credentials_it_was_made_for() {
        both(|db| async move {
            let user = user("alex@example.com", &db).await;
            let (link, other) = (made(&user, &db).await, made(&user, &db).await);
            let mut conn = db.reader().await.unwrap();
            for given in [link.expose(), "", "x", &link.expose()[1..]] {
                let found = find(Purpose::Email, given, &mut conn, NOW).await.unwrap();
                assert_eq!(found, Found::Foreign, "{given}");
            }
            drop(conn);
            let own = live(found(&link, &db, NOW).await);
            assert!(used(&own, &db, NOW).await);
            assert!(!used(&own, &db, NOW).await);
            assert!(matches!(found(&link, &db, NOW).await, Found::Used(_)));
            let dead = found(&other, &db, NOW).await;
            assert!(
                matches!(dead, Found::Used(_)),
                "the password is another: {dead:?}"
            );

            let sub = user.sub.clone();
            db.transact(move |conn| {
                Box::pin(
                    async move { users::set_disabled(&sub, Some(NOW), &Context::server(), conn, NOW).await },
                )
            })
            .await
            .unwrap();
            assert_eq!(found(&link, &db, NOW).await, Found::Disabled);
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn c073_of_many_who_use_one_link_or_two_of_one_user_at_once_one_wins() {
        both(|db| async move {
            let user = user("alex@example.com", &db).await;
            let one = live(found(&made(&user, &db).await, &db, NOW).await);
            let other = live(found(&made(&user, &db).await, &db, NOW).await);
            let racers = (0..40).map(|n| {
                let (db, link) = (db.clone(), [&one, &other][n % 2].clone());
                tokio::spawn(async move { used(&link, &db, NOW).await })
            });
            let mut winners = 0;
            for racer in racers.collect::<Vec<_>>() {
                winners += usize::from(racer.await.unwrap());
            }
            assert_eq!(winners, 1);
        })
        .await;
    }

    #[tokio::test]
    async fn links_are_remembered_for_a_week_and_then_forgotten() {
        both(|db| async move {
            let user = user("alex@example.com", &db).await;
            let link = made(&user, &db).await;
            let end = NOW + LIFE + REMEMBERED;
            for (at, swept) in [(end - Duration::from_secs(1), 0), (end, 1)] {
                let gone = db.transact(move |conn| Box::pin(async move { sweep(10, conn, at).await }));
                assert_eq!(gone.await.unwrap(), swept);
            }
            assert_eq!(found(&link, &db, NOW).await, Found::Foreign);
        })
        .await;
    }
}
