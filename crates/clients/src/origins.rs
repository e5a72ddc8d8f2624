//! The origins of registered redirect URIs: pages there may call our endpoints from scripts (Fetch, "CORS
//! protocol"). A table of their own, because the question comes with every such request.

use db::{Conn, execute, run};
use protocol::ClientId;
use url::{Origin, Url};

use crate::Metadata;

const FORGET: &str = "DELETE FROM client_origins WHERE client_id = $1";
const NOTE: &str = "INSERT INTO client_origins (origin, client_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const IS_REGISTERED: &str = "SELECT 1 FROM client_origins WHERE origin = $1 LIMIT 1";

/// Whether some client has a redirect URI of this origin. It is compared as browsers write it.
///
/// # Errors
/// The database's failures: then nobody may assume so.
pub async fn is_registered(origin: &str, conn: &mut Conn) -> db::Result<bool> {
    let found: Option<(i32,)> = run!(conn, |c| sqlx::query_as(IS_REGISTERED)
        .bind(origin)
        .fetch_optional(c))?;
    Ok(found.is_some())
}

const ALL: &str = "SELECT DISTINCT origin FROM client_origins";

/// Every origin that is registered.
pub(crate) async fn all(conn: &mut Conn) -> db::Result<Vec<(String,)>> {
    Ok(run!(conn, |c| sqlx::query_as(ALL).fetch_all(c))?)
}

/// Notes the origins of a client, instead of those it had.
pub(crate) async fn note(client_id: &ClientId, metadata: &Metadata, conn: &mut Conn) -> db::Result<()> {
    execute!(conn, sqlx::query(FORGET).bind(client_id.as_str()))?;
    for uri in &metadata.redirect_uris {
        if let Some(origin) = of(uri.as_str()) {
            execute!(conn, sqlx::query(NOTE).bind(origin).bind(client_id.as_str()))?;
        }
    }
    Ok(())
}

/// None for a private scheme: no page has such an origin.
fn of(uri: &str) -> Option<String> {
    match Url::parse(uri).ok()?.origin() {
        Origin::Opaque(_) => None,
        origin @ Origin::Tuple(..) => Some(origin.ascii_serialization()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c095_an_origin_is_scheme_host_and_port_and_nothing_like_them() {
        assert_eq!(
            of("https://app.example.com/cb?x=1").as_deref(),
            Some("https://app.example.com")
        );
        assert_eq!(
            of("http://localhost:3000/cb").as_deref(),
            Some("http://localhost:3000")
        );
        assert_eq!(of("com.example.app:/cb"), None);
    }
}
