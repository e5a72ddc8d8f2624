//! Documents and what they lead to: judged alone, and kept in a database.

mod documents;
mod judged;
mod kept;

use clients::{records, secrets};
use db::Database;
use db::testing::both;
use serde_json::json;

use super::*;
use documents::{bad, ec, with};

const NOW: Timestamp = Timestamp::from_secs(1_000);
const LATER: Timestamp = Timestamp::from_secs(2_000);

/// One key for all tests.
fn vault() -> Vault {
    Vault::new(|_| Some(("1".to_owned(), seal::Key::from_bytes([7; 32]))))
}

#[derive(Clone, Copy)]
enum Act {
    Register,
    Update(&'static str),
    Import,
}

/// One act in a transaction of its own.
async fn act(act: Act, document: Value, db: &Database) -> Result<Registered, Error> {
    let vault = vault();
    db.transact(move |conn| {
        Box::pin(async move {
            match act {
                Act::Register => {
                    register(
                        &document,
                        Trust::Unverified,
                        &vault,
                        &Context::server(),
                        conn,
                        NOW,
                    )
                    .await
                }
                Act::Update(id) => {
                    update(&id.into(), &document, &vault, &Context::server(), conn, LATER).await
                }
                Act::Import => {
                    import(&document, Trust::Trusted, &vault, &Context::server(), conn, LATER).await
                }
            }
        })
    })
    .await
}

async fn stored(db: &Database) -> Vec<Client> {
    records::list(&mut db.reader().await.unwrap()).await.unwrap()
}

async fn secret_ids(id: &str, db: &Database) -> Vec<String> {
    let listed = secrets::list(&id.into(), &mut db.reader().await.unwrap())
        .await
        .unwrap();
    listed.into_iter().map(|own| own.secret_id).collect()
}

async fn admits(id: &str, secret: &str, db: &Database) -> bool {
    let body = format!("client_id={id}&client_secret={secret}");
    let params = protocol::Params::parse(body.as_bytes()).unwrap();
    let credentials = clients::Credentials::from_request(&Default::default(), &params, None).unwrap();
    let mut conn = db.reader().await.unwrap();
    clients::authenticate(&credentials, &mut conn).await.is_ok()
}
