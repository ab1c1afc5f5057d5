//! `json()`: values as JSON, and what a peer may send instead.

#![cfg(feature = "json")]

mod coded;
mod support;

use std::{collections::BTreeMap, error::Error as _, fmt, marker::PhantomData, rc::Rc, task::Poll};

use futures::{FutureExt, SinkExt};
use proptest::{collection::vec, prelude::*};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny},
};
use serde_json::Value;
use static_assertions::assert_impl_all;
use wsweave::{Codec, CodecError, Config, ConnectionExt, ErrorKind, Json, JsonError, Message};

use crate::{
    coded::next,
    support::{BOTH, Frame, Rig},
};

// Whatever the values are.
assert_impl_all!(Json<Rc<()>, PhantomData<*const ()>>: Send, Sync, Unpin, Copy, Default, fmt::Debug);
assert_impl_all!(JsonError: Send, Sync, Unpin, std::error::Error);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Shape {
    Circle { radius: f64 },
    Named { name: String },
}

#[test]
fn values_are_json_in_text_messages() {
    for role in BOTH {
        let mut rig = Rig::new(role).weave(ConnectionExt::json::<Shape, Shape>);
        rig.receive([Frame::text(r#" {"type": "circle", "radius": 2} "#)]);
        let Poll::Ready(Some(Ok(shape))) = next(&mut rig) else { panic!() };
        assert_eq!(shape, Shape::Circle { radius: 2.0 });
        rig.conn.send(Shape::Named { name: "é\n".into() }).now_or_never().unwrap().unwrap();
        assert_eq!(rig.sent(), [Frame::text(r#"{"type":"named","name":"é\n"}"#)]);
    }
}

#[test]
fn hostile_messages_are_errors_that_carry_them_and_the_next_one_is_decoded() {
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let mut rig = Rig::new(BOTH[1]).weave(ConnectionExt::json::<Value, ()>);
    let hostile = [
        String::new(),
        " ".into(),
        "{".into(),
        "[1, 2".into(),
        "[1, 2]]".into(),
        "{} {}".into(),
        "nul".into(),
        "NaN".into(),
        "-".into(),
        "01".into(),
        "1e400".into(),
        format!("-1{}", "0".repeat(400)),
        "\"a\nb\"".into(),
        r#""\ud800""#.into(),
        "\u{feff}1".into(),
        "{'a': 1}".into(),
        deep(128),
        "[".repeat(1_000_000),
        "{\"a\":".repeat(200_000),
    ];
    for text in hostile {
        rig.receive([Frame::text(&text), Frame::text("1")]);
        let Poll::Ready(Some(Err(CodecError::Decode { message, error }))) = next(&mut rig) else {
            panic!("{text:.20} was decoded")
        };
        assert!(message == text.clone().into(), "another message");
        assert!(error.to_string().contains("at line 1 column") || text == "\"a\nb\"", "{error}");
        assert!(error.source().is_some());
        assert!(matches!(next(&mut rig), Poll::Ready(Some(Ok(Value::Number(_))))));
    }
    rig.receive([Frame::text(deep(127))]);
    assert!(matches!(next(&mut rig), Poll::Ready(Some(Ok(Value::Array(_))))));
}

#[test]
fn values_of_another_type_are_errors() {
    let mut shapes = Json::<Shape, ()>::new();
    for text in [
        "7",
        r#"{"type": "square"}"#,
        r#"{"type": "circle"}"#,
        r#"{"type": "circle", "radius": "2"}"#,
        r#"{"type": "circle", "radius": 2, "radius": 2}"#,
        r#"{"type": "named", "name": "x", "more": 1}"#,
    ] {
        shapes.decode(&text.into()).unwrap_err();
    }
    let mut bytes = Json::<u8, ()>::new();
    for text in ["256", "-1", "1.5", "1e2", "18446744073709551616", "true", "null", "\"1\""] {
        bytes.decode(&text.into()).unwrap_err();
    }
    assert_eq!(bytes.decode(&"255".into()).unwrap(), 255);
}

#[test]
fn a_message_that_is_too_large_is_the_connections_affair() {
    let config = Config::default().max_message_size(10);
    let mut rig = Rig::with(BOTH[1], config).weave(ConnectionExt::json::<Value, ()>);
    rig.receive([Frame::text("\"123456789\"")]);
    let Poll::Ready(Some(Err(CodecError::Connection(error)))) = next(&mut rig) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(rig.sent_codes(), [Some(1009)]);
}

#[test]
fn binary_messages_are_errors_unless_they_are_accepted() {
    let message = Message::from(b"[1]");
    let error = Json::<Value, ()>::new().decode(&message).unwrap_err();
    assert!(matches!(error, JsonError::Binary));
    assert_eq!(error.to_string(), "expected JSON in a text message, not in a binary one");
    assert!(error.source().is_none());

    let mut both = Json::<Value, ()>::new().accept_binary();
    assert_eq!(both.decode(&message).unwrap(), both.decode(&"[1]".into()).unwrap());
    // Nobody has checked these.
    assert!(matches!(both.decode(&b"\"\xff\"".into()), Err(JsonError::Json(_))));
    assert!(both.encode(()).unwrap().is_text());
}

#[test]
fn what_is_shown_of_a_message_is_one_line() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    let forged = r#"{"a\n2026-01-01 ERROR forged\u0007\u0085\u001b[31m": 1}"#;
    let error = Json::<Nothing, ()>::new().decode(&forged.into()).unwrap_err();
    let line = error.to_string();
    assert!(line.contains(r"a\n2026-01-01 ERROR forged\u{7}\u{85}\u{1b}[31m"), "{line}");
    assert!(!line.contains(char::is_control), "{line:?}");
}

#[test]
fn what_cannot_be_json_is_not_sent() {
    let mut rig = Rig::new(BOTH[0]).weave(ConnectionExt::json::<(), BTreeMap<Vec<u8>, u8>>);
    let error = rig.conn.send(BTreeMap::from([(vec![1], 2)])).now_or_never().unwrap().unwrap_err();
    assert!(matches!(error, CodecError::Encode(JsonError::Json(_))), "{error}");
    rig.conn.send(BTreeMap::new()).now_or_never().unwrap().unwrap();
    assert_eq!(rig.sent(), [Frame::text("{}")]);
}

#[test]
fn a_value_that_refuses_itself_is_an_error() {
    #[derive(Debug)]
    struct Even;

    impl<'de> Deserialize<'de> for Even {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let number = u64::deserialize(deserializer)?;
            if number % 2 == 0 { Ok(Self) } else { Err(de::Error::custom("odd")) }
        }
    }

    let mut json = Json::<Even, ()>::new();
    json.decode(&"2".into()).unwrap();
    assert!(json.decode(&"3".into()).unwrap_err().to_string().starts_with("odd"));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("\\PC{0,4}", inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(value in value()) {
        let mut json = Json::<Value, Value>::new();
        let message = json.encode(value.clone()).unwrap();
        prop_assert_eq!(json.decode(&message).unwrap(), value);
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}\",:0-9eE+.\\\\u\\-nultrfas ]{0,40}", bytes: Vec<u8>) {
        let _ = Json::<Value, ()>::new().decode(&text.into());
        let _ = Json::<IgnoredAny, ()>::new().accept_binary().decode(&bytes.into());
    }
}
