//! How scripts write times, segments and options.

extern crate std;

use core::time::Duration;
use std::fmt::Write as _;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::harness::{IRS, ISS, TS_OFFSET, octet};
use crate::tcp::*;
use crate::wire::{AccEcn, SackBlocks, TcpFlags, TcpOption, TcpOptionIter, TcpOptions};

pub fn duration(text: &str) -> Duration {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .expect("a unit");
    let n: u64 = text[..split].parse().expect("a number");
    match &text[split..] {
        "us" => Duration::from_micros(n),
        "ms" => Duration::from_millis(n),
        "s" => Duration::from_secs(n),
        "m" => Duration::from_secs(n * 60),
        unit => panic!("unknown unit {unit}"),
    }
}

pub fn options_text(octets: &[u8]) -> String {
    let mut all = Vec::new();
    for option in TcpOptionIter::new(octets) {
        all.push(match option.expect("well formed") {
            TcpOption::Nop => "nop".to_string(),
            TcpOption::Mss(mss) => std::format!("mss {mss}"),
            TcpOption::WindowScale(shift) => std::format!("wscale {shift}"),
            TcpOption::SackPermitted => "sackOK".to_string(),
            TcpOption::Timestamps { value, echo } => {
                std::format!("TS {} ecr {echo}", value.wrapping_sub(TS_OFFSET))
            }
            TcpOption::Sack(blocks) => {
                let mut text = "sack".to_string();
                for (lo, hi) in blocks.iter() {
                    let (lo, hi) = (SeqNum(lo).since(IRS), SeqNum(hi).since(IRS));
                    let _ = write!(text, " {lo}:{hi}");
                }
                text
            }
            TcpOption::UserTimeout { minutes, amount } => {
                std::format!("UTO {amount}{}", if minutes { "m" } else { "s" })
            }
            TcpOption::FastOpen(option) => {
                let name = if option.is_experimental() {
                    "FOEXP"
                } else {
                    "FO"
                };
                let mut text = name.to_string();
                for (n, octet) in option.cookie().iter().enumerate() {
                    let _ = write!(text, "{}{octet:02x}", if n == 0 { " " } else { "" });
                }
                text
            }
            TcpOption::AccEcn(counts) => counts.to_string(),
            other => std::format!("{other:?}"),
        });
    }
    all.join(",")
}

/// `FLAGS FROM:TO [ack N] [win N] [<options>]` from the peer.
pub fn parse(words: &[&str]) -> (Segment<'static>, Vec<u8>) {
    let mut flags = TcpFlags::NONE;
    for letter in words[0].chars() {
        flags |= match letter {
            'F' => TcpFlags::FIN,
            'S' => TcpFlags::SYN,
            'R' => TcpFlags::RST,
            'P' => TcpFlags::PSH,
            '.' => TcpFlags::ACK,
            'U' => TcpFlags::URG,
            'E' => TcpFlags::ECE,
            'W' => TcpFlags::CWR,
            'e' => TcpFlags::AE,
            '-' => TcpFlags::NONE,
            other => panic!("unknown flag {other}"),
        };
    }
    let (from, to) = words[1].split_once(':').expect("from:to");
    let from: i64 = from.parse().expect("a number");
    let to: i64 = to.parse().expect("a number");
    let mut segment = Segment {
        seq: SeqNum(IRS.0.wrapping_add(from as u32)),
        ack: SeqNum(0),
        flags,
        window: 0,
        urgent: 0,
        options: TcpOptions::NONE,
        payload: &[],
        ecn: 0,
    };
    let mut rest = words[2..].iter();
    while let Some(word) = rest.next() {
        match *word {
            "ack" => {
                let n: i64 = rest.next().expect("a number").parse().expect("a number");
                segment.ack = SeqNum(ISS.0.wrapping_add(n as u32));
            }
            "urg" => segment.urgent = rest.next().expect("a number").parse().expect("a number"),
            "ect1" => segment.ecn = 1,
            "ect0" => segment.ecn = 2,
            "ce" => segment.ecn = 3,
            "win" => segment.window = rest.next().expect("a number").parse().expect("a number"),
            _ => {
                let mut text = word.to_string();
                for word in rest.by_ref() {
                    text.push(' ');
                    text.push_str(word);
                }
                segment.options = parse_options(text.trim_matches(['<', '>']));
            }
        }
    }
    // The first octet of text follows the SYN.
    let text = if to > from {
        let first = from - i64::from(!flags.syn());
        (first..first + to - from)
            .map(|p| octet(p as u64))
            .collect()
    } else {
        vec![]
    };
    (segment, text)
}

pub fn parse_options(text: &str) -> TcpOptions {
    let mut options = TcpOptions::NONE;
    for option in text.split(',').map(str::trim) {
        let words: Vec<&str> = option.split_whitespace().collect();
        let number = |n: usize| words[n].parse::<u32>().expect("a number");
        match words[0] {
            "mss" => options.mss = Some(number(1) as u16),
            "wscale" => options.window_scale = Some(number(1) as u8),
            "sackOK" => options.sack_permitted = true,
            "UTO" => options.user_timeout = Some(number(1)),
            "TS" => options.timestamps = Some((number(1), TS_OFFSET.wrapping_add(number(3)))),
            "sack" => {
                let mut blocks = SackBlocks::NONE;
                for range in &words[1..] {
                    let (lo, hi) = range.split_once(':').expect("lo:hi");
                    let edge = |n: &str| (ISS + n.parse::<u32>().expect("a number")).0;
                    assert!(blocks.push(edge(lo), edge(hi)), "four blocks at most");
                }
                options.sack = blocks;
            }
            "accecn0" | "accecn1" => {
                let counts: Vec<u32> = (1..words.len()).map(number).collect();
                options.accurate_ecn = Some(AccEcn::new(words[0] == "accecn1", &counts));
            }
            "nop" => {}
            other => panic!("unknown option {other}"),
        }
    }
    options
}
