use super::*;

const LIMIT: usize = 100;

#[test]
fn numbers_are_each_topics_own_and_go_on_after_a_refusal() {
    let queue = Queue::new(10_000);
    for (topic, len) in [("a", 1), ("b", 1), ("a", 1)] {
        assert_eq!(push(&queue, topic, len), Ok(()));
    }
    assert_eq!(push(&queue, "a", LIMIT + 1), Err(UnsentReason::TooLarge));
    assert_eq!(push(&queue, "a", LIMIT), Ok(()));
    assert_eq!(sequences(&queue), [1, 1, 2, 4]);
}

#[test]
fn it_is_bounded_and_what_was_sent_makes_room() {
    let queue = Queue::new(2 * cost("s", HEAD + 10));
    assert_eq!(push(&queue, "a", 10), Ok(()));
    assert_eq!(push(&queue, "a", 10), Ok(()));
    assert_eq!(push(&queue, "a", 0), Err(UnsentReason::Full));
    queue.confirm(1);
    assert_eq!(push(&queue, "a", 10), Ok(()));
    assert_eq!(sequences(&queue), [2, 4]);
    queue.confirm(2);
    assert_eq!(queue.len(), (0, 0));
}

#[test]
fn the_name_of_a_topic_counts() {
    let queue = Queue::new(cost("s", HEAD) + 100);
    let long = "s".repeat(102).into();
    assert_eq!(queue.push(NodeId(1), "a", long, "".into(), LIMIT), Err(UnsentReason::Full));
    assert_eq!(push(&queue, "a", 0), Ok(()));
}

#[test]
fn only_what_was_sent_is_claimed() {
    let queue = Queue::new(10_000);
    push(&queue, "a", 1).unwrap();
    assert_eq!(queue.sent(), (queue.epoch(), HashMap::new()));
    queue.confirm(1);
    assert_eq!(queue.sent().1["a"].number, 1);
}

#[test]
fn a_batch_is_bounded_but_has_one_at_least() {
    let queue = Queue::new(usize::MAX);
    let large = |queue: &Queue| {
        let message = vec![0; MAX_BATCH_BYTES].into();
        queue.push(NodeId(1), "a", "s".into(), message, usize::MAX).unwrap();
    };
    large(&queue);
    large(&queue);
    assert_eq!(queue.batch().len(), 1);
    queue.confirm(2);
    for _ in 0..=MAX_BATCH {
        push(&queue, "a", 1).unwrap();
    }
    assert_eq!(queue.batch().len(), MAX_BATCH);
}

#[test]
fn very_many_topics_begin_another_epoch() {
    let queue = Queue::new(usize::MAX);
    let epoch = queue.epoch();
    for topic in 0..MAX_NUMBERED {
        push(&queue, &topic.to_string(), 1).unwrap();
    }
    assert_eq!(queue.epoch(), epoch);
    push(&queue, "another", 1).unwrap();
    assert!(queue.epoch() > epoch);
    queue.confirm(MAX_NUMBERED + 1);
    let (now, sent) = queue.sent();
    assert_eq!((now, sent.len()), (queue.epoch(), 1));
}

#[test]
fn nothing_goes_into_a_closed_one() {
    let queue = Queue::new(10_000);
    queue.close();
    assert_eq!(push(&queue, "a", 1), Err(UnsentReason::Closed));
}

fn push(queue: &Queue, topic: &str, len: usize) -> Result<(), UnsentReason> {
    queue.push(NodeId(1), topic, "s".into(), vec![0; len].into(), LIMIT)
}

fn sequences(queue: &Queue) -> Vec<u64> {
    let parse = |outgoing: Outgoing| Envelope::parse(outgoing.envelope).unwrap().sequence;
    queue.batch().into_iter().map(parse).collect()
}
