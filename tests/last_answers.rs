//! What answers the last messages leaves before the end does: `split` keeps the last message of `forward`
//! to itself until the sink half is polled again, and another future comes to its turn later.

mod support;

use std::task::Poll;

use futures::{
    SinkExt, StreamExt,
    channel::mpsc,
    future::{join, join3},
};
use wsweave::{CloseCode, Config, Connection, ConnectionExt, Role};

use crate::support::{Frame, Rig, Task, quiet, within};

#[test]
fn an_echo_through_forward_leaves_before_the_answer_to_the_close_behind_its_message() {
    within(async {
        let (us, mut peer) = Connection::pair();
        let (sink, stream) = us.results().split();
        let caller = async {
            peer.feed("last words".into()).await.unwrap();
            peer.close_with(CloseCode::NORMAL, "").await.unwrap();
            (peer.next().await, peer.next().await)
        };
        let (echoed, heard) = join(stream.forward(sink), caller).await;
        assert!(echoed.is_ok());
        assert_eq!(heard, (Some("last words".into()), None));
    });
}

#[test]
fn an_echo_through_forward_leaves_before_the_close_for_what_is_wrong_behind_its_message() {
    within(async {
        let (us, mut peer) =
            Connection::pair_with(Config::default().max_message_size(4), Config::default());
        let (sink, stream) = us.results().split();
        let caller = async {
            peer.feed("fits".into()).await.unwrap();
            peer.send("does not".into()).await.unwrap();
            (peer.next().await, peer.next().await)
        };
        let (echoed, heard) = join(stream.forward(sink), caller).await;
        assert!(echoed.is_err());
        assert_eq!(heard, (Some("fits".into()), None));
        assert_eq!(peer.finish().unwrap().code, CloseCode::MESSAGE_TOO_BIG);
    });
}

#[test]
fn answers_of_another_future_leave_before_the_answer_to_the_close_behind_the_messages() {
    within(async {
        let (mut us, mut peer) = Connection::pair();
        let handle = us.handle();
        let (taken, mut to_answer) = mpsc::unbounded();
        let answer = async move {
            while let Some(message) = to_answer.next().await {
                handle.send(message).await.unwrap();
            }
        };
        let receive = us.on_each(move |_, message| taken.unbounded_send(message.clone())).run();
        let caller = async {
            let handle = peer.handle();
            for text in ["1", "2", "3"] {
                peer.feed(text.into()).await.unwrap();
            }
            handle.close_with(CloseCode::NORMAL, "").unwrap();
            peer.collect::<Vec<_>>().await
        };
        let (finish, answers, ()) = join3(receive, caller, answer).await;
        assert!(finish.clean, "{finish}");
        assert_eq!(answers, ["1", "2", "3"].map(Into::into));
    });
}

#[test]
fn a_message_that_waited_is_followed_by_a_turn_for_its_answer() {
    let mut rig = Rig::with(Role::Server, quiet());
    rig.wire.block_writes();
    rig.feed("x");
    rig.receive([Frame::text("question")]);
    assert!(Task::new().flush(&mut rig.conn).is_pending());
    rig.wire.unblock_writes();
    rig.receive([Frame::close(1000, "")]);
    assert_eq!(rig.next(), Poll::Ready(Some("question".into())));
    assert!(rig.next().is_pending());
    rig.feed("answer");
    rig.settle();
    assert_eq!(rig.sent()[1..], [Frame::text("answer"), Frame::close(1000, "")]);
}
