//! Secrets that can be read again, because something is signed by them: kept sealed beside their digest.

use db::{Conn, execute, run};
use events::Context;
use protocol::{ClientId, Error, Secret, Timestamp};

use super::stored::MAX_ACTIVE;
use super::{TABLE, add, end};
use crate::{Client, Sealed, Vault};

/// Gives a client that needs one a secret that can be read again, unless it has one. The oldest of two that cannot
/// be read makes room: by then its owner is about to give it up. Expects a connection inside a transaction.
///
/// # Errors
/// As [`add`].
pub async fn ensure_readable(
    client: &Client,
    vault: &Vault,
    by: &Context,
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Option<Secret>, Error> {
    let id = client.id.as_str();
    if !sealed(&client.id, conn).await?.is_empty() {
        return Ok(None);
    }
    let active = TABLE.rows(id, conn).await?;
    // Who signs with a secret never sends one: what cannot be read is of no use any more.
    let kept = match client.sends_secret() {
        true => MAX_ACTIVE - 1,
        false => 0,
    };
    let gone = active.len().saturating_sub(kept);
    for own in active.iter().take(gone) {
        end(&client.id, &own.secret_id, by, conn, now).await?;
    }
    Ok(Some(add(&client.id, vault, by, conn, now).await?.secret))
}

/// Of a client that does not need them any more, only digests are kept.
///
/// # Errors
/// The database's failures.
pub async fn forget_sealed(client_id: &ClientId, conn: &mut Conn) -> db::Result<()> {
    execute!(conn, sqlx::query(FORGET_SEALED).bind(client_id.as_str()))?;
    Ok(())
}

const FORGET_SEALED: &str =
    "UPDATE client_secrets SET sealed = NULL, sealed_by = NULL WHERE client_id = $1 AND sealed IS NOT NULL";

const KEEP_SEALED: &str = "UPDATE client_secrets SET sealed = $1, sealed_by = $2 WHERE secret_id = $3";

/// Beside the digest, for a client that needs it.
pub(super) async fn keep_sealed(
    (client, secret): (&Client, &Secret),
    secret_id: &str,
    vault: &Vault,
    conn: &mut Conn,
) -> Result<(), Error> {
    if !client.metadata.needs_readable_secret() {
        return Ok(());
    }
    let sealed = vault.seal(secret_id, secret)?;
    let kept = execute!(
        conn,
        sqlx::query(KEEP_SEALED)
            .bind(sealed.sealed.as_str())
            .bind(sealed.sealed_by.as_str())
            .bind(secret_id)
    );
    kept.map_err(db::Error::from)?;
    Ok(())
}

const SEALED: &str = "SELECT client_id, secret_id, sealed_by, sealed FROM client_secrets \
    WHERE client_id = $1 AND sealed IS NOT NULL ORDER BY created_at, secret_id";
const ALL_SEALED: &str = "SELECT client_id, secret_id, sealed_by, sealed FROM client_secrets \
    WHERE sealed IS NOT NULL ORDER BY client_id, created_at, secret_id";

type SealedRow = (String, String, String, String);

fn of_row((client_id, secret_id, sealed_by, sealed): SealedRow) -> (String, Sealed) {
    let sealed = Sealed {
        secret_id,
        sealed_by,
        sealed,
    };
    (client_id, sealed)
}

/// Those that can be read again, oldest first.
pub(crate) async fn sealed(client_id: &ClientId, conn: &mut Conn) -> db::Result<Vec<Sealed>> {
    let rows: Vec<SealedRow> = run!(conn, |c| sqlx::query_as(SEALED)
        .bind(client_id.as_str())
        .fetch_all(c))?;
    Ok(rows.into_iter().map(|row| of_row(row).1).collect())
}

/// Those of all clients, with whose they are.
pub(crate) async fn all_sealed(conn: &mut Conn) -> db::Result<Vec<(String, Sealed)>> {
    let rows: Vec<SealedRow> = run!(conn, |c| sqlx::query_as(ALL_SEALED).fetch_all(c))?;
    Ok(rows.into_iter().map(of_row).collect())
}
