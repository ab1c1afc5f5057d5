//! Auto traits of the public types, and of their futures.

use std::fmt::{Debug, Display};

use static_assertions::assert_impl_all;
use wsweave::{Accept, Acceptor, Client, Origins, Proxy, Refusal, Shutdown, Socket};

use crate::script::Script;

assert_impl_all!(Client: Clone, Debug, Send, Sync, Unpin);
assert_impl_all!(Proxy: Clone, Debug, Send, Sync, Unpin);
assert_impl_all!(Acceptor: Clone, Debug, Default, Send, Sync, Unpin);
assert_impl_all!(Accept: Clone, Debug, Default, Send, Sync, Unpin);
assert_impl_all!(Refusal: Clone, Debug, Send, Sync, Unpin);
assert_impl_all!(Socket: Debug, Send, Unpin);
assert_impl_all!(Origins: Clone, Debug, Default, Send, Sync, Unpin);
assert_impl_all!(Shutdown: Copy, Debug, Display, Eq, Send, Sync, Unpin);

fn is_send<T: Send>(_: T) {}

#[test]
fn handshakes_may_run_on_any_thread() {
    is_send(Client::new("ws://a.example").unwrap().connect_over(Script::default()));
    is_send(Acceptor::new().accept(Script::default()));
}

#[test]
fn their_futures_are_small() {
    let client = Client::new("ws://a.example").unwrap();
    let acceptor = Acceptor::new();
    let connecting = size_of_val(&client.connect_over(Script::default()));
    let accepting = size_of_val(&acceptor.accept(Script::default()));
    assert!(connecting < 2048 && accepting < 2048, "{connecting}, {accepting}");
}

#[cfg(feature = "runtime")]
mod tcp {
    use std::time::Duration;

    use futures::Stream;
    use static_assertions::assert_not_impl_any;
    use wsweave::{Client, Connection, ConnectionExt, Server, ServerHandle, connect, listen};

    use super::{Debug, assert_impl_all, is_send};

    assert_impl_all!(Server: Debug, Default, Send, Unpin, Stream<Item = Connection>);
    assert_impl_all!(ServerHandle: Clone, Debug, Send, Sync, Unpin);
    assert_not_impl_any!(Server: Sync, Clone);

    #[test]
    fn connecting_and_listening_may_run_on_any_thread() {
        is_send(connect("ws://a.example"));
        let client = Client::new("ws://a.example").unwrap();
        is_send(client.connect());
        is_send(client.connect_to("a.example", 80));
        assert!(size_of_val(&client.connect()) < 2048);
        is_send(listen("127.0.0.1:0"));
        is_send(Server::new().serve(ConnectionExt::run));
        let handle = Server::new().handle();
        is_send(handle.shutdown(Duration::ZERO));
    }
}
