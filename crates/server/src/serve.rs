//! `countersign serve`: from settings to a listening server, and its orderly end.

use std::net::SocketAddr;

use accounts::passwords::HasherSettings;
use egress::Egress;
use futures_util::FutureExt as _;
use mail::{Mailbox, Way};
use protocol::Clock;
use tokio::net::TcpListener;

use crate::background::Background;
use crate::dev;
use crate::listener::{self, Limits, Socket};
use crate::middleware::{Certificates, Shell};
use crate::settings::{Mode, Mtls, Settings};
use crate::tls::{Clients, Tls};
use crate::wiring::Parts;

/// Serves until the process is told to stop.
///
/// # Errors
/// One line for the operator, when it cannot start.
pub async fn run(settings: Settings, mode: Mode) -> Result<(), String> {
    let issuer = settings
        .require_issuer()
        .map_err(|mistake| mistake.to_string())?
        .clone();
    let breached = settings.breached().map_err(|mistake| mistake.to_string())?;
    let database = settings.database.expose().parse()?;
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
    let socket = Socket::new(bind(settings.listen).await?, tls.clone());
    let second = match settings
        .mtls
        .as_ref()
        .and_then(|mtls| Some((mtls.url.clone(), mtls.listen?)))
    {
        Some((url, listen)) => {
            let socket = Socket::new(bind(listen).await?, asking.clone());
            Some((socket, parts.mtls_router(&url, shell.clone())))
        }
        None => None,
    };
    let mut stop = Stop::listen()?;
    let background = Background::start(&parts);
    let demo = match mode {
        Mode::Dev => Some(dev::start(&parts, &settings, limits.clone()).await?),
        Mode::Serve | Mode::Command => None,
    };
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
    parts.db.close().await;
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

pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))
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
