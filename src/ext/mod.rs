//! [`ConnectionExt`] and its combinators, one file each. They know a connection only as a [`Duplex`].

#[macro_use]
pub(crate) mod delegate;

mod callbacks;
mod calls;
mod close_with;
mod codec;
mod connection_ext;
mod duplex;
mod hook_result;
mod into_bytes;
#[cfg(feature = "json")]
mod json;
mod limit_rate;
mod on_each;
mod on_each_async;
mod on_each_text;
mod on_error;
mod on_finish;
mod on_next;
mod on_next_text;
mod on_ping;
mod on_pong;
mod relay;
mod results;
mod run;

pub(crate) use self::duplex::sealed;
#[cfg(feature = "json")]
pub use self::json::{Json, JsonError};
pub use self::{
    callbacks::{Callbacks, Registration, WithCallbacks},
    calls::{CallError, Caller, WithCalls},
    close_with::CloseWith,
    codec::{Codec, CodecError, WithCodec},
    connection_ext::ConnectionExt,
    duplex::{Duplex, Event},
    hook_result::HookResult,
    into_bytes::ByteStream,
    limit_rate::{LimitRate, RateLimit},
    on_each::OnEach,
    on_each_async::OnEachAsync,
    on_each_text::OnEachText,
    on_error::OnError,
    on_finish::OnFinish,
    on_next::OnNext,
    on_next_text::OnNextText,
    on_ping::OnPing,
    on_pong::OnPong,
    relay::Relay,
    results::Results,
    run::Run,
};
