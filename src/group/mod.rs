//! Groups: what is published to a topic reaches all of its members.

mod changes;
mod config;
mod drain;
#[allow(clippy::module_inception, reason = "the type's own file")]
mod group;
mod lag;
mod membership;
mod topic;

pub use self::{
    changes::{Change, Changes},
    config::GroupConfig,
    drain::Drain,
    group::Group,
    lag::{Lag, LagPolicy},
    membership::{MemberId, Membership},
};
pub(crate) use self::{
    lag::{Excess, KeyBytes, Keys},
    membership::Seat,
};
