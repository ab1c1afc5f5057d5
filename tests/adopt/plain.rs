//! Over a stream and sink that is no tungstenite, but speaks its types.

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use async_tungstenite::tungstenite;
use futures::{FutureExt, Sink, Stream};
use wsweave::{ConnectionExt, ErrorKind};

use crate::support::{Task, quiet};

/// A stream of what is given, and a sink that shows what it was given.
#[derive(Default)]
struct Plain {
    stream: VecDeque<tungstenite::Message>,
    sink: Rc<RefCell<Vec<Sunk>>>,
}

#[derive(Debug, PartialEq)]
enum Sunk {
    Message(tungstenite::Message),
    Close,
}

impl Stream for Plain {
    type Item = Result<tungstenite::Message, tungstenite::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.stream.pop_front().map(Ok))
    }
}

impl Sink<tungstenite::Message> for Plain {
    type Error = tungstenite::Error;

    fn poll_ready(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: tungstenite::Message) -> Result<(), Self::Error> {
        self.sink.borrow_mut().push(Sunk::Message(message));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sink.borrow_mut().push(Sunk::Close);
        Poll::Ready(Ok(()))
    }
}

#[test]
fn what_tungstenite_answers_itself_is_not_answered_again() {
    let (text, ping) = (tungstenite::Message::text("a"), tungstenite::Message::Ping("b".into()));
    let plain = Plain {
        stream: [text.clone(), ping, tungstenite::Message::Close(None)].into(),
        ..Plain::default()
    };
    let sink = Rc::clone(&plain.sink);
    let mut run =
        wsweave::adopt(plain, quiet()).on_each(|peer, message| peer.send(message.clone())).run();
    let finish = Task::new().until_stalled(|cx| run.poll_unpin(cx));
    assert!(matches!(finish, Poll::Ready(finish) if finish.clean));
    assert_eq!(*sink.borrow(), [Sunk::Message(text), Sunk::Close]);
}

#[test]
fn what_tungstenite_never_gives_does_no_harm() {
    use tungstenite::{Message, protocol::frame};

    for (odd, kind) in [
        (Message::Frame(frame::Frame::ping("")), ErrorKind::Io),
        (Message::Ping(vec![0; 126].into()), ErrorKind::Protocol),
        (
            Message::Close(Some(frame::CloseFrame {
                code: 1000.into(),
                reason: "x".repeat(124).into(),
            })),
            ErrorKind::Protocol,
        ),
    ] {
        let plain = Plain { stream: [odd].into(), ..Plain::default() };
        let mut run = wsweave::adopt(plain, quiet()).run();
        let finish = Task::new().until_stalled(|cx| run.poll_unpin(cx));
        let Poll::Ready(finish) = finish else { panic!("no end") };
        assert_eq!(finish.error.unwrap().kind(), kind);
    }
}
