//! Everything that reads octets of the wire, on any octets.
#![no_main]

#[path = "../src/parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| parsers::run(octets));
