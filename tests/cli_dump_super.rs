//! `strata dump` of frames that are larger than any link carries: what a device that segments is
//! given to send, and what one that puts together hands up. Such frames are in captures of both.
#![cfg(feature = "cli")]

mod cli_support;

use std::process::Command;

use cli_support::*;
use netstrata::wire::{TcpFlags, ethertype, protocol};
use pcap_file::DataLink;

/// The sum of the pseudo header (RFC 768, RFC 9293 §3.1), which is all of the checksum that is
/// there before a device completes it.
fn pseudo(protocol: u8, len: usize) -> [u8; 2] {
    let words = [A, B].into_iter().flat_map(|[a, b, c, d]| [[a, b], [c, d]]);
    let words = words.map(|word| u32::from(u16::from_be_bytes(word)));
    let mut sum = words.sum::<u32>() + u32::from(protocol) + len as u32;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (sum as u16).to_be_bytes()
}

/// A super-segment of 20 times 1,448 octets and a super-datagram of 44 times 1,472, as they leave
/// with their checksums unfinished, and as they come, and a segment whose header says no length
/// since more than 64 KiB would not fit there.
fn frames() -> Vec<Vec<u8>> {
    let stamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let text = vec![b'.'; 20 * 1448];
    let segment = Segment {
        seq: 1,
        ack: 1,
        flags: TcpFlags::ACK | TcpFlags::PSH,
        options: &stamps,
        payload: &text,
        ..Segment::default()
    };
    let whole = segment.packet();
    let mut unfinished = whole.clone();
    unfinished[36..38].copy_from_slice(&pseudo(protocol::TCP, whole.len() - 20));
    let mut without_length = whole.clone();
    // The header's checksum does not care where zeros come from: put it right again.
    without_length[2..4].fill(0);
    let len = u16::try_from(whole.len()).unwrap();
    let sum = u32::from(u16::from_be_bytes([whole[10], whole[11]])) + u32::from(len);
    let sum = (sum & 0xffff) + (sum >> 16);
    without_length[10..12].copy_from_slice(&(sum as u16).to_be_bytes());
    let datagrams = udp(from_a(protocol::UDP), 40_000, 9, &vec![b'.'; 44 * 1472]);
    let mut cut_later = datagrams.clone();
    cut_later[26..28].copy_from_slice(&pseudo(protocol::UDP, datagrams.len() - 20));
    let packets = [unfinished, whole, cut_later, datagrams, without_length];
    packets.map(|packet| ether(ethertype::IPV4, &packet)).into()
}

#[test]
fn frames_to_be_cut_are_shown_as_they_are() {
    let file = Scratch::new("super.pcapng");
    write(&file.0, DataLink::ETHERNET, &frames());
    let mut shown = String::new();
    for style in ["-ne", "-nv"] {
        let ours = printed(&strata(&["dump", style, "-r", file.path()]));
        shown += &format!("strata dump {style}\n{ours}");
        let tcpdump = Command::new("tcpdump")
            .args([style, "-r", file.path()])
            .env("TZ", "UTC")
            .output();
        match tcpdump {
            Ok(theirs) => {
                let theirs = String::from_utf8_lossy(&theirs.stdout);
                // What no length means, in the last frame, it guesses only where it was built to.
                let known = |lines: &str| {
                    let lines: Vec<_> = lines.lines().map(String::from).collect();
                    let last = if style == "-ne" { 1 } else { 2 };
                    let count = if lines.last().is_some_and(|l| l.contains("bad-len 0")) {
                        lines.len() - 1
                    } else {
                        lines.len() - last
                    };
                    lines[..count].to_vec()
                };
                assert_eq!(known(&ours), known(&theirs), "{style}");
            }
            Err(e) => println!("not compared: tcpdump does not run here ({e})"),
        }
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("dump__super_frames", shown);
    });
}
