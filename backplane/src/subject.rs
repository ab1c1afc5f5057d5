//! [`Subjects`]: where the broker has the topics.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, ErrorKind};

/// The names at the broker, all of them below a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Subjects {
    prefix: Arc<str>,
    pub(crate) presence: Arc<str>,
}

impl Subjects {
    /// The prefix is one of NATS, without wildcards: words with dots between them.
    pub(crate) fn new(prefix: &str) -> Result<Self, Error> {
        let is_word = |word: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !word.is_empty() && word.bytes().all(is_plain)
        };
        if prefix.len() > MAX_PREFIX || !prefix.split('.').all(is_word) {
            let what = format!(
                "the prefix {prefix:?} is not made of letters, digits, '-' and '_', with dots between, \
                 of {MAX_PREFIX} bytes at most"
            );
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        // Else its presence would be a topic of the prefix before that.
        if prefix.strip_suffix(".topic").is_some() {
            let what = format!("the prefix {prefix:?} ends with the word that topics begin with");
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        Ok(Self { prefix: prefix.into(), presence: format!("{prefix}.presence").into() })
    }

    /// A name without dots, spaces or wildcards, and another one for each topic: what is not a letter, a
    /// digit, `-` or `_` is written as `%` and two digits.
    pub(crate) fn topic(&self, topic: &str) -> Arc<str> {
        let encoded = utf8_percent_encode(topic, SPECIAL);
        format!("{}.topic.{encoded}", self.prefix).into()
    }

    /// Where a connection hears itself.
    #[cfg(feature = "nats")]
    pub(crate) fn echo(&self, connection: &str) -> String {
        format!("{}.echo.{connection}", self.prefix)
    }

    #[cfg(feature = "nats")]
    pub(crate) fn is_topic(&self, subject: &str) -> bool {
        self.is_below(".topic.", subject)
    }

    /// Without these there is no backplane.
    #[cfg(feature = "nats")]
    pub(crate) fn is_ours(&self, subject: &str) -> bool {
        *subject == *self.presence || self.is_below(".echo.", subject)
    }

    #[cfg(feature = "nats")]
    fn is_below(&self, word: &str, subject: &str) -> bool {
        subject.strip_prefix(&*self.prefix).is_some_and(|rest| rest.starts_with(word))
    }

    /// The topic of a subject that [`topic`](Self::topic) made.
    pub(crate) fn topic_of(&self, subject: &str) -> Arc<str> {
        let encoded = subject.get(self.prefix.len() + ".topic.".len()..).unwrap_or_default();
        percent_decode_str(encoded).decode_utf8_lossy().into()
    }
}

/// What a topic can be called; that of the group may be stricter.
pub(crate) fn is_topic(topic: &str) -> bool {
    (1..=MAX_TOPIC).contains(&topic.len())
}

pub(crate) const MAX_TOPIC: usize = 255;
const MAX_PREFIX: usize = 64;
const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

#[cfg(test)]
mod tests;
