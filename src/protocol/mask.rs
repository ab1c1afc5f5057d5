//! Masking (RFC 6455, section 5.3).

use rand::RngExt;

/// A fresh, unpredictable masking key (RFC 6455, section 10.3), from the thread's cryptographic
/// generator, which makes them in blocks.
pub(super) fn random_key() -> [u8; 4] {
    rand::rng().random()
}

/// Masks or unmasks `data`, which starts at the key's first byte.
#[inline]
pub(super) fn apply(data: &mut [u8], key: [u8; 4]) {
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

/// The key for what follows `len` bytes that were masked with `key`.
pub(super) fn rotate(mut key: [u8; 4], len: usize) -> [u8; 4] {
    key.rotate_left(len % 4);
    key
}
