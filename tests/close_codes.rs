//! Which close codes and reasons may go on the wire (RFC 6455, sections 5.5.1 and 7.4).

mod support;

use futures::FutureExt;
use wsweave::{ConnectionExt, ErrorKind};

use crate::support::{BOTH, Frame, Rig};

const SENDABLE: [u16; 15] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4999];
const FORBIDDEN: [u16; 13] =
    [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

#[test]
fn sendable_codes_are_sent() {
    for role in BOTH {
        for code in SENDABLE {
            let mut rig = Rig::new(role);
            assert!(rig.conn.close_with(code, "").now_or_never().is_none());
            assert_eq!(rig.sent(), [Frame::close(code, "")]);
        }
    }
}

#[test]
fn forbidden_codes_are_refused_and_change_nothing() {
    for role in BOTH {
        for code in FORBIDDEN {
            let mut rig = Rig::new(role);
            let refused = rig.conn.close_with(code, "").now_or_never().unwrap().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            let refused = rig.conn.handle().close_with(code, "").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);

            rig.feed("still open");
            rig.settle();
            assert_eq!(rig.sent(), [Frame::text("still open")]);
        }
    }
}

#[test]
fn a_forbidden_code_in_a_hook_fails_the_connection() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.peer().close_with(1005, "");
        assert_eq!(rig.settle(), []);
        assert_eq!(rig.sent_codes(), [Some(1011)]);
        assert_eq!(rig.finish().code, 1011);
        assert!(!rig.finish().clean);
    }
}

#[test]
fn reasons_are_cut_to_123_bytes_at_a_character() {
    let cases = [
        ("x".repeat(123), "x".repeat(123)),
        ("x".repeat(124), "x".repeat(123)),
        ("é".repeat(62), "é".repeat(61)),
        ("€".repeat(100), "€".repeat(41)),
        ("😀".repeat(31), "😀".repeat(30)),
    ];
    for role in BOTH {
        for (given, sent) in &cases {
            let mut rig = Rig::new(role);
            assert!(rig.conn.close_with(1000, given).now_or_never().is_none());
            assert_eq!(rig.sent(), [Frame::close(1000, sent)]);
            rig.receive([Frame::close(1000, "")]);
            rig.wire.end();
            rig.settle();
            assert_eq!(rig.finish().reason, *sent.as_str());
        }
    }
}

#[test]
fn the_longest_reason_of_a_peer_arrives_whole() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let reason = "é".repeat(61) + "x";
        rig.receive([Frame::close(1000, &reason)]);
        rig.wire.end();
        rig.settle();
        assert_eq!(rig.finish().reason, *reason.as_str());
        assert!(rig.finish().clean);
    }
}
