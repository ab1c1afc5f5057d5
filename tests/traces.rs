//! What a connection tells `tracing`.

#![allow(clippy::unwrap_used, reason = "the lint spares only what is marked as a test itself")]

mod support;

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::with_default,
};
#[cfg(feature = "runtime")]
use wsweave::ConnectionExt;

use crate::support::{BOTH, Frame, Rig};

/// Writes down the events of wsweave up to a level, each behind the fields of its span.
#[derive(Clone)]
struct Diary {
    level: Level,
    spans: Arc<Mutex<Vec<String>>>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Diary {
    fn new(level: Level) -> Self {
        Self { level, spans: Arc::default(), lines: Arc::default() }
    }

    /// What has been told since the last call.
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().drain(..).collect()
    }
}

/// Fields, as `name=value`.
struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Diary {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wsweave") && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.into())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut spans = self.spans.lock().unwrap();
        let mut span = attributes.metadata().name().to_owned();
        attributes.record(&mut Line(&mut span));
        spans.push(span);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut spans = self.spans.lock().unwrap();
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Line(&mut spans[at]));
    }

    fn event(&self, event: &Event<'_>) {
        let at = event.parent().map(|span| usize::try_from(span.into_u64()).unwrap() - 1);
        let mut line = at.map_or(String::new(), |at| self.spans.lock().unwrap()[at].clone());
        write!(line, ": {}", event.metadata().level()).unwrap();
        event.record(&mut Line(&mut line));
        self.lines.lock().unwrap().push(line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A conversation: a message each way, and a Close from the peer.
fn talk(rig: &mut Rig) {
    rig.receive([Frame::text("hello"), Frame::ping("")]);
    assert_eq!(rig.settle(), ["hello".into()]);
    rig.feed("good-bye");
    rig.receive([Frame::close(1000, "enough")]);
    rig.wire.end();
    assert_eq!(rig.settle(), []);
    assert!(rig.has_ended());
}

#[test]
fn what_happens_is_told_with_the_connection_s_id_and_role_and_messages_are_not() {
    for role in BOTH {
        let diary = Diary::new(Level::DEBUG);
        with_default(diary.clone(), || talk(&mut Rig::new(role)));
        let spans = diary.spans.lock().unwrap().clone();
        let [span] = &*spans else { panic!("one span: {spans:?}") };
        assert!(span.starts_with("connection id=") && span.ends_with(&format!(" role={role:?}")));
        let expected = [
            format!("{span}: DEBUG message=a Close was received code=1000 reason=\"enough\""),
            format!("{span}: DEBUG message=a Close was queued code=1000 reason=\"\""),
            format!("{span}: DEBUG message=connection ended finish=closed by the peer"),
        ];
        let lines = diary.lines();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(&expected) {
            assert!(line.starts_with(expected), "{line}\nis not\n{expected}");
        }
    }
}

#[test]
fn messages_are_told_to_who_asks_for_traces() {
    for role in BOTH {
        let diary = Diary::new(Level::TRACE);
        with_default(diary.clone(), || talk(&mut Rig::new(role)));
        let traces: Vec<String> =
            diary.lines().into_iter().filter(|line| line.contains("TRACE")).collect();
        let [received, queued] = &*traces else { panic!("two messages: {traces:#?}") };
        assert!(received.ends_with("message=a message was received len=5 text=true"), "{received}");
        assert!(queued.ends_with("message=a message was queued len=8 text=true"), "{queued}");
    }
}

#[test]
fn what_breaks_a_rule_is_told() {
    let diary = Diary::new(Level::DEBUG);
    with_default(diary.clone(), || {
        let mut rig = Rig::new(BOTH[0]);
        rig.wire.give([0xff]);
        assert_eq!(rig.settle(), []);
    });
    let failed = diary.lines().into_iter().find(|line| line.contains("connection failed")).unwrap();
    assert!(failed.contains("code=1002") && failed.contains("error="), "{failed}");
}

#[test]
fn connections_have_ids_of_their_own() {
    let diary = Diary::new(Level::DEBUG);
    with_default(diary.clone(), || BOTH.map(Rig::new));
    let spans = diary.spans.lock().unwrap().clone();
    let [one, other] = &*spans else { panic!("two spans: {spans:?}") };
    let id = |span: &str| span.split_once(" id=").unwrap().1.split(' ').next().unwrap().to_owned();
    assert_ne!(id(one), id(other));
}

#[cfg(feature = "runtime")]
#[test]
fn the_peer_s_address_is_in_the_span_of_what_a_client_or_a_server_made() {
    let diary = Diary::new(Level::DEBUG);
    let (client, server) = with_default(diary.clone(), || {
        support::rt::within(async {
            use futures::{StreamExt, join};

            let mut listener = wsweave::listen("127.0.0.1:0").await.unwrap();
            let url = format!("ws://{}", listener.local_addr());
            let (client, server) = join!(wsweave::connect(&url), listener.next());
            (client.unwrap(), server.unwrap())
        })
    });
    let opened: Vec<String> =
        diary.lines().into_iter().filter(|line| line.contains("connection opened")).collect();
    for conn in [client, server] {
        let peer = format!("peer={}", conn.peer_addr().unwrap());
        assert!(opened.iter().any(|line| line.contains(&peer)), "{peer} in {opened:#?}");
    }
}
