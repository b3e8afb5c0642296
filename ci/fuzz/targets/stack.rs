//! A whole host, and a peer that means no good.
#![no_main]

#[path = "../src/stack.rs"]
mod stack;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| stack::run(octets));
