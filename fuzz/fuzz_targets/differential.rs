//! See [`wsweave_fuzz::differential`].

#![no_main]

libfuzzer_sys::fuzz_target!(|stream: wsweave_fuzz::differential::Stream<'_>| stream.check());
