//! The feed of the issuer in these tests: as agreed on the wire, or bent.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::form_urlencoded;

use super::issuer::Issuer;

pub(super) const BEAT: Duration = Duration::from_millis(50);

/// What the issuer has ended, and how it tells.
pub(super) struct Revocations {
    pub(super) book: Mutex<Book>,
    changed: watch::Sender<()>,
    cut: watch::Sender<u64>,
    pub(super) snapshots: AtomicUsize,
    pub(super) polls: AtomicUsize,
    pub(super) streams: AtomicUsize,
    /// Streams that stand.
    pub(super) open: AtomicUsize,
    pub(super) introspections: AtomicUsize,
    pub(super) most_introspections: AtomicUsize,
    under_way: AtomicUsize,
    pub(super) elsewhere: AtomicUsize,
}

#[derive(Clone)]
pub(super) struct Book {
    pub(super) feed: String,
    pub(super) n: u64,
    pub(super) records: Vec<(u64, String)>,
    pub(super) stream: Stream,
    /// Answers with this to whoever wants a stream.
    pub(super) stream_status: Option<StatusCode>,
    /// Answers with this instead.
    pub(super) status: Option<StatusCode>,
    /// Answers with this text instead of a sealed one.
    pub(super) text: Option<String>,
    pub(super) forge: fn(&mut Draft),
    /// Done to what a stream tells.
    pub(super) bend: fn(String) -> String,
    /// What came in the header of the last request.
    pub(super) authorization: String,
    pub(super) last_event_id: String,
    /// How long the last poll was to wait.
    pub(super) last_wait: Option<String>,
    pub(super) active: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stream {
    Flowing,
    /// Ends after its first beat.
    Cut,
    /// Stands, with comments and without beats.
    Silent,
    /// There is none.
    None,
}

/// An answer before it is sealed, and after.
pub(super) struct Draft {
    pub(super) head: Value,
    pub(super) records: Vec<String>,
    pub(super) typ: &'static str,
    pub(super) seal: Value,
    /// Done to the text that was sealed.
    pub(super) tamper: fn(String) -> String,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            book: Mutex::new(Book {
                feed: "F.1".to_owned(),
                n: 10,
                records: Vec::new(),
                stream: Stream::Flowing,
                stream_status: None,
                status: None,
                text: None,
                forge: |_| {},
                bend: |text| text,
                authorization: String::new(),
                last_event_id: String::new(),
                last_wait: None,
                active: true,
            }),
            changed: watch::Sender::new(()),
            cut: watch::Sender::new(0),
            snapshots: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            introspections: AtomicUsize::new(0),
            most_introspections: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            elsewhere: AtomicUsize::new(0),
        }
    }
}

impl Revocations {
    /// Ends what these members name, for an hour.
    pub(super) fn end(&self, members: Value, now: i64) -> u64 {
        let n = {
            let mut book = self.book.lock().unwrap();
            book.n += 3;
            let mut record = members;
            record["n"] = book.n.into();
            if record.get("until").is_none() {
                record["until"] = (now + 3600).into();
            }
            let n = book.n;
            book.records.push((n, record.to_string()));
            n
        };
        self.changed.send_replace(());
        n
    }

    pub(super) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let changed = change(&mut self.book.lock().unwrap());
        self.changed.send_replace(());
        changed
    }
}

pub(super) async fn elsewhere(State(issuer): State<Arc<Issuer>>) -> StatusCode {
    issuer.revocations.elsewhere.fetch_add(1, Ordering::SeqCst);
    StatusCode::OK
}

