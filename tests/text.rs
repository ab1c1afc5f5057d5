//! `Text` as a `str`.

use std::collections::{BTreeMap, HashMap};

use wsweave::Text;

#[test]
fn a_map_of_texts_is_asked_with_a_str() {
    let rooms = HashMap::from([(Text::from("lobby"), 1), (Text::from("café"), 2)]);
    assert_eq!(rooms.get("lobby"), Some(&1));
    assert_eq!(rooms.get("café"), Some(&2));
    let sorted: BTreeMap<_, _> = rooms.into_iter().collect();
    assert_eq!(sorted.get("lobby"), Some(&1));
}
