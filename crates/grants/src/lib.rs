//! Consents, approvals and every credential that hangs from them; the sealed flow.

pub mod approvals;
pub mod codes;
pub mod consents;
pub mod families;
pub mod flow;

pub use approvals::{Approval, ByUser, Party};
pub use codes::Code;
pub use consents::Consent;
pub use families::Family;
pub use flow::{AuthorizationRequest, Flow, LogoutRequest};

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
    rows: Vec<serde_json::Value>,
    conn: &mut db::Conn,
) -> db::Result<std::collections::HashSet<String>> {
    if rows.is_empty() {
        return Ok(Default::default());
    }
    let (statement, rows) = (
        conn.either(sqlite, postgres),
        serde_json::Value::from(rows).to_string(),
    );
    let ids: Vec<(String,)> = db::run!(conn, |c| sqlx::query_as(statement).bind(&rows).fetch_all(c))?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}
