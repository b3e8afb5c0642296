//! Ethernet headers, tags and address resolution as lines.

use std::fmt;
use std::net::Ipv4Addr;

use netstrata::wire::{Arp, Ethernet, Mac, Vlan, ethertype};

use super::printer::{Printer, put};
use super::{hex, ip, ipv6};
use crate::frame::Frame;

/// Prints a frame; returns the octets of link header and tags. `printed` says that the octets
/// have been shown, because nothing better is known of them.
pub fn print(p: &mut Printer, out: &mut String, frame: &Frame<'_>, printed: &mut bool) -> usize {
    let Some((ether, rest)) = Ethernet::split(frame.octets) else {
        out.push_str(" [|ether]");
        return 0;
    };
    if p.style.link {
        put_header(p, out, &ether, frame.len);
    }
    let (mut kind, mut rest, mut len) = (ether.kind, rest, frame.len.saturating_sub(Ethernet::LEN));
    // Each turn takes four octets off.
    while matches!(kind, ethertype::VLAN | ethertype::QINQ) {
        let Some((h, after)) = rest.split_first_chunk() else {
            out.push_str(" [|vlan]");
            return frame.octets.len();
        };
        let vlan = Vlan::parse(h);
        if p.style.link {
            put!(out, "vlan {}, p {}", vlan.vid, vlan.pcp);
            put!(out, "{}, ", if vlan.dei { ", DEI" } else { "" });
            if vlan.kind > 1500 {
                put_kind(p, out, vlan.kind);
                out.push_str(", ");
            }
        }
        (kind, rest, len) = (vlan.kind, after, len.saturating_sub(Vlan::LEN));
    }
    let header = frame.octets.len() - rest.len();
    match kind {
        ethertype::IPV4 => ip::print(p, out, rest, len),
        ethertype::IPV6 => ipv6::print(p, out, rest, len),
        ethertype::ARP => arp(p, out, rest, len),
        _ => {
            if !p.style.link {
                put_header(p, out, &Ethernet { kind, ..ether }, frame.len);
            }
            if p.style.octets.is_none() && !p.style.quiet {
                // Nothing better is known: show what is there.
                out.push('\n');
                hex::put(hex::Form::Both, rest, out);
                out.pop();
                *printed = true;
            }
        }
    }
    header
}

/// `02:00:00:00:00:01 > Broadcast, ethertype ARP (0x0806), length 42: `.
fn put_header(p: &Printer, out: &mut String, ether: &Ethernet, len: usize) {
    let names = p
        .services
        .name(netstrata::wire::protocol::TCP, 22)
        .is_some();
    put!(
        out,
        "{} > {}, ",
        station(ether.src, names),
        station(ether.dst, names)
    );
    match ether.is_802_3() {
        true => out.push_str("802.3"),
        false => put_kind(p, out, ether.kind),
    }
    put!(out, ", length {len}: ");
}

/// `ethertype IPv4 (0x0800)`, or `IPv4` under `-q`.
fn put_kind(p: &Printer, out: &mut String, kind: u16) {
    match (name(kind), p.style.quiet) {
        (Some(name), true) => out.push_str(name),
        (None, true) => put!(out, "Unknown Ethertype (0x{kind:04x})"),
        (name, false) => {
            put!(
                out,
                "ethertype {} (0x{kind:04x})",
                name.unwrap_or("Unknown")
            );
        }
    }
}

fn station(mac: Mac, names: bool) -> impl fmt::Display {
    fmt::from_fn(move |f| match mac.is_broadcast() && names {
        true => f.write_str("Broadcast"),
        false => fmt::Display::fmt(&mac, f),
    })
}

fn name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        ethertype::IPV4 => "IPv4",
        ethertype::ARP => "ARP",
        ethertype::IPV6 => "IPv6",
        ethertype::VLAN => "802.1Q",
        ethertype::QINQ => "802.1Q-QinQ",
        0x8035 => "Reverse ARP",
        0x8847 => "MPLS unicast",
        0x8848 => "MPLS multicast",
        0x8863 => "PPPoE D",
        0x8864 => "PPPoE S",
        0x888e => "EAPOL",
        0x88cc => "LLDP",
        0x88e5 => "802.1AE MACsec",
        0x9000 => "Loopback",
        _ => return None,
    })
}

fn arp(p: &Printer, out: &mut String, data: &[u8], len: usize) {
    let message = data.first_chunk().map(Arp::parse);
    if !p.style.link && message.is_some() {
        out.push_str("ARP, ");
    }
    let Some(Ok(arp)) = message else {
        match message {
            // Other hardware or another protocol: say which.
            Some(_) => put_foreign_arp(out, data),
            None => {
                out.push_str(" [|arp]");
                return;
            }
        }
        put!(out, ", length {len}");
        return;
    };
    if p.style.verbose > 0 {
        out.push_str("Ethernet (len 6), IPv4 (len 4), ");
    }
    let (sender, target) = (arp.sender, arp.target);
    match arp.op {
        Arp::REQUEST => {
            put!(out, "Request who-has {}", target.1);
            let asked = target.0 != Mac::ZERO && !target.0.is_broadcast();
            if asked || sender.1 == target.1 && sender.1 == Ipv4Addr::UNSPECIFIED {
                put!(out, " ({})", target.0);
            }
            put!(out, " tell {}", sender.1);
        }
        Arp::REPLY => put!(out, "Reply {} is-at {}", sender.1, sender.0),
        3 => put!(out, "Reverse Request who-is {} tell {}", target.0, sender.0),
        4 => put!(out, "Reverse Reply {} at {}", target.0, target.1),
        op => {
            put!(out, "Unknown ({op}) \n");
            hex::put(hex::Form::Both, data, out);
            out.pop();
            return;
        }
    }
    put!(out, ", length {len}");
}

fn put_foreign_arp(out: &mut String, data: &[u8]) {
    if let Some([h0, h1, p0, p1, hlen, plen, o0, o1]) = data.first_chunk() {
        let word = |a: &u8, b: &u8| u16::from_be_bytes([*a, *b]);
        put!(out, "Unknown Hardware ({}) (len {hlen}), ", word(h0, h1));
        put!(
            out,
            "Unknown Protocol (0x{:04x}) (len {plen}), op {}",
            word(p0, p1),
            word(o0, o1)
        );
    }
}
