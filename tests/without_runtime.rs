//! Without any runtime: what needs one says so, and the rest works.

#![cfg(not(feature = "runtime"))]

mod support;

use futures::FutureExt;
use wsweave::{ErrorKind, connect, listen};

use crate::support::{BOTH, Rig};

#[test]
fn the_one_attempt_of_a_drop_is_all() {
    for role in BOTH {
        let mut rig = Rig::new(role).lingering();
        rig.wire.allow(3);
        rig.feed("stuck");
        let Rig { conn, wire, .. } = rig;
        drop(conn);
        assert!(wire.is_dropped());
        assert_eq!(wire.state().written.len(), 3);
    }
}

#[test]
fn connecting_and_listening_name_the_features_that_they_need() {
    for error in [
        connect("ws://127.0.0.1:1").now_or_never().unwrap().unwrap_err(),
        listen("127.0.0.1:0").now_or_never().unwrap().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        for feature in ["`async-std`", "`smol`", "`tokio`"] {
            assert!(error.to_string().contains(feature), "{error}");
        }
    }
}
