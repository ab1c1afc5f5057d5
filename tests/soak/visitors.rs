//! Those who behave well: everything comes back, and the end is clean.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{SinkExt, StreamExt, future::join};
use wsweave::{CloseCode, ConnectionExt, TrySendError};

use crate::{
    holdings::spawn,
    visit::{Outcome, Visit, expect},
};

pub(crate) async fn in_turn(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let conn = visit.connect(path).await?;
    let mut conn = conn.on_pong(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let talk = async {
        let mut asked = 0;
        for message in visit.messages() {
            // The answer to a ping comes before that to the message behind it.
            if visit.one_in(3) {
                conn.ping("are you there?")?;
                asked += 1;
            }
            conn.send(message.clone()).await?;
            visit.check(&message, conn.next().await)?;
            expect(answered.load(Ordering::SeqCst) == asked, "a pong is missing")?;
        }
        Ok(())
    };
    let outcome = talk.await;
    let _ = conn.close().await;
    visit.check_clean(conn.finish().unwrap());
    outcome
}

pub(crate) async fn both_ways(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let (mut sink, mut stream) = visit.connect(path).await?.split();
    let messages = visit.messages();
    let sending = async {
        for message in &messages {
            sink.feed(message.clone()).await?;
        }
        sink.flush().await
    };
    let receiving = async {
        for message in &messages {
            visit.check(message, stream.next().await)?;
        }
        Ok(())
    };
    let (_, outcome) = join(sending, receiving).await;
    let mut conn = sink.reunite(stream).unwrap();
    let _ = conn.close().await;
    visit.check_clean(conn.finish().unwrap());
    outcome
}

/// And a handle in a third one, which is kept beyond the end.
pub(crate) async fn in_two_tasks(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let mut conn = visit.connect(path).await?;
    let handle = conn.handle();
    let (mut sink, mut stream) = conn.split();
    let messages = visit.messages();
    let sending = spawn({
        let messages = messages.clone();
        async move {
            for message in messages {
                sink.send(message).await?;
            }
            Ok::<_, wsweave::Error>(sink)
        }
    });
    let closed = spawn({
        let handle = handle.clone();
        async move { handle.closed().await }
    });
    let mut outcome = Ok(());
    for message in &messages {
        outcome = visit.check(message, stream.next().await);
        if outcome.is_err() {
            break;
        }
    }
    handle.close_with(CloseCode::NORMAL, "")?;
    expect(stream.next().await.is_none(), "more came back than was sent")?;
    visit.check_clean(&closed.await);
    drop((sending.await, stream));
    assert!(!handle.is_open());
    assert!(matches!(handle.try_send("too late"), Err(TrySendError::Closed(_))));
    visit.check_clean(&handle.closed().await);
    outcome
}

pub(crate) async fn in_callbacks(visit: &mut Visit) -> Outcome {
    let path = visit.echo_path();
    let (conn, callbacks) = visit.connect(path).await?.callbacks();
    let messages = visit.messages();
    let mut upcoming = VecDeque::from(messages.clone());
    let received = Arc::new(Mutex::new(Vec::new()));
    let ends = Arc::new(AtomicUsize::new(0));
    let mut conn = conn.on_next_text(|_| ());
    conn.handle().send(upcoming.pop_front().unwrap()).await?;
    callbacks.on_each({
        let (received, own) = (Arc::clone(&received), callbacks.clone());
        move |peer, message| {
            received.lock().unwrap().push(message.clone());
            own.on_next(|_, _| ());
            match upcoming.pop_front() {
                Some(next) => peer.send(next),
                None => peer.close_with(CloseCode::NORMAL, ""),
            }
        }
    });
    callbacks.on_finish({
        let ends = Arc::clone(&ends);
        move |_| {
            ends.fetch_add(1, Ordering::SeqCst);
        }
    });
    visit.check_clean(&conn.run().await);
    assert_eq!(ends.load(Ordering::SeqCst), 1);
    let mut received = std::mem::take(&mut *received.lock().unwrap()).into_iter();
    messages.iter().try_for_each(|message| visit.check(message, received.next()))
}
