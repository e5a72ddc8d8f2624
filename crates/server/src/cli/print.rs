//! What a command says on stdout: JSON for programs, or lines for people.
//!
//! The JSON has the RFCs' member names, with times as numbers of seconds since 1970 as they have them. People
//! read the same members as lines, with times as RFC 3339 writes them.

use std::io::{self, Write};

use protocol::Timestamp;
use serde_json::{Map, Value};

use super::failure::Failure;
use crate::logging::escaped;

/// One thing told in both forms.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) json: Value,
    pub(super) lines: Vec<String>,
}

impl Answer {
    /// The members of an object; people read those named in `order` that are there.
    pub(super) fn of(json: Value, order: &[&str]) -> Self {
        let empty = Map::new();
        let lines = sheet(json.as_object().unwrap_or(&empty), order);
        Self { json, lines }
    }

    /// With a line that only people need.
    #[must_use]
    pub(super) fn note(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Json,
}

pub(super) struct Printer<'o> {
    form: Form,
    out: &'o mut dyn Write,
}

impl<'o> Printer<'o> {
    pub(super) fn new(json: bool, out: &'o mut dyn Write) -> Self {
        let form = if json { Form::Json } else { Form::Text };
        Self { form, out }
    }

    pub(super) fn answer(&mut self, answer: &Answer) -> Result<(), Failure> {
        let text = match self.form {
            Form::Json => format!("{}\n", answer.json),
            Form::Text => answer.lines.iter().map(|line| escaped(line) + "\n").collect(),
        };
        self.write(&text)
    }

    /// What came of imported records, in the shape in which they were given.
    pub(super) fn records(&mut self, is_array: bool, answers: &[Answer]) -> Result<(), Failure> {
        match (is_array, answers) {
            (false, [one]) => self.answer(one),
            _ => {
                let mut list = self.list();
                for answer in answers {
                    list.item(answer)?;
                }
                list.end("there was no record")
            }
        }
    }

    /// Begins an array.
    pub(super) fn list(&mut self) -> List<'_, 'o> {
        List {
            printer: self,
            count: 0,
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
        match written {
            // Whoever reads with `head` has what they wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(format!("it is done, but stdout cannot be written: {error}").into()),
            Ok(()) => Ok(()),
        }
    }
}

/// An array that is printed while it is read, so that no list is too long.
pub(super) struct List<'p, 'o> {
    printer: &'p mut Printer<'o>,
    count: usize,
}

impl List<'_, '_> {
    pub(super) fn item(&mut self, answer: &Answer) -> Result<(), Failure> {
        let separator = match self.count {
            0 => "[\n",
            _ => ",\n",
        };
        self.count += 1;
        match self.printer.form {
            Form::Json => self.printer.write(&format!("{separator}{}", answer.json)),
            Form::Text => self.printer.answer(answer),
        }
    }

    /// Ends it; people are told when there is nothing to see.
    pub(super) fn end(self, nothing: &str) -> Result<(), Failure> {
        match (self.printer.form, self.count) {
            (Form::Json, 0) => self.printer.write("[]\n"),
            (Form::Json, _) => self.printer.write("\n]\n"),
            (Form::Text, 0) => self.printer.write(&format!("{nothing}\n")),
            (Form::Text, _) => Ok(()),
        }
    }
}

/// A member a line, values aligned; what has several values takes several lines.
fn sheet(members: &Map<String, Value>, order: &[&str]) -> Vec<String> {
    let present = || {
        let names = order.iter().copied();
        names.filter_map(|name| members.get(name).map(|value| (name, value)))
    };
    let width = present().map(|(name, _)| name.len()).max().unwrap_or(0);
    let rows = present().flat_map(|(name, value)| {
        let label = move |at: usize| if at == 0 { name } else { "" };
        let values = texts(name, value).into_iter().enumerate();
        values.map(move |(at, text)| format!("{:<width$}  {text}", label(at)))
    });
    rows.collect()
}

fn texts(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(true) => vec!["yes".to_owned()],
        Value::Bool(false) => vec!["no".to_owned()],
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![match number.as_i64().filter(|_| name.ends_with("_at")) {
            Some(secs) => Timestamp::from_secs(secs).to_string(),
            None => number.to_string(),
        }],
        Value::Array(items) => items.iter().flat_map(|item| texts(name, item)).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| {
                texts(name, value)
                    .into_iter()
                    .map(move |text| format!("{name}: {text}"))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(json: bool, print: impl FnOnce(&mut Printer<'_>)) -> String {
        let mut out = Vec::new();
        print(&mut Printer::new(json, &mut out));
        String::from_utf8(out).unwrap()
    }

    fn sample() -> Answer {
        let json = json!({
            "client_id": "c", "redirect_uris": ["https://a.test", "https://b.test"], "require_pkce": true,
            "created_at": 0, "scopes": {"read": "Read it"}, "count": 3, "gone_at": null, "hidden": "x",
        });
        let order = [
            "client_id",
            "created_at",
            "redirect_uris",
            "scopes",
            "require_pkce",
            "count",
            "gone_at",
            "none",
        ];
        Answer::of(json, &order).note("Note.")
    }

    #[test]
    fn people_read_members_in_an_order_and_programs_read_json() {
        let text = printed(false, |printer| printer.answer(&sample()).unwrap());
        assert_eq!(
            text,
            "client_id      c\n\
             created_at     1970-01-01T00:00:00Z\n\
             redirect_uris  https://a.test\n               \
                            https://b.test\n\
             scopes         read: Read it\n\
             require_pkce   yes\n\
             count          3\n\
             Note.\n"
        );
        let text = printed(true, |printer| printer.answer(&sample()).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), sample().json);
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_list_is_one_json_array_however_long() {
        for count in 0..3 {
            let list = |printer: &mut Printer<'_>| {
                let mut list = printer.list();
                for n in 0..count {
                    list.item(&Answer::of(json!({ "n": n }), &["n"])).unwrap();
                }
                list.end("nothing").unwrap();
            };
            let array: Vec<Value> = serde_json::from_str(&printed(true, list)).unwrap();
            assert_eq!(array.len(), count);
            let text = printed(false, list);
            match count {
                0 => assert_eq!(text, "nothing\n"),
                _ => assert_eq!(text.lines().count(), count),
            }
        }
    }

    #[test]
    fn nothing_printed_for_people_moves_their_terminal() {
        let hostile = Answer::of(json!({"name": "a\u{1b}[2J\nb\u{202e}"}), &["name"]);
        let text = printed(false, |printer| printer.answer(&hostile).unwrap());
        assert_eq!(text, "name  a\\u001b[2J\\u000ab\\u202e\n");
    }

    #[test]
    fn a_reader_who_has_seen_enough_is_no_failure_and_a_full_disk_is() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let print = |kind| Printer::new(true, &mut Broken(kind)).answer(&sample());
        assert_eq!(print(io::ErrorKind::BrokenPipe), Ok(()));
        assert!(print(io::ErrorKind::StorageFull).is_err());
    }
}
