//! Purpose secrets: random, one per purpose, never derived from the master key, so that losing one loses one.

use db::{Conn, execute, run};
use events::{Context, Event};
use protocol::{Timestamp, wire_enum};

use crate::{Error, MasterKey, master, records};

wire_enum! {
    /// What a secret is for. A value made for one purpose fails at every other.
    pub enum Purpose {
        /// Authorization codes: MACs over the approval.
        Code => "authorization code",
        /// Refresh tokens: MACs over family and generation.
        Refresh => "refresh token",
        /// Seals a flow on its way through the browser.
        Flow => "flow",
        /// CSRF tokens of our forms.
        Csrf => "csrf",
        /// `sid` of ID tokens: what each client calls a session.
        Sid => "sid",
        /// Seals the secrets of clients that are read again: client_secret_jwt, HS256.
        ClientSecret => "client secret",
        /// What a pairwise client calls a person. Never made anew: apps know their accounts by it.
        Pairwise => "pairwise",
        /// Seals mails that are still to be sent, and hides for whom strangers asked for one.
        Mail => "mail",
        /// Hides whose password was tried, and marks browsers in which somebody knew theirs.
        Guesses => "guesses",
    }
}

const INSERT: &str = "INSERT INTO purpose_secrets (secret_id, purpose, sealed, master_key_id, created_at) \
    VALUES ($1, $2, $3, $4, $5)";
const KNOWN: &str = "SELECT purpose FROM purpose_secrets";
const ALL: &str =
    "SELECT secret_id, purpose, sealed, master_key_id FROM purpose_secrets ORDER BY created_at, secret_id";

/// A secret and the id by which rows name it.
#[derive(Debug, Clone)]
pub struct PurposeSecret {
    pub id: String,
    pub key: seal::Key,
}

/// Makes the secrets that are missing; under the keyring's lock, so that two replicas make one of each.
pub(crate) async fn ensure(master: MasterKey, conn: &mut Conn, now: Timestamp) -> Result<(), Error> {
    records::lock(conn).await?;
    let master = master.current();
    if master::is_retired(&master.id, conn).await? {
        return Err(Error::MasterKeyChanged);
    }
    let known: Vec<(String,)> =
        run!(conn, |c| sqlx::query_as(KNOWN).fetch_all(c)).map_err(db::Error::from)?;
    for purpose in Purpose::ALL {
        if known.iter().any(|(known,)| known == purpose.as_str()) {
            continue;
        }
        let id = protocol::random::id();
        let sealed = master.seal(purpose.as_str(), &id, seal::Key::random().bytes());
        execute!(
            conn,
            sqlx::query(INSERT)
                .bind(&id)
                .bind(purpose.as_str())
                .bind(sealed)
                .bind(&master.id)
                .bind(now.as_secs())
        )
        .map_err(db::Error::from)?;
        let made = Event::PurposeSecretMade {
            secret_id: &id,
            purpose: purpose.as_str(),
        };
        records::changed(&made, &Context::server(), conn, now).await?;
    }
    Ok(())
}

/// Every secret, oldest first.
pub(crate) async fn all(master: &MasterKey, conn: &mut Conn) -> Result<Vec<(Purpose, PurposeSecret)>, Error> {
    let rows: Vec<(String, String, String, String)> =
        run!(conn, |c| sqlx::query_as(ALL).fetch_all(c)).map_err(db::Error::from)?;
    let mut secrets = Vec::with_capacity(rows.len());
    for (id, purpose, sealed, sealed_by) in rows {
        // A purpose of a newer version is none of this one's business.
        let Ok(purpose) = purpose.parse::<Purpose>() else {
            continue;
        };
        let bytes = master
            .open_by(&sealed_by, (purpose.as_str(), &id), &sealed)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
            .ok_or_else(|| Error::Sealed(format!("the secret for {purpose}")))?;
        secrets.push((
            purpose,
            PurposeSecret {
                id,
                key: seal::Key::from_bytes(bytes),
            },
        ));
    }
    Ok(secrets)
}
