//! A small mail server on a loopback port: RFC 5321 as far as a relay's client needs it, with STARTTLS and TLS.

#![allow(dead_code)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// A mail as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Head and body.
    pub(crate) data: String,
    pub(crate) encrypted: bool,
    /// What AUTH PLAIN said.
    pub(crate) login: Option<String>,
}

/// What the server does about a recipient.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    Take,
    Answer(&'static str),
    HangUp,
}

#[derive(Debug)]
pub(crate) struct MailServer {
    port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    received: Mutex<Vec<Received>>,
    does: Mutex<Does>,
    asked: Mutex<usize>,
    starttls: Option<Arc<ServerConfig>>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MailServer {
    /// Without encryption.
    pub(crate) async fn open() -> Self {
        Self::start(None, None).await
    }

    pub(crate) async fn with_starttls(tls: Arc<ServerConfig>) -> Self {
        Self::start(Some(tls), None).await
    }

    /// Encrypted from the first byte on.
    pub(crate) async fn with_tls(tls: Arc<ServerConfig>) -> Self {
        Self::start(None, Some(tls)).await
    }

    async fn start(starttls: Option<Arc<ServerConfig>>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State {
            received: Mutex::default(),
            does: Mutex::new(Does::Take),
            asked: Mutex::default(),
            starttls,
        });
        let own = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tls.clone(), own.clone()));
            }
        });
        Self { port, state, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// From now on.
    pub(crate) fn does(&self, does: Does) {
        *self.state.does.lock().expect("unpoisoned") = does;
        *self.state.asked.lock().expect("unpoisoned") = 0;
    }

    /// How many mails came.
    pub(crate) fn count(&self) -> usize {
        self.state.received.lock().expect("unpoisoned").len()
    }

    /// Waits until so many mails have come; those.
    pub(crate) async fn received(&self, count: usize) -> Vec<Received> {
        for _ in 0..300 {
            if self.count() >= count {
                return self.state.received.lock().expect("unpoisoned").clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} mails and not {count}", self.count());
    }

    /// Waits until a mail was offered since it was said what to do about it.
    pub(crate) async fn asked(&self) {
        for _ in 0..300 {
            if *self.state.asked.lock().expect("unpoisoned") > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no mail was offered");
    }
}

impl Received {
    /// A header line, unfolded.
    pub(crate) fn head(&self, name: &str) -> Option<String> {
        let head = self
            .data
            .split("\n\n")
            .next()
            .unwrap_or_default()
            .replace("\n ", " ");
        let prefix = format!("{name}: ");
        head.lines()
            .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
    }

    /// Everything after the head, with what quoted-printable did to it undone.
    pub(crate) fn text(&self) -> String {
        let body = self.data.replace("=\n", "");
        let (mut out, mut rest) = (Vec::new(), body.as_bytes());
        while let Some((first, after)) = rest.split_first() {
            let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
            let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
            match (first, code) {
                (b'=', Some(byte)) => {
                    out.push(byte);
                    rest = &after[2..];
                }
                _ => {
                    out.push(*first);
                    rest = after;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The first link in it.
    pub(crate) fn link(&self) -> String {
        let text = self.text();
        let at = text.find("http").expect("a link");
        text[at..].split_whitespace().next().expect("a link").to_owned()
    }
}

async fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, state: Arc<State>) {
    match tls {
        Some(tls) => {
            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                talk(stream, true, true, &state).await;
            }
        }
        None => {
            let starttls = state.starttls.clone();
            if let (Some(stream), Some(tls)) = (talk(stream, true, false, &state).await, starttls)
                && let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await
            {
                talk(stream, false, true, &state).await;
            }
        }
    }
}

/// Until the other side goes; answers with the stream when it wants to go on encrypted.
async fn talk<S>(stream: S, greets: bool, encrypted: bool, state: &State) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    let (mut from, mut to, mut login) = (String::new(), String::new(), None);
    if greets {
        say(&mut stream, "220 test").await?;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        let command = line.to_ascii_uppercase();
        if command.starts_with("EHLO") {
            let starttls = state.starttls.is_some() && !encrypted;
            let offer = if starttls { "250-STARTTLS\r\n" } else { "" };
            say(
                &mut stream,
                &format!("250-test\r\n{offer}250-AUTH PLAIN\r\n250-8BITMIME\r\n250 SMTPUTF8"),
            )
            .await?;
        } else if command == "STARTTLS" {
            say(&mut stream, "220 go on").await?;
            return Some(stream.into_inner());
        } else if let Some(plain) = line.strip_prefix("AUTH PLAIN ") {
            login = Some(base64(plain));
            say(&mut stream, "235 welcome").await?;
        } else if command.starts_with("MAIL FROM:") {
            from = within(line);
            say(&mut stream, "250 ok").await?;
        } else if command.starts_with("RCPT TO:") {
            to = within(line);
            let does = *state.does.lock().expect("unpoisoned");
            *state.asked.lock().expect("unpoisoned") += 1;
            match does {
                Does::Take => say(&mut stream, "250 ok").await?,
                Does::Answer(answer) => say(&mut stream, answer).await?,
                Does::HangUp => return None,
            }
        } else if command == "DATA" {
            say(&mut stream, "354 go on").await?;
            let data = data(&mut stream).await?;
            state.received.lock().expect("unpoisoned").push(Received {
                from: from.clone(),
                to: to.clone(),
                data,
                encrypted,
                login: login.clone(),
            });
            say(&mut stream, "250 taken").await?;
        } else if command == "QUIT" {
            say(&mut stream, "221 bye").await?;
            return None;
        } else {
            say(&mut stream, "250 ok").await?;
        }
    }
}

async fn data<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end_matches(['\r', '\n']) {
            "." => return Some(data),
            text => {
                data.push_str(text.strip_prefix('.').unwrap_or(text));
                data.push('\n');
            }
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, line: &str) -> Option<()> {
    let line = format!("{line}\r\n");
    stream.get_mut().write_all(line.as_bytes()).await.ok()?;
    stream.get_mut().flush().await.ok()
}

fn within(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(inner, _)| inner.to_owned()).unwrap_or_default()
}

/// Standard base64, as AUTH PLAIN has it.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let digit = ALPHABET.iter().position(|own| *own == byte).unwrap_or_default();
        bits = (bits << 6) | u32::try_from(digit).expect("below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).expect("a byte"));
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
