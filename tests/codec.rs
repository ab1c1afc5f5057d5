//! `codec()`: values in and out of messages.

mod coded;
mod support;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
};

use futures::{FutureExt, SinkExt, Stream, StreamExt, TryStreamExt, stream::FusedStream};
use proptest::{collection::vec, prelude::*};
use wsweave::{
    Bytes, CloseCode, Codec, CodecError, Connection, ConnectionExt, Error, ErrorKind, Message,
};

use crate::{
    coded::{Lines, line, next, numbered, settle, show},
    support::{BOTH, Frame, Rig, quiet},
};

#[test]
fn values_come_out_of_messages_and_go_into_messages() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.codec(Lines));
        assert!(rig.task.next(&mut rig.conn).is_pending());
        rig.receive([Frame::text("a"), Frame::ping("x"), Frame::text("7:b")]);
        assert_eq!(settle(&mut rig), ["a", "7:b"]);
        assert_eq!(rig.sent(), [Frame::pong("x")]);

        rig.conn.feed(line("c")).now_or_never().unwrap().unwrap();
        assert!(rig.sent().is_empty());
        rig.conn.send(numbered(8, "d")).now_or_never().unwrap().unwrap();
        assert_eq!(rig.sent(), [Frame::text("c"), Frame::text("8:d")]);
    }
}

#[test]
fn hooks_below_see_the_messages_and_answer_before_the_value() {
    let mut rig = Rig::new(BOTH[0])
        .weave(|conn| conn.on_each(|peer, message| peer.send(message.clone())).codec(Lines));
    rig.receive([Frame::text("a"), Frame::binary("b")]);
    assert_eq!(settle(&mut rig), ["a", "undecoded Binary(b\"b\")"]);
    assert_eq!(rig.sent(), [Frame::text("a"), Frame::binary("b")]);
}

#[test]
fn what_cannot_be_decoded_is_an_err_with_the_message_and_the_stream_goes_on() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.codec(Lines));
        rig.receive([Frame::text("!"), Frame::binary("\0"), Frame::text("after")]);
        let Poll::Ready(Some(Err(error))) = next(&mut rig) else { panic!() };
        assert_eq!(error.to_string(), "a message cannot be decoded: a bang");
        assert_eq!(error.into_message(), Some("!".into()));
        assert!(!rig.conn.is_terminated());
        assert_eq!(settle(&mut rig), ["undecoded Binary(b\"\\0\")", "after"]);
        assert!(rig.sent().is_empty());
        assert!(rig.conn.get_ref().finish().is_none());
    }
}

#[test]
fn a_clean_end_is_the_end() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.codec(Lines));
        assert_eq!(rig.conn.size_hint(), (0, None));
        rig.receive([Frame::text("a"), Frame::close(1000, "")]);
        rig.wire.end();
        assert_eq!(settle(&mut rig), ["a"]);
        assert!(rig.conn.is_terminated());
        assert_eq!(rig.conn.size_hint(), (0, Some(0)));
        assert!(matches!(next(&mut rig), Poll::Ready(None)));
        assert_eq!(rig.conn.get_ref().finish().unwrap().code, CloseCode::NORMAL);
    }
}

#[test]
fn an_unclean_end_is_a_last_err() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.codec(Lines));
        rig.receive([Frame::text("!")]);
        rig.wire.reset();
        assert_eq!(settle(&mut rig), ["undecoded Text(\"!\")", "Io"]);
        assert!(rig.conn.is_terminated());
        assert_eq!(rig.conn.size_hint(), (0, Some(0)));
        assert!(matches!(next(&mut rig), Poll::Ready(None)));

        let sent = rig.conn.send(line("late")).now_or_never().unwrap();
        assert!(
            matches!(sent, Err(CodecError::Connection(error)) if error.kind() == ErrorKind::Io)
        );
    }
}

