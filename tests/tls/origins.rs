//! The same host, at a server that does TLS itself.

use wsweave::ErrorKind;

use crate::{
    certificates::{Authority, LOOPBACK},
    peers::{assert_meet, client, refused, serve, trusting},
    rt::within,
};

#[test]
fn a_server_with_tls_accepts_its_own_pages_by_https_only() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let page = |origin: String| client(addr, trusting(&authority)).origin(&origin).unwrap();

        assert_meet(&page(format!("https://localhost:{}", addr.port())), &mut server).await;
        let foreign = page(format!("http://localhost:{}", addr.port()));
        let error = refused(&foreign, &mut server).await;
        assert_eq!(
            (error.kind(), error.response().unwrap().status().as_u16()),
            (ErrorKind::Refused, 403)
        );
    });
}
