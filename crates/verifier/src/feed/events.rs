//! Server-sent events, as the stream of the feed uses them (HTML Living Standard §9.2.6). Decides where an event
//! ends. A line and an event have a length at most: a stream without end must not fill memory.

use super::error::FeedError;

const MAX_LINE: usize = 4096;
const MAX_DATA: usize = 16 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The line before ended with a carriage return, so that a line feed belongs to its end.
    returned: bool,
    event: Event,
    has_data: bool,
}

impl Parser {
    /// The events that have come to their end with these bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, FeedError> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.returned, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                _ if self.line.len() == MAX_LINE => {
                    return Err(FeedError::Unreadable("a line is longer than 4 KiB"));
                }
                _ => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<Event>, FeedError> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8(line).map_err(|_| FeedError::Unreadable("a line is not UTF-8"))?;
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.kind),
            "id" => value.clone_into(&mut self.event.id),
            "data" => self.add(value)?,
            // A comment, or a field of others.
            _ => {}
        }
        Ok(None)
    }

    fn add(&mut self, value: &str) -> Result<(), FeedError> {
        if self.event.data.len() + value.len() >= MAX_DATA {
            return Err(FeedError::Unreadable("an event is longer than 16 KiB"));
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.event.data.push('\n');
        }
        self.event.data.push_str(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, id: &str, data: &str) -> Event {
        Event {
            kind: kind.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn events_are_the_same_however_their_bytes_arrive() {
        let lines =
            ": hello\n\nevent: beat\nid: G.7\ndata: {\"sequence\":7}\n\nretry: 5\ndata:a\ndata: b\ndata\n\n";
        let expected = [event("beat", "G.7", "{\"sequence\":7}"), event("", "", "a\nb\n")];
        for end in ["\n", "\r\n", "\r"] {
            let text = lines.replace('\n', end);
            for size in [1, 2, 3, 7, text.len()] {
                let mut parser = Parser::default();
                let events: Vec<Event> = text
                    .as_bytes()
                    .chunks(size)
                    .flat_map(|bytes| parser.push(bytes).unwrap())
                    .collect();
                assert_eq!(events, expected, "{end:?} {size}");
            }
        }
    }

    #[test]
    fn what_has_no_end_is_no_event() {
        let mut parser = Parser::default();
        assert!(parser.push(b"data: a\ndata: b\nevent: x\n").unwrap().is_empty());
        assert!(Parser::default().push(&[b'a'; 5000]).is_err());
        assert!(Parser::default().push(&b"data: aaaa\n".repeat(5000)).is_err());
        assert!(Parser::default().push(b"data: \xff\n\n").is_err());
    }
}
