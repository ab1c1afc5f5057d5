//! Servers and clients, ours and ones of rustls that do as they like.

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc};

use futures::{
    SinkExt, StreamExt,
    future::{Either, select},
};
use futures_rustls::{TlsAcceptor, TlsConnector, client, server};
use smol::net::{TcpListener, TcpStream};
use wsweave::{
    Client, ClientTls, Connection, Error, Server, ServerTls,
    rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring},
};

use crate::certificates::{Authority, Identity};

pub(crate) async fn serve(tls: ServerTls) -> (Server, SocketAddr) {
    let server = Server::new().tls(tls).bind("127.0.0.1:0").await.unwrap();
    let addr = server.handle().local_addrs()[0];
    (server, addr)
}

/// A client of `wss://localhost`.
pub(crate) fn client(addr: SocketAddr, tls: ClientTls) -> Client {
    Client::new(&format!("wss://localhost:{}/", addr.port())).unwrap().tls(tls)
}

/// One that trusts this authority.
pub(crate) fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::new().ca_file(authority.root()).unwrap()
}

/// What comes of an attempt to connect to a server that should accept nobody.
pub(crate) async fn refused(client: &Client, server: &mut Server) -> Error {
    while_serving(client.connect(), server).await.unwrap_err()
}

/// Runs `work` beside a server that should accept nobody.
pub(crate) async fn while_serving<T>(work: impl Future<Output = T>, server: &mut Server) -> T {
    match select(pin!(work), server.next()).await {
        Either::Left((output, _)) => output,
        Either::Right((conn, _)) => panic!("accepted {conn:?}"),
    }
}

/// Both ends of a connection.
pub(crate) async fn meet(client: &Client, server: &mut Server) -> (Connection, Connection) {
    let (client, server) = futures::join!(client.connect(), server.next());
    (client.unwrap(), server.unwrap())
}

pub(crate) async fn assert_meet(client: &Client, server: &mut Server) {
    let (mut client, mut server) = meet(client, server).await;
    client.send("hello".into()).await.unwrap();
    assert_eq!(server.next().await, Some("hello".into()));
}

/// A listener that is no WebSocket server, and its address.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Accepts TLS, and no more.
pub(crate) async fn accept_tls(
    listener: &TcpListener,
    identity: &Identity,
) -> server::TlsStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    TlsAcceptor::from(Arc::new(server_config(identity))).accept(stream).await.unwrap()
}

/// Connects with TLS, and no more.
pub(crate) async fn connect_tls(
    addr: SocketAddr,
    authority: &Authority,
) -> client::TlsStream<TcpStream> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client_config(authority)));
    connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

pub(crate) fn server_config(identity: &Identity) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain(), identity.private_key())
        .unwrap()
}

pub(crate) fn client_config(authority: &Authority) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(authority))
        .with_no_client_auth()
}

pub(crate) fn roots(authority: &Authority) -> RootCertStore {
    use futures_rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.root()).unwrap()).unwrap();
    roots
}
