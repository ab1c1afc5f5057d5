//! Whatever comes in, the server goes on, and nobody else notices.

mod support;

use std::sync::OnceLock;

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wsweave::{Bytes, Message};

use crate::support::{Member, limits, start, url};

#[tokio::test]
async fn what_is_no_request_gets_an_error_that_says_why() {
    let chat = start(limits()).await;
    let mut ada = Member::in_room(&url(&chat), "Ada", "lobby").await;
    let mut bob = Member::in_room(&url(&chat), "Bob", "lobby").await;
    let deep = [r#"{"type":"say","text":"#, &"[".repeat(10_000)].concat();
    let bad: [&str; 20] = [
        "",
        " ",
        "hello",
        "null",
        "[]",
        "{}",
        "{\"type\":\"say\"",
        &deep,
        r#"{"type":"dance"}"#,
        r#"{"type":7}"#,
        r#"{"type":"say","room":"lobby","text":1e999}"#,
        r#"{"type":"say","room":"lobby","text":null}"#,
        r#"{"type":"say","room":["lobby"],"text":"a"}"#,
        r#"{"type":"say","room":"lobby","text":"\ud83d"}"#,
        r#"{"type":"say","room":"lobby","text":"\ude00\ud83d"}"#,
        r#"{"type":"say","room":"lobby","text":"a","text":"b"}"#,
        r#"{"type":"say","room":"lobby","text":"a"} {}"#,
        r#"{"type":"hello","version":99999999999999999999999999,"name":"a"}"#,
        r#"{"type":"hello","version":1.5,"name":"a"}"#,
        r#"{"type":"join","room":"other","after":{"id":1}}"#,
    ];
    for bad in bad {
        ada.send(bad).await;
        loop {
            let event = ada.hear().await;
            if event["type"] != "presence" {
                assert_eq!(
                    (&event["type"], &event["code"]),
                    (&json!("error"), &json!("bad-json")),
                    "{bad}"
                );
                break;
            }
        }
    }
    for (request, code) in [
        (json!({"type": "hello", "version": 1, "name": "Eve"}), "hello-again"),
        (json!({"type": "hello", "version": 2, "name": "Eve"}), "bad-version"),
        (json!({"type": "say", "room": "other", "text": "a"}), "not-in-room"),
        (json!({"type": "leave", "room": "other"}), "not-in-room"),
        (json!({"type": "join", "room": "lobby"}), "in-room"),
        (json!({"type": "join", "room": "a.*.>"}), "bad-room"),
        (json!({"type": "join", "room": "x".repeat(10_000)}), "bad-room"),
        (json!({"type": "say", "room": "lobby", "text": " \u{200d} "}), "bad-text"),
        (json!({"type": "say", "room": "lobby", "text": "a\u{202e}b"}), "bad-text"),
        (json!({"type": "say", "room": "lobby", "text": "a", "key": "<>"}), "bad-key"),
    ] {
        ada.tell(request.clone()).await;
        assert_eq!(ada.error().await, code, "{request}");
    }
    ada.send(Bytes::from_static(b"{\"type\":\"ping\"}")).await;
    assert_eq!(ada.error().await, "not-text");
    // What went wrong is told with what it was about, and to nobody else.
    ada.tell(json!({"type": "say", "room": "lobby", "text": "", "key": "k7"})).await;
    let error = ada.hear().await;
    assert_eq!((&error["room"], &error["key"]), (&json!("lobby"), &json!("k7")));
    bob.hears_nothing().await;
    ada.say("lobby", "all is well").await;
    assert_eq!(bob.message().await["text"], "all is well");
}

#[tokio::test]
async fn before_the_hello_there_is_nothing_else() {
    let chat = start(limits()).await;
    let mut member = Member::connect(&url(&chat)).await;
    for request in [
        json!({"type": "join", "room": "lobby"}),
        json!({"type": "say", "room": "lobby", "text": "a"}),
        json!({"type": "leave", "room": "lobby"}),
    ] {
        member.tell(request).await;
        assert_eq!(member.error().await, "no-hello");
    }
    member.hears_nothing().await;
}

/// Anything at all, JSON of any kind, and what nearly is a request.
fn input() -> impl Strategy<Value = Message> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(lobby|hello|join|say|leave|ping)".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{0,4}", inner, 0..4)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    });
    let field = "(type|version|name|room|text|key|after)";
    let request = prop::collection::hash_map(field, value.clone(), 0..6);
    let kind = "(hello|join|say|leave|ping)";
    let near = (kind, request).prop_map(|(kind, fields)| {
        let mut fields: serde_json::Map<_, _> = fields.into_iter().collect();
        fields.insert("type".to_owned(), kind.into());
        Message::from(Value::from(fields).to_string())
    });
    prop_oneof![
        any::<String>().prop_map(Message::from),
        any::<Vec<u8>>().prop_map(Message::from),
        value.prop_map(|value| Message::from(value.to_string())),
        near.clone(),
        near,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_input_ends_the_server_or_a_connection(inputs in prop::collection::vec(input(), 1..24)) {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(async {
            let chat = start(limits()).await;
            let mut ada = Member::in_room(&url(&chat), "Ada", "quiet").await;
            let mut eve = Member::in_room(&url(&chat), "Eve", "lobby").await;
            for input in inputs {
                eve.send(input).await;
            }
            // All of it was dealt with, and the connection is as good as before.
            eve.tell(json!({"type": "ping"})).await;
            while eve.hear().await["type"] != "pong" {}
            ada.tell(json!({"type": "ping"})).await;
            while ada.hear().await["type"] != "pong" {}
        });
    }
}
