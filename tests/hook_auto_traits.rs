//! `Send`, `Sync` and `Unpin` of the hooks: theirs are the connection's and the closure's.

use std::{future::Future, marker::PhantomPinned, pin::Pin, rc::Rc};

use static_assertions::{assert_impl_all as is, assert_not_impl_any as is_not};
use wsweave::{
    ByteStream, Callbacks, CloseWith, Connection, Event, Finish, OnEach, OnEachAsync, OnEachText,
    OnError, OnFinish, OnNext, OnNextText, OnPing, OnPong, Pipe, Registration, Results, Run,
    WithCallbacks,
};

/// Neither `Send` nor `Sync`.
type Local = Rc<()>;
/// A hook's closure may be anything; the connection stays `Unpin`.
type Pinned = PhantomPinned;
type SendFinish = fn(&Finish);
type LocalFinish = Box<dyn FnOnce(&Finish)>;
type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

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

is!(Results<()>: Send, Sync, Unpin);
is_not!(Results<Pinned>: Unpin);
is_not!(Results<Local>: Send, Sync);

is!(ByteStream<()>: Send, Sync, Unpin);
is_not!(ByteStream<Pinned>: Unpin);
is_not!(ByteStream<Local>: Send, Sync);

is!(Run<()>: Send, Sync, Unpin);
is_not!(Run<Pinned>: Unpin);
is_not!(Run<Local>: Send, Sync);

is!(CloseWith<'static, ()>: Send, Sync, Unpin);
is!(CloseWith<'static, Pinned>: Unpin);
is_not!(CloseWith<'static, Local>: Send, Sync);

is!(Callbacks: Clone, Send, Sync, Unpin);
is!(Registration: Clone, Send, Sync, Unpin);
is!(Event: Clone, Send, Sync, Unpin);
