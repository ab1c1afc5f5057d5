//! [`Reconnect`]: any number of connections, one after the other, as one.

mod drive;
mod halves;
mod outage;
mod policy;
mod retry_after;
mod series;
mod status;
mod value;

pub use self::{outage::Outage, policy::ReconnectPolicy, status::Status, value::Reconnect};
