//! See [`wsweave_fuzz::deflate`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsweave_fuzz::deflate::check(data));
