//! That there is a limit to everything, and what happens there.

mod support;

use std::time::{Duration, Instant};

use chat::Limits;
use serde_json::json;
use wsweave::{Client, CloseCode, Config, ErrorKind};

use crate::support::{Member, limits, start, url, within};

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let chat = start(limits()).await;
    let mut ada = Member::connect(&url(&chat)).await;
    ada.tell(json!({"type": "hello", "version": 1, "name": "x".repeat(33)})).await;
    assert_eq!(ada.error().await, "bad-name");
    let mut ada = Member::in_room(&url(&chat), &"x".repeat(32), "lobby").await;
    ada.tell(json!({"type": "join", "room": "x".repeat(33)})).await;
    assert_eq!(ada.error().await, "bad-room");
    ada.say("lobby", &"x".repeat(2_001)).await;
    assert_eq!(ada.error().await, "bad-text");
    ada.say("lobby", &"\n".repeat(50)).await;
    assert_eq!(ada.error().await, "bad-text");
    ada.say("lobby", &"🙂".repeat(2_000)).await;
    assert_eq!(ada.message().await["text"].as_str().unwrap().chars().count(), 2_000);
    // The longest text in its longest form.
    let escaped = r"\ud83d\ude42".repeat(2_000);
    ada.send(format!(r#"{{"type": "say", "room": "lobby", "text": "{escaped}"}}"#)).await;
    assert_eq!(ada.message().await["text"].as_str().unwrap().chars().count(), 2_000);
}

#[tokio::test]
async fn a_message_that_is_far_too_large_ends_that_connection_alone() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&chat), "Bob", "lobby").await;
    bob.send(" ".repeat((32 << 10) + 1)).await;
    assert_eq!(bob.end().await.code, CloseCode::MESSAGE_TOO_BIG);
    // In parts, too.
    let config = Config::default().fragment_size(Some(8 << 10));
    let mut eve = Member::connect_with(&url(&chat), config).await;
    eve.send(" ".repeat((32 << 10) + 1)).await;
    assert_eq!(eve.end().await.code, CloseCode::MESSAGE_TOO_BIG);
    assert_eq!(ada.hear().await["change"], "joined");
    assert_eq!(ada.hear().await["change"], "left");
}

#[tokio::test]
async fn rooms_a_connection_are_limited() {
    let chat = start(limits()).await;
    let mut ada = Member::named(&url(&chat), "Ada").await;
    for n in 0..8 {
        ada.join(&format!("r{n}"), None).await;
    }
    ada.tell(json!({"type": "join", "room": "r8"})).await;
    assert_eq!(ada.error().await, "too-many-rooms");
    ada.tell(json!({"type": "leave", "room": "r0"})).await;
    ada.hear().await;
    ada.join("r8", None).await;
}

#[tokio::test]
async fn of_ten_thousand_rooms_by_one_client_a_few_are_made() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut eve = Member::named(&url(&chat), "Eve").await;
    for hundred in 0..100 {
        for n in 0..100 {
            let room = format!("r{hundred}-{n}");
            eve.tell(json!({"type": "join", "room": room})).await;
            eve.tell(json!({"type": "leave", "room": room})).await;
        }
        for n in 0..100 {
            if hundred == 0 && n < 16 {
                assert_eq!(eve.hear().await["type"], "joined");
                assert_eq!(eve.hear().await["type"], "left");
            } else {
                assert_eq!(eve.error().await, "too-many-rooms");
                assert_eq!(eve.error().await, "not-in-room");
            }
        }
    }
    assert_eq!(chat.rooms(), 17);
    // Those that there are are as open to her as before.
    eve.join("lobby", None).await;
    eve.say("lobby", "still here").await;
    assert_eq!(ada.message().await["text"], "still here");
    drop(eve);
    Member::in_room(&url(&chat), "Bob", "another").await;
}

