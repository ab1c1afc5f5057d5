//! The edge: who connects, and who accepts.

mod accepting;
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
mod listeners;
mod origins;
mod proxy;
mod redirect;
mod registry;
mod server;
mod shutdown;
#[cfg(unix)]
mod socket_file;
mod stage;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "without_tls.rs"]
mod tls;
mod url;

pub(crate) use self::registry::Permit;
#[cfg(feature = "tls")]
pub use self::tls::{ClientTls, ServerTls};
pub use self::{
    acceptor::Acceptor,
    client::Client,
    connect::connect,
    origins::Origins,
    proxy::Proxy,
    server::{Server, listen},
    shutdown::{ServerHandle, Shutdown},
};
