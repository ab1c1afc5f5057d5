use super::*;

const SILENCE: Duration = Duration::from_secs(6);

#[test]
fn counts_add_up() {
    let mut nodes = Nodes::new(8, 8);
    let now = Instant::now();
    let heard = nodes.hear(NodeId(2), 1, &entries([("a", 2), ("b", 1)]), now).unwrap();
    assert_eq!(heard, Heard { is_new: true, topics: vec![name("a"), name("b")] });
    nodes.hear(NodeId(1), 1, &entries([("a", 3)]), now).unwrap();
    let remote = vec![(NodeId(1), 3), (NodeId(2), 2)];
    assert_eq!(nodes.presence("a", 4), Presence { total: 9, local: 4, remote });
    assert_eq!(nodes.presence("c", 0), Presence::default());
}

#[test]
fn what_has_changed_is_said_once() {
    let mut nodes = Nodes::new(8, 8);
    let now = Instant::now();
    let mut hear = |round, entries: &[Entry]| nodes.hear(NodeId(1), round, entries, now).unwrap();
    assert_eq!(hear(1, &entries([("a", 1)])).topics, [name("a")]);
    assert_eq!(hear(1, &entries([("a", 1)])), Heard::default());
    assert_eq!(hear(1, &entries([("a", 0)])).topics, [name("a")]);
    assert_eq!(hear(1, &entries([("a", 0)])), Heard::default());
}

#[test]
fn a_topic_that_beats_do_not_name_any_more_is_gone() {
    let mut nodes = Nodes::new(8, 8);
    let now = Instant::now();
    let mut hear = |round, entries: &[Entry]| nodes.hear(NodeId(1), round, entries, now).unwrap();
    hear(1, &entries([("a", 1), ("b", 1)]));
    assert_eq!(hear(2, &entries([("a", 1)])), Heard::default(), "the rest may come yet");
    assert_eq!(hear(3, &entries([("a", 1)])).topics, [name("b")]);
    assert_eq!(nodes.presence("b", 0).total, 0);
}

#[test]
fn the_last_number_there_is_is_a_round_like_others() {
    let mut nodes = Nodes::new(8, 8);
    let now = Instant::now();
    let mut hear = |round, entries: &[Entry]| nodes.hear(NodeId(1), round, entries, now).unwrap();
    hear(1, &entries([("a", 1)]));
    assert_eq!(hear(u64::MAX, &entries([("b", 1)])).topics, [name("b"), name("a")]);
    assert_eq!(nodes.presence("b", 0).total, 1);
}

#[test]
fn a_silent_node_is_forgotten() {
    let mut nodes = Nodes::new(8, 8);
    let now = Instant::now();
    nodes.hear(NodeId(1), 1, &entries([("a", 1)]), now);
    nodes.hear(NodeId(2), 1, &entries([("a", 1)]), now + SILENCE / 2);
    assert_eq!(nodes.expire(now + SILENCE / 2, SILENCE), []);
    assert_eq!(nodes.expire(now + SILENCE, SILENCE), [(NodeId(1), vec![name("a")])]);
    assert_eq!(nodes.presence("a", 0).remote, [(NodeId(2), 1)]);
    assert_eq!(nodes.remove(NodeId(2)), Some(vec![name("a")]));
    assert_eq!(nodes.remove(NodeId(2)), None);
}

#[test]
fn who_is_spared_has_as_much_time_again() {
    let mut nodes = Nodes::new(8, 8);
    let now = Instant::now();
    nodes.hear(NodeId(1), 1, &entries([("a", 1)]), now);
    nodes.spare(now + SILENCE);
    assert_eq!(nodes.expire(now + SILENCE + SILENCE / 2, SILENCE), []);
    assert_eq!(nodes.expire(now + SILENCE * 2, SILENCE).len(), 1);
}

#[test]
fn who_was_spared_has_to_be_heard_of_before_it_is_again() {
    let mut nodes = Nodes::new(8, 8);
    let now = Instant::now();
    nodes.hear(NodeId(1), 1, &entries([("a", 1)]), now);
    nodes.spare(now);
    nodes.spare(now + SILENCE / 2);
    assert_eq!(nodes.expire(now + SILENCE, SILENCE).len(), 1);
    nodes.hear(NodeId(1), 1, &entries([("a", 1)]), now);
    nodes.spare(now);
    nodes.hear(NodeId(1), 1, &entries([("a", 1)]), now);
    nodes.spare(now + SILENCE / 2);
    assert_eq!(nodes.expire(now + SILENCE, SILENCE), []);
}

#[test]
fn there_is_an_end_to_nodes_and_topics() {
    let mut nodes = Nodes::new(2, 2);
    let now = Instant::now();
    let three = entries([("a", 1), ("b", 1), ("c", 1)]);
    assert_eq!(nodes.hear(NodeId(1), 1, &three, now).unwrap().topics.len(), 2);
    assert_eq!(nodes.presence("c", 0).total, 0);
    assert!(nodes.hear(NodeId(2), 1, &[], now).is_some());
    assert_eq!(nodes.hear(NodeId(3), 1, &[], now), None);
    assert!(nodes.hear(NodeId(2), 2, &[], now).is_some());
}

fn entries<const N: usize>(counts: [(&str, u32); N]) -> Vec<Entry> {
    let entry = |(topic, members): (&str, u32)| Entry { topic: name(topic), members, last: 0 };
    counts.map(entry).into()
}

fn name(topic: &str) -> Arc<str> {
    topic.into()
}
