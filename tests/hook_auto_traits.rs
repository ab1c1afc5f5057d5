//! `Send`, `Sync` and `Unpin` of the hooks: theirs are the connection's and the closure's.

use std::{future::Future, marker::PhantomPinned, pin::Pin, rc::Rc};

use static_assertions::{assert_impl_all as is, assert_not_impl_any as is_not};
use wsweave::{
    ByteStream, CallError, Callbacks, Caller, CloseWith, Codec, CodecError, Connection,
    ConnectionExt, Event, Finish, LimitRate, Message, OnEach, OnEachAsync, OnEachText, OnError,
    OnFinish, OnNext, OnNextText, OnPing, OnPong, Pipe, RateLimit, Registration, Relay, Results,
    Run, WithCallbacks, WithCalls, WithCodec,
};

/// Neither `Send` nor `Sync`.
type Local = Rc<()>;
/// A hook's closure may be anything; the connection stays `Unpin`.
type Pinned = PhantomPinned;
type SendFinish = fn(&Finish);
type LocalFinish = Box<dyn FnOnce(&Finish)>;
type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A codec that has, takes and gives a `T`.
#[derive(Clone)]
struct Of<T>(T);

impl<T: Clone> Codec for Of<T> {
    type In = T;
    type Out = T;
    type Error = T;

    fn encode(&mut self, _: T) -> Result<Message, T> {
        Err(self.0.clone())
    }

    fn decode(&mut self, _: &Message) -> Result<T, T> {
        Err(self.0.clone())
    }
}

#[test]
fn the_futures_of_callers_may_move_between_threads() {
    fn is_send(_: &impl Send) {}

    let (conn, _peer) = Connection::pair();
    let (_conn, caller) = conn.codec(Of(7)).calls(|id| Some(*id), |id| Some(*id));
    is_send(&caller.call(7));
}

macro_rules! layers {
    ($($layer:ident)*) => {$(
        is!($layer<(), ()>: Send, Sync, Unpin);
        is!($layer<(), Pinned>: Unpin);
        is_not!($layer<Pinned, ()>: Unpin);
        is_not!($layer<Local, ()>: Send, Sync);
        is_not!($layer<(), Local>: Send, Sync);
    )*};
}

layers! { OnEach OnEachText OnNext OnNextText OnPing OnPong OnError }

is!(OnEachAsync<(), (), ()>: Send, Sync, Unpin);
is!(OnEachAsync<(), Pinned, Pinned>: Unpin);
is_not!(OnEachAsync<Pinned, (), ()>: Unpin);
is_not!(OnEachAsync<Local, (), ()>: Send, Sync);
is_not!(OnEachAsync<(), Local, ()>: Send, Sync);
is_not!(OnEachAsync<(), (), LocalFuture>: Send, Sync);

is!(OnFinish<Connection<Pipe>, SendFinish>: Send, Unpin);
is!(OnFinish<Connection<Pipe>, LocalFinish>: Unpin);
is_not!(OnFinish<Connection<Pipe>, LocalFinish>: Send, Sync);

is!(WithCallbacks<Connection<Pipe>>: Send, Unpin);
is_not!(WithCallbacks<OnFinish<Connection<Pipe>, LocalFinish>>: Send, Sync);

is!(LimitRate<()>: Send, Unpin);
// It sleeps, as a connection does.
is_not!(LimitRate<()>: Sync);
is_not!(LimitRate<Pinned>: Unpin);
is_not!(LimitRate<Local>: Send);
is!(RateLimit: Clone, Send, Sync, Unpin);

is!(Results<()>: Send, Sync, Unpin);
is_not!(Results<Pinned>: Unpin);
is_not!(Results<Local>: Send, Sync);

is!(ByteStream<()>: Send, Sync, Unpin);
is_not!(ByteStream<Pinned>: Unpin);
is_not!(ByteStream<Local>: Send, Sync);

is!(WithCodec<(), ()>: Send, Sync, Unpin);
is!(WithCodec<(), Pinned>: Unpin);
is_not!(WithCodec<Pinned, ()>: Unpin);
is_not!(WithCodec<Local, ()>: Send, Sync);
is_not!(WithCodec<(), Local>: Send, Sync);

is!(WithCalls<Connection<Pipe>, Of<()>, (), ()>: Send, Unpin);
is!(WithCalls<Connection<Pipe>, Of<Pinned>, (), Pinned>: Unpin);
is_not!(WithCalls<Connection<Pipe>, Of<Local>, (), ()>: Send, Sync);
is_not!(WithCalls<Connection<Pipe>, Of<()>, Local, ()>: Send, Sync);
is_not!(WithCalls<Connection<Pipe>, Of<()>, (), Local>: Send, Sync);
is_not!(WithCalls<OnFinish<Connection<Pipe>, LocalFinish>, Of<()>, (), ()>: Send, Sync);

is!(Caller<Of<()>, ()>: Clone, Send, Sync, Unpin);
is_not!(Caller<Of<Local>, ()>: Send, Sync);
is_not!(Caller<Of<()>, Local>: Send, Sync);

is!(CodecError<()>: Clone, Send, Sync, Unpin);
is!(CodecError<Box<dyn std::error::Error>>: std::error::Error);
is_not!(CodecError<Local>: Send, Sync);
is!(CallError<(), ()>: Clone, Send, Sync, Unpin);
is!(CallError<(), &str>: std::error::Error);
is_not!(CallError<Local, ()>: Send, Sync);
is_not!(CallError<(), Local>: Send, Sync);

is!(Run<()>: Send, Sync, Unpin);
is_not!(Run<Pinned>: Unpin);
is_not!(Run<Local>: Send, Sync);

is!(Relay<(), ()>: Send, Sync, Unpin);
is_not!(Relay<Pinned, ()>: Unpin);
is_not!(Relay<(), Pinned>: Unpin);
is_not!(Relay<Local, ()>: Send, Sync);
is_not!(Relay<(), Local>: Send, Sync);

is!(CloseWith<'static, ()>: Send, Sync, Unpin);
is!(CloseWith<'static, Pinned>: Unpin);
is_not!(CloseWith<'static, Local>: Send, Sync);

is!(Callbacks: Clone, Send, Sync, Unpin);
is!(Registration: Clone, Send, Sync, Unpin);
is!(Event: Clone, Send, Sync, Unpin);
