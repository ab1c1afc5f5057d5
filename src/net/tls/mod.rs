//! TLS by rustls. Nothing outside this folder knows it; `without_tls.rs` stands in for it where the
//! feature is off.

mod any_certificate;
mod client;
mod explain;
mod pem;
mod server;
mod stream;

use std::sync::{Arc, LazyLock};

use futures_rustls::rustls::crypto::{CryptoProvider, ring};

pub use self::{client::ClientTls, server::ServerTls};

/// The cryptography of all configurations made here. The process has a default of its own, which
/// others may set, or two of which may be in the way of each other.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// The one protocol that both sides offer in TLS (ALPN): the handshake is HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";
