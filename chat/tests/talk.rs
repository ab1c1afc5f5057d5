//! People who talk: rooms, who is there, what was said before.

mod support;

use serde_json::json;

use crate::support::{Member, limits, start, texts, url, within};

#[tokio::test]
async fn what_is_said_reaches_all_of_the_room_and_nobody_else() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&chat), "Bob", "lobby").await;
    let mut eve = Member::in_room(&url(&chat), "Eve", "other").await;
    ada.say("lobby", " hello\r\nall ").await;
    let [at_ada, at_bob] = [ada.message().await, bob.message().await];
    assert_eq!(at_ada, at_bob);
    assert_eq!((&at_bob["name"], &at_bob["room"]), (&json!("Ada"), &json!("lobby")));
    assert_eq!(at_bob["text"], "hello\nall");
    assert!(at_bob["time"].as_u64().unwrap() > 1_600_000_000_000);
    eve.hears_nothing().await;
}

#[tokio::test]
async fn markup_and_emoji_are_text_like_any_other() {
    let chat = start(limits()).await;
    let name = "<b>👩‍🚀</b>";
    let mut ada = Member::in_room(&url(&chat), name, "lobby").await;
    let mut bob = Member::in_room(&url(&chat), "Bob", "LOBBY").await;
    for text in ["<script>alert(1)</script>", "👩‍👩‍👧‍👦 🏳️‍🌈", "\"}{\\u0000 \\", "مرحبا", "a\tb"]
    {
        ada.say("Lobby", text).await;
        let heard = bob.message().await;
        assert_eq!((heard["name"].as_str(), heard["text"].as_str()), (Some(name), Some(text)));
    }
}

#[tokio::test]
async fn all_hear_all_in_one_order() {
    let chat = start(limits()).await;
    let mut members = Vec::new();
    for n in 0..5 {
        members.push(Member::in_room(&url(&chat), &format!("m{n}"), "lobby").await);
    }
    for turn in 0..20 {
        for (n, member) in members.iter_mut().enumerate() {
            member.say("lobby", &format!("{turn} of {n}")).await;
        }
    }
    let first = members[0].texts(100).await;
    for member in &mut members[1..] {
        assert_eq!(member.texts(100).await, first);
    }
}

#[tokio::test]
async fn who_comes_and_goes_is_told() {
    let chat = start(limits()).await;
    let mut ada = Member::named(&url(&chat), "Ada").await;
    assert_eq!(ada.join("lobby", None).await["people"], json!(["Ada"]));
    let mut bob = Member::named(&url(&chat), "Bob").await;
    assert_eq!(bob.join("lobby", None).await["people"], json!(["Ada", "Bob"]));
    let change = |name: &str, change: &str, people: usize| json!({"type": "presence", "room": "lobby", "name": name, "change": change, "people": people});
    assert_eq!(ada.hear().await, change("Bob", "joined", 2));
    bob.tell(json!({"type": "leave", "room": "lobby"})).await;
    assert_eq!(bob.hear().await, json!({"type": "left", "room": "lobby"}));
    assert_eq!(ada.hear().await, change("Bob", "left", 1));
    // Back again, and gone without a word.
    bob.join("lobby", None).await;
    assert_eq!(ada.hear().await, change("Bob", "joined", 2));
    drop(bob);
    assert_eq!(ada.hear().await, change("Bob", "left", 1));
}

#[tokio::test]
async fn two_connections_of_one_name_are_one_person() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut one = Member::in_room(&url(&chat), "Bob", "lobby").await;
    assert_eq!(ada.hear().await["change"], "joined");
    let mut two = Member::named(&url(&chat), "Bob").await;
    assert_eq!(two.join("lobby", None).await["people"], json!(["Ada", "Bob"]));
    one.tell(json!({"type": "leave", "room": "lobby"})).await;
    assert_eq!(one.hear().await["type"], "left");
    ada.hears_nothing().await;
    drop(two);
    assert_eq!(ada.hear().await["change"], "left");
}

#[tokio::test]
async fn who_comes_later_hears_what_was_said_last() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    for n in 0..60 {
        ada.say("lobby", &n.to_string()).await;
    }
    let expected: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(ada.texts(60).await, expected);
    let mut bob = Member::named(&url(&chat), "Bob").await;
    let joined = bob.join("lobby", None).await;
    assert_eq!(texts(&joined), expected[10..]);
    assert_eq!(joined["resumed"], false);
}

#[tokio::test]
async fn who_comes_back_hears_what_was_missed_and_nothing_twice() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&chat), "Bob", "lobby").await;
    ada.say("lobby", "one").await;
    let last = bob.message().await["id"].as_str().unwrap().to_owned();
    bob.close().await;
    for text in ["two", "three"] {
        ada.say("lobby", text).await;
    }
    ada.texts(3).await;
    let mut bob = Member::named(&url(&chat), "Bob").await;
    let joined = bob.join("lobby", Some(&last)).await;
    assert_eq!((texts(&joined), &joined["resumed"]), (vec!["two", "three"], &json!(true)));
    ada.say("lobby", "four").await;
    assert_eq!(bob.message().await["text"], "four");
    // Too long away, or away from another server: all that there is.
    let mut eve = Member::named(&url(&chat), "Eve").await;
    let joined = eve.join("lobby", Some("0123456789abcdef-7")).await;
    assert_eq!((texts(&joined).len(), &joined["resumed"]), (4, &json!(false)));
}

#[tokio::test]
async fn what_is_said_again_with_its_key_is_said_once() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&chat), "Bob", "lobby").await;
    let say = json!({"type": "say", "room": "lobby", "text": "hello", "key": "k-1"});
    ada.tell(say.clone()).await;
    let first = ada.message().await;
    assert_eq!(first["key"], "k-1");
    // The connection was lost before that had come.
    let mut again = Member::in_room(&url(&chat), "Ada", "lobby").await;
    again.tell(say.clone()).await;
    assert_eq!(again.message().await, first);
    assert_eq!(bob.message().await, first);
    bob.hears_nothing().await;
    // Another person's key is another key.
    bob.tell(say).await;
    assert_ne!(bob.message().await["id"], first["id"]);
}

#[tokio::test]
async fn a_room_that_was_empty_for_long_is_forgotten() {
    let chat = start(chat::Limits { forget: std::time::Duration::ZERO, ..limits() }).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    ada.say("lobby", "hello").await;
    ada.message().await;
    let mut bob = Member::named(&url(&chat), "Bob").await;
    assert_eq!(texts(&bob.join("lobby", None).await), ["hello"]);
    for member in [&mut ada, &mut bob] {
        member.tell(json!({"type": "leave", "room": "lobby"})).await;
        while member.hear().await["type"] != "left" {}
    }
    assert!(texts(&ada.join("lobby", None).await).is_empty());
}

#[tokio::test]
async fn a_room_that_nobody_comes_back_to_takes_no_room() {
    let forget = std::time::Duration::from_millis(1);
    let chat = start(chat::Limits { forget, ..limits() }).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    ada.join("other", None).await;
    assert_eq!(chat.rooms(), 2);
    ada.tell(json!({"type": "leave", "room": "other"})).await;
    assert_eq!(ada.hear().await["type"], "left");
    within(async {
        while chat.rooms() > 1 {
            ada.hears_nothing().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_empty_room_is_kept_for_a_while() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    ada.say("lobby", "hello").await;
    ada.message().await;
    ada.tell(json!({"type": "leave", "room": "lobby"})).await;
    ada.hear().await;
    assert_eq!(texts(&ada.join("lobby", None).await), ["hello"]);
}
