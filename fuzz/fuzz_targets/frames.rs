//! See [`wsweave_fuzz::frames`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsweave_fuzz::frames::check(data));
