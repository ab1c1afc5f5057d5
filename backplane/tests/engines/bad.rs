//! Brokers that are none, and envelopes that are none.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, net::TcpListener};
use wsweave::Group;
use wsweave_backplane::{Backplane, Broker, ErrorKind, Event, Invalid, Status, UnsentReason};

use crate::{
    on_each_engine,
    support::{Engine, Member, Server, event, free_port, soon},
};

on_each_engine! {
    an_address_that_is_wrong_is_an_error,
    a_prefix_that_is_wrong_is_an_error,
    a_broker_that_refuses_is_an_error,
    a_broker_that_answers_garbage_is_an_error,
    a_broker_that_never_answers_is_a_timeout,
    a_broker_that_hangs_up_is_an_error,
    a_password_that_is_wrong_is_denied,
    what_is_no_envelope_is_counted_and_does_no_harm,
    names_that_no_topic_has_are_refused,
    times_that_never_end_are_long_ones,
}

async fn an_address_that_is_wrong_is_an_error(engine: Engine) {
    for address in ["", "://", "nats://", "http://127.0.0.1:1", "nats://127.0.0.1:99999"] {
        let address = if engine == Engine::Redis {
            address.replace("nats:", "redis:")
        } else {
            address.into()
        };
        let error = attach(engine.broker(&address)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}: {error}");
    }
}

async fn a_prefix_that_is_wrong_is_an_error(engine: Engine) {
    let error = attach(engine.broker(engine.address(1)).prefix("a.*")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn a_broker_that_refuses_is_an_error(engine: Engine) {
    let error = attach(engine.broker(engine.address(free_port()))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}

async fn a_broker_that_answers_garbage_is_an_error(engine: Engine) {
    let garbage = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0; 100],
        vec![0xff; 70_000],
        b"INFO {}\r\n+OK\r\n".to_vec(),
    ];
    for garbage in garbage {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = engine.address(listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            let mut accepted = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(&garbage).await;
                accepted.push(stream);
            }
        });
        let began = Instant::now();
        let broker = engine.broker(address).timeout(Duration::from_secs(1));
        let error = attach(broker).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Io | ErrorKind::Timeout),
            "{error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

async fn a_broker_that_never_answers_is_a_timeout(engine: Engine) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = engine.address(listener.local_addr().unwrap().port());
    let broker = engine.broker(address).timeout(Duration::from_millis(300));
    let error = attach(broker).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

async fn a_broker_that_hangs_up_is_an_error(engine: Engine) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = engine.address(listener.local_addr().unwrap().port());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = attach(engine.broker(address)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}

async fn a_password_that_is_wrong_is_denied(engine: Engine) {
    let server = match engine {
        Engine::Nats => Server::start_with(engine, &["--user", "us", "--pass", "ri:g@t"]).await,
        Engine::Redis => Server::start_with(engine, &["--requirepass", "ri:g@t"]).await,
    };
    let name = if engine == Engine::Nats { "us" } else { "" };
    let with = |password| server.address().replace("://", &format!("://{name}:{password}@"));
    assert!(attach(engine.broker(with("ri%3Ag%40t"))).await.is_ok());
    let error = attach(engine.broker(with("wrong"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

async fn what_is_no_envelope_is_counted_and_does_no_harm(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let broker = || server.broker().max_message(1_000);
    let one = Backplane::attach(&here, broker()).await.unwrap();
    let two = Backplane::attach(&there, broker()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    let mut events = two.events();
    let text_that_is_none = [&[1, 0], &[1; 32][..], &[0xff]].concat();
    let bad = [
        (b"hello".to_vec(), Invalid::Version),
        (vec![1; 20], Invalid::Malformed),
        (text_that_is_none, Invalid::Utf8),
        (vec![1; 2_000], Invalid::TooLarge),
        ([&[1, 3], &[1; 32][..]].concat(), Invalid::Malformed),
    ];
    for (bytes, reason) in &bad {
        publish(engine, &server, "wsweave.topic.t", bytes).await;
        let found = event(&mut events, "the report", |event| match event {
            Event::Invalid { topic: Some(topic), reason } if &**topic == "t" => Some(*reason),
            _ => None,
        });
        assert_eq!(found.await, *reason);
    }
    publish(engine, &server, "wsweave.presence", b"\x01\x03 and so on").await;
    event(&mut events, "the report", |event| match event {
        Event::Invalid { topic: None, reason: Invalid::Malformed } => Some(()),
        _ => None,
    })
    .await;
    assert_eq!(two.stats().invalid, bad.len() as u64 + 1);
    one.publish("t", "fine").unwrap();
    assert_eq!(far.text().await, "fine");
}

async fn names_that_no_topic_has_are_refused(engine: Engine) {
    let server = Server::start(engine).await;
    let backplane = Backplane::attach(&Group::new(), server.broker()).await.unwrap();
    for name in ["", &"a".repeat(256), &"*".repeat(10 << 10)] {
        let unsent = backplane.publish(name, "hello").unwrap_err();
        assert_eq!(unsent.reason, UnsentReason::InvalidTopic);
    }
    assert_eq!(backplane.stats().unsent, 3);
    let name = "*".repeat(10 << 10);
    let error = soon("the answer", backplane.ready(&name)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = soon("the answer", backplane.history(&name, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn times_that_never_end_are_long_ones(engine: Engine) {
    let server = Server::start(engine).await;
    let (here, there) = (Group::new(), Group::new());
    let broker = || server.broker().timeout(Duration::MAX).heartbeat(Duration::MAX);
    let one = Backplane::attach(&here, broker()).await.unwrap();
    let two = Backplane::attach(&there, broker()).await.unwrap();
    let mut far = Member::ready(&there, &two, "t").await;
    one.publish("t", "fine").unwrap();
    assert_eq!(far.text().await, "fine");
    soon("the broker", one.flush()).await.unwrap();
    assert!(matches!(one.status(), Status::Connected), "{:?}", one.status());
    assert!(matches!(two.status(), Status::Connected), "{:?}", two.status());
}

async fn attach(broker: Broker) -> Result<Backplane, wsweave_backplane::Error> {
    soon("the answer", Backplane::attach(&Group::new(), broker)).await
}

/// As somebody else does it.
async fn publish(engine: Engine, server: &Server, subject: &str, bytes: &[u8]) {
    match engine {
        Engine::Nats => {
            let client = async_nats::connect(server.address()).await.unwrap();
            client.publish(subject.to_owned(), bytes.to_vec().into()).await.unwrap();
            client.flush().await.unwrap();
        }
        Engine::Redis => {
            let client = ::redis::Client::open(server.address()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let mut publish = ::redis::cmd("PUBLISH");
            publish.arg(subject).arg(bytes);
            publish.query_async::<()>(&mut connection).await.unwrap();
        }
    }
}
