//! The edge: who connects, and who accepts.

mod client;
mod reconnect;
mod server;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "without_tls.rs"]
mod tls;

pub(crate) use self::server::Permit;
#[cfg(feature = "tls")]
pub use self::tls::{ClientTls, ServerTls};
pub use self::{
    client::{Client, Proxy, connect},
    reconnect::{Outage, Reconnect, ReconnectPolicy, Status},
    server::{Acceptor, Origins, Server, ServerHandle, Shutdown, listen},
};
