//! Servers that fail at TLS, and servers and clients of which one speaks it and the other does not.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use futures_rustls::pki_types::{CertificateDer, pem::PemObject};
use rcgen::date_time_ymd;
use wsweave::{
    Client, ClientTls, ErrorKind,
    rustls::{
        RootCertStore, ServerConfig, ServerConnection, StreamOwned, crypto::ring,
        server::WebPkiClientVerifier,
    },
};

use crate::{
    Holdings,
    certificates::{Authority, Identity, LOOPBACK},
    check,
    http::at,
    support::{serve_one, wait_for_end},
};

/// What a server does, the error that comes of it, and words of that.
type Case = (&'static str, Play, ErrorKind, &'static str);

/// Plays a server that may speak TLS.
type Play = fn(TcpStream, Arc<ServerConfig>);

const AT_THE_HANDSHAKE: &[Case] = &[
    ("no TLS", plain, ErrorKind::Tls, "does not speak TLS at this port; is it ws://?"),
    ("silence", silent, ErrorKind::Timeout, "longer than 300ms, waiting for the TLS handshake"),
    ("half a record", half, ErrorKind::Timeout, "longer than 300ms, waiting for the TLS handshake"),
    ("an end", end, ErrorKind::Io, "if it does not speak TLS, use ws://"),
    ("silence after TLS", encrypted, ErrorKind::Timeout, "waiting for the server's answer"),
];

const UNMET: Case =
    ("TLS", encrypted, ErrorKind::Handshake, "speaks TLS at this port; is it wss://?");

pub(crate) fn meet_all(before: &Holdings) {
    let authority = Authority::new();
    let tls = ClientTls::new().ca_file(authority.root()).unwrap();
    let client = |addr| Client::new(&format!("wss://{addr}/")).unwrap().tls(tls.clone());
    let proper = config(&authority.issue(&LOOPBACK));
    meet(UNMET, &proper, at);
    before.assert_left(UNMET.0);
    for case in AT_THE_HANDSHAKE {
        meet(*case, &proper, client);
        before.assert_left(case.0);
    }
    let expired = authority.issue_with(&LOOPBACK, |params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    for (name, config, text) in [
        ("an expired certificate", config(&expired), "has expired"),
        ("another name", config(&authority.issue(&["a.example"])), "is for another name"),
        ("a stranger", config(&Authority::new().issue(&LOOPBACK)), "ClientTls::ca_file"),
        ("mutual TLS", wary_config(&authority), "ClientTls::client_certificate"),
    ] {
        meet((name, encrypted, ErrorKind::Tls, text), &config, client);
        before.assert_left(name);
    }
}

/// Connects with the client that is made for the server's address.
fn meet(
    (name, play, kind, text): Case,
    config: &Arc<ServerConfig>,
    client: impl FnOnce(SocketAddr) -> Client,
) {
    let config = Arc::clone(config);
    let (addr, server) = serve_one(move |stream: TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        play(stream, config);
    });
    check(name, client(addr), kind, text);
    server.join().unwrap();
}

fn plain(mut stream: TcpStream, _: Arc<ServerConfig>) {
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    wait_for_end(&mut stream);
}

fn silent(mut stream: TcpStream, _: Arc<ServerConfig>) {
    wait_for_end(&mut stream);
}

fn half(mut stream: TcpStream, _: Arc<ServerConfig>) {
    stream.write_all(b"\x16\x03\x03\x10\x00\x02").unwrap();
    wait_for_end(&mut stream);
}

fn end(mut stream: TcpStream, _: Arc<ServerConfig>) {
    assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
}

/// Does the handshake as well as it can, and says nothing more.
fn encrypted(stream: TcpStream, config: Arc<ServerConfig>) {
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    while matches!(tls.read(&mut [0; 1024]), Ok(1..)) {}
}

fn config(identity: &Identity) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain(), identity.private_key());
    Arc::new(config.unwrap())
}

/// Of a server that wants a certificate of its clients.
fn wary_config(authority: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.root()).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let identity = authority.issue(&LOOPBACK);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(identity.chain(), identity.private_key());
    Arc::new(config.unwrap())
}
