//! What passes through, and what happens to it on the way.

use std::{cell::RefCell, fmt::Debug, rc::Rc, time::Duration};

use async_tungstenite::WebSocketStream;
use futures::{FutureExt, SinkExt, StreamExt, TryStreamExt, stream::FusedStream};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use wsweave::{Config, ConnectionExt, adopt::Adopted};

use crate::{
    Inner, adopted, adopted_with, inner_role,
    support::{BOTH, Frame, Wire, quiet},
};

assert_impl_all!(Adopted<Inner>: Send, Unpin, Debug);
assert_not_impl_any!(Adopted<Rc<()>>: Send, Sync);

#[test]
fn messages_of_every_kind_and_length_pass_both_ways() {
    for role in BOTH {
        let mut rig = adopted(role);
        for length in [0, 1, 125, 126, 4096, 4097, 65_535, 65_536, 300_000] {
            for frame in [Frame::text("é".repeat(length / 2)), Frame::binary(vec![7; length])] {
                rig.receive([frame.clone()]);
                let message = rig.message().unwrap();
                assert_eq!(message.is_text(), frame.opcode == 1);
                assert_eq!(message.as_bytes(), frame.payload);
                rig.feed(message);
                rig.settle();
                assert_eq!(rig.sent(), [frame]);
            }
        }
    }
}

#[test]
fn what_hooks_send_goes_out() {
    for role in BOTH {
        let mut rig = adopted(role).weave(|conn| {
            conn.on_next(|peer, _| peer.send("hello"))
                .on_each(|peer, message| peer.send(message.clone()))
        });
        rig.receive([Frame::text("a"), Frame::binary("b")]);
        assert_eq!(rig.settle(), ["a".into(), b"b".into()]);
        assert_eq!(rig.sent(), [Frame::text("hello"), Frame::text("a"), Frame::binary("b")]);
    }
}

#[test]
fn the_registry_of_callbacks_and_handles_work() {
    for role in BOTH {
        let mut rig = adopted(role);
        let handle = rig.conn.handle();
        let mut rig = rig.weave(|conn| {
            let (conn, callbacks) = conn.callbacks();
            callbacks.on_each(|peer, message| peer.send(message.clone()));
            conn
        });
        handle.try_send("from afar").unwrap();
        rig.receive([Frame::text("a")]);
        assert_eq!(rig.settle(), ["a".into()]);
        let mut sent = rig.sent();
        sent.sort_by(|a, b| a.payload.cmp(&b.payload));
        assert_eq!(sent, [Frame::text("a"), Frame::text("from afar")]);
    }
}

#[test]
fn fragments_are_put_together() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.receive([
            Frame::text("a").unfinished(),
            Frame::continuation("b").unfinished(),
            Frame::continuation("c"),
        ]);
        assert_eq!(rig.settle(), ["abc".into()]);
    }
}

#[test]
fn messages_go_out_whole_whatever_the_fragment_size() {
    for role in BOTH {
        let mut rig = adopted_with(role, Config::default().fragment_size(Some(2)), None);
        rig.feed("abcdef");
        rig.settle();
        assert_eq!(rig.sent(), [Frame::text("abcdef")]);
    }
}

#[test]
fn a_ping_is_answered_once() {
    for role in BOTH {
        let pings = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&pings);
        let mut rig = adopted(role)
            .weave(|conn| conn.on_ping(move |_, payload| seen.borrow_mut().push(payload.clone())));
        for payload in ["", "x", &"y".repeat(125)] {
            rig.receive([Frame::ping(payload)]);
            rig.settle();
            assert_eq!(rig.sent(), [Frame::pong(payload)]);
        }
        assert_eq!(pings.borrow().len(), 3);
    }
}

#[test]
fn keepalive_pings_measures_and_gives_up() {
    for role in BOTH {
        let mut rig = adopted(role);
        rig.settle();
        rig.clock.advance_secs(20);
        rig.settle();
        let [ping] = rig.sent().try_into().unwrap();
        rig.clock.advance_secs(1);
        rig.receive([Frame::pong(&ping.payload)]);
        rig.settle();
        assert_eq!(rig.conn.latency(), Some(Duration::from_secs(1)));

        rig.clock.advance_secs(20);
        rig.settle();
        rig.clock.advance_secs(20);
        rig.settle();
        assert_eq!(rig.finish().error.unwrap().to_string(), "no answer to keepalive");
    }
}

#[test]
fn our_limit_on_messages_holds() {
    for role in BOTH {
        let config = Config::default().max_message_size(5).max_frame_size(2);
        let mut rig = adopted_with(role, config, None);
        rig.receive([Frame::text("fits!"), Frame::text("too big")]);
        assert_eq!(rig.settle(), ["fits!".into()]);
        assert_eq!(rig.sent_codes(), [Some(1009)]);
        let error = rig.finish().error.unwrap();
        assert_eq!(error.to_string(), "a message of 7 bytes is over the limit of 5");
    }
}

#[test]
fn what_was_adopted_is_had_back() {
    for role in BOTH {
        let rig = adopted(role);
        assert!(!rig.conn.get_ref().get_ref().is_terminated());
        let mut ws = rig.conn.into_inner().into_inner();
        ws.send("mine".into()).now_or_never().unwrap().unwrap();
        assert_eq!(rig.wire.sent_by(role), [Frame::text("mine")]);
    }
}

#[test]
fn adapters_of_futures_stay_beneath() {
    for role in BOTH {
        let (script, wire) = Wire::new();
        let ws = WebSocketStream::from_raw_socket(script, inner_role(role), None);
        let mut seen = 0;
        let ws = ws.now_or_never().unwrap().inspect_ok(|_| seen += 1);
        let mut conn = wsweave::adopt(ws, quiet());
        wire.give(Frame::text("a").to(role));
        assert_eq!(conn.next().now_or_never(), Some(Some("a".into())));
        conn.send("b".into()).now_or_never().unwrap().unwrap();
        assert_eq!(wire.sent_by(role), [Frame::text("b")]);
        drop(conn);
        assert_eq!(seen, 1);
    }
}
