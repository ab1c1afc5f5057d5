//! UTF-8 checked as it arrives.

use std::str;

/// Checks text that is there in whole.
#[inline]
pub(super) fn is_valid(text: &[u8]) -> bool {
    // What is short is mostly ASCII, and that is the quickest way to see it.
    text.len() < SHORT && text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok()
}

/// Checks text that comes in pieces, which may end within a character.
#[derive(Debug, Default)]
pub(super) struct Validator {
    /// The start of a character whose rest has not arrived.
    partial: [u8; 4],
    partial_len: usize,
}

/// The text is not UTF-8, whatever may follow.
#[derive(Debug)]
pub(super) struct Invalid;

impl Validator {
    /// Checks the next piece; fails at the first byte that no text can have there.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.partial_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.partial[self.partial_len] = byte;
            self.partial_len += 1;
            match str::from_utf8(&self.partial[..self.partial_len]) {
                Ok(_) => self.partial_len = 0,
                // No character is longer than four bytes, so this cannot go on beyond the array.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Invalid),
            }
        }
        let Err(error) = simdutf8::compat::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(Invalid);
        }
        let partial = &piece[error.valid_up_to()..];
        self.partial[..partial.len()].copy_from_slice(partial);
        self.partial_len = partial.len();
        Ok(())
    }

    /// Checks that the text does not end within a character, and starts over.
    pub(super) fn finish(&mut self) -> Result<(), Invalid> {
        match std::mem::take(&mut self.partial_len) {
            0 => Ok(()),
            _ => Err(Invalid),
        }
    }
}

/// Below this simdutf8 checks byte by byte.
const SHORT: usize = 64;
