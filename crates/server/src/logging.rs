//! Logs on stderr: lines for people on a terminal, JSON elsewhere. C100.
//!
//! Decides what a log line may look like: one event is one line, whatever a request put into its fields, and
//! neither SQL nor the text of a panic is in it.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What a server logs unless `RUST_LOG` says otherwise.
const SERVER: &str = "info";
/// What a command logs: it says on stdout what it did.
const COMMAND: &str = "warn";
/// Bound values are not printed there, but literals and slow statements are.
const NO_SQL: &str = "sqlx::query=off";

/// Starts logging for a process that serves. Later calls change nothing.
pub fn start() {
    start_with(SERVER, io::stderr, io::stderr().is_terminal());
}

/// The same into another place, as JSON: a measurement pays for every line, and nobody reads them.
pub fn start_into<W: Write>(place: impl Fn() -> W + Send + Sync + 'static) {
    start_with(SERVER, place, false);
}

/// Starts logging for a command, which speaks up only when something is wrong.
pub fn start_quietly() {
    start_with(COMMAND, io::stderr, io::stderr().is_terminal());
}

fn start_with<W: Write>(default: &str, place: impl Fn() -> W + Send + Sync + 'static, for_people: bool) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(std::env::var("RUST_LOG").ok().as_deref(), default))
        .with_ansi(false)
        .with_writer(OneLine(place));
    // The second caller in a process, a test mostly, finds a subscriber in place and keeps it.
    let _ = if for_people {
        builder.with_target(false).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init()
    };
    log_panics();
}

fn filter(wanted: Option<&str>, default: &str) -> EnvFilter {
    let filter = wanted
        .and_then(|wanted| EnvFilter::try_new(wanted).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    match NO_SQL.parse() {
        Ok(no_sql) => filter.add_directive(no_sql),
        Err(_) => filter,
    }
}

/// Says where a panic happened and not what it said: its text may quote a request, as that of a slice that
/// missed a character boundary does.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name(), "panicked");
    }));
}

/// Writers that escape whatever could break a line, or a terminal that shows it.
#[derive(Clone, Debug)]
struct OneLine<M>(M);

impl<'a, W: Write, M: Fn() -> W + 'a> MakeWriter<'a> for OneLine<M> {
    type Writer = Escaping<W>;

    fn make_writer(&'a self) -> Escaping<W> {
        Escaping((self.0)())
    }
}

#[derive(Debug)]
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    /// Gets one whole event, whose last byte is its line feed.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        // Nearly every line.
        if let Some((b'\n', line)) = event.split_last()
            && line.iter().all(|byte| matches!(byte, b' '..=b'~'))
        {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.contains(is_harmful) {
            self.0.write_all(escaped(line).as_bytes())?;
            self.0.write_all(b"\n")?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The line with everything harmful spelled out.
pub(crate) fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if is_harmful(c) {
            // All of them are below U+10000, so this is what JSON writes as well.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, line separators, and marks that turn the direction of what follows.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const HOSTILE: &str = "a\r\nINFO forged\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\0\u{7f}";

    #[test]
    fn c100_a_hostile_field_stays_on_its_line() {
        for json in [false, true] {
            let captured = Captured::default();
            let sink = captured.clone();
            let builder = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(OneLine(move || sink.clone()));
            let log = || tracing::info!(plain = HOSTILE, debug = ?HOSTILE, display = %HOSTILE, "{HOSTILE}");
            match json {
                true => tracing::subscriber::with_default(builder.json().finish(), log),
                false => tracing::subscriber::with_default(builder.finish(), log),
            }
            let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.lines().count(), 1, "{text:?}");
            assert!(text.contains("forged"));
            assert!(!text.trim_end_matches('\n').contains(is_harmful), "{text:?}");
            if json {
                let event: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(event["fields"]["plain"], HOSTILE);
            }
        }
    }

    #[test]
    fn c100_statements_are_never_logged_whatever_the_filter_says() {
        for wanted in [
            None,
            Some("trace"),
            Some("sqlx::query=trace"),
            Some("sqlx=debug"),
            Some("=!="),
        ] {
            let captured = Captured::default();
            let sink = captured.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter(wanted, SERVER))
                .with_writer(OneLine(move || sink.clone()))
                .finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(target: "sqlx::query", "SELECT canary");
                tracing::error!("seen");
            });
            let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
            assert!(!text.contains("canary"), "{wanted:?} {text}");
        }
    }
}
