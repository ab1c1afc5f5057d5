//! [`Member`]: a connection in this process, which belongs to a topic.

use futures::StreamExt;
use tokio::task::JoinHandle;
use wsweave::{Connection, ConnectionExt, Group, Membership, Message, Pipe};
use wsweave_backplane::Backplane;

use super::soon;

/// It leaves when this is dropped.
pub(crate) struct Member {
    _membership: Membership,
    peer: Connection<Pipe>,
    task: JoinHandle<()>,
}

impl Member {
    pub(crate) fn join(group: &Group, topic: &str) -> Self {
        let (mut connection, peer) = Connection::pair();
        let membership = group.join(topic, &connection.handle()).unwrap();
        let task = tokio::spawn(async move {
            connection.run().await;
        });
        Self { _membership: membership, peer, task }
    }

    /// Joins, and waits until the topic is subscribed.
    pub(crate) async fn ready(group: &Group, backplane: &Backplane, topic: &str) -> Self {
        let member = Self::join(group, topic);
        soon("the subscription", backplane.ready(topic)).await.unwrap();
        member
    }

    pub(crate) async fn next(&mut self) -> Message {
        soon("a message", self.peer.next()).await.expect("the connection is open")
    }

    pub(crate) async fn text(&mut self) -> String {
        self.next().await.as_text().unwrap().into()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}
