use super::*;
use crate::error::ErrorKind;

/// For three messages of 100 bytes.
const ROOM: usize = 3 * ("t".len() + 100 + size_of::<Arrival>());

#[tokio::test]
async fn it_gives_what_came_in_order_and_with_its_time() {
    let (inbox, _) = inbox();
    let before = Instant::now();
    put(&inbox, "t", 1);
    put(&inbox, "t", 2);
    let after = Instant::now();
    assert!(inbox.clock() <= before, "nothing was looked at yet");
    for len in [1, 2] {
        let arrival = inbox.next().await.unwrap();
        assert!(before <= arrival.at && arrival.at <= after);
        assert_eq!((len_of(&arrival), inbox.clock()), (len, arrival.at));
    }
    assert_ne!(inbox.clock(), inbox.heard(), "more may come that came before");
    inbox.idle();
    assert_eq!(inbox.clock(), inbox.heard());
}

#[tokio::test]
async fn what_comes_without_a_pause_comes_at_once() {
    let (inbox, _) = inbox();
    let mut times = Vec::new();
    for len in 1..=3 {
        put(&inbox, "t", len);
        if len == 2 {
            inbox.idle();
        }
        times.push(inbox.next().await.unwrap().at);
    }
    assert!(times[0] == times[1] && times[1] < times[2], "{times:?}");
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted() {
    let (inbox, overrun) = inbox();
    for len in 96..=100 {
        put(&inbox, "t", len);
    }
    assert_eq!(overrun.get(), 2);
    put(&inbox, "presence", 92);
    assert_eq!(overrun.get(), 2, "nodes are not to seem silent");
    for len in [96, 97, 98, 92] {
        assert_eq!(len_of(&inbox.next().await.unwrap()), len);
    }
    put(&inbox, "t", 100);
    assert_eq!(len_of(&inbox.next().await.unwrap()), 100, "there is room again");
    for _ in 0..10 {
        put(&inbox, "presence", 93);
    }
    assert_eq!(overrun.get(), 2 + 4, "but there is an end to it");
}

#[tokio::test]
async fn the_name_of_a_topic_counts() {
    let (inbox, overrun) = inbox();
    for _ in 0..3 {
        put(&inbox, &"t".repeat(101), 1);
    }
    assert_eq!(overrun.get(), 1);
}

#[cfg(feature = "nats")]
#[tokio::test]
async fn what_the_broker_refuses_is_heard_however_full_it_is() {
    let (inbox, overrun) = inbox();
    for _ in 0..3 {
        put(&inbox, "t", 100);
    }
    inbox.refuse(Refused::Subscribe("no".into(), Error::new(ErrorKind::Denied, "why")));
    assert_eq!(overrun.get(), 0);
    for _ in 0..3 {
        inbox.next().await.unwrap();
    }
    assert!(matches!(inbox.next().await.unwrap().what, What::Refused(_)));
}

#[tokio::test]
async fn the_end_comes_behind_all_and_its_first_reason_stays() {
    let (inbox, _) = inbox();
    put(&inbox, "t", 1);
    inbox.end(Error::new(ErrorKind::Denied, "why"));
    inbox.end(Error::new(ErrorKind::Io, "what came of it"));
    assert_eq!(inbox.ended().await.kind(), ErrorKind::Denied);
    assert_eq!(len_of(&inbox.next().await.unwrap()), 1);
    assert_eq!(inbox.next().await.unwrap_err().kind(), ErrorKind::Denied);
}

fn inbox() -> (Inbox, Arc<Counter>) {
    let overrun = Arc::new(Counter::default());
    (Inbox::new("presence".into(), ROOM, Arc::clone(&overrun)), overrun)
}

fn put(inbox: &Inbox, subject: &str, len: usize) {
    inbox.push(subject.into(), vec![0; len].into());
}

fn len_of(arrival: &Arrival) -> usize {
    let What::Envelope { bytes, .. } = &arrival.what else { panic!("{arrival:?}") };
    bytes.len()
}
