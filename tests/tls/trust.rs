//! Whom a client trusts, and as whom it is known.

use std::sync::{Arc, Mutex};

use futures::{SinkExt, StreamExt, join};
use rcgen::{BasicConstraints, IsCa, date_time_ymd, generate_simple_self_signed};
use wsweave::{
    Client, ClientTls, ConnectionExt, ErrorKind, ServerTls,
    rustls::{
        ServerConfig,
        crypto::ring,
        server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
        sign::CertifiedKey,
        version,
    },
};

use crate::{
    certificates::{Authority, Identity, LOOPBACK},
    peers::{
        assert_meet, client, client_config, meet, refused, roots, serve, server_config, trusting,
    },
    rt::within,
};

#[test]
fn client_and_server_meet_by_name_and_by_address() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        for host in LOOPBACK {
            let url = format!("wss://{host}:{}/room", addr.port());
            let client = Client::new(&url).unwrap().tls(trusting(&authority));
            let (mut client, mut server) = meet(&client, &mut server).await;
            client.send("hello".into()).await.unwrap();
            assert_eq!(server.next().await, Some("hello".into()));
            let (closed, end) = join!(client.close(), server.next());
            assert!(closed.is_ok() && end.is_none());
            assert!(client.finish().unwrap().clean && server.finish().unwrap().clean);
        }
    });
}

#[test]
fn each_certificate_that_is_not_trusted_is_an_error_that_says_why() {
    within(async {
        let authority = Authority::new();
        let expired = authority.issue_with(&LOOPBACK, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        });
        let early = authority.issue_with(&LOOPBACK, |params| {
            params.not_before = date_time_ymd(3000, 1, 1);
        });
        let authoritys = authority.issue_with(&LOOPBACK, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        });
        for (identity, trusted, words) in [
            (expired, &authority, "has expired"),
            (early, &authority, "is not valid yet; the clock here may be wrong"),
            (authoritys, &authority, "make it with `CA:FALSE`"),
            (authority.issue(&["other.example"]), &authority, "is for another name"),
            (authority.issue(&LOOPBACK), &Authority::new(), "ClientTls::ca_file"),
            // An authority that was made anew, under its old name.
            (Authority::named("one").issue(&LOOPBACK), &Authority::named("one"), "ca_file"),
        ] {
            let (mut server, addr) = serve(identity.server()).await;
            let error = refused(&client(addr, trusting(trusted)), &mut server).await;
            assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
            assert!(!error.is_retryable());
            let text = error.to_string();
            assert!(text.starts_with("the certificate of localhost "), "{text}");
            assert!(text.contains(words), "{text}");

            let anyone = ClientTls::new().danger_accept_invalid_certs();
            assert_meet(&client(addr, anyone), &mut server).await;
        }
    });
}

#[test]
fn a_certificate_that_signed_itself_can_be_trusted() {
    within(async {
        let folder = Authority::new();
        let names = LOOPBACK.map(str::to_owned);
        let rcgen::CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let identity = Identity {
            certificate: folder.file("self.pem", &cert.pem()),
            key: folder.file("self.key", &signing_key.serialize_pem()),
        };
        let (mut server, addr) = serve(identity.server()).await;
        let tls = ClientTls::new().ca_file(&identity.certificate).unwrap();
        assert_meet(&client(addr, tls), &mut server).await;
    });
}

/// Gives one certificate, and keeps the name that it was asked for.
#[derive(Debug)]
struct Named(Arc<CertifiedKey>, Mutex<Option<String>>);

impl ResolvesServerCert for Named {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        *self.1.lock().unwrap() = hello.server_name().map(str::to_owned);
        Some(Arc::clone(&self.0))
    }
}

fn named(certificate: &Identity, key: &Identity) -> (ServerTls, Arc<Named>) {
    let provider = Arc::new(ring::default_provider());
    let key = provider.key_provider.load_private_key(key.private_key()).unwrap();
    let certified = CertifiedKey::new(certificate.chain(), key);
    let named = Arc::new(Named(Arc::new(certified), Mutex::default()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&named) as _);
    (Arc::new(config).into(), named)
}

