//! [`Events`]: what happens between the nodes.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use crate::{
    envelope::Invalid,
    error::{Error, UnsentReason},
    node_id::NodeId,
};

/// The stream of [`Backplane::events`](crate::Backplane::events). It ends when the backplane is gone.
///
/// # Examples
///
/// ```no_run
/// use futures::StreamExt;
/// use wsweave_backplane::{Backplane, Event};
///
/// # async fn example(backplane: &Backplane) {
/// let mut events = backplane.events();
/// while let Some(event) = events.next().await {
///     match event {
///         Event::Gap { topic, node, missed } => println!("{missed} of {node} in {topic} are lost"),
///         Event::Disconnected(error) => println!("alone for now: {error}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Events {
    events: BroadcastStream<Event>,
}

/// What happens between the nodes.
///
/// See [`Events`] for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection to the broker is back, and the topics of the local members are subscribed again.
    Connected,
    /// The connection to the broker is lost.
    Disconnected(Error),
    /// Messages of a node have not come, and will not.
    Gap {
        /// Where they are missing.
        topic: Arc<str>,
        /// Whose they are.
        node: NodeId,
        /// How many.
        missed: u64,
    },
    /// A message of this node goes to no other one.
    Unsent {
        /// Where it was published.
        topic: Arc<str>,
        /// Why it does not go.
        reason: UnsentReason,
    },
    /// The broker does not do what this node wants: to hear a topic, to publish or keep a message, to give
    /// what it has kept. What is lost by that is missed, or unsent.
    Refused {
        /// Of which topic; `None` if it is not about one.
        topic: Option<Arc<str>>,
        /// What the broker says, or why it cannot.
        error: Error,
    },
    /// The broker delivered what is no envelope, and nothing was done with it.
    Invalid {
        /// Where it came; `None` if that was no topic.
        topic: Option<Arc<str>>,
        /// What is wrong with it.
        reason: Invalid,
    },
    /// A topic has this many members on all nodes now.
    Presence {
        /// Which topic.
        topic: Arc<str>,
        /// How many members.
        total: usize,
    },
    /// A node was heard of for the first time.
    NodeJoined(NodeId),
    /// A node has said farewell, or was silent for too long.
    NodeLeft(NodeId),
    /// So many events were not read in time, and dropped. The events behind this are whole.
    Missed(u64),
}

impl Events {
    pub(crate) fn new(events: broadcast::Receiver<Event>) -> Self {
        Self { events: BroadcastStream::new(events) }
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let polled = Pin::new(&mut self.events).poll_next(cx);
        polled.map(|event| match event? {
            Ok(event) => Some(event),
            Err(BroadcastStreamRecvError::Lagged(missed)) => Some(Event::Missed(missed)),
        })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
