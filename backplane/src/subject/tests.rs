use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[test]
fn names_that_mean_something_to_a_broker_are_encoded() {
    let subjects = Subjects::new("app.one").unwrap();
    let of = |topic| subjects.topic(topic).to_string();
    assert_eq!(of("news_1-a"), "app.one.topic.news_1-a");
    assert_eq!(of("*"), "app.one.topic.%2A");
    assert_eq!(of(">"), "app.one.topic.%3E");
    assert_eq!(of("a.b c%"), "app.one.topic.a%2Eb%20c%25");
    assert_eq!(of("é"), "app.one.topic.%C3%A9");
    let topics = ["a", "A", "a.", "%61", "*", ">", " ", "\r\n"];
    assert_eq!(topics.map(of).iter().collect::<HashSet<_>>().len(), topics.len());
}

#[test]
fn a_prefix_is_words_with_dots_between() {
    for prefix in ["a", "a.b", "A-1.b_2", &"a".repeat(64)] {
        assert!(Subjects::new(prefix).is_ok(), "{prefix}");
    }
    for prefix in ["", ".", "a.", "a..b", "a b", "*", "a.>", "é", "a.topic", &"a".repeat(65)] {
        let error = Subjects::new(prefix).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{prefix}");
    }
}

#[test]
fn topics_have_a_name_of_at_most_255_bytes() {
    assert!(is_topic("a") && is_topic(&"a".repeat(255)));
    assert!(!is_topic("") && !is_topic(&"a".repeat(256)));
}

proptest! {
    #[test]
    fn each_topic_has_one_word_of_its_own(topic in ".{1,80}") {
        let subjects = Subjects::new("p").unwrap();
        let subject = subjects.topic(&topic);
        let word = subject.strip_prefix("p.topic.").unwrap();
        prop_assert!(word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_%".contains(&byte)));
        prop_assert_eq!(&*subjects.topic_of(&subject), topic);
    }
}
