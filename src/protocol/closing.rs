//! [`Closing`]: the closing handshake (RFC 6455, section 7) as one state.
//!
//! | | `begin` | `receive` | `fail` | `end_of_input` | `sever` | `end` |
//! |---|---|---|---|---|---|---|
//! | `Open` | `Sent` | `Complete`, answers | `Failing`, sends | `Failing` | `Severed` | `Ended` |
//! | `Sent` | | `Complete` | `Failing` | `Failing` | `Severed` | `Ended` |
//! | `Complete` | | | | | `Ended` | `Ended` |
//! | `Failing` | | | | | `Ended` | `Ended` |
//! | `Severed` | | `Ended` | `Ended` | `Ended` | | `Ended` |

use std::mem;

use super::Violation;
use crate::{
    close::{CloseCode, CloseFrame, Finish, Initiator},
    error::{Error, ErrorKind},
    message::Text,
};

/// Where a connection is on the way to its end.
#[derive(Debug)]
pub(crate) enum Closing {
    /// No Close has been sent or received.
    Open,
    /// Our Close is sent or queued; data may still arrive before the peer's.
    Sent(CloseFrame),
    /// Both sides' Closes: the end of the transport is all that is left.
    Complete { initiator: Initiator, sent: CloseFrame, received: CloseFrame },
    /// The connection failed, or the peer ended the transport: nothing more is read as data, and what
    /// is queued, our Close included if there is one, is written.
    Failing(Finish),
    /// Nothing can be written any more, but what the peer sent before may still be read.
    Severed(Finish),
    /// Over.
    Ended(Finish),
}

impl Closing {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(crate) fn finish(&self) -> Option<&Finish> {
        match self {
            Self::Ended(finish) => Some(finish),
            _ => None,
        }
    }

    /// Tells whether what arrives is data.
    pub(crate) fn reads_data(&self) -> bool {
        matches!(self, Self::Open | Self::Sent(_) | Self::Severed(_))
    }

    /// The end as far as it is known: nothing that is read changes it.
    pub(crate) fn settled(&self) -> Option<&Finish> {
        match self {
            Self::Failing(finish) | Self::Ended(finish) => Some(finish),
            _ => None,
        }
    }

    /// We begin the closing handshake; returns the Close to send, unless one was sent.
    pub(crate) fn begin(&mut self, close: CloseFrame) -> Option<CloseFrame> {
        self.is_open().then(|| {
            *self = Self::Sent(close.clone());
            close
        })
    }

    /// The peer's Close arrived; returns the answer to send, if one is due (RFC 6455, section 5.5.1).
    pub(crate) fn receive(&mut self, received: CloseFrame) -> Option<CloseFrame> {
        match mem::replace(self, Self::Open) {
            Self::Open => {
                // The answer echoes the code, or is empty if the peer's Close was.
                let sent = CloseFrame { code: received.code, reason: Text::default() };
                let answer = sent.clone();
                *self = Self::Complete { initiator: Initiator::Peer, sent, received };
                Some(answer)
            }
            Self::Sent(sent) => {
                *self = Self::Complete { initiator: Initiator::Us, sent, received };
                None
            }
            Self::Severed(finish) => {
                let (code, reason) = (received.code, received.reason.clone());
                let (initiator, received) = (Initiator::Peer, Some(received));
                *self = Self::Ended(Finish { initiator, code, reason, received, ..finish });
                None
            }
            over => {
                *self = over;
                None
            }
        }
    }

    /// The connection fails (RFC 6455, section 7.1.7); returns the Close to send, unless one was sent.
    pub(crate) fn fail(&mut self, violation: Violation) -> Option<CloseFrame> {
        let Violation { code, error } = violation;
        let sent = match self {
            Self::Open => None,
            Self::Sent(sent) => Some(sent.clone()),
            Self::Severed(_) => {
                self.end(None, false);
                return None;
            }
            Self::Complete { .. } | Self::Failing(_) | Self::Ended(_) => return None,
        };
        let close = match CloseFrame::sendable(code, &error.to_string()) {
            Ok(close) => close,
            Err(_) => CloseFrame { code: CloseCode::INTERNAL_ERROR, reason: Text::default() },
        };
        let due = sent.is_none().then(|| close.clone());
        *self = Self::Failing(Finish {
            initiator: Initiator::Us,
            code,
            reason: close.reason.clone(),
            clean: false,
            error: Some(error),
            sent: Some(sent.unwrap_or(close)),
            received: None,
        });
        due
    }

