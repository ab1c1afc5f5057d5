//! The edge: who connects, and who accepts.

mod acceptor;
mod authorization;
mod client;
mod connect;
mod dial;
#[cfg(feature = "env-proxy")]
mod env_proxy;
#[cfg(not(feature = "env-proxy"))]
#[path = "without_env_proxy.rs"]
mod env_proxy;
mod listener;
mod proxy;
mod redirect;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "without_tls.rs"]
mod tls;
mod url;

#[cfg(feature = "tls")]
pub use self::tls::{ClientTls, ServerTls};
pub use self::{
    acceptor::Acceptor,
    client::Client,
    connect::connect,
    listener::{Listener, listen},
    proxy::Proxy,
};
