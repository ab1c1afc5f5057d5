//! Masking (RFC 6455, section 5.3).

use std::array;

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
        let mut key = <[u8; 4]>::from(self);
        key.rotate_left(len % 4);
        key.into()
    }
}

impl From<[u8; 4]> for Key {
    #[inline]
    fn from(bytes: [u8; 4]) -> Self {
        Self(u32::from_ne_bytes(bytes))
    }
}

impl From<Key> for [u8; 4] {
    #[inline]
    fn from(Key(word): Key) -> Self {
        word.to_ne_bytes()
    }
}

/// Masks or unmasks `data`, which starts at the key's first byte.
#[inline]
pub(super) fn apply(data: &mut [u8], key: Key) {
    let key = <[u8; 4]>::from(key);
    let wide = u128::from_ne_bytes([key; 4].as_flattened().try_into().expect("4 times 4 bytes"));
    let mut words = data.chunks_exact_mut(size_of::<u128>());
    for word in &mut words {
        let masked = u128::from_ne_bytes((&*word).try_into().expect("a chunk is a word")) ^ wide;
        word.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// A copy of `data`, masked if there is a key.
#[inline]
pub(super) fn copy(data: &[u8], key: Option<Key>) -> Vec<u8> {
    match key {
        Some(key) if data.len() > SMALL => {
            let mut out = Vec::new();
            extend(&mut out, data, key);
            out
        }
        _ => {
            let mut out = data.to_vec();
            if let Some(key) = key {
                apply(&mut out, key);
            }
            out
        }
    }
}

/// Appends a masked copy of `data`, in one pass: for a large payload two take almost twice as long.
pub(super) fn extend(out: &mut Vec<u8>, data: &[u8], key: Key) {
    let key = <[u8; 4]>::from(key);
    let wide: [u8; CHUNK] = array::from_fn(|i| key[i % key.len()]);
    let chunks = data.chunks_exact(CHUNK);
    let rest = chunks.remainder();
    out.reserve(data.len());
    out.extend(chunks.flat_map(|chunk| {
        let mut masked: [u8; CHUNK] = chunk.try_into().expect("a chunk is as long");
        for (byte, key) in masked.iter_mut().zip(wide) {
            *byte ^= key;
        }
        masked
    }));
    out.extend(rest.iter().zip(wide).map(|(byte, key)| byte ^ key));
}

/// What the compiler makes the best code for.
const CHUNK: usize = 32;

/// So much is masked faster in a pass of its own.
const SMALL: usize = 512;
