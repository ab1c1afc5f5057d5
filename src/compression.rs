//! [`Compression`]: how messages are compressed; and [`AgreedCompression`].

use std::{fmt, sync::Arc};

use crate::{config::Role, message::Message, protocol::Window};

/// How messages are compressed: permessage-deflate (RFC 7692).
///
/// Compression is off unless [`Config::compression`](crate::Config::compression) turns it on, at both
/// ends: a client then offers it, and a server accepts the first offer that it can keep to. With a peer
/// that does not want it messages go plain. [`ConnectionExt::compression`] tells what came of it.
///
/// It is part of the opening handshake. In a framework, [`upgrade`](crate::handshake::server::upgrade)
/// answers that, and makes the connection accordingly; a connection that
/// [`from_raw`](crate::Connection::from_raw) makes has no compression unless
/// [`with_extensions`](crate::Connection::with_extensions) tells it.
///
/// [`ConnectionExt::compression`]: crate::ConnectionExt::compression
///
/// # Memory
///
/// To compress takes 380 KB a connection, and to decompress 48 KB, from the first such message on until
/// the connection ends. Without context takeover that is only while a message is compressed, or arrives.
/// Of the 380 KB a smaller window saves something: with 2^12 bytes it is 266 KB, with 2^9 252 KB.
///
/// A message is never inflated beyond [`Config::max_message_size`](crate::Config::max_message_size), and
/// its buffer does not grow beyond that.
///
/// # Security
///
/// The length of a compressed message tells something about what is in it. Who can have text of their
/// own sent beside a secret, again and again, can find the secret out that way (CRIME, BREACH): see
/// [`only`](Self::only).
///
/// # Examples
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use wsweave::{Compression, Config, Connection};
///
/// # async_std::task::block_on(async {
/// let config = Config::default().compression(Compression::default().level(1));
/// let (mut client, mut server) = Connection::pair_with(config.clone(), config);
/// client.send("la ".repeat(1000).into()).await?;
/// assert_eq!(server.next().await, Some("la ".repeat(1000).into()));
/// # Ok::<_, wsweave::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Compression {
    /// How hard to try: from 0, not at all, over 1, the fastest, to 9, the smallest; more is 9. 6.
    pub level: u32,
    /// Messages of fewer bytes go plain. 128.
    pub min_size: usize,
    /// The most bits of the server's window: how far back it may refer to what it has sent, as a power
    /// of 2 (RFC 7692, section 7.1.2.1). From 9 to 15; what is beyond is the nearest of them. 15. A
    /// client that asks for fewer refuses a server that does not agree.
    pub server_max_window_bits: u8,
    /// The same of the client's window (RFC 7692, section 7.1.2.2). 15. A server that asks for fewer
    /// does without compression if the client cannot be asked.
    pub client_max_window_bits: u8,
    /// Whether each of the server's messages is compressed by itself (RFC 7692, section 7.1.1.1): that
    /// takes less memory and gives larger messages. `false`. A client that asks for it refuses a server
    /// that does not agree.
    pub server_no_context_takeover: bool,
    /// Whether each of the client's messages is (RFC 7692, section 7.1.1.2). `false`.
    pub client_no_context_takeover: bool,
    filter: Option<Arc<Filter>>,
}

type Filter = dyn Fn(&Message) -> bool + Send + Sync;

impl Default for Compression {
    fn default() -> Self {
        Self {
            level: 6,
            min_size: 128,
            server_max_window_bits: MAX_BITS,
            client_max_window_bits: MAX_BITS,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            filter: None,
        }
    }
}

impl Compression {
    /// Sets [`level`](#structfield.level).
    ///
    /// ```
    /// assert_eq!(wsweave::Compression::default().level(1).level, 1);
    /// ```
    #[must_use]
    pub fn level(mut self, level: u32) -> Self {
        self.level = level;
        self
    }

    /// Sets [`min_size`](#structfield.min_size).
    ///
    /// ```
    /// assert_eq!(wsweave::Compression::default().min_size(1024).min_size, 1024);
    /// ```
    #[must_use]
    pub fn min_size(mut self, min_size: usize) -> Self {
        self.min_size = min_size;
        self
    }

