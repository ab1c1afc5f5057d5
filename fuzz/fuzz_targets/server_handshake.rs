//! See [`wsweave_fuzz::server_handshake`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsweave_fuzz::server_handshake::check(data));
