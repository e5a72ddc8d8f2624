//! `countersign serve`: from settings to a listening server, and its orderly end.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use accounts::passwords::HasherSettings;
use egress::Egress;
use futures_util::FutureExt as _;
use mail::{Mailbox, Way};
use protocol::Clock;
use serde_json::json;
use tokio::net::TcpListener;

use crate::background::Background;
use crate::dev;
use crate::exposed;
use crate::listener::{self, Limits, Socket};
use crate::middleware::{Certificates, Shell};
use crate::settings::{Mode, Mtls, Name, Settings};
use crate::tls::{Clients, Tls};
use crate::wiring::Parts;

/// In which form standard output is told that it serves, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The log says it, and `--dev` prints where to click.
    ToPeople,
    /// One object.
    AsJson,
}

/// Serves until the process is told to stop.
///
/// # Errors
/// One line for the operator, when it cannot start.
pub async fn run(settings: Settings, mode: Mode, told: Told) -> Result<(), String> {
    let issuer = settings
        .require_issuer()
        .map_err(|mistake| mistake.to_string())?
        .clone();
    let breached = settings.breached().map_err(|mistake| mistake.to_string())?;
    let database = settings.database.expose().parse()?;
    let ports = match mode {
        Mode::Dev => Some(dev::Ports::take(settings.listen).await?),
        Mode::Serve | Mode::Command => None,
    };
    let mut parts = Parts::open(
        issuer,
        &database,
        settings.keys.clone(),
        Egress::new(settings.egress.clone())?,
        HasherSettings::default(),
        Clock::System,
    )
    .await?
    .admitting(settings.response_types);
    exposed::warn(&settings, &database);
    if let Some(breached) = breached {
        tracing::info!(
            passwords = breached.len(),
            "the list of breached passwords is whole"
        );
        parts.hasher = parts.hasher.refusing(breached);
    }
    parts.registration = settings.registration;
    parts.pushed_requests = settings.pushed_requests;
    parts.mtls.clone_from(&settings.mtls);
    parts.mail = mail(&settings, mode)?;
    parts.sign_up = settings.sign_up;
    parts.operator = settings.operator.clone().into();
    let limits = Limits::new(&settings);
    let told_by = settings.mtls.as_ref().map_or(Certificates::Ours, Mtls::told_by);
    let shell = Shell::new(&parts.issuer, settings.trusted_proxies.clone(), limits.clone())
        .told_of_certificates_by(told_by);

    let load = |clients| {
        settings
            .tls
            .as_ref()
            .map(|files| Tls::of(files, clients))
            .transpose()
    };
    let (tls, asking) = (load(Clients::NotAsked)?, load(Clients::Asked)?);
    let (own, ports) = match ports {
        Some(ports) => (ports.own, Some(ports.demo)),
        None => (bind(settings.listen, Name::Listen).await?, None),
    };
    let socket = Socket::new(own, tls.clone());
    let second = match settings
        .mtls
        .as_ref()
        .and_then(|mtls| Some((mtls.url.clone(), mtls.listen?)))
    {
        Some((url, listen)) => {
            let socket = Socket::new(bind(listen, Name::MtlsListen).await?, asking.clone());
            Some((socket, parts.mtls_router(&url, shell.clone())))
        }
        None => None,
    };
    let mut stop = Stop::listen()?;
    let background = Background::start(&parts);
    let demo = match ports {
        Some(ports) => Some(dev::start(ports, &parts, &settings, limits.clone()).await?),
        None => None,
    };
    match (told, &demo) {
        (Told::ToPeople, None) => {}
        (Told::ToPeople, Some(demo)) => demo
            .announce(&parts, &settings)
            .map_err(|error| error.to_string())?,
        (Told::AsJson, demo) => {
            let demo = demo.as_ref().map(|demo| demo.members(&parts)).unwrap_or_default();
            let mut members = json!({ "issuer": parts.issuer.as_str(), "listen": settings.listen });
            if let Some(members) = members.as_object_mut() {
                members.extend(demo);
            }
            let mut out = io::stdout().lock();
            writeln!(out, "{members}")
                .and_then(|()| out.flush())
                .map_err(|error| error.to_string())?;
        }
    }
    tracing::info!(issuer = %parts.issuer.as_str(), listen = %settings.listen, "serving");

    let stopped = stop.wait().shared();
    let first = listener::serve(socket, parts.router(shell), limits.clone(), stopped.clone());
    let second = async {
        if let Some((socket, router)) = second {
            listener::serve(socket, router, limits, stopped.clone()).await;
        }
    };
    // Streams would outlast the time that requests are given to finish.
    let streams = async {
        stopped.clone().await;
        parts.tail.close();
    };
    tokio::select! {
        ((), (), ()) = async { tokio::join!(first, second, streams) } => {}
        () = renew(tls) => {}
        () = renew(asking) => {}
    }
    drop((background, demo));
    parts.restores.keep_mark();
    parts.db.leave().await;
    tracing::info!("stopped");
    Ok(())
}

/// Nothing is sent by `--dev` unless it is told where to: a mailbox in memory shows what would have been.
fn mail(settings: &Settings, mode: Mode) -> Result<Option<Way>, String> {
    match (&settings.mail, mode) {
        (Some(mail), _) => Ok(Some(Way::Smtp(mail.smtp(&settings.egress.extra_roots)?))),
        (None, Mode::Dev) => Ok(Some(Way::Mailbox(Mailbox::default()))),
        (None, Mode::Serve | Mode::Command) => Ok(None),
    }
}

/// Never returns.
async fn renew(tls: Option<Tls>) {
    match tls {
        Some(tls) => tls.follow().await,
        None => std::future::pending().await,
    }
}

async fn bind(address: SocketAddr, name: Name) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; stop what listens there, or set another port",
            io::ErrorKind::PermissionDenied => "; ports below 1024 are for root: set another one",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        format!("{}: cannot listen on {address}: {error}{advice}", name.variable())
    })
}

/// The orders to stop that an operating system gives.
struct Stop {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self, String> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let terminate =
                signal(SignalKind::terminate()).map_err(|error| format!("no signal handler: {error}"))?;
            Ok(Self { terminate })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    async fn wait(&mut self) {
        let interrupt = tokio::signal::ctrl_c();
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = interrupt.await;
        tracing::info!("stopping");
    }
}
