//! Consents, approvals and every credential that hangs from them; the sealed flow.

pub mod allowed;
pub mod approvals;
pub mod codes;
pub mod consents;
pub mod families;
pub mod flow;
pub mod pushed;

pub use approvals::{Approval, ByUser, Party};
pub use codes::Code;
pub use consents::Consent;
pub use families::Family;
pub use flow::{AuthorizationRequest, Flow, LogoutRequest, OwnRequest};

/// A column that holds a JSON array of strings.
fn strings(column: &'static str, json: &str) -> db::Result<Vec<String>> {
    serde_json::from_str(json).map_err(|error| db::Error::corrupt(format_args!("{column}: {error}")))
}

fn json(strings: &[String]) -> String {
    serde_json::json!(strings).to_string()
}

fn scope(column: &'static str, text: &str) -> db::Result<protocol::Scope> {
    protocol::Scope::parse(text).map_err(|error| db::Error::corrupt(format_args!("{column}: {error}")))
}

/// Runs a set statement and returns the ids it names; nothing for no rows.
async fn returned(
    (sqlite, postgres): (&'static str, &'static str),
    rows: Option<String>,
    conn: &mut db::Conn,
) -> db::Result<std::collections::HashSet<String>> {
    let Some(rows) = rows else {
        return Ok(Default::default());
    };
    let statement = conn.either(sqlite, postgres);
    let ids: Vec<(String,)> = db::run!(conn, |c| sqlx::query_as(statement).bind(&rows).fetch_all(c))?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}
