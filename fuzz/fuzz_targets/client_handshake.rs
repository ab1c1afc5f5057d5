//! See [`wsweave_fuzz::client_handshake`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsweave_fuzz::client_handshake::check(data));