pub(super) async fn introspect(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let own = &issuer.revocations;
    own.introspections.fetch_add(1, Ordering::SeqCst);
    let under_way = own.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    own.most_introspections.fetch_max(under_way, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    own.under_way.fetch_sub(1, Ordering::SeqCst);
    let book = own.book.lock().unwrap().clone();
    if let Some(status) = book.status {
        return status.into_response();
    }
    assert!(
        headers.contains_key(AUTHORIZATION) && body.starts_with("token=ey"),
        "{body}"
    );
    Json(json!({ "active": book.active })).into_response()
}

pub(super) async fn answer(State(issuer): State<Arc<Issuer>>, uri: Uri, headers: HeaderMap) -> Response {
    let own = &issuer.revocations;
    let text = |name| {
        headers
            .get(name)
            .map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned())
    };
    let book = own.with(|book| {
        book.authorization = text(AUTHORIZATION.as_str()).unwrap_or_default();
        book.last_event_id = text("last-event-id").unwrap_or_default();
        book.clone()
    });
    if let Some(status) = book.status {
        return status.into_response();
    }
    let asked: Vec<(String, String)> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let param = |name: &str| {
        asked
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.clone())
    };
    if text(ACCEPT.as_str()).unwrap() == "text/event-stream" && book.stream != Stream::None {
        own.streams.fetch_add(1, Ordering::SeqCst);
        if let Some(status) = book.stream_status {
            return status.into_response();
        }
        return stream(&issuer, &book);
    }
    let after: u64 = match param("after") {
        None => {
            own.snapshots.fetch_add(1, Ordering::SeqCst);
            0
        }
        Some(after) => {
            own.polls.fetch_add(1, Ordering::SeqCst);
            own.with(|book| book.last_wait = param("wait"));
            after.parse().unwrap()
        }
    };
    if after > book.n || param("feed").is_some_and(|feed| feed != book.feed) {
        return StatusCode::GONE.into_response();
    }
    // The head is sent at once, the body when there is something or the time is over.
    let wait = Duration::from_secs(param("wait").map_or(0, |wait| wait.parse().unwrap()));
    let issuer = Arc::clone(&issuer);
    let body = stream::once(async move {
        let own = &issuer.revocations;
        let mut changed = own.changed.subscribe();
        let newer = changed.wait_for(|()| own.book.lock().unwrap().n > after);
        if !wait.is_zero() {
            let _ = tokio::time::timeout(wait, newer).await;
        }
        Ok::<_, Infallible>(Bytes::from(book.text.unwrap_or_else(|| issuer.sealed(after))))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response()
}

impl Issuer {
    /// The records after this number, sealed.
    pub(super) fn sealed(&self, after: u64) -> String {
        let book = self.revocations.book.lock().unwrap().clone();
        let now = self.now.load(Ordering::SeqCst);
        let mut draft = Draft {
            head: json!({ "feed": book.feed, "issuer": self.url, "after": after, "sequence": book.n }),
            records: book
                .records
                .iter()
                .filter(|(n, _)| *n > after)
                .map(|(_, record)| record.clone())
                .collect(),
            typ: "revocations+jwt",
            seal: json!({}),
            tamper: |text| text,
        };
        let seal = json!({
            "iss": self.url, "iat": now, "feed": book.feed, "after": after, "sequence": book.n,
            "records": draft.records.len(),
        });
        draft.seal = seal;
        (book.forge)(&mut draft);
        let mut text = format!("{}\n", draft.head);
        for record in &draft.records {
            text.push_str(record);
            text.push('\n');
        }
        if draft.seal.get("digest").is_none() {
            draft.seal["digest"] = URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())).into();
        }
        let jws = self.keys.lock().unwrap()[0].sign(draft.typ, &draft.seal).unwrap();
        let records = draft.seal["records"].clone();
        (draft.tamper)(format!("{text}{}\n", json!({ "records": records, "jws": jws })))
    }
}

/// Ends with the stream it is in.
struct Open(Arc<Issuer>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.revocations.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn stream(issuer: &Arc<Issuer>, book: &Book) -> Response {
    let own = &issuer.revocations;
    let (feed, after) = book.last_event_id.rsplit_once('.').unwrap();
    if after.parse::<u64>().unwrap() > book.n {
        return StatusCode::GONE.into_response();
    }
    if feed != book.feed {
        return event_stream(Body::from(format!(
            "event: reset\ndata: {{\"feed\":\"{}\"}}\n\n",
            book.feed
        )));
    }
    own.open.fetch_add(1, Ordering::SeqCst);
    let mut cuts = own.cut.subscribe();
    cuts.mark_unchanged();
    let mut changed = own.changed.subscribe();
    changed.mark_changed();
    let start = (
        after.parse::<u64>().unwrap(),
        cuts,
        changed,
        Open(Arc::clone(issuer)),
        0_u32,
    );
    let pieces = stream::unfold(
        start,
        |(mut after, mut cuts, mut changed, open, mut beats)| async move {
            let book = || open.0.revocations.book.lock().unwrap().clone();
            if beats > 0 && book().stream == Stream::Cut {
                return None;
            }
            let is_new = tokio::select! {
                biased;
                _ = cuts.changed() => return None,
                _ = changed.changed() => true,
                () = tokio::time::sleep(BEAT) => false,
            };
            let book = book();
            let mut text = String::new();
            if book.stream == Stream::Silent {
                text.push_str(": still here\n\n");
            } else {
                for (n, record) in book.records.iter().filter(|(n, _)| *n > after) {
                    text.push_str(&format!(
                        "event: revocation\nid: {}.{n}\ndata: {record}\n\n",
                        book.feed
                    ));
                }
                if !is_new || beats == 0 {
                    let (feed, n) = (&book.feed, book.n);
                    text.push_str(&format!(
                        "event: beat\nid: {feed}.{n}\ndata: {{\"sequence\":{n}}}\n\n"
                    ));
                    beats += 1;
                }
                after = book.n;
            }
            let piece = Ok::<_, Infallible>(Bytes::from((book.bend)(text)));
            Some((piece, (after, cuts, changed, open, beats)))
        },
    );
    event_stream(Body::from_stream(pieces))
}

fn event_stream(body: Body) -> Response {
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}
