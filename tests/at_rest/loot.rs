//! Everything in a database, and what the master key opens of it.

use std::ffi::OsString;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Error;
use zeroize::Zeroizing;

use crate::harness::{Installation, World};

/// Each column of each table as text, and on SQLite the bytes of the file and its log.
pub(crate) struct Loot(Vec<u8>);

/// The sealed values of an installation, opened with its master key.
pub(super) struct Vault {
    pub(super) master: seal::Key,
    pub(super) kids: Vec<String>,
    pub(super) sealed: Vec<Sealed>,
    /// By name: the master key, the private numbers, the purpose secrets.
    pub(super) secrets: Vec<(String, Vec<u8>)>,
}

/// One sealed value and its place.
pub(super) struct Sealed {
    pub(super) value: String,
    pub(super) purpose: String,
    pub(super) row: String,
    /// Of a signing key.
    pub(super) alg: Option<String>,
}

impl Loot {
    /// Each column alone.
    pub(crate) async fn of_tables(world: &World) -> Self {
        let mut bytes = Vec::new();
        for (table, _) in world.row_counts().await {
            for column in columns(world, &table).await {
                let statement =
                    format!("SELECT CAST({column} AS TEXT) FROM {table} WHERE {column} IS NOT NULL");
                let values: Vec<(String,)> = all(world, statement).await;
                for (value,) in values {
                    bytes.extend_from_slice(value.as_bytes());
                    bytes.push(b'\n');
                }
            }
        }
        Self(bytes)
    }

    pub(super) async fn take(installation: &Installation, world: &World) -> Self {
        let Self(mut bytes) = Self::of_tables(world).await;
        if let db::Url::Sqlite(path) = &installation.database {
            for ending in ["", "-wal"] {
                let mut name = OsString::from(path);
                name.push(ending);
                let file = std::fs::read(&name).expect("a file of the database");
                // The log is written back when a server stops.
                assert!(ending == "-wal" || !file.is_empty(), "{name:?} is empty");
                bytes.extend(file);
            }
        }
        Self(bytes)
    }

    pub(crate) fn holds(&self, wanted: &[u8]) -> bool {
        let Self(bytes) = self;
        let first = wanted.first().expect("something to look for");
        let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
        starts.into_iter().any(|(at, _)| bytes[at..].starts_with(wanted))
    }
}

async fn columns(world: &World, table: &str) -> Vec<String> {
    let mut conn = world.db.reader().await.expect("a connection");
    let list = conn.either(
        "SELECT name FROM pragma_table_info($1)",
        "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1",
    );
    let names: Vec<(String,)> =
        db::run!(&mut conn, |c| sqlx::query_as(list).bind(table).fetch_all(c)).expect("the columns");
    assert!(!names.is_empty(), "{table} has no columns");
    names.into_iter().map(|(name,)| name).collect()
}

impl Vault {
    pub(super) async fn open(installation: &Installation, world: &World) -> Self {
        let file = installation.folder.path().join("keys/master.key");
        let text = std::fs::read_to_string(file).expect("the master key");
        let bytes: [u8; 32] = URL_SAFE_NO_PAD
            .decode(text.trim())
            .expect("base64url")
            .try_into()
            .expect("256 bits");
        let keys = "SELECT sealed_private, 'signing key', kid, alg FROM signing_keys ORDER BY kid".to_owned();
        let secrets =
            "SELECT sealed, purpose, secret_id, NULL FROM purpose_secrets ORDER BY purpose".to_owned();
        let reading =
            "SELECT sealed_private, 'decryption key', kid, alg FROM decryption_keys ORDER BY kid".to_owned();
        let rows: Vec<Row> = [
            all(world, keys).await,
            all(world, reading).await,
            all(world, secrets).await,
        ]
        .concat();

        let mut vault = Self {
            master: seal::Key::from_bytes(bytes),
            kids: Vec::new(),
            sealed: Vec::new(),
            secrets: vec![("the master key".to_owned(), bytes.to_vec())],
        };
        for (value, purpose, row, alg) in rows {
            let sealed = Sealed {
                value,
                purpose,
                row,
                alg,
            };
            vault.add(sealed);
        }
        vault
    }

    fn add(&mut self, sealed: Sealed) {
        let plain = sealed
            .open(&self.master, &sealed.purpose, &sealed.row)
            .expect("it opens in its place");
        let secret = match &sealed.alg {
            Some(alg) => {
                self.kids.push(sealed.row.clone());
                private_part(alg, &plain)
            }
            None => plain.to_vec(),
        };
        self.secrets
            .push((format!("{} {}", sealed.purpose, sealed.row), secret));
        self.sealed.push(sealed);
    }
}

type Row = (String, String, String, Option<String>);

impl Sealed {
    pub(super) fn open(
        &self,
        key: &seal::Key,
        purpose: &str,
        row: &str,
    ) -> Result<Zeroizing<Vec<u8>>, seal::Broken> {
        seal::open(key, purpose, row, &self.value)
    }

    pub(super) fn is_purpose_secret(&self) -> bool {
        self.alg.is_none()
    }
}

/// Bytes of a PKCS #8 key that nobody but its owner knows: of an RSA key the coefficient, which comes last
/// (RFC 8017 Appendix A.1.2); of an EC key the private number (RFC 5915 §3); of an Ed25519 key the seed (RFC 8410 §7).
fn private_part(alg: &str, pkcs8: &[u8]) -> Vec<u8> {
    const VERSION_AND_TAG: &[u8] = &[0x02, 0x01, 0x01, 0x04, 0x20];
    const SEED: &[u8] = &[0x04, 0x22, 0x04, 0x20];
    let before = match alg {
        "RS256" | "PS256" | "RSA-OAEP-256" => return pkcs8[pkcs8.len() - 64..].to_vec(),
        "EdDSA" => SEED,
        _ => VERSION_AND_TAG,
    };
    let at = pkcs8.windows(before.len()).position(|bytes| bytes == before);
    let start = at.expect("a private key") + before.len();
    pkcs8[start..start + 32].to_vec()
}

/// Writes a ciphertext into the place of another.
pub(super) async fn put(world: &World, place: &Sealed, value: &str) {
    let statement = match place.is_purpose_secret() {
        true => "UPDATE purpose_secrets SET sealed = $2 WHERE secret_id = $1",
        false if place.purpose == "decryption key" => {
            "UPDATE decryption_keys SET sealed_private = $2 WHERE kid = $1"
        }
        false => "UPDATE signing_keys SET sealed_private = $2 WHERE kid = $1",
    };
    let (row, value) = (place.row.clone(), value.to_owned());
    let written = world.db.transact(move |conn| {
        Box::pin(async move {
            let touched = db::execute!(conn, sqlx::query(statement).bind(row).bind(value))?;
            Ok::<_, Error>(touched)
        })
    });
    assert_eq!(written.await.expect("a write"), 1);
}

async fn all<T>(world: &World, statement: String) -> Vec<T>
where
    T: Send
        + Unpin
        + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>
        + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    let statement = sqlx::AssertSqlSafe(statement);
    let mut conn = world.db.reader().await.expect("a connection");
    db::run!(&mut conn, |c| sqlx::query_as(statement).fetch_all(c)).expect("rows")
}
