//! HTTP/1.1 by hand: for a thousand requests at one instant, for bytes that no client library would send, and for
//! peers that hang up half-way.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::form_urlencoded::Serializer;

use super::app::VERIFIER;
use super::visitor::Form;
use super::{Answer, App, Visitor, World};

/// Above every limit of the server: whoever reaches it was forgotten.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    origin: String,
    stream: TcpStream,
    /// What came after the last answer.
    rest: Vec<u8>,
}

/// How a peer leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HangUp {
    /// What it wrote still arrives.
    Close,
    /// RST: what was under way is lost.
    Reset,
}

impl Wire {
    pub(crate) async fn connect(origin: &str) -> io::Result<Self> {
        let address = origin.strip_prefix("http://").expect("an http origin");
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            origin: origin.to_owned(),
            stream,
            rest: Vec::new(),
        })
    }

    /// Sends a request and reads its answer; a connection that the server closes with it is replaced.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request).await?;
        let answer = self.answer().await?;
        if answer.header(CONNECTION.as_str()) == Some("close") {
            *self = Self::connect(&self.origin).await?;
        }
        Ok(answer)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next whole answer.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        match timeout(PATIENCE, self.read_answer()).await {
            Ok(answer) => answer,
            Err(_) => panic!("no answer after {} s", PATIENCE.as_secs()),
        }
    }

    /// Reads at most so many bytes of whatever comes; fewer at the end.
    pub(crate) async fn read_up_to(&mut self, most: usize) -> io::Result<()> {
        while self.rest.len() < most && self.read_more().await? > 0 {}
        Ok(())
    }

    /// Everything until the server closes, as far as it comes.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let read = async { while self.read_more().await.is_ok_and(|count| count > 0) {} };
        if timeout(PATIENCE, read).await.is_err() {
            panic!("the server neither answered nor closed: {:?}", self.stream);
        }
        String::from_utf8_lossy(&self.rest).into_owned()
    }

    /// The peer has no more to say; it may still listen.
    pub(crate) async fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    pub(crate) fn hang_up(self, how: HangUp) {
        match how {
            HangUp::Close => {}
            HangUp::Reset => self.stream.set_zero_linger().expect("an open socket"),
        }
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(at) = self.rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let body: Vec<u8> = self.rest.split_off(end + 4);
        let (status, headers) = head(&String::from_utf8_lossy(&self.rest));
        self.rest = body;

        assert!(
            !headers.contains_key(TRANSFER_ENCODING),
            "answers have a length: {headers:?}"
        );
        let length = headers.get(CONTENT_LENGTH).map_or(0, |length| {
            length
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .expect("a length")
        });
        while self.rest.len() < length {
            self.more().await?;
        }
        let rest = self.rest.split_off(length);
        let body = std::mem::replace(&mut self.rest, rest);
        Ok(Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.read_more().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.rest).await
    }
}

fn head(text: &str) -> (StatusCode, HeaderMap) {
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().expect("a header name"),
                value.parse::<HeaderValue>().expect("a header value"),
            )
        });
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value);
    }
    (status.unwrap_or_else(|| panic!("no status: {text}")), map)
}

/// Connections that ask the same at the same instant.
#[derive(Debug)]
pub(crate) struct Crowd(Vec<Wire>);

impl Crowd {
    pub(crate) async fn gather(world: &World, size: usize) -> Self {
        let mut wires = Vec::with_capacity(size);
        for _ in 0..size {
            wires.push(Wire::connect(world.origin()).await.expect("a connection"));
        }
        Self(wires)
    }

    /// Nobody's request is complete before everybody's is on its way: the last byte of each waits for all others.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Vec<Answer> {
        self.ask_each(|_| request).await
    }

    /// The same, each with a request of its own.
    pub(crate) async fn ask_each<'r>(&mut self, request: impl Fn(usize) -> &'r [u8]) -> Vec<Answer> {
        for (n, wire) in self.0.iter_mut().enumerate() {
            let (_, most) = request(n).split_last().expect("a request");
            wire.send(most).await.expect("a sent request");
        }
        for (n, wire) in self.0.iter_mut().enumerate() {
            let (last, _) = request(n).split_last().expect("a request");
            wire.send(&[*last]).await.expect("a sent request");
        }
        let answers = self.0.iter_mut().map(Wire::answer);
        let answers = join_all(answers).await;
        answers
            .into_iter()
            .map(|answer| answer.expect("an answer"))
            .collect()
    }
}

/// The bytes of a GET.
pub(crate) fn get(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", target, headers, b"")
}

/// The bytes of a POST of a form.
pub(crate) fn post<T: AsRef<str>>(target: &str, headers: &[(&str, &str)], params: &[(&str, T)]) -> Vec<u8> {
    let body = Serializer::new(String::new()).extend_pairs(params).finish();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    request("POST", target, &[headers, &form].concat(), body.as_bytes())
}

pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

impl Visitor<'_> {
    /// The bytes of a wrong password at the form of this page.
    pub(crate) fn guess(&self, page: &Answer, email: &str) -> Vec<u8> {
        let form = page
            .form()
            .with("username", email)
            .with("password", "a wrong one");
        self.posting(&form)
    }

    /// The bytes of this form, as its own page would send it.
    pub(crate) fn posting(&self, form: &Form) -> Vec<u8> {
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let headers = [("origin", self.origin()), ("cookie", &cookies.join("; "))];
        let target = form.action.strip_prefix(self.origin()).unwrap_or(&form.action);
        post(target, &headers, &fields)
    }
}

impl App {
    /// The bytes of [`App::redeem`].
    pub(crate) fn redemption(&self, code: &str) -> Vec<u8> {
        let params = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        self.form("/token", &params)
    }

    /// The bytes of [`App::refresh`].
    pub(crate) fn refreshing(&self, refresh_token: &str) -> Vec<u8> {
        let params = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.form("/token", &params)
    }

    /// The bytes of [`App::for_itself`], within all that it registered.
    pub(crate) fn acting(&self, resource: &str) -> Vec<u8> {
        let params = [("grant_type", "client_credentials"), ("resource", resource)];
        self.form("/token", &params)
    }

    /// The bytes of [`App::revoke`].
    pub(crate) fn returning(&self, token: &str) -> Vec<u8> {
        self.form("/revoke", &[("token", token)])
    }

    /// The bytes of [`App::introspect`].
    pub(crate) fn asking_about(&self, token: &str) -> Vec<u8> {
        self.form("/introspect", &[("token", token)])
    }

    fn form(&self, path: &str, params: &[(&str, &str)]) -> Vec<u8> {
        match &self.secret {
            Some(secret) => {
                let basic = STANDARD.encode(format!("{}:{}", self.id, secret.expose()));
                post(path, &[("authorization", &format!("Basic {basic}"))], params)
            }
            None => post(path, &[], &[params, &[("client_id", self.id.as_str())]].concat()),
        }
    }
}