#[test]
fn a_failed_encode_sends_nothing_and_leaves_the_sink_as_it_was() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.codec(Lines));
        rig.conn.feed(line("1")).now_or_never().unwrap().unwrap();
        let error = rig.conn.send(line("!")).now_or_never().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "a value cannot be encoded: a bang");
        assert!(error.into_message().is_none());
        rig.conn.send(line("2")).now_or_never().unwrap().unwrap();
        assert_eq!(rig.sent(), [Frame::text("1"), Frame::text("2")]);
    }
}

#[test]
fn after_the_close_nothing_is_sent() {
    let mut rig = Rig::new(BOTH[0]).weave(|conn| conn.codec(Lines));
    assert!(rig.conn.close().now_or_never().is_none());
    let sent = rig.conn.send(line("late")).now_or_never().unwrap();
    assert!(
        matches!(sent, Err(CodecError::Connection(error)) if error.kind() == ErrorKind::Closed)
    );
    assert_eq!(rig.sent_codes(), [Some(1000)]);
}

#[test]
fn close_on_invalid_closes_once_and_the_stream_goes_on_to_its_end() {
    for role in BOTH {
        let mut rig = Rig::new(role)
            .weave(|conn| conn.codec(Lines).close_on_invalid(CloseCode::INVALID_PAYLOAD).unwrap());
        rig.receive([Frame::text("1"), Frame::text("!"), Frame::text("2"), Frame::text("!")]);
        let undecoded = "undecoded Text(\"!\")";
        assert_eq!(settle(&mut rig), ["1", undecoded, "2", undecoded]);
        assert_eq!(rig.sent(), [Frame::close(1007, "a message cannot be decoded")]);
        assert!(!rig.conn.is_terminated());

        rig.receive([Frame::text("3"), Frame::close(1007, "")]);
        rig.wire.end();
        assert_eq!(settle(&mut rig), ["3"]);
        assert!(rig.conn.is_terminated());
        assert!(rig.sent().is_empty());
        let finish = rig.conn.get_ref().finish().unwrap();
        assert!(finish.clean && finish.code == CloseCode::INVALID_PAYLOAD);
    }
}

#[test]
fn close_on_invalid_takes_any_code_that_may_be_sent() {
    let mut rig = Rig::new(BOTH[0]).weave(|conn| conn.codec(Lines).close_on_invalid(4000).unwrap());
    rig.receive([Frame::text("!")]);
    settle(&mut rig);
    assert_eq!(rig.sent_codes(), [Some(4000)]);

    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        let (conn, _peer) = Connection::pair_with(quiet(), quiet());
        let refused = conn.codec(Lines).close_on_invalid(code).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn it_splits_and_pipes() {
    let Rig { conn, wire, role, .. } = Rig::new(BOTH[0]);
    let (sink, stream) = conn.codec(Lines).split();
    let mut echo = stream.forward(sink);
    wire.give(Frame::text("7:a").to(role));
    assert!((&mut echo).now_or_never().is_none());
    assert_eq!(wire.sent_by(role), [Frame::text("7:a")]);
    wire.give(Frame::text("!").to(role));
    let error = echo.now_or_never().unwrap().unwrap_err();
    assert_eq!(error.into_message(), Some("!".into()));
}

#[test]
fn a_dropped_next_loses_nothing() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(|conn| conn.codec(Lines));
        let bytes =
            rig.encode([Frame::text("a").unfinished(), Frame::continuation("b"), Frame::text("!")]);
        let mut got = Vec::new();
        for byte in bytes {
            rig.wire.give([byte]);
            got.extend(rig.conn.next().now_or_never().flatten().map(show));
        }
        assert_eq!(got, ["ab", "undecoded Text(\"!\")"]);
    }
}

