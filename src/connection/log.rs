//! [`Log`]: what a connection tells [`tracing`]: a span with its id, its role and its peer, and in it an
//! event for whatever happens to it; for each message at the level of traces only.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use tracing::{
    Span, debug, debug_span,
    field::{Empty, display},
    level_filters::LevelFilter,
    trace,
};

use crate::{
    close::{CloseFrame, Finish},
    config::Role,
    message::Message,
    protocol::Violation,
};

#[derive(Debug)]
pub(super) struct Log(Span);

impl Log {
    pub(super) fn new(role: Role) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(debug_span!("connection", id, ?role, peer = Empty))
    }

    /// It was opened by a client or a server of ours; a Unix socket has no address.
    pub(super) fn opened(&self, peer: Option<SocketAddr>) {
        if let Some(peer) = peer {
            self.0.record("peer", display(peer));
        }
        debug!(parent: &self.0, "connection opened");
    }

    #[inline]
    pub(super) fn received(&self, message: &Message) {
        if LevelFilter::current() == LevelFilter::TRACE {
            self.trace(message, "received");
        }
    }

    #[inline]
    pub(super) fn queued(&self, message: &Message) {
        if LevelFilter::current() == LevelFilter::TRACE {
            self.trace(message, "queued");
        }
    }

    #[cold]
    fn trace(&self, message: &Message, what: &str) {
        let (len, text) = (message.len(), message.is_text());
        trace!(parent: &self.0, len, text, "a message was {what}");
    }

    pub(super) fn queued_close(&self, close: &CloseFrame) {
        debug!(parent: &self.0, code = %close.code, reason = ?close.reason, "a Close was queued");
    }

    pub(super) fn received_close(&self, close: &CloseFrame) {
        debug!(parent: &self.0, code = %close.code, reason = ?close.reason, "a Close was received");
    }

    pub(super) fn failed(&self, violation: &Violation) {
        debug!(parent: &self.0, code = %violation.code, error = %violation.error, "connection failed");
    }

    pub(super) fn ended(&self, finish: &Finish) {
        debug!(parent: &self.0, %finish, "connection ended");
    }
}
