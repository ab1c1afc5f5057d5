//! What programs send through a stream of bytes: the chatter of a terminal, a session of TLS.

use std::{io, time::Duration};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::rt::{sleep, yield_now};

/// How much it was, and a sum that tells bytes and their order (FNV-1a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum(pub(crate) usize, u64);

impl Sum {
    const NOTHING: Self = Self(0, 0xcbf2_9ce4_8422_2325);

    fn add(self, bytes: &[u8]) -> Self {
        let hash = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(self.0 + bytes.len(), bytes.iter().fold(self.1, hash))
    }
}

/// Types, pastes and lists: mostly a few bytes, now and then many, flushed or not, with pauses.
pub(crate) async fn talk(mut to: impl AsyncWrite + Unpin, seed: u64) -> io::Result<Sum> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut sum = Sum::NOTHING;
    for _ in 0..1_500 {
        let most = match rng.random_range(0..100) {
            0 => 100_000,
            1..10 => 2_000,
            _ => 64,
        };
        let mut bytes = vec![0; rng.random_range(1..=most)];
        rng.fill(&mut bytes[..]);
        to.write_all(&bytes).await?;
        sum = sum.add(&bytes);
        if rng.random_ratio(2, 3) {
            to.flush().await?;
        }
        match rng.random_range(0..100) {
            0 => sleep(Duration::from_millis(1)).await,
            1..20 => yield_now().await,
            _ => {}
        }
    }
    to.flush().await?;
    Ok(sum)
}

/// Reads to the end, in pieces of any size.
pub(crate) async fn listen(mut from: impl AsyncRead + Unpin, seed: u64) -> io::Result<Sum> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut sum = Sum::NOTHING;
    loop {
        let mut buffer = vec![0; rng.random_range(1..20_000)];
        match from.read(&mut buffer).await? {
            0 => return Ok(sum),
            len => sum = sum.add(&buffer[..len]),
        }
        if rng.random_ratio(1, 10) {
            yield_now().await;
        }
    }
}

#[cfg(feature = "tls")]
pub(crate) mod tls {
    use std::sync::Arc;

    use futures_rustls::{TlsAcceptor, TlsConnector, pki_types::PrivateKeyDer};
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use wsweave::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};

    /// A client that trusts nobody but the server, which is called `inside`.
    pub(crate) fn both_ends() -> (TlsConnector, TlsAcceptor) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["inside".to_owned()]).unwrap();
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        (Arc::new(client).into(), Arc::new(server).into())
    }
}
