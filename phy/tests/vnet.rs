//! The bytes of virtio-net headers, as the kernel sees them.
#![cfg(target_endian = "little")]

use std::fmt::Write;

use phy::vnet::from_tx;
use phy::{Csum, Gso, Medium, TxMeta};

/// flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, in hex.
fn line(meta: TxMeta, medium: Medium, start: &[u8], len: usize) -> String {
    let Some(header) = from_tx(meta, medium, start, len) else {
        return "refused".into();
    };
    let mut line = String::new();
    for (n, octet) in header.iter().enumerate() {
        let gap = if matches!(n, 1 | 2 | 4 | 6 | 8) {
            " "
        } else {
            ""
        };
        write!(line, "{gap}{octet:02x}").unwrap();
    }
    line
}

#[test]
fn headers_of_what_we_send() {
    let csum = TxMeta {
        csum: Some(Csum {
            start: 20,
            offset: 6,
        }),
        ..TxMeta::NONE
    };
    let segment = TxMeta {
        csum: Some(Csum {
            start: 20,
            offset: 16,
        }),
        gso: Some(Gso {
            mss: 1448,
            header: 52,
        }),
        stamp: None,
    };
    let mut ethernet = vec![0; 12];
    ethernet.extend_from_slice(&[0x86, 0xdd, 0x60]);
    let lines = [
        line(TxMeta::NONE, Medium::Ip, &[0x45], 60),
        line(csum, Medium::Ip, &[0x45], 60),
        line(segment, Medium::Ip, &[0x45], 1500),
        line(segment, Medium::Ip, &[0x45], 65_535),
        line(segment.shifted(34), Medium::Ethernet, &ethernet, 65_535),
        line(segment, Medium::Ip, &[0x15], 65_535),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    00 00 0000 0000 0000 0000
    01 00 0000 0000 1400 0600
    01 00 0000 0000 1400 1000
    01 01 3400 a805 1400 1000
    01 04 5600 a805 3600 1000
    refused
    ");
}
