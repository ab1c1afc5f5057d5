//! Opens the door in `src/sync.rs`, for this package alone: dependencies may know that cfg, too.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
    println!("cargo::rerun-if-changed=build.rs");
}
