//! HTTPS by ourselves: TLS 1.3, and 1.2 with AEAD suites, which are all that rustls has.
//!
//! Decides which certificate is shown. The files are looked at again and again, because the programs that renew
//! certificates replace them in place: two files, one after the other, so what does not fit together yet leaves
//! the old certificate in use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use crate::settings::TlsFiles;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);

/// Whether clients are asked for a certificate of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    NotAsked,
    /// Asked, and let in without one: RFC 8705 §2.
    Asked,
}

/// Takes any certificate whose key the client has. Whose it is, and whether an authority vouches for it, depends on the
/// client that a request names, so each request decides it: `clients::Authenticator`.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client with a certificate of its own would find no authority that it knows, and send nothing.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate of this server, behind any number of clones.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cert: PathBuf,
    key: PathBuf,
    clients: Clients,
    current: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    files: Files,
    config: Arc<ServerConfig>,
}

/// What the files held: compared as a whole, because a time of change says nothing on some systems.
#[derive(PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// # Errors
    /// One line that says which file is wrong, and how.
    pub fn load(cert: &Path, key: &Path, clients: Clients) -> Result<Self, String> {
        let files = Files::read(cert, key)?;
        let config = files.config(cert, key, clients)?;
        Ok(Self(Arc::new(Inner {
            cert: cert.to_owned(),
            key: key.to_owned(),
            clients,
            current: ArcSwap::from_pointee(Loaded { files, config }),
        })))
    }

    /// # Errors
    /// As [`Self::load`].
    pub fn of(files: &TlsFiles, clients: Clients) -> Result<Self, String> {
        Self::load(&files.cert, &files.key, clients)
            .map_err(|fault| format!("COUNTERSIGN_TLS_CERT, COUNTERSIGN_TLS_KEY: {fault}"))
    }

    /// For the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.current.load().config.clone()
    }

    /// Takes over what the files hold now; says whether that is something else.
    ///
    /// # Errors
    /// One line. What was in use stays.
    pub fn reload(&self) -> Result<bool, String> {
        let Inner {
            cert,
            key,
            clients,
            current,
        } = &*self.0;
        let files = Files::read(cert, key)?;
        if files == current.load().files {
            return Ok(false);
        }
        let config = files.config(cert, key, *clients)?;
        current.store(Arc::new(Loaded { files, config }));
        Ok(true)
    }

    /// Follows the files; never returns.
    pub async fn follow(self) {
        let mut told = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let own = self.clone();
            let outcome = tokio::task::spawn_blocking(move || own.reload()).await;
            let fault = match outcome {
                Ok(Ok(false)) => None,
                Ok(Ok(true)) => {
                    tracing::info!("the new TLS certificate is in use");
                    None
                }
                Ok(Err(fault)) => Some(fault),
                Err(cause) => Some(cause.to_string()),
            };
            // Once for each fault, however long it lasts.
            if let Some(fault) = fault.as_ref().filter(|fault| told.as_ref() != Some(*fault)) {
                tracing::warn!(%fault, "the TLS certificate was not renewed; the old one stays in use");
            }
            told = fault;
        }
    }
}

impl Files {
    fn read(cert: &Path, key: &Path) -> Result<Self, String> {
        let read = |path: &Path| std::fs::read(path).map_err(|cause: io::Error| at(path, cause));
        Ok(Self {
            cert: read(cert)?,
            key: read(key)?,
        })
    }

    fn config(&self, cert: &Path, key: &Path, clients: Clients) -> Result<Arc<ServerConfig>, String> {
        let chain = chain(&self.cert).map_err(|fault| at(cert, fault))?;
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|cause| {
            at(
                key,
                match cause {
                    pem::Error::NoItemsFound => "holds no private key in PEM".to_owned(),
                    other => other.to_string(),
                },
            )
        })?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|cause| cause.to_string())?;
        let builder = match clients {
            Clients::NotAsked => builder.with_no_client_auth(),
            Clients::Asked => builder.with_client_cert_verifier(Arc::new(AnyCertificate(provider()))),
        };
        let mut config = builder.with_single_cert(chain, private).map_err(|cause| {
            let fault = match cause {
                rustls::Error::InconsistentKeys(_) => "is not the key of the certificate".to_owned(),
                other => other.to_string(),
            };
            at(key, fault)
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

fn chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("holds no certificate in PEM".to_owned()),
        Ok(chain) => Ok(chain),
        Err(cause) => Err(cause.to_string()),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn at(path: &Path, fault: impl std::fmt::Display) -> String {
    format!("{}: {fault}", path.display())
}

#[cfg(test)]
mod tests;
