//! What can be sent and shared between threads.

use static_assertions::assert_impl_all;
use wsweave_backplane::{
    Backplane, Broker, Error, Event, Events, NodeId, Presence, Stats, Status, Unsent,
};

assert_impl_all!(Backplane: Clone, Send, Sync, Unpin);
assert_impl_all!(Broker: Clone, Send, Sync, Unpin);
assert_impl_all!(Error: Clone, Send, Sync, Unpin);
assert_impl_all!(Event: Clone, Send, Sync, Unpin);
assert_impl_all!(Events: Send, Unpin);
assert_impl_all!(NodeId: Copy, Send, Sync, Unpin);
assert_impl_all!(Presence: Clone, Send, Sync, Unpin);
assert_impl_all!(Stats: Copy, Send, Sync, Unpin);
assert_impl_all!(Status: Clone, Send, Sync, Unpin);
assert_impl_all!(Unsent: Clone, Send, Sync, Unpin);

#[test]
fn what_waits_can_be_spawned() {
    fn assert_send<T: Send>(_: impl FnOnce(Backplane) -> T) {}
    assert_send(|backplane| async move { backplane.ready("t").await });
    assert_send(|backplane| async move { backplane.flush().await });
    assert_send(|backplane| async move { backplane.history("t", 1).await });
    assert_send(|backplane| async move { backplane.close().await });
}