#[tokio::test]
async fn rooms_that_are_forgotten_can_be_made_again() {
    let chat = start(Limits { rooms: 16, ..limits() }).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut eve = Member::named(&url(&chat), "Eve").await;
    // Her own give way to the next ones: there are 15 of them at most.
    for n in 0..100 {
        let room = format!("r{n}");
        eve.join(&room, None).await;
        eve.tell(json!({"type": "leave", "room": room})).await;
        assert_eq!(eve.hear().await["type"], "left");
    }
    assert_eq!(chat.rooms(), 16);
    ada.say("lobby", "still here").await;
    assert_eq!(ada.message().await["text"], "still here");
}

#[tokio::test]
async fn rooms_are_limited_and_empty_ones_make_room() {
    let chat = start(Limits { rooms: 2, ..limits() }).await;
    let mut ada = Member::named(&url(&chat), "Ada").await;
    ada.join("one", None).await;
    ada.join("two", None).await;
    ada.tell(json!({"type": "join", "room": "three"})).await;
    assert_eq!(ada.error().await, "no-more-rooms");
    ada.tell(json!({"type": "leave", "room": "one"})).await;
    ada.hear().await;
    ada.join("three", None).await;
}

#[tokio::test]
async fn people_in_a_room_are_limited() {
    let chat = start(Limits { people: 2, ..limits() }).await;
    let _ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let bob = Member::in_room(&url(&chat), "Bob", "lobby").await;
    let mut eve = Member::named(&url(&chat), "Eve").await;
    eve.tell(json!({"type": "join", "room": "lobby"})).await;
    let error = eve.hear().await;
    assert_eq!((&error["code"], &error["retry"]), (&json!("room-full"), &json!(5)));
    let mut changes = Member::named(&url(&chat), "Dan").await;
    drop(bob);
    within(async {
        // Until the server has seen that Bob is gone.
        loop {
            changes.tell(json!({"type": "join", "room": "lobby"})).await;
            if changes.hear().await["type"] == "joined" {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_limited() {
    let chat = start(Limits { connections: 1, ..limits() }).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let refused = within(Client::new(&url(&chat)).unwrap().no_proxy().connect()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert_eq!(refused.response().unwrap().status(), 503);
    ada.hears_nothing().await;
}

#[tokio::test]
async fn whoever_does_not_say_hello_is_sent_away() {
    let chat = start(Limits { hello: Duration::from_secs(1), ..limits() }).await;
    let mut ada = Member::named(&url(&chat), "Ada").await;
    let silent = Member::connect(&url(&chat)).await;
    assert_eq!(silent.end().await.code, CloseCode::POLICY_VIOLATION);
    // She came before.
    ada.hears_nothing().await;
}

#[tokio::test]
async fn a_flood_waits_and_holds_up_nobody_else() {
    let chat = start(Limits { rate: 20, burst: Duration::from_millis(500), ..limits() }).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut eve = Member::in_room(&url(&chat), "Eve", "lobby").await;
    let began = Instant::now();
    for n in 0..60 {
        eve.say("lobby", &format!("flood {n}")).await;
    }
    // Ten of its messages at most are saved up; this one comes before the last of them.
    ada.say("lobby", "a word").await;
    let mut heard = ada.texts(61).await;
    assert_ne!(heard.pop().unwrap(), "a word");
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn whoever_does_not_read_is_sent_away_and_holds_up_nobody() {
    let chat = start(Limits { lag: 64 << 10, people: 10, ..limits() }).await;
    let deaf = Member::in_room(&url(&chat), "Deaf", "lobby").await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let text = "x".repeat(2_000);
    let mut left = false;
    // The system's buffers take some megabytes.
    for _ in 0..20_000 {
        ada.say("lobby", &text).await;
        loop {
            let event = ada.hear().await;
            left |= event["change"] == "left";
            if event["type"] == "message" {
                break;
            }
        }
        if left {
            break;
        }
    }
    if !left {
        assert_eq!(ada.hear().await["change"], "left");
    }
    drop(deaf);
}
