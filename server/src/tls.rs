//! HTTPS: the certificate, and a listener that makes the handshakes.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error as TlsError, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A client that does not end its handshake in time is disconnected.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How many handshakes are made at the same time. Further clients wait.
const MAX_HANDSHAKES: usize = 256;

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error(
        "{file} can't be read as PEM ({error}): give the certificate and its chain to --tls-cert, and the private key to --tls-key"
    )]
    File { file: String, error: PemError },
    #[error("{0} contains no certificate: give the certificate and its chain to --tls-cert")]
    NoCertificate(String),
    #[error("the certificate and the key can't be used ({0}): check that --tls-key is the key of --tls-cert")]
    Unusable(#[from] TlsError),
}

/// Reads a certificate with its chain, and its key.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, CertificateError> {
    let unreadable = |file: &Path, error| CertificateError::File {
        file: file.display().to_string(),
        error,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(certificate, error))?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate(certificate.display().to_string()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Listens for connections, and returns each after its handshake. One that is slow delays none of the others.
#[derive(Debug)]
pub(crate) struct TlsListener {
    address: SocketAddr,
    connected: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    pub(crate) fn start(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, connected) = mpsc::channel(1);
        tokio::spawn(accept_all(listener, acceptor, sender));
        Ok(Self { address, connected })
    }
}

async fn accept_all(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    connected: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let (stream, client) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = connected.closed() => return,
        };
        let (acceptor, connected) = (acceptor.clone(), connected.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    // Without a receiver the server ends.
                    let _ = connected.send((stream, client)).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(event = "handshake_failed", %error, "a client made no TLS connection");
                }
                Err(_) => tracing::debug!(
                    event = "handshake_timed_out",
                    "a client made no TLS connection in time"
                ),
            }
            drop(place);
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connected.recv().await {
            Some(connected) => connected,
            // The task that sends them ends with this listener alone.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;

    /// A certificate of localhost for these tests only, which signed itself, and its key.
    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
    }

    #[tokio::test]
    async fn a_client_that_makes_no_handshake_holds_up_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = acceptor(&file("cert.pem"), &file("key.pem")).unwrap();
        let listener = TlsListener::start(listener, acceptor).unwrap();
        let router = Router::new().route("/", get(async || "served"));
        tokio::spawn(axum::serve(listener, router).into_future());

        let silent = TcpStream::connect(address).await.unwrap();
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(file("cert.pem")).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("served"),
            "{answer}"
        );

        let mut answer = Vec::new();
        // The server may close the connection with or without an alert, but it never answers in plain text.
        let _ = plain.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        drop(silent);
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        let missing = folder.path().join("missing.pem");
        let refusal = |certificate: &Path, key: &Path| match acceptor(certificate, key) {
            Ok(_) => panic!("{} and {} are accepted", certificate.display(), key.display()),
            Err(error) => error.to_string(),
        };
        assert!(refusal(&missing, &file("key.pem")).contains("missing.pem can't be read"));
        assert!(refusal(&empty, &file("key.pem")).contains("empty.pem contains no certificate"));
        assert!(refusal(&file("cert.pem"), &empty).contains("empty.pem can't be read"));
        assert!(refusal(&file("cert.pem"), &file("cert.pem")).contains("--tls-key"));
    }
}
