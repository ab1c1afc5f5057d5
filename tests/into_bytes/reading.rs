//! Messages in, bytes out.

use std::{
    cell::Cell,
    io::{ErrorKind, IoSliceMut},
    pin::Pin,
    ptr,
    task::Poll,
};

use futures::{AsyncBufRead, AsyncRead, AsyncReadExt, FutureExt, StreamExt};
use wsweave::{ConnectionExt, Message};

use crate::{
    allocator, is_end, rig,
    support::{BOTH, Frame, Rig, quiet},
};

#[test]
fn messages_are_one_stream_and_empty_ones_are_none() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive(["", "two me", "", "ssages", ""].map(Frame::binary));
        assert_eq!(rig.read(4).map(Result::unwrap), Poll::Ready(b"two ".into()));
        assert_eq!(rig.read(4).map(Result::unwrap), Poll::Ready(b"me".into()));
        assert_eq!(rig.fill().map(Result::unwrap), Poll::Ready(b"ssages".into()));
        assert_eq!(rig.read_on(), b"ssages");
        assert!(rig.read(4).is_pending(), "an empty message is not the end");
    }
}

#[test]
fn a_read_that_waits_is_woken() {
    for role in BOTH {
        let mut rig = rig(role);
        assert!(rig.read(4).is_pending());
        assert!(rig.fill().is_pending());
        let wakes = rig.task.wakes();
        rig.receive([Frame::binary("x")]);
        assert!(rig.task.wakes() > wakes);
        assert_eq!(rig.read_on(), b"x");
    }
}

#[test]
fn bytes_are_read_from_where_the_message_was_received() {
    for role in BOTH {
        for len in [10, 100_000] {
            let payload = Cell::new(ptr::null());
            let mut rig = Rig::with(role, quiet()).weave(|conn| {
                conn.on_each(|_, message| payload.set(message.as_bytes().as_ptr())).into_bytes()
            });
            rig.receive([Frame::binary(vec![7; len])]);
            for taken in 0..5 {
                assert_eq!(rig.fill().map(|bytes| bytes.unwrap().len()), Poll::Ready(len - taken));
                let Rig { conn, task, .. } = &mut rig;
                let filled = Pin::new(&mut *conn).poll_fill_buf(&mut task.cx());
                let Poll::Ready(Ok(slice)) = filled else { panic!("it was there before") };
                assert_eq!(slice.as_ptr(), payload.get().wrapping_add(taken));
                Pin::new(conn).consume(1);
            }
        }
    }
}

#[test]
fn what_has_arrived_is_read_without_an_allocation() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::binary(vec![7; 100_000])]);
        assert!(rig.fill().is_ready());
        let mut buffer = [0; 1_000];
        let allocated = allocator::total_of(|| {
            for _ in 0..100 {
                let Rig { conn, task, .. } = &mut rig;
                let read = Pin::new(conn).poll_read(&mut task.cx(), &mut buffer);
                assert!(matches!(read, Poll::Ready(Ok(1_000))));
            }
        });
        assert_eq!(allocated, 0);
        assert!(rig.read(1).is_pending());
    }
}

#[test]
fn what_has_been_read_is_not_kept() {
    for role in BOTH {
        let mut rig = rig(role);
        assert!(rig.fill().is_pending());
        let held = allocator::held_after(|| {
            rig.receive([Frame::binary(vec![7; 1 << 20])]);
            assert_eq!(rig.read_on().len(), 1 << 20);
            assert!(rig.fill().is_pending());
            rig.wire.state().ops.clear();
        });
        assert!(held < 300_000, "{held} bytes");
    }
}

#[test]
fn a_vectored_read_fills_all_it_can() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive(["abcde", "f"].map(Frame::binary));
        let (mut one, mut two, mut three) = ([0; 2], [0; 2], [0; 4]);
        let mut buffers = [&mut one[..], &mut two, &mut three].map(IoSliceMut::new);
        let read = rig.conn.read_vectored(&mut buffers).now_or_never();
        assert_eq!(read.unwrap().unwrap(), 5);
        assert_eq!((one, two, three), (*b"ab", *b"cd", *b"e\0\0\0"));
        assert_eq!(rig.read_on(), b"f");
    }
}

#[test]
fn a_text_is_an_error_until_it_is_accepted() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::binary("before "), Frame::text("grüezi"), Frame::binary(" behind")]);
        assert_eq!(rig.read_on(), b"before ");
        for _ in 0..3 {
            let (kind, error) = crate::error(rig.read(10));
            assert_eq!(kind, ErrorKind::InvalidData);
            assert_eq!(error.kind(), wsweave::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("a text message of 7 bytes"), "{error}");
            assert_eq!(crate::error(rig.fill()).0, ErrorKind::InvalidData);
            Pin::new(&mut rig.conn).consume(0);
        }
        let Rig { conn, wire, clock, task, role } = rig;
        let mut rig = Rig { conn: conn.accept_text(), wire, clock, task, role };
        assert_eq!(rig.read_on(), "grüezi behind".as_bytes());
        rig.receive([Frame::text("more"), Frame::close(1000, "")]);
        assert_eq!(rig.read_on(), b"more");
        assert!(is_end(&rig.read(1)));
    }
}

#[test]
fn writing_goes_on_behind_a_text() {
    for role in BOTH {
        let mut rig = rig(role);
        rig.receive([Frame::text("what?")]);
        assert_eq!(crate::error(rig.read(10)).0, ErrorKind::InvalidData);
        assert_eq!(rig.write(b"still here").map(Result::unwrap), Poll::Ready(10));
        assert!(matches!(rig.flush(), Poll::Ready(Ok(()))));
        assert_eq!(rig.sent(), [Frame::binary("still here")]);
    }
}

#[test]
fn the_connection_comes_back_with_what_was_not_read() {
    let rests: [(Frame, Option<Message>); 3] = [
        (Frame::binary("12345"), Some(b"345".into())),
        (Frame::binary("12"), None),
        (Frame::text("refused"), Some("refused".into())),
    ];
    for role in BOTH {
        for (first, rest) in rests.clone() {
            let mut rig = rig(role);
            rig.receive([first, Frame::text("next")]);
            let _ = rig.read(2);
            let (mut conn, left) = rig.conn.into_inner();
            assert_eq!(left, rest);
            assert_eq!(conn.next().now_or_never(), Some(Some("next".into())));
        }
        let (_, left) = Rig::with(role, quiet()).conn.into_bytes().into_inner();
        assert_eq!(left, None);
    }
}

#[test]
fn a_dropped_read_loses_no_byte() {
    for role in BOTH {
        let mut rig = rig(role);
        let frames = [Frame::binary("a long message"), Frame::ping(""), Frame::binary("another")];
        let mut got = Vec::new();
        for byte in rig.encode(frames) {
            rig.wire.give([byte]);
            let mut buffer = [0; 3];
            while let Some(Ok(read)) = rig.conn.read(&mut buffer).now_or_never() {
                got.extend_from_slice(&buffer[..read]);
            }
        }
        assert_eq!(got, b"a long messageanother");
    }
}
