//! HTTPS: the certificate and its key.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error as TlsError, ServerConfig};

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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A certificate of localhost for these tests only, which signed itself, and its key.
    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
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
