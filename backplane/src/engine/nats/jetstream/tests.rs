use std::collections::HashSet;

use super::*;

#[test]
fn each_prefix_has_a_stream_of_its_own() {
    assert_eq!(stream_name("wsweave"), "wsweave");
    let prefixes = ["a.b", "a_b", "a-b", "a.-b", "a_-b", "a__b", "a._b", "a_.b", "a.b_", "a_b_"];
    let names: HashSet<_> = prefixes.map(stream_name).into();
    assert_eq!(names.len(), prefixes.len());
    assert!(names.iter().all(|name| !name.contains('.')));
}