#[test]
fn a_value_may_hold_parts_of_the_message_without_a_copy() {
    struct Tail;

    impl Codec for Tail {
        type In = Bytes;
        type Out = Bytes;
        type Error = Error;

        fn encode(&mut self, bytes: Bytes) -> Result<Message, Error> {
            Ok(bytes.into())
        }

        fn decode(&mut self, message: &Message) -> Result<Bytes, Error> {
            Ok(message.clone().into_bytes().slice(1..))
        }
    }

    let rig = Rig::new(BOTH[0]);
    let mut seen = None;
    let mut conn = rig.conn.on_next(|_, message| seen = Some(message.clone())).codec(Tail);
    rig.wire.give(Frame::binary("abc").to(rig.role));
    let value = rig.task.next(&mut conn).map(|item| item.unwrap().unwrap());
    drop(conn);
    let (Poll::Ready(value), Some(message)) = (value, seen) else { panic!() };
    assert_eq!(value, "bc");
    assert_eq!(value.as_ptr(), message.as_bytes()[1..].as_ptr());
}

#[test]
fn the_connection_is_had_back_with_what_waits_in_it() {
    let mut rig = Rig::new(BOTH[0]).weave(|conn| conn.codec(Lines));
    rig.receive([Frame::text("1"), Frame::text("2")]);
    assert!(matches!(next(&mut rig), Poll::Ready(Some(Ok(value))) if value == line("1")));
    rig.conn.get_mut().ping("x").unwrap();
    let mut conn = rig.conn.into_inner();
    assert_eq!(conn.next().now_or_never(), Some(Some("2".into())));
    conn.flush().now_or_never().unwrap().unwrap();
    assert_eq!(rig.wire.sent_by(rig.role), [Frame::ping("x")]);
}

#[test]
fn after_a_panic_in_a_codec_the_drop_closes_with_1011() {
    let mut rig = Rig::new(BOTH[0]).weave(|conn| conn.codec(Lines));
    rig.receive([Frame::text("!!")]);
    catch_unwind(AssertUnwindSafe(|| next(&mut rig))).unwrap_err();
    drop(rig.conn);
    assert_eq!(rig.wire.sent_by(rig.role)[0].close_code(), Some(1011));

    let mut rig = Rig::new(BOTH[0]).weave(|conn| conn.codec(Lines));
    catch_unwind(AssertUnwindSafe(|| rig.conn.start_send_unpin(line("!!")))).unwrap_err();
    drop(rig.conn);
    assert_eq!(rig.wire.sent_by(rig.role)[0].close_code(), Some(1011));
}

proptest! {
    /// One item a message, in order, however the bytes are cut.
    #[test]
    fn every_message_is_an_item(
        messages in vec((any::<bool>(), "[a-c:!0-9]{0,5}"), 0..20),
        size in 1..40usize,
    ) {
        let mut rig = Rig::new(BOTH[1]).weave(|conn| conn.codec(Lines));
        let frame = |(text, payload): &(bool, String)| {
            if *text { Frame::text(payload) } else { Frame::binary(payload) }
        };
        let messages: Vec<_> =
            messages.into_iter().filter(|(_, payload)| !payload.ends_with("!!")).collect();
        rig.wire.give_in_pieces(&rig.encode(messages.iter().map(frame)), size);
        let mut items = Vec::new();
        while let Poll::Ready(Some(item)) = next(&mut rig) {
            items.push(item);
        }
        prop_assert_eq!(items.len(), messages.len());
        for (item, (text, payload)) in items.into_iter().zip(messages) {
            let message = if text { Message::from(payload) } else { payload.into_bytes().into() };
            match item {
                Ok(value) => prop_assert_eq!(Lines.decode(&message), Ok(value)),
                Err(error) => prop_assert_eq!(error.into_message(), Some(message)),
            }
        }
    }
}

#[test]
fn the_stream_is_a_try_stream_with_one_error_type_for_both_halves() {
    fn of_one_type<C>(_: &C)
    where
        C: Stream<Item = Result<coded::Line, <C as futures::Sink<coded::Line>>::Error>>
            + futures::Sink<coded::Line>,
    {
    }
    let mut rig = Rig::new(BOTH[0]).weave(|conn| conn.codec(Lines));
    of_one_type(&rig.conn);
    rig.receive([Frame::text("1")]);
    assert_eq!(rig.conn.try_next().now_or_never().unwrap().unwrap(), Some(line("1")));
}
