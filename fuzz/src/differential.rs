//! Streams of frames, mostly valid ones, through this protocol and tungstenite's, in both roles: the same
//! messages, and the same streams refused, but for the exceptions that `tests/differential` names.

use arbitrary::Arbitrary;
use wsweave::Role;

use crate::{
    observe::cut,
    support::{
        Frame,
        compare::{MAX_MESSAGE, Manner, assert_same, write},
    },
};

/// What arrives, and in which pieces.
#[derive(Arbitrary, Debug)]
pub struct Stream<'a> {
    as_server: bool,
    sizes: [u8; 2],
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Data {
        opcode: Opcode,
        last: bool,
        payload: Payload<'a>,
        manner: Option<Misuse>,
    },
    Control {
        ping: bool,
        payload: &'a [u8],
        manner: Option<Misuse>,
    },
    Close {
        code: u16,
        reason: &'a str,
    },
    /// A frame with anything in its header.
    Odd {
        first: u8,
        payload: Payload<'a>,
        manner: Option<Misuse>,
    },
    Raw(&'a [u8]),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Opcode {
    Continuation,
    Text,
    Binary,
}

#[derive(Arbitrary, Debug)]
enum Payload<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    /// Long enough to pass the limits.
    Filler(u16),
}

/// What is wrong with a frame.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Misuse {
    WronglyMasked,
    Length16,
    Length64,
    Announcing(u64),
}

impl Stream<'_> {
    /// Checks one input.
    pub fn check(&self) {
        let role = if self.as_server { Role::Server } else { Role::Client };
        let bytes: Vec<u8> = self.steps.iter().flat_map(|step| step.encode(role)).collect();
        assert_same(role, &bytes, &cut(&bytes, self.sizes));
    }
}

impl Step<'_> {
    fn encode(&self, role: Role) -> Vec<u8> {
        match self {
            Self::Data { opcode, last, payload, manner } => {
                let frame = Frame::new(*opcode as u8, payload.bytes());
                write(role, if *last { frame } else { frame.unfinished() }, Misuse::manner(*manner))
            }
            Self::Control { ping, payload, manner } => {
                let opcode = if *ping { 9 } else { 10 };
                write(role, Frame::new(opcode, payload), Misuse::manner(*manner))
            }
            Self::Close { code, reason } => {
                write(role, Frame::close(*code, reason), Manner::Proper)
            }
            Self::Odd { first, payload, manner } => {
                let frame = Frame::new(first & 15, payload.bytes()).with_rsv(first >> 4 & 7);
                let frame = if first >> 7 == 1 { frame } else { frame.unfinished() };
                write(role, frame, Misuse::manner(*manner))
            }
            Self::Raw(bytes) => bytes.to_vec(),
        }
    }
}

impl Payload<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Filler(len) => vec![b'x'; usize::from(*len) % (2 * MAX_MESSAGE)],
        }
    }
}

impl Misuse {
    fn manner(misuse: Option<Self>) -> Manner {
        match misuse {
            None => Manner::Proper,
            Some(Self::WronglyMasked) => Manner::WronglyMasked,
            Some(Self::Length16) => Manner::Length16,
            Some(Self::Length64) => Manner::Length64,
            Some(Self::Announcing(len)) => Manner::Announcing(len),
        }
    }
}
