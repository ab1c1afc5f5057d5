//! [`Echo`]: what the server has taken in.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tokio::sync::Mutex;

use super::{failed, gone};
use crate::{error::Error, subject::Subjects};

/// Numbers that a connection sends to itself. The server does what it is told in this order: when a number
/// comes back, it has all that was sent before, and has said what it does not do of that.
pub(super) struct Echo {
    subject: String,
    /// The last one that was given out.
    sent: AtomicU64,
    heard: Mutex<Heard>,
}

struct Heard {
    numbers: Subscriber,
    last: u64,
}

impl Echo {
    pub(super) async fn new(client: &Client, subjects: &Subjects) -> Result<Self, Error> {
        let inbox = client.new_inbox();
        let subject = subjects.echo(inbox.rsplit('.').next().unwrap_or_default());
        let numbers = client.subscribe(subject.clone()).await.map_err(failed)?;
        let heard = Mutex::new(Heard { numbers, last: 0 });
        Ok(Self { subject, sent: AtomicU64::new(0), heard })
    }

    /// Many may wait at once; whoever got a later number has sent it behind what those before have sent.
    pub(super) async fn arrive(&self, client: &Client) -> Result<(), Error> {
        let number = self.sent.fetch_add(1, Ordering::AcqRel) + 1;
        let payload = number.to_be_bytes().to_vec();
        client.publish(self.subject.clone(), payload.into()).await.map_err(failed)?;
        let mut heard = self.heard.lock().await;
        while heard.last < number {
            let message = heard.numbers.next().await.ok_or_else(gone)?;
            // Anybody may send something else.
            if let Ok(bytes) = message.payload[..].try_into() {
                let number = u64::from_be_bytes(bytes);
                if number <= self.sent.load(Ordering::Acquire) {
                    heard.last = heard.last.max(number);
                }
            }
        }
        Ok(())
    }
}
