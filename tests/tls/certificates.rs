//! Certificates of an authority of the test's own, in files of its own.

use std::{
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use wsweave::ServerTls;

/// An authority; its files are gone when it is.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// The files of a certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named(&format!("authority {}", number()))
    }

    /// One whose name another one may have, too.
    pub(crate) fn named(name: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "authority-{}-{}",
            process::id(),
            number()
        ));
        fs::create_dir_all(&directory).unwrap();

        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let authority = Self { issuer, directory };
        authority.file("ca.pem", &authority.issuer.pem());
        authority
    }

    /// The file with its own certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Writes a file beside the others.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A certificate for these names.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let count = fs::read_dir(&self.directory).unwrap().count();
        Identity {
            certificate: self.file(&format!("{count}.pem"), &certificate.pem()),
            key: self.file(&format!("{count}.key"), &key.serialize_pem()),
        }
    }
}

fn number() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Identity {
    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::from_pem_files(&self.certificate, &self.key).unwrap()
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(&self.certificate).unwrap().map(Result::unwrap).collect()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(&self.key).unwrap()
    }
}

/// The names that a loopback server is reached by.
pub(crate) const LOOPBACK: [&str; 2] = ["localhost", "127.0.0.1"];
