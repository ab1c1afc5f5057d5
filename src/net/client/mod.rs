//! [`Client`]: what to connect to, and how; and the ways there.

mod authorization;
mod builder;
mod connect;
mod dial;
#[cfg(feature = "env-proxy")]
mod env_proxy;
#[cfg(not(feature = "env-proxy"))]
#[path = "without_env_proxy.rs"]
mod env_proxy;
mod proxy;
mod redirect;
mod stage;
mod url;

pub use self::{builder::Client, connect::connect, proxy::Proxy};
