//! Frames as RFC 6455, section 5.2 draws them, written and read independently of the crate.

use wsweave::Role;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The key that the tests mask with, wherever the peer is a client.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame; `key` is its masking key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { fin: true, rsv: 0, opcode, key: None, payload: payload.as_ref().to_vec() }
    }

    pub(crate) fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, payload)
    }

    pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(BINARY, payload)
    }

    pub(crate) fn continuation(payload: impl AsRef<[u8]>) -> Self {
        Self::new(CONTINUATION, payload)
    }

    pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PING, payload)
    }

    pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PONG, payload)
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        Self::new(CLOSE, payload)
    }

    /// A Close without a code.
    pub(crate) fn empty_close() -> Self {
        Self::new(CLOSE, [])
    }

    /// The same frame with FIN cleared: more fragments follow.
    pub(crate) fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    pub(crate) fn with_rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    /// The same frame with masking key `key`, or with none.
    pub(crate) fn keyed(mut self, key: Option<[u8; 4]>) -> Self {
        self.key = key;
        self
    }

    /// As the peer of a connection in `role` sends it: masked if the peer is the client.
    pub(crate) fn to(self, role: Role) -> Vec<u8> {
        self.keyed((role == Role::Server).then_some(KEY)).encode()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.header(self.payload.len() as u64);
        let at = bytes.len();
        bytes.extend_from_slice(&self.payload);
        if let Some(key) = self.key {
            mask(&mut bytes[at..], key);
        }
        bytes
    }

    /// This frame's header, announcing `length` bytes in the shortest form.
    pub(crate) fn header(&self, length: u64) -> Vec<u8> {
        match length {
            0..=125 => self.header_with(u8::try_from(length).unwrap(), &[]),
            126..=0xffff => self.header_with(126, &u16::try_from(length).unwrap().to_be_bytes()),
            _ => self.header_with(127, &length.to_be_bytes()),
        }
    }

    /// This frame's header with the length field as given.
    pub(crate) fn header_with(&self, short: u8, extended: &[u8]) -> Vec<u8> {
        let first = (u8::from(self.fin) << 7) | (self.rsv << 4) | self.opcode;
        let second = (u8::from(self.key.is_some()) << 7) | short;
        let mut header = vec![first, second];
        header.extend_from_slice(extended);
        header.extend(self.key.into_iter().flatten());
        header
    }

    /// A Close frame's code, if this is one that has a code.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let code = self.payload.get(..2)?;
        (self.opcode == CLOSE).then(|| u16::from_be_bytes(code.try_into().unwrap()))
    }
}

/// The whole frames in `bytes`, unmasked, and what is left behind them.
///
/// Panics at a length that is not written in the shortest form.
pub(crate) fn parse(mut bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = parse_one(bytes) {
        frames.push(frame);
        bytes = rest;
    }
    (frames, bytes)
}

fn parse_one(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match second & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u16::from_be_bytes(*length);
            assert!(length > 125, "length {length} is not in its shortest form");
            (usize::from(length), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u64::from_be_bytes(*length);
            assert!(length > 0xffff, "length {length} is not in its shortest form");
            (usize::try_from(length).unwrap(), rest)
        }
        short => (usize::from(short), rest),
    };
    let (key, rest) = match second >> 7 {
        0 => (None, rest),
        _ => rest.split_first_chunk().map(|(key, rest)| (Some(*key), rest))?,
    };
    let (payload, rest) = rest.split_at_checked(length)?;
    let mut payload = payload.to_vec();
    mask(&mut payload, key.unwrap_or_default());
    let (fin, rsv, opcode) = (first >> 7 == 1, (first >> 4) & 7, first & 15);
    Some((Frame { fin, rsv, opcode, key, payload }, rest))
}

fn mask(bytes: &mut [u8], key: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}
