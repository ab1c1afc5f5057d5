//! [`Traffic`]: what the load generator sends again and again, and what has to come back.

/// Frames of one size, each with its number in it, as bytes to send and bytes to expect.
pub(crate) struct Traffic {
    /// As a client frames them (RFC 6455, section 5.2), masked beforehand.
    pub(super) sent: Vec<u8>,
    /// As a server does.
    pub(super) expected: Vec<u8>,
    pub(super) sent_frame: usize,
    pub(super) expected_frame: usize,
    /// How many messages a connection may have on their way.
    pub(super) window: usize,
}

impl Traffic {
    /// Messages of text if they are below 64 KiB, else binary ones.
    pub(crate) fn new(payload_len: usize, window: usize) -> Self {
        // Twice the window at least, so that a message lost or doubled is seen.
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        let frames = (2 * window).max(16);
        for number in 0..frames {
            let mut payload = format!("{number:06} ").into_bytes();
            payload.extend((0..payload_len).map(|at| b'a' + u8::try_from(at % 26).unwrap_or(0)));
            payload.truncate(payload_len);
            let mask: [u8; 4] =
                std::array::from_fn(|at| (number * 31 + at * 97 + 1).to_le_bytes()[0]);
            head(&mut sent, payload_len, 0x80);
            sent.extend(mask);
            sent.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
            head(&mut expected, payload_len, 0);
            expected.extend(payload);
        }
        let (sent_frame, expected_frame) = (sent.len() / frames, expected.len() / frames);
        Self { sent, expected, sent_frame, expected_frame, window }
    }

    /// What is sent comes back as it is, masks and all: for a server that does not look at it.
    pub(crate) fn raw(self) -> Self {
        Self { expected: self.sent.clone(), expected_frame: self.sent_frame, ..self }
    }
}

fn head(frames: &mut Vec<u8>, len: usize, masked: u8) {
    frames.push(if len < 64 << 10 { 0x81 } else { 0x82 });
    match u16::try_from(len) {
        Ok(len @ 0..126) => frames.push(masked | len.to_be_bytes()[1]),
        Ok(len) => {
            frames.push(masked | 0x7e);
            frames.extend(len.to_be_bytes());
        }
        Err(_) => {
            frames.push(masked | 0x7f);
            frames.extend((len as u64).to_be_bytes());
        }
    }
}