    /// Sets [`server_max_window_bits`](#structfield.server_max_window_bits).
    ///
    /// ```
    /// let small = wsweave::Compression::default().server_max_window_bits(10);
    /// assert_eq!(small.server_max_window_bits, 10);
    /// ```
    #[must_use]
    pub fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// Sets [`client_max_window_bits`](#structfield.client_max_window_bits).
    ///
    /// ```
    /// let small = wsweave::Compression::default().client_max_window_bits(10);
    /// assert_eq!(small.client_max_window_bits, 10);
    /// ```
    #[must_use]
    pub fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// Sets [`server_no_context_takeover`](#structfield.server_no_context_takeover).
    ///
    /// ```
    /// let frugal = wsweave::Compression::default().server_no_context_takeover(true);
    /// assert!(frugal.server_no_context_takeover);
    /// ```
    #[must_use]
    pub fn server_no_context_takeover(mut self, yes: bool) -> Self {
        self.server_no_context_takeover = yes;
        self
    }

    /// Sets [`client_no_context_takeover`](#structfield.client_no_context_takeover).
    ///
    /// ```
    /// let frugal = wsweave::Compression::default().client_no_context_takeover(true);
    /// assert!(frugal.client_no_context_takeover);
    /// ```
    #[must_use]
    pub fn client_no_context_takeover(mut self, yes: bool) -> Self {
        self.client_no_context_takeover = yes;
        self
    }

    /// Compresses only the messages for which `filter` is true, whoever sends them: the sink, a hook, a
    /// handle. The others go plain, whatever their size: those with a secret in them, or those that are
    /// compressed already.
    ///
    /// ```
    /// use wsweave::{Compression, Message};
    ///
    /// let texts = Compression::default().only(Message::is_text);
    /// ```
    #[must_use]
    pub fn only(mut self, filter: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    pub(crate) fn server_bits(&self) -> u8 {
        self.server_max_window_bits.clamp(MIN_BITS, MAX_BITS)
    }

    pub(crate) fn client_bits(&self) -> u8 {
        self.client_max_window_bits.clamp(MIN_BITS, MAX_BITS)
    }

    /// Tells whether a message is to be compressed.
    pub(crate) fn applies_to(&self, message: &Message) -> bool {
        message.len() >= self.min_size && self.filter.as_ref().is_none_or(|filter| filter(message))
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("level", &self.level)
            .field("min_size", &self.min_size)
            .field("server_max_window_bits", &self.server_max_window_bits)
            .field("client_max_window_bits", &self.client_max_window_bits)
            .field("server_no_context_takeover", &self.server_no_context_takeover)
            .field("client_no_context_takeover", &self.client_no_context_takeover)
            .finish_non_exhaustive()
    }
}

/// What client and server have agreed on about compression: see
/// [`ConnectionExt::compression`](crate::ConnectionExt::compression).
///
/// # Examples
///
/// ```
/// use wsweave::{Compression, Config, Connection, ConnectionExt};
///
/// let client = Config::default().compression(Compression::default().client_max_window_bits(10));
/// let server = Config::default().compression(Compression::default());
/// let (_client, server) = Connection::pair_with(client, server);
/// let agreed = server.compression().unwrap();
/// assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (15, 10));
/// assert!(!agreed.client_no_context_takeover);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgreedCompression {
    /// How far back the server may refer to what it has sent, as a power of 2: 8 to 15.
    pub server_max_window_bits: u8,
    /// How far back the client may.
    pub client_max_window_bits: u8,
    /// Whether each of the server's messages is compressed by itself.
    pub server_no_context_takeover: bool,
    /// Whether each of the client's messages is.
    pub client_no_context_takeover: bool,
}

impl AgreedCompression {
    /// That of what `role` sends.
    pub(crate) fn window(self, role: Role) -> Window {
        match role {
            Role::Client => Window {
                bits: self.client_max_window_bits,
                takeover: !self.client_no_context_takeover,
            },
            Role::Server => Window {
                bits: self.server_max_window_bits,
                takeover: !self.server_no_context_takeover,
            },
        }
    }
}

/// The smallest window that zlib can compress with, of those that RFC 7692 has.
pub(crate) const MIN_BITS: u8 = 9;

/// The largest, and the one where none is named.
pub(crate) const MAX_BITS: u8 = 15;
