use proptest::{collection::vec, prelude::*};

use super::*;

fn entry() -> impl Strategy<Value = Entry> {
    (".{1,60}", any::<u32>(), any::<u64>()).prop_map(|(topic, members, last)| Entry {
        topic: topic.into(),
        members,
        last,
    })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        ".*".prop_map(|text| Body::Message(text.into())),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Body::Message(bytes.into())),
        vec(entry(), 0..20).prop_map(Body::Changes),
        vec(entry(), 0..20).prop_map(Body::Beat),
        Just(Body::Farewell),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (any::<u128>(), any::<u64>(), 1_u64.., body()).prop_map(|(origin, epoch, sequence, body)| {
        Envelope { origin: NodeId(origin), epoch, sequence, body }
    })
}

proptest! {
    #[test]
    fn what_is_encoded_parses_to_the_same(envelope in envelope()) {
        prop_assert_eq!(Envelope::parse(envelope.encode()), Ok(envelope));
    }

    #[test]
    fn any_bytes_parse_or_not_but_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Envelope::parse(bytes.into());
    }

    /// There is one encoding, so that nothing is read that was not meant.
    #[test]
    fn what_parses_is_encoded_to_the_same(
        kind in 0..6_u8,
        rest in vec(any::<u8>(), HEAD - 2..80),
    ) {
        let bytes = Bytes::from([&[VERSION, kind], &rest[..]].concat());
        if let Ok(envelope) = Envelope::parse(bytes.clone()) {
            prop_assert_eq!(envelope.encode(), bytes);
        }
    }

    #[test]
    fn presence_that_is_cut_short_does_not_parse(entries in vec(entry(), 1..5), cut in 1..13_usize) {
        let bytes = of(Body::Beat(entries)).encode();
        prop_assert_eq!(Envelope::parse(bytes.slice(..bytes.len() - cut)), Err(Invalid::Malformed));
    }
}

#[test]
fn an_envelope_is_34_bytes_and_its_message() {
    let bytes = of(Body::Message("hello".into())).encode();
    let head = [&[1, 0], &[7; 16][..], &9_u64.to_be_bytes(), &5_u64.to_be_bytes()].concat();
    assert_eq!(bytes, [&head[..], b"hello"].concat());
}

#[test]
fn what_is_wrong_is_said() {
    let mut bytes = of(Body::Message("hello".into())).encode().to_vec();
    let mut with = |index: usize, value| {
        let before = std::mem::replace(&mut bytes[index], value);
        let parsed = Envelope::parse(bytes.clone().into());
        bytes[index] = before;
        parsed.unwrap_err()
    };
    assert_eq!(with(0, 2), Invalid::Version);
    assert_eq!(with(1, 5), Invalid::Malformed);
    assert_eq!(with(1, FAREWELL), Invalid::Malformed, "with something behind it");
    assert_eq!(with(HEAD - 1, 0), Invalid::Malformed, "numbers begin with 1");
    assert_eq!(with(HEAD, 0xff), Invalid::Utf8);
    assert_eq!(Envelope::parse(Bytes::new()), Err(Invalid::Malformed));
    assert_eq!(Envelope::parse(Bytes::from_static(b"PING")), Err(Invalid::Version));
}

fn of(body: Body) -> Envelope {
    Envelope { origin: NodeId(u128::from_be_bytes([7; 16])), epoch: 9, sequence: 5, body }
}
