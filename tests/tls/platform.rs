//! The platform's roots. Linux lets a variable of the environment name them, which is why each of these
//! tests runs in a process of its own.

#![cfg(target_os = "linux")]

use std::{env, fs, path::Path, process::Command};

use wsweave::{Client, ClientTls, ErrorKind, Server};

use crate::{
    certificates::{Authority, LOOPBACK},
    peers::{assert_meet, client, refused, serve, trusting},
    rt::within,
};

/// Runs the test `name` again, with the roots in a file.
fn with_roots(roots: &Path, name: &str) {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", name]).env_remove("SSL_CERT_DIR");
    child.env("SSL_CERT_FILE", roots).env("WSWEAVE_TEST_CHILD", "");
    let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
    assert!(output.contains("1 passed"), "{output}");
}

fn is_child() -> bool {
    env::var_os("WSWEAVE_TEST_CHILD").is_some()
}

#[test]
fn without_any_root_a_file_is_enough() {
    if !is_child() {
        return with_roots(Path::new("/none"), "platform::without_any_root_a_file_is_enough");
    }
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let error = refused(&client(addr, ClientTls::new()), &mut server).await;
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert!(error.to_string().contains("no root certificate"), "{error}");
        assert!(error.to_string().contains("ClientTls::ca_file"), "{error}");

        assert_meet(&client(addr, trusting(&authority)), &mut server).await;
        assert_meet(&client(addr, ClientTls::new().danger_accept_invalid_certs()), &mut server)
            .await;
    });
}

#[test]
fn without_any_root_plain_connections_are_possible() {
    if !is_child() {
        let name = "platform::without_any_root_plain_connections_are_possible";
        return with_roots(Path::new("/none"), name);
    }
    within(async {
        let mut server = Server::new().bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", server.handle().local_addrs()[0]);
        assert_meet(&Client::new(&url).unwrap(), &mut server).await;
    });
}

#[test]
fn the_platforms_roots_are_trusted_and_read_once() {
    let authority = Authority::new();
    if !is_child() {
        let identity = authority.issue(&LOOPBACK);
        let both =
            [&identity.certificate, &identity.key].map(|file| fs::read_to_string(file).unwrap());
        authority.file("identity.pem", &both.concat());
        let name = "platform::the_platforms_roots_are_trusted_and_read_once";
        return with_roots(&authority.root(), name);
    }
    within(async {
        let roots = env::var_os("SSL_CERT_FILE").unwrap();
        let identity = Path::new(&roots).with_file_name("identity.pem");
        let tls = wsweave::ServerTls::from_pem_files(&identity, &identity).unwrap();
        let (mut server, addr) = serve(tls).await;
        assert_meet(&client(addr, ClientTls::new()), &mut server).await;
        fs::remove_file(roots).unwrap();
        assert_meet(&client(addr, ClientTls::new()), &mut server).await;
        assert_meet(&client(addr, ClientTls::default().clone()), &mut server).await;
    });
}