#[test]
fn who_trusts_anyone_still_names_the_server() {
    within(async {
        let authority = Authority::new();
        let identity = authority.issue(&["other.example"]);
        let (tls, named) = named(&identity, &identity);
        let (mut server, addr) = serve(tls).await;
        let insecure = [
            ClientTls::new().danger_accept_invalid_certs(),
            ClientTls::from(Arc::new(client_config(&authority))).danger_accept_invalid_certs(),
        ];
        for tls in insecure {
            assert_meet(&client(addr, tls), &mut server).await;
            assert_eq!(named.1.lock().unwrap().take().as_deref(), Some("localhost"));
        }
    });
}

#[test]
fn who_trusts_anyone_still_wants_the_certificates_key() {
    within(async {
        let authority = Authority::new();
        let (tls, _) = named(&authority.issue(&LOOPBACK), &authority.issue(&LOOPBACK));
        let (mut server, addr) = serve(tls).await;
        let anyone = ClientTls::new().danger_accept_invalid_certs();
        let error = refused(&client(addr, anyone), &mut server).await;
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    });
}

#[test]
fn settings_of_a_clone_are_its_own() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let wary = trusting(&Authority::new());
        refused(&client(addr, wary.clone()), &mut server).await;
        assert_meet(&client(addr, wary.clone().danger_accept_invalid_certs()), &mut server).await;
        assert_meet(&client(addr, wary.clone().ca_file(authority.root()).unwrap()), &mut server)
            .await;
        refused(&client(addr, wary), &mut server).await;
    });
}

#[test]
fn a_server_may_want_a_certificate_of_the_client() {
    within(async {
        let authority = Authority::new();
        let identity = authority.issue(&LOOPBACK);
        for version in [&version::TLS12, &version::TLS13] {
            let provider = Arc::new(ring::default_provider());
            let roots = Arc::new(roots(&authority));
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
            let config = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_client_cert_verifier(verifier.build().unwrap())
                .with_single_cert(identity.chain(), identity.private_key())
                .unwrap();
            let (mut server, addr) = serve(Arc::new(config).into()).await;

            let show = |me: &Identity| {
                trusting(&authority).client_certificate(&me.certificate, &me.key).unwrap()
            };
            assert_meet(&client(addr, show(&authority.issue(&["me"]))), &mut server).await;
            let whole = ClientTls::from(Arc::new(client_config(&authority)));
            let me = authority.issue(&["me"]);
            let whole = whole.client_certificate(&me.certificate, &me.key).unwrap();
            assert_meet(&client(addr, whole), &mut server).await;

            let stranger = show(&Authority::new().issue(&["me"]));
            for tls in [trusting(&authority), stranger] {
                let error = refused(&client(addr, tls), &mut server).await;
                assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
                assert!(!error.is_retryable());
                assert!(error.to_string().contains("ClientTls::client_certificate"), "{error}");
            }
        }
    });
}

#[test]
fn a_whole_configuration_is_taken_as_it_is() {
    within(async {
        let authority = Authority::new();
        let (mut server, addr) = serve(authority.issue(&LOOPBACK).server()).await;
        let whole = |authority: &Authority| ClientTls::from(Arc::new(client_config(authority)));
        assert_meet(&client(addr, whole(&authority)), &mut server).await;
        refused(&client(addr, whole(&Authority::new())), &mut server).await;
        let error = whole(&authority).ca_file(authority.root()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("has its own roots"), "{error}");
    });
}

#[test]
fn both_sides_speak_of_http() {
    within(async {
        let authority = Authority::new();
        let identity = authority.issue(&LOOPBACK);
        let mut config = server_config(&identity);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (mut server, addr) = serve(Arc::new(config).into()).await;
        let error = refused(&client(addr, trusting(&authority)), &mut server).await;
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert!(error.to_string().contains("does not offer HTTP/1.1"), "{error}");

        let (mut server, addr) = serve(identity.server()).await;
        let mut config = client_config(&authority);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let error = refused(&client(addr, Arc::new(config).into()), &mut server).await;
        assert!(error.to_string().contains("does not offer HTTP/1.1"), "{error}");
    });
}
