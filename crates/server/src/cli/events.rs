//! `countersign events`: the audit trail, for people and for whatever collects it.

use clap::Subcommand;
use events::audit::{self, Recorded};
use serde_json::{Value, json};

use super::failure::Failure;
use super::installation::Installation;
use super::print::{Answer, Printer};

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// The newest events, or those after one, in the order of time
    List {
        /// Go on behind this event
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}

impl Events {
    pub(super) async fn run(self, on: &Installation, printer: &mut Printer<'_>) -> Result<(), Failure> {
        let Self::List { after, limit } = self;
        let mut conn = on.db.reader().await?;
        let events = match after {
            Some(after) => audit::after(&after, limit, &mut conn).await?,
            None => audit::newest(limit, &mut conn).await?,
        };
        let mut list = printer.list();
        for event in events {
            list.item(&Answer {
                lines: vec![line(&event)],
                json: json!(event),
            })?;
        }
        list.end("there is no event")
    }
}

/// When, what, whom and where from, with the rest behind it.
fn line(event: &Recorded) -> String {
    let mut line = format!("{}  {:<21}", event.at, event.kind);
    let named = [
        ("sub", &event.sub),
        ("client_id", &event.client_id),
        ("session_id", &event.session_id),
        ("address", &event.address),
        ("request_id", &event.request_id),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            line.push_str(&format!("  {name}={value}"));
        }
    }
    line.push_str(&format!("  origin={}", event.origin));
    for (name, value) in event.details.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => line.push_str(&format!("  {name}={text}")),
            other => line.push_str(&format!("  {name}={other}")),
        }
    }
    line.push_str(&format!("  id={}", event.event_id));
    line
}

#[cfg(test)]
mod tests {
    use protocol::Timestamp;

    use super::*;

    #[test]
    fn people_read_an_event_on_one_line() {
        let event = Recorded {
            event_id: "e".to_owned(),
            at: Timestamp::from_secs(0),
            kind: "user.disabled".to_owned(),
            origin: "command_line".to_owned(),
            sub: Some("s".to_owned()),
            client_id: None,
            session_id: None,
            request_id: None,
            address: None,
            details: json!({ "approvals_ended": 2 }),
        };
        assert_eq!(
            line(&event),
            "1970-01-01T00:00:00Z  user.disabled          sub=s  origin=command_line  approvals_ended=2  id=e"
        );
    }
}
