//! Brokers and nodes, each a process of its own.

mod member;
mod node;
mod server;
mod way;

use std::{future::Future, time::Duration};

use futures::StreamExt;
use tokio::time::timeout;
use wsweave_backplane::{Event, Events};

pub(crate) use self::{
    member::Member,
    node::Node,
    server::{Engine, Server, free_port},
    way::Way,
};

/// For what comes soon, even on a machine that is busy.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// The first event that is meant, with what is meant of it.
pub(crate) async fn event<T>(
    events: &mut Events,
    what: &str,
    meant: impl Fn(&Event) -> Option<T>,
) -> T {
    let event = async {
        loop {
            let event = events.next().await.expect("the backplane is there");
            if let Some(found) = meant(&event) {
                return found;
            }
        }
    };
    soon(what, event).await
}

const PATIENCE: Duration = Duration::from_secs(60);
