use super::*;

const RECENT: Duration = Duration::from_secs(60);

#[test]
fn a_beat_says_members_first_and_then_what_was_published_last() {
    let members = HashMap::from([(name("m"), 3)]);
    let sent = sent([("old", 7, 50), ("new", 9, 1), ("m", 4, 3_600), ("gone", 5, 60)]);
    let said = entries(members.clone(), &sent, 10, RECENT);
    assert_eq!(said, [entry("m", 3, 4), entry("new", 0, 9), entry("old", 0, 7)]);
    assert_eq!(entries(members, &sent, 2, RECENT), said[..2]);
}

#[test]
fn of_too_many_topics_it_says_the_same_ones_each_time() {
    for _ in 0..5 {
        let members: HashMap<_, _> =
            (0..100).map(|number| (name(&number.to_string()), 1)).collect();
        let said = entries(members, &HashMap::new(), 3, RECENT);
        assert_eq!(said, [entry("0", 1, 0), entry("1", 1, 0), entry("10", 1, 0)]);
    }
}

/// The number of the last message, and how many seconds ago it was.
fn sent<const N: usize>(topics: [(&str, u64, u64); N]) -> HashMap<Arc<str>, Last> {
    let now = std::time::Instant::now();
    let last = |(topic, number, ago)| {
        (name(topic), Last { number, at: now.checked_sub(Duration::from_secs(ago)).unwrap() })
    };
    topics.map(last).into()
}

fn entry(topic: &str, members: u32, last: u64) -> Entry {
    Entry { topic: name(topic), members, last }
}

fn name(topic: &str) -> Arc<str> {
    topic.into()
}
