//! What is wrong with a file is said when it is named.

use wsweave::{ClientTls, Error, ErrorKind, ServerTls};

use crate::certificates::{Authority, LOOPBACK};

/// The error's text, without the folder.
fn text(error: &Error, authority: &Authority) -> String {
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let folder = format!("{}/", authority.root().parent().unwrap().display());
    error.to_string().replace(&folder, "")
}

#[test]
fn a_root_has_to_be_a_certificate() {
    let authority = Authority::new();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, content, expected) in [
        ("empty", "", "empty has no certificate in PEM: "),
        ("cut", "-----BEGIN CERTIFICATE-----\nAAAA\n", "cut is not valid PEM: "),
        ("garbage", garbage, "a certificate in garbage cannot be a root: "),
    ] {
        let path = authority.file(name, content);
        let error = ClientTls::new().ca_file(path).unwrap_err();
        assert!(text(&error, &authority).starts_with(expected), "{error}");
    }
    let missing = ClientTls::new().ca_file(authority.root().with_file_name("none")).unwrap_err();
    assert!(text(&missing, &authority).starts_with("cannot read none: "), "{missing}");
}

#[test]
fn a_certificate_has_to_come_with_its_key() {
    let authority = Authority::new();
    let (me, other) = (authority.issue(&LOOPBACK), authority.issue(&LOOPBACK));
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let garbage = authority.file("garbage", garbage);
    let none = authority.root().with_file_name("none");
    for (certificate, key, expected) in [
        (&none, &me.key, "cannot read none: "),
        (&me.certificate, &none, "cannot read none: "),
        (&me.key, &me.key, "1.key has no certificate in PEM: "),
        (&me.certificate, &me.certificate, "1.pem has no private key in PEM that is not encrypted"),
        (&me.certificate, &garbage, "1.pem and garbage cannot be used for TLS: "),
        (&me.certificate, &other.key, "3.key is not the key of the first certificate in 1.pem"),
    ] {
        let of_server = ServerTls::from_pem_files(certificate, key).unwrap_err();
        let of_client = ClientTls::new().client_certificate(certificate, key).unwrap_err();
        for error in [of_server, of_client] {
            assert!(text(&error, &authority).starts_with(expected), "{error}");
        }
    }
}

#[test]
fn secrets_do_not_show() {
    let authority = Authority::new();
    let me = authority.issue(&LOOPBACK);
    let tls = ClientTls::new().client_certificate(&me.certificate, &me.key).unwrap();
    let shown =
        r#"ClientTls { trust: "the platform's roots and 0 more", client_certificate: true, .. }"#;
    assert_eq!(format!("{tls:?}"), shown);
    assert_eq!(format!("{:?}", me.server()), "ServerTls { .. }");
}

static_assertions::assert_impl_all!(ClientTls: Clone, Default, Send, Sync, Unpin);
static_assertions::assert_impl_all!(ServerTls: Clone, Send, Sync, Unpin);
