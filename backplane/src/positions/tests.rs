use super::*;
use crate::envelope::Body;

const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn the_first_message_of_a_node_is_where_counting_begins() {
    let mut reader = Reader::new(8);
    assert_eq!(reader.read(1, 1, 41), Observed::New { missed: 0 });
    assert_eq!(reader.read(1, 1, 42), Observed::New { missed: 0 });
}

#[test]
fn what_was_read_is_a_duplicate() {
    let mut reader = Reader::new(8);
    for sequence in 1..=3 {
        reader.read(1, 1, sequence);
    }
    for sequence in 1..=3 {
        assert_eq!(reader.read(1, 1, sequence), Observed::Duplicate);
    }
    assert_eq!(reader.read(2, 1, 3), Observed::New { missed: 0 }, "each node counts for itself");
}

#[test]
fn what_is_missing_is_counted_once() {
    let mut reader = Reader::new(8);
    reader.read(1, 1, 1);
    assert_eq!(reader.read(1, 1, 5), Observed::New { missed: 3 });
    assert_eq!(reader.read(1, 1, 6), Observed::New { missed: 0 });
    assert_eq!(reader.read(1, 1, u64::MAX), Observed::New { missed: u64::MAX - 7 });
}

#[test]
fn a_later_epoch_begins_with_one_and_an_earlier_one_is_over() {
    let mut reader = Reader::new(8);
    reader.read(1, 5, 9);
    assert_eq!(reader.read(1, 6, 2), Observed::New { missed: 1 });
    assert_eq!(reader.read(1, 5, 10), Observed::Duplicate);
}

#[test]
fn a_topic_that_was_left_is_not_missed() {
    let mut reader = Reader::new(8);
    reader.read(1, 1, 1);
    reader.positions.close(&reader.topic);
    assert_eq!(reader.read(1, 1, 2), Observed::Duplicate, "nobody wants it");
    reader.positions.open(&reader.topic);
    assert_eq!(reader.read(1, 1, 9), Observed::New { missed: 0 });
}

#[test]
fn the_node_that_was_silent_longest_is_forgotten_for_another_one() {
    let mut reader = Reader::new(2);
    for node in [1, 2, 3] {
        reader.now += PATIENCE;
        reader.read(node, 1, 1);
    }
    assert_eq!(reader.read(2, 1, 1), Observed::Duplicate);
    assert_eq!(reader.read(1, 1, 1), Observed::New { missed: 0 });
}

#[test]
fn a_claim_that_is_not_kept_in_time_is_a_gap() {
    let mut reader = Reader::new(8);
    reader.read(1, 1, 1);
    reader.claim(1, 1, 4);
    assert!(reader.overdue().is_empty());
    reader.now += PATIENCE;
    assert_eq!(reader.overdue().len(), 1);
    assert_eq!(reader.missed(), [3]);
    assert_eq!(reader.missed(), [0; 0]);
    reader.claim(1, 1, 4);
    reader.now += PATIENCE;
    assert_eq!(reader.missed(), [0; 0], "it is told once");
    assert_eq!(reader.read(1, 1, 3), Observed::New { missed: 0 }, "late, but not lost");
    assert_eq!(reader.read(1, 1, 4), Observed::New { missed: 0 });
    assert_eq!(reader.read(1, 1, 6), Observed::New { missed: 1 });
}

#[test]
fn topics_are_given_up_each_for_itself() {
    let mut reader = Reader::new(8);
    reader.read(1, 1, 1);
    reader.claim(1, 1, 4);
    reader.now += PATIENCE;
    assert_eq!(reader.positions.give_up(Some("other"), reader.now, PATIENCE), []);
    assert_eq!(reader.positions.give_up(Some("t"), reader.now, PATIENCE).len(), 1);
}

#[test]
fn where_to_read_on_is_known_while_the_topic_is_open() {
    let mut reader = Reader::new(8);
    assert_eq!(reader.positions.cursor("t"), None);
    reader.positions.move_cursor(&reader.topic, Cursor("7".into()));
    assert_eq!(reader.positions.cursor("t"), Some(Cursor("7".into())));
    reader.positions.close(&reader.topic);
    reader.positions.move_cursor(&reader.topic, Cursor("8".into()));
    reader.positions.open(&reader.topic);
    assert_eq!(reader.positions.cursor("t"), None);
}

#[test]
fn a_claim_that_is_kept_is_none() {
    let mut reader = Reader::new(8);
    reader.read(1, 1, 1);
    reader.claim(1, 1, 2);
    reader.claim(2, 1, 2);
    reader.claim(1, 9, 7);
    reader.read(1, 1, 2);
    reader.now += PATIENCE;
    assert!(reader.overdue().is_empty());
    assert_eq!(reader.missed(), [0; 0]);
}

struct Reader {
    positions: Positions,
    topic: Arc<str>,
    now: Instant,
}

impl Reader {
    fn new(max_nodes: usize) -> Self {
        let (mut positions, topic) = (Positions::new(max_nodes), "t".into());
        positions.open(&topic);
        Self { positions, topic, now: Instant::now() }
    }

    fn read(&mut self, node: u128, epoch: u64, sequence: u64) -> Observed {
        let body = Body::Message("".into());
        let envelope = Envelope { origin: NodeId(node), epoch, sequence, body };
        self.positions.observe("t", &envelope, self.now)
    }

    fn claim(&mut self, node: u128, epoch: u64, last: u64) {
        self.positions.claim(&self.topic, NodeId(node), epoch, last, self.now);
    }

    fn overdue(&mut self) -> Vec<Arc<str>> {
        self.positions.overdue(self.now, PATIENCE)
    }

    fn missed(&mut self) -> Vec<u64> {
        let missing = self.positions.give_up(None, self.now, PATIENCE);
        missing.into_iter().map(|missing| missing.missed).collect()
    }
}
