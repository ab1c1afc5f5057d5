//! Certificates and keys from PEM files.

use std::path::Path;

use futures_rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    rustls::{self, InconsistentKeys, RootCertStore, sign::CertifiedKey},
};

use super::provider;
use crate::error::{Error, ErrorKind};

/// The roots in a file.
pub(super) fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let roots = certificates(path)?;
    let mut store = RootCertStore::empty();
    for root in &roots {
        store.add(root.clone()).map_err(|error| {
            invalid(format!("a certificate in {} cannot be a root", path.display()), error)
        })?;
    }
    Ok(roots)
}

/// A certificate, those between it and a root, and its key.
pub(super) fn identity(certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let chain = certificates(certificate)?;
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let path = key.display();
            Error::invalid_input(format!(
                "{path} has no private key in PEM that is not encrypted: it would begin with \
                 -----BEGIN PRIVATE KEY-----"
            ))
        }
        error => unreadable(key, error),
    })?;
    CertifiedKey::from_der(chain, private_key, &provider()).map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Error::invalid_input(
                format!("{key} is not the key of the first certificate in {certificate}"),
            ),
            error => invalid(format!("{certificate} and {key} cannot be used for TLS"), error),
        }
    })
}

/// The certificates in a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, error))?;
    if certificates.is_empty() {
        return Err(Error::invalid_input(format!(
            "{} has no certificate in PEM: it would begin with -----BEGIN CERTIFICATE-----",
            path.display()
        )));
    }
    Ok(certificates)
}

fn unreadable(path: &Path, error: pem::Error) -> Error {
    let path = path.display();
    match error {
        pem::Error::Io(error) => invalid(format!("cannot read {path}"), error),
        error => invalid(format!("{path} is not valid PEM"), error),
    }
}

fn invalid(message: String, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_source(ErrorKind::InvalidInput, message, error)
}