    /// The peer ended its side of the transport; `interrupted` says what that cut off.
    pub(crate) fn end_of_input(&mut self, interrupted: Option<&str>) {
        match self {
            Self::Open => {
                let place = interrupted.unwrap_or("without a Close");
                let message = format!("the peer ended the connection {place}");
                *self = Self::Failing(lost(Some(Error::new(ErrorKind::Io, message))));
            }
            Self::Sent(sent) => {
                let message = "the peer ended the connection without answering our Close";
                let error = Error::new(ErrorKind::Io, message);
                *self = Self::Failing(unanswered(sent.clone(), Some(error)));
            }
            Self::Severed(_) => self.end(None, false),
            Self::Complete { .. } | Self::Failing(_) | Self::Ended(_) => {}
        }
    }

    /// Nothing can be written any more.
    pub(crate) fn sever(&mut self, error: Error) {
        match self {
            Self::Open => *self = Self::Severed(lost(Some(error))),
            Self::Sent(sent) => *self = Self::Severed(unanswered(sent.clone(), Some(error))),
            Self::Severed(_) => {}
            Self::Complete { .. } | Self::Failing(_) | Self::Ended(_) => {
                self.end(Some(error), false);
            }
        }
    }

    /// Nothing can be read or written any more, for the reason `error` if there is one. The closing
    /// handshake is complete once our Close, too, is written.
    pub(crate) fn end(&mut self, error: Option<Error>, all_written: bool) {
        let finish = match mem::replace(self, Self::Open) {
            Self::Open => lost(error),
            Self::Sent(sent) => unanswered(sent, error),
            Self::Complete { initiator, sent, received } => {
                let finish = complete(initiator, sent, received);
                if all_written { finish } else { Finish { clean: false, error, ..finish } }
            }
            Self::Failing(finish) | Self::Severed(finish) | Self::Ended(finish) => finish,
        };
        *self = Self::Ended(finish);
    }

    /// How the connection ends if it is given up now, with `code` if no Close has been sent.
    pub(crate) fn given_up(&self, code: CloseCode, all_written: bool) -> Finish {
        match self {
            Self::Open => Finish { initiator: Initiator::Us, code, ..lost(None) },
            Self::Sent(sent) => unanswered(sent.clone(), None),
            Self::Complete { initiator, sent, received } => {
                let finish = complete(*initiator, sent.clone(), received.clone());
                Finish { clean: all_written, ..finish }
            }
            Self::Failing(finish) | Self::Severed(finish) | Self::Ended(finish) => finish.clone(),
        }
    }

    /// We end the connection without a word more.
    pub(crate) fn abort(&mut self, all_written: bool) {
        if self.is_open() {
            *self = Self::Ended(Finish { initiator: Initiator::Us, ..lost(None) });
        } else {
            self.end(None, all_written);
        }
    }
}

/// The transport failed before either side sent a Close (RFC 6455, section 7.1.5).
fn lost(error: Option<Error>) -> Finish {
    Finish {
        initiator: Initiator::Network,
        code: CloseCode::ABNORMAL,
        reason: Text::default(),
        clean: false,
        error,
        sent: None,
        received: None,
    }
}

/// We sent a Close, and the peer's never came.
fn unanswered(sent: CloseFrame, error: Option<Error>) -> Finish {
    Finish {
        initiator: Initiator::Us,
        code: sent.code,
        reason: sent.reason.clone(),
        clean: false,
        error,
        sent: Some(sent),
        received: None,
    }
}

fn complete(initiator: Initiator, sent: CloseFrame, received: CloseFrame) -> Finish {
    let began = if initiator == Initiator::Us { &sent } else { &received };
    Finish {
        initiator,
        code: began.code,
        reason: began.reason.clone(),
        clean: true,
        error: None,
        sent: Some(sent),
        received: Some(received),
    }
}
