//! Masking (RFC 6455, section 5.3).
#![expect(unsafe_code, reason = "to append to a vector without clearing its memory first")]

use std::mem::MaybeUninit;

use rand::RngExt;

/// A masking key: one word, which stays in a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(u32);

impl Key {
    /// A fresh, unpredictable one (RFC 6455, section 10.3), from the thread's cryptographic generator,
    /// which makes them in blocks.
    pub(super) fn random() -> Self {
        Self(rand::rng().random())
    }

    /// The key for what follows `len` bytes that were masked with this one.
    pub(super) fn after(self, len: usize) -> Self {
        let mut key = self.to_bytes();
        key.rotate_left(len % 4);
        Self::from(key)
    }

    #[inline]
    pub(super) fn to_bytes(self) -> [u8; 4] {
        self.0.to_ne_bytes()
    }
}

impl From<[u8; 4]> for Key {
    #[inline]
    fn from(bytes: [u8; 4]) -> Self {
        Self(u32::from_ne_bytes(bytes))
    }
}

/// Masks or unmasks `data`, which starts at the key's first byte.
#[inline]
pub(super) fn apply(data: &mut [u8], key: Key) {
    let mut words = data.chunks_exact_mut(WORD);
    for word in &mut words {
        word.copy_from_slice(&masked(word, key));
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.to_bytes()) {
        *byte ^= key;
    }
}

/// A copy of `data`, masked if there is a key.
#[inline]
pub(super) fn copy(data: &[u8], key: Option<Key>) -> Vec<u8> {
    let Some(key) = key else { return data.to_vec() };
    let mut out = Vec::with_capacity(data.len());
    extend(&mut out, data, key);
    out
}

/// Appends a masked copy of `data`, in one pass, which is how nearly all payloads are received and a
/// client's are sent: to copy first and mask then takes a sixth longer for 128 bytes, and twice as long
/// for much. The best safe loop in one pass takes half as long again.
#[inline]
pub(super) fn extend(out: &mut Vec<u8>, data: &[u8], key: Key) {
    out.reserve(data.len());
    fill(&mut out.spare_capacity_mut()[..data.len()], data, key);
    // SAFETY: there is room for so many, and `fill` has written each.
    unsafe { out.set_len(out.len() + data.len()) };
}

/// Writes all of `room`, which is as long as `data`.
#[inline]
fn fill(room: &mut [MaybeUninit<u8>], data: &[u8], key: Key) {
    assert_eq!(room.len(), data.len());
    let words = data.chunks_exact(WORD);
    let rest = words.remainder();
    let mut places = room.chunks_exact_mut(WORD);
    for (place, word) in places.by_ref().zip(words) {
        for (place, byte) in place.iter_mut().zip(masked(word, key)) {
            place.write(byte);
        }
    }
    for ((place, byte), key) in places.into_remainder().iter_mut().zip(rest).zip(key.to_bytes()) {
        place.write(byte ^ key);
    }
}

/// A word, masked. Of a loop over these the compiler makes the best code: it takes as many at once as the
/// processor can, and then what is left.
#[inline]
fn masked(word: &[u8], key: Key) -> [u8; WORD] {
    let word = u32::from_ne_bytes(word.try_into().expect("a chunk is a word"));
    (word ^ key.0).to_ne_bytes()
}

const WORD: usize = size_of::<u32>();

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    /// Beyond all that is taken at once.
    const MAX_LEN: usize = 300;

    fn payload(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + 1).to_le_bytes()[0]).collect()
    }

    /// As RFC 6455, section 5.3, has it.
    fn defined(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    #[test]
    fn every_length_is_masked_in_place() {
        let all = payload(MAX_LEN + 1);
        for len in 0..=MAX_LEN {
            let mut data = all.clone();
            apply(&mut data[1..][..len], KEY.into());
            assert_eq!(data[1..][..len], defined(&all[1..][..len], KEY), "{len}");
            // What is around it stays.
            assert_eq!((data[0], &data[1 + len..]), (all[0], &all[1 + len..]), "{len}");
        }
    }

    #[test]
    fn every_length_is_masked_while_it_is_copied() {
        for len in 0..=MAX_LEN {
            let data = payload(len);
            let mut out = b"what was there".to_vec();
            extend(&mut out, &data, KEY.into());
            assert_eq!(out, [b"what was there", &*defined(&data, KEY)].concat(), "{len}");
        }
    }

    #[test]
    fn what_is_masked_in_two_pieces_is_as_if_masked_in_one() {
        let data = payload(MAX_LEN);
        for cut in 0..=MAX_LEN {
            let (mut first, rest) = (data[..cut].to_vec(), &data[cut..]);
            apply(&mut first, KEY.into());
            extend(&mut first, rest, Key::from(KEY).after(cut));
            assert_eq!(first, defined(&data, KEY), "{cut}");
        }
    }
}
