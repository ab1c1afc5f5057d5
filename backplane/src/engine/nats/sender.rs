//! [`NatsSender`]: what is published.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    Client,
    jetstream::{
        self,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
    },
};
use tokio::sync::watch;

use super::{
    MAX_DOUBTFUL,
    echo::Echo,
    failed, gone,
    jetstream::{Kept, cursor},
    permissions::Permissions,
};
use crate::{
    driver::within,
    engine::{Cursor, Outgoing, Refusal, Sender, Stored},
    error::{Error, ErrorKind, UnsentReason},
};

#[derive(Clone)]
pub(crate) struct NatsSender {
    pub(super) client: Client,
    pub(super) echo: Arc<Echo>,
    pub(super) kept: Option<Kept>,
    pub(super) permissions: Arc<watch::Sender<Permissions>>,
    /// For each answer.
    pub(super) timeout: Duration,
}

impl NatsSender {
    /// Returns when the broker has all that was sent before.
    pub(super) async fn arrive(&self) -> Result<(), Error> {
        self.echo.arrive(&self.client).await?;
        // That the connection was lost may not have been told: the client drops what it has to say when that
        // is too much.
        let connects = self.client.statistics().connects.load(Ordering::Relaxed);
        if connects > 1 { Err(gone()) } else { Ok(()) }
    }
}

impl Sender for NatsSender {
    fn max_envelope(&self) -> usize {
        self.client.max_payload()
    }

    async fn send(&self, batch: &[Outgoing]) -> Result<Vec<Refusal>, Error> {
        let (mut refused, mut sent) = (Vec::new(), 0);
        while sent < batch.len() {
            let (part, is_doubtful) = self.part(&batch[sent..]);
            let refusals = within(self.timeout, self.send_part(part)).await?;
            if is_doubtful {
                self.permissions.send_if_modified(|permissions| {
                    permissions.passed(part.iter().map(|outgoing| &outgoing.subject));
                    // Nobody waits for that.
                    false
                });
            }
            let in_batch = |refusal: Refusal| Refusal { index: sent + refusal.index, ..refusal };
            refused.extend(refusals.into_iter().map(in_batch));
            sent += part.len();
        }
        Ok(refused)
    }

    async fn end(&self) -> Result<Cursor, Error> {
        match &self.kept {
            Some(kept) => kept.end().await,
            None => Ok(cursor(0, &"")),
        }
    }

    async fn stored(
        &self,
        subject: &str,
        after: Option<&Cursor>,
        max: usize,
    ) -> Result<Stored, Error> {
        match &self.kept {
            Some(kept) => kept.read(subject, after, max).await,
            None => Ok(Stored::default()),
        }
    }
}

impl NatsSender {
    /// What can be sent before the next answer: not too much of which the server may complain. And whether
    /// it may of any.
    fn part<'a>(&self, batch: &'a [Outgoing]) -> (&'a [Outgoing], bool) {
        let permissions = self.permissions.borrow();
        let mut doubtful = 0;
        let is_in_part = |outgoing: &&Outgoing| {
            doubtful += usize::from(permissions.is_doubtful(&outgoing.subject));
            doubtful <= MAX_DOUBTFUL
        };
        let len = batch.iter().take_while(is_in_part).count();
        (&batch[..len], doubtful > 0)
    }

    async fn send_part(&self, part: &[Outgoing]) -> Result<Vec<Refusal>, Error> {
        let (mut acknowledgements, mut refused) = (Vec::new(), Vec::new());
        let mut are_all_kept = true;
        for (index, Outgoing { subject, envelope, is_kept }) in part.iter().enumerate() {
            if self.permissions.borrow().is_denied(subject) {
                refused.push(Refusal::denied(index));
                continue;
            }
            let (subject, envelope) = (subject.to_string(), envelope.clone());
            let Some(kept) = self.kept.as_ref().filter(|_| *is_kept) else {
                are_all_kept = false;
                self.client.publish(subject, envelope).await.map_err(failed)?;
                continue;
            };
            match kept.context.publish(subject.clone(), envelope).await {
                Ok(published) => acknowledgements.push((index, subject, published)),
                Err(error) => refused.push(Refusal::try_from_error(index, error)?),
            }
        }
        for (index, subject, acknowledgement) in acknowledgements {
            refused.extend(self.acknowledged(index, &subject, acknowledgement).await?);
        }
        if !are_all_kept {
            self.arrive().await?;
        }
        Ok(refused)
    }

    async fn acknowledged(
        &self,
        index: usize,
        subject: &str,
        acknowledgement: PublishAckFuture,
    ) -> Result<Option<Refusal>, Error> {
        let mut permissions = self.permissions.subscribe();
        let result = tokio::select! {
            biased;
            result = acknowledgement.into_future() => result,
            // There is no other answer to what may not be published.
            _ = permissions.wait_for(|permissions| permissions.is_denied(subject)) => {
                return Ok(Some(Refusal::denied(index)));
            }
        };
        match result {
            Ok(_) => Ok(None),
            Err(error) => Refusal::try_from_error(index, error).map(Some),
        }
    }
}

impl Refusal {
    fn denied(index: usize) -> Self {
        let error = Error::new(ErrorKind::Denied, "the broker does not let us publish there");
        Self { index, reason: UnsentReason::Refused, error }
    }

    /// Unless the server could do nothing at all.
    fn try_from_error(index: usize, error: PublishError) -> Result<Self, Error> {
        let answer = std::error::Error::source(&error)
            .and_then(|source| source.downcast_ref::<jetstream::Error>());
        let reason = match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => UnsentReason::TooLarge,
            PublishErrorKind::Other if answer.is_some_and(|answer| answer.code() < 500) => {
                UnsentReason::Refused
            }
            _ => return Err(failed(error)),
        };
        let error = Error::with_source(ErrorKind::Denied, "the broker refuses a message", error);
        Ok(Self { index, reason, error })
    }
}
