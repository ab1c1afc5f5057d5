//! [`Violation`]: a rule that the peer broke.

use std::borrow::Cow;

use crate::{
    close::CloseCode,
    error::{Error, ErrorKind},
};

/// A rule that the peer broke, and the close code that RFC 6455 names for it.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) code: CloseCode,
    pub(crate) error: Error,
}

impl Violation {
    #[cold]
    pub(super) fn protocol(rule: impl Into<Cow<'static, str>>) -> Self {
        let error = Error::new(ErrorKind::Protocol, rule);
        Self { code: CloseCode::PROTOCOL_ERROR, error }
    }

    #[cold]
    pub(super) fn utf8(what: &'static str) -> Self {
        let error = Error::new(ErrorKind::InvalidUtf8, what);
        Self { code: CloseCode::INVALID_PAYLOAD, error }
    }

    #[cold]
    pub(super) fn too_big(what: &str, len: u64, limit: usize) -> Self {
        let rule = format!("{what} of {len} bytes is over the limit of {limit}");
        let error = Error::new(ErrorKind::LimitExceeded, rule);
        Self { code: CloseCode::MESSAGE_TOO_BIG, error }
    }

    #[cold]
    pub(super) fn inflates_too_big(limit: usize) -> Self {
        let rule = format!("a compressed message inflates to more than the limit of {limit} bytes");
        let error = Error::new(ErrorKind::LimitExceeded, rule);
        Self { code: CloseCode::MESSAGE_TOO_BIG, error }
    }

    #[cold]
    pub(super) fn deflate(what: &'static str) -> Self {
        let error = Error::new(ErrorKind::InvalidDeflate, what);
        Self { code: CloseCode::INVALID_PAYLOAD, error }
    }

    #[cold]
    pub(super) fn too_many_fragments(limit: usize) -> Self {
        let rule = format!("a message came in more fragments than the limit of {limit}");
        let error = Error::new(ErrorKind::LimitExceeded, rule);
        Self { code: CloseCode::POLICY_VIOLATION, error }
    }
}
