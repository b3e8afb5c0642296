//! A hostile peer on a cable: frames of any octets, and nearly valid ones, made from what a
//! fuzzer or a random generator hands out, and from what the host under test said before.
//!
//! Invariant: given the same octets and the same frames heard, it says the same.

use arbitrary::{Result, Unstructured};
use core::net::Ipv4Addr;
use netstrata::wire::*;
use std::collections::VecDeque;

/// Link address of the host under test.
pub const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// Link address of the peer.
pub const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// Address of the host under test, in a /24.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The peer's, one of many: it answers to every address of the link but the host's.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Where the host echoes, over TCP and UDP.
pub const ECHO: u16 = 7;

/// A connection as the peer sees it.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// The peer's address in it.
    pub peer: Ipv4Addr,
    /// The host's port.
    pub host_port: u16,
    /// The peer's port.
    pub port: u16,
    /// What the host expects next.
    pub seq: u32,
    /// What the host sends next.
    pub ack: u32,
    /// Where what the host sent begins.
    pub una: u32,
    /// The host's latest timestamp and the one it echoes.
    pub stamps: Option<(u32, u32)>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Peer {
    /// Latest frames of the host, at most [`Peer::RECENT`].
    recent: VecDeque<Vec<u8>>,
    /// Latest connections, at most [`Peer::FLOWS`].
    flows: VecDeque<Flow>,
    /// The last Fast Open cookie that the host gave.
    cookie: Option<FastOpen>,
}

impl Peer {
    const RECENT: usize = 16;
    const FLOWS: usize = 16;

    /// Notes a frame of the host, and answers it if it asks for an address of the peer.
    pub fn hear(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        if self.recent.len() == Self::RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(frame.to_vec());
        let (eth, packet) = Ethernet::split(frame)?;
        if eth.kind == ethertype::ARP {
            let arp = Arp::parse(packet.first_chunk()?).ok()?;
            let asked = arp.op == Arp::REQUEST && arp.target.1 != HOST;
            return asked.then(|| arp_frame(arp.sender.0, &arp.reply(PEER_MAC)));
        }
        let (ip, _, segment) = Ipv4::parse(packet).ok()?;
        if ip.protocol == protocol::TCP && !ip.is_fragment() {
            let (tcp, options, text) = Tcp::parse(segment).ok()?;
            self.follow(ip.dst, &tcp, TcpOptions::parse(options), text.len());
        }
        None
    }

    fn follow(&mut self, peer: Ipv4Addr, tcp: &Tcp, options: TcpOptions, text: usize) {
        self.cookie = options.fast_open.or(self.cookie);
        let at = self
            .flows
            .iter()
            .position(|f| (f.peer, f.host_port, f.port) == (peer, tcp.src, tcp.dst));
        let old = at.and_then(|at| self.flows.remove(at));
        let ends = u32::from(tcp.flags.syn()) + u32::from(tcp.flags.fin());
        let ack = tcp.seq.wrapping_add(text as u32).wrapping_add(ends);
        if self.flows.len() == Self::FLOWS {
            self.flows.pop_front();
        }
        self.flows.push_back(Flow {
            peer,
            host_port: tcp.src,
            port: tcp.dst,
            seq: match old {
                Some(old) if !tcp.flags.ack() => old.seq,
                _ => tcp.ack,
            },
            // What was sent again tells less.
            ack: match old {
                Some(old) if (old.ack.wrapping_sub(ack) as i32) > 0 => old.ack,
                _ => ack,
            },
            una: match old {
                Some(old) if !tcp.flags.syn() => {
                    let sent = ack.wrapping_sub(old.una);
                    old.una.wrapping_add(sent.saturating_sub(0xffff))
                }
                _ => tcp.seq,
            },
            stamps: options.timestamps.or(old.and_then(|old| old.stamps)),
        });
    }

    /// The connection between the host's `host_port` and the peer's `port`.
    pub fn flow(&self, host_port: u16, port: u16) -> Option<Flow> {
        let same = |f: &&Flow| (f.host_port, f.port) == (host_port, port);
        self.flows.iter().rev().find(same).copied()
    }

    /// One frame.
    pub fn frame(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let mut frame = match u.int_in_range(0..=15)? {
            0 => raw(u)?,
            1 => self.replay(u)?,
            2 => arp(u)?,
            3 | 4 => self.icmp(u)?,
            5 => self.udp(u)?,
            6 => self.fragment(u)?,
            7 => {
                let octets = some_octets(u, 600)?;
                let protocol = u.arbitrary()?;
                self.packet(u, protocol, |_| octets)?
            }
            _ => self.tcp(u)?,
        };
        if u.ratio(1, 12)? {
            mutate(u, &mut frame)?;
        }
        Ok(frame)
    }

    /// Something the host said, sent back to it with its ends swapped.
    fn replay(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let Some(mut frame) = pick(u, &self.recent)? else {
            return raw(u);
        };
        if let Some((eth, packet)) = frame.split_first_chunk_mut() {
            Ethernet::set_dst(eth, HOST_MAC);
            Ethernet::set_src(eth, PEER_MAC);
            if let Ok((ip, ..)) = Ipv4::parse(packet)
                && u.ratio(3, 4)?
            {
                let _ = Ipv4::translate_dst(packet, HOST);
                let _ = Ipv4::translate_src(packet, ip.dst);
            }
        }
        Ok(frame)
    }

    /// An IP packet to the host, with a payload that is told its header.
    fn packet(
        &self,
        u: &mut Unstructured<'_>,
        protocol: u8,
        payload: impl FnOnce(&IpHeader) -> Vec<u8>,
    ) -> Result<Vec<u8>> {
        let src = source(u)?;
        let dst = match u.int_in_range(0..=15)? {
            0 => [10, 0, 0, 255].into(),
            1 => u.arbitrary::<[u8; 4]>()?.into(),
            _ => HOST,
        };
        let mut ip = Ipv4::new(src, dst, protocol);
        if u.ratio(1, 8)? {
            ip.ttl = u.arbitrary()?;
            ip.dscp = u.arbitrary::<u8>()? >> 2;
            ip.ecn = u.arbitrary::<u8>()? & 3;
            ip.ident = u.arbitrary()?;
            ip.dont_fragment = u.arbitrary()?;
        }
        let options = match u.ratio(1, 24)? {
            true => octets_by_fours(u)?,
            false => Vec::new(),
        };
        let payload = payload(&ip.header());
        Ok(ip_frame(&ip, &options, &payload))
    }

    fn udp(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let data = some_octets(u, 600)?;
        let udp = Udp {
            src: *u.choose(&[ECHO, 5000, 5001])?,
            dst: if u.ratio(1, 4)? { u.arbitrary()? } else { ECHO },
        };
        self.packet(u, protocol::UDP, |ip| udp_datagram(ip, udp, &data))
    }

    fn icmp(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let quote = match pick(u, &self.recent)? {
            Some(frame) if u.ratio(7, 8)? => {
                let whole = frame.get(Ethernet::LEN..).unwrap_or_default();
                let len = u.int_in_range(0..=whole.len())?;
                let mut quote = whole[..len.max(28).min(whole.len())].to_vec();
                if u.ratio(1, 4)? {
                    mutate(u, &mut quote)?;
                }
                quote
            }
            _ => some_octets(u, 200)?,
        };
        let (ident, seq) = (u.arbitrary()?, u.arbitrary()?);
        let message = match u.int_in_range(0..=9)? {
            0 | 1 => Icmpv4::EchoRequest { ident, seq },
            2 => Icmpv4::EchoReply { ident, seq },
            3 | 4 => {
                let code = Unreachable::from_code(u.int_in_range(0..=15)?, seq);
                Icmpv4::Unreachable(code.unwrap_or(Unreachable::Host))
            }
            5 if u.arbitrary()? => {
                let mtu = *u.choose(&[0, 67, 68, 69, 295, 551, 552, 576, 1006, 1400, seq])?;
                Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu })
            }
            5 => Icmpv4::TimeExceeded(TimeExceeded::Transit),
            6 => Icmpv4::ParameterProblem {
                code: u.int_in_range(0..=2)?,
                pointer: u.arbitrary()?,
            },
            7 => Icmpv4::Redirect {
                code: Redirect::Host,
                gateway: source(u)?,
            },
            8 => Icmpv4::TimestampRequest {
                ident,
                seq,
                times: u.arbitrary()?,
            },
            _ => Icmpv4::Other {
                kind: u.arbitrary()?,
                code: u.arbitrary()?,
                rest: u.arbitrary()?,
            },
        };
        self.packet(u, protocol::ICMP, |_| icmp_message(&message, &quote))
    }

    /// Part of a datagram, at a place and under a name that others of its kind may share.
    fn fragment(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let mut ip = Ipv4::new(source(u)?, HOST, *u.choose(&[1, 6, 17, 253])?);
        ip.dont_fragment = false;
        ip.ident = u.int_in_range(0..=3)?;
        ip.more_fragments = u.arbitrary()?;
        ip.fragment_offset = match u.ratio(1, 16)? {
            true => u.arbitrary::<u16>()? & !7,
            false => 8 * u.int_in_range::<u16>(0..=32)?,
        };
        let len = match u.ratio(1, 16)? {
            true => u.int_in_range(0..=1480)?,
            false => 8 * u.int_in_range::<usize>(0..=16)?,
        };
        Ok(ip_frame(&ip, &[], &vec![u.arbitrary()?; len]))
    }

    fn tcp(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let flow = match pick(u, &self.flows)? {
            Some(flow) if u.ratio(7, 8)? => flow,
            _ => Flow {
                peer: source(u)?,
                host_port: if u.ratio(1, 16)? {
                    u.arbitrary()?
                } else {
                    ECHO
                },
                port: u.int_in_range(1000..=1015)?,
                seq: u.arbitrary()?,
                ack: u.arbitrary()?,
                una: 0,
                stamps: None,
            },
        };
        let fresh = flow.stamps.is_none() && self.flow(flow.host_port, flow.port).is_none();
        let flags = match u.int_in_range(0..=15)? {
            _ if fresh && u.ratio(7, 8)? => TcpFlags::SYN,
            0 => TcpFlags::SYN,
            1 => TcpFlags::SYN | TcpFlags::ACK,
            2 | 3 => TcpFlags::FIN | TcpFlags::ACK,
            4 => TcpFlags::RST,
            5 => TcpFlags::RST | TcpFlags::ACK,
            6 => TcpFlags::from_bits(u.arbitrary()?),
            7..=9 => TcpFlags::PSH | TcpFlags::ACK,
            _ => TcpFlags::ACK,
        };
        // What keeps a connection going, and near-by what makes it think of losses.
        let going = !fresh && u.ratio(1, 2)?;
        let flags = if going { TcpFlags::ACK } else { flags };
        let marks: u16 = u.arbitrary()?;
        // ECE, CWR and the bit of accurate ECN.
        let flags = match marks & 3 {
            0 => TcpFlags::from_bits(flags.bits() | marks & 0x1c0),
            _ => flags,
        };
        let (seq, ack) = if going {
            // Some of it, all of it, or none.
            let sent = flow.ack.wrapping_sub(flow.una);
            let some = match sent {
                1..0x10_0000 => flow.una.wrapping_add(u.int_in_range(0..=sent)?),
                _ => flow.ack,
            };
            (flow.seq, *u.choose(&[flow.ack, some, some, flow.una])?)
        } else {
            (near(u, flow.seq)?, near(u, flow.ack)?)
        };
        let tcp = Tcp {
            src: flow.port,
            dst: flow.host_port,
            seq,
            ack,
            flags,
            window: match u.int_in_range(0..=3)? {
                0 => u.int_in_range(0..=3)?,
                1 => u.arbitrary()?,
                _ => 0xffff,
            },
            urgent: u.arbitrary::<u8>()?.into(),
        };
        let options = match u.int_in_range(0..=7)? {
            0 => Vec::new(),
            1 => octets_by_fours(u)?,
            _ => self
                .tcp_options(u, &flow, flags.syn(), going)?
                .emit()
                .as_slice()
                .to_vec(),
        };
        let text = match u.int_in_range(0..=3)? {
            0 => vec![u.arbitrary()?; u.int_in_range(0..=1460)?],
            1 => some_octets(u, 100)?,
            _ => Vec::new(),
        };
        let src = flow.peer;
        let mut ip = Ipv4::new(src, HOST, protocol::TCP);
        ip.ecn = u.arbitrary::<u8>()? & 3;
        let mut segment = [&vec![0; Tcp::LEN + options.len()], &text[..]].concat();
        if tcp.emit(&ip.header(), &options, &mut segment).is_err() {
            return raw(u);
        }
        Ok(ip_frame(&ip, &[], &segment))
    }

    fn tcp_options(
        &self,
        u: &mut Unstructured<'_>,
        flow: &Flow,
        syn: bool,
        going: bool,
    ) -> Result<TcpOptions> {
        let mut options = TcpOptions::NONE;
        if syn || u.ratio(1, 32)? {
            options.mss = match u.int_in_range(0..=3)? {
                0 => u.arbitrary()?,
                1 => Some(*u.choose(&[0, 1, 28, 48, 536, 65_535])?),
                _ => Some(1460),
            };
            options.window_scale = match u.arbitrary()? {
                true => Some(u.int_in_range(0..=15)?),
                false => u.arbitrary()?,
            };
            options.sack_permitted = u.ratio(3, 4)?;
            options.fast_open = match u.int_in_range(0..=3)? {
                0 => self.cookie,
                1 => FastOpen::new(&u.arbitrary::<[u8; 8]>()?),
                2 => Some(FastOpen::REQUEST),
                _ => None,
            };
            if u.ratio(1, 8)? {
                options.fast_open = options.fast_open.map(FastOpen::in_experimental_option);
            }
        }
        if let Some((theirs, ours)) = flow.stamps {
            let value = ours.wrapping_add(u.int_in_range::<u32>(0..=2000)?);
            options.timestamps = Some(match going {
                true => (ours, theirs.wrapping_sub(u.int_in_range(0..=2)?)),
                false => (near(u, value)?, near(u, theirs)?),
            });
        } else if syn {
            options.timestamps = u.arbitrary()?;
        }
        if u.ratio(1, 16)? {
            options.user_timeout = u.arbitrary()?;
        }
        if u.ratio(1, 8)? {
            let counts: [u32; 3] = u.arbitrary()?;
            let few = u.int_in_range(0..=3)?;
            options.accurate_ecn = Some(AccEcn::new(u.arbitrary()?, &counts[..few]));
        }
        if u.ratio(1, if going { 2 } else { 4 })? {
            let sent = flow.ack.wrapping_sub(flow.una);
            for _ in 0..u.int_in_range(0..=3)? {
                let (left, right) = match sent {
                    // What is in flight, or was.
                    1..0x10_0000 if going => {
                        let from = u.int_in_range(0..=sent)?;
                        let to = u.int_in_range(from..=sent)?;
                        (flow.una.wrapping_add(from), flow.una.wrapping_add(to))
                    }
                    _ => {
                        let left = near(u, flow.ack)?;
                        (left, near(u, left)?)
                    }
                };
                options.sack.push(left, right);
            }
        }
        Ok(options)
    }
}

/// A number at, or not far from, or far from `n`.
fn near(u: &mut Unstructured<'_>, n: u32) -> Result<u32> {
    Ok(match u.int_in_range(0..=15)? {
        0 => u.arbitrary()?,
        1 => n.wrapping_sub(u.arbitrary::<u16>()?.into()),
        2 => n.wrapping_add(u.arbitrary::<u16>()?.into()),
        3 => n.wrapping_sub(u.arbitrary::<u8>()?.into()),
        4 => n.wrapping_add(u.arbitrary::<u8>()?.into()),
        _ => n,
    })
}

fn source(u: &mut Unstructured<'_>) -> Result<Ipv4Addr> {
    Ok(match u.int_in_range(0..=31)? {
        0 => HOST,
        1 => Ipv4Addr::UNSPECIFIED,
        2 => [10, 0, 0, 255].into(),
        3 => u.arbitrary::<[u8; 4]>()?.into(),
        4..=8 => [10, 0, 0, u.int_in_range(3..=250)?].into(),
        _ => PEER,
    })
}

fn arp(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mac = |u: &mut Unstructured<'_>| -> Result<Mac> {
        Ok(match u.int_in_range(0..=4)? {
            0 => Mac(u.arbitrary()?),
            1 => HOST_MAC,
            2 => Mac::BROADCAST,
            _ => PEER_MAC,
        })
    };
    let arp = Arp {
        op: u.int_in_range(0..=3)?,
        sender: (mac(u)?, source(u)?),
        target: (mac(u)?, if u.arbitrary()? { HOST } else { source(u)? }),
    };
    let dst = if u.arbitrary()? {
        HOST_MAC
    } else {
        Mac::BROADCAST
    };
    Ok(arp_frame(dst, &arp))
}

fn raw(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut frame = some_octets(u, 1514)?;
    // Mostly for the host, or its address check is all that is tried.
    if u.ratio(3, 4)?
        && let Some(h) = frame.first_chunk_mut()
    {
        let kind = match u.arbitrary()? {
            true => *u.choose(&[ethertype::IPV4, ethertype::ARP, ethertype::VLAN])?,
            false => u.arbitrary()?,
        };
        let (dst, src) = (HOST_MAC, PEER_MAC);
        Ethernet { dst, src, kind }.emit(h);
    }
    Ok(frame)
}

fn some_octets(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<u8>> {
    let len = u.int_in_range(0..=most)?.min(u.len());
    Ok(u.bytes(len)?.to_vec())
}

fn octets_by_fours(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut octets = some_octets(u, 40)?;
    octets.truncate(octets.len() / 4 * 4);
    Ok(octets)
}

fn pick<T: Clone>(u: &mut Unstructured<'_>, from: &VecDeque<T>) -> Result<Option<T>> {
    match from.len().checked_sub(1) {
        Some(last) => Ok(from.get(u.int_in_range(0..=last)?).cloned()),
        None => Ok(None),
    }
}

/// Changes a few octets, or cuts, or pads.
fn mutate(u: &mut Unstructured<'_>, octets: &mut Vec<u8>) -> Result<()> {
    match u.int_in_range(0..=3)? {
        0 => octets.truncate(u.int_in_range(0..=octets.len())?),
        1 => octets.resize((octets.len() + u.int_in_range(0..=64)?).min(1514), 0),
        _ => {
            for _ in 0..u.int_in_range(1..=3)? {
                if let Some(last) = octets.len().checked_sub(1) {
                    octets[u.int_in_range(0..=last)?] = u.arbitrary()?;
                }
            }
        }
    }
    Ok(())
}

/// A frame to the host with an IP packet.
pub fn ip_frame(ip: &Ipv4, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let head = Ethernet::LEN + Ipv4::LEN + options.len();
    let mut frame = vec![0; head];
    let eth = Ethernet {
        dst: HOST_MAC,
        src: PEER_MAC,
        kind: ethertype::IPV4,
    };
    eth.emit(frame.first_chunk_mut().expect("room"));
    let packet = &mut frame[Ethernet::LEN..];
    let written = ip.emit_with_options(options, payload.len(), packet);
    assert_eq!(written, Ok(head - Ethernet::LEN));
    frame.extend_from_slice(payload);
    frame
}

/// An ICMP message with its checksum.
pub fn icmp_message(icmp: &Icmpv4, data: &[u8]) -> Vec<u8> {
    let mut message = [&vec![0; icmp.header_len()], data].concat();
    icmp.emit(&mut message).expect("room");
    message
}

/// A UDP datagram with its checksum.
pub fn udp_datagram(ip: &IpHeader, udp: Udp, data: &[u8]) -> Vec<u8> {
    let mut datagram = [&[0; Udp::LEN], data].concat();
    udp.emit(ip, &mut datagram).expect("room");
    datagram
}

/// A TCP segment with its checksum.
pub fn tcp_segment(ip: &IpHeader, tcp: &Tcp, options: &[u8], text: &[u8]) -> Vec<u8> {
    let mut segment = [&vec![0; Tcp::LEN + options.len()], text].concat();
    tcp.emit(ip, options, &mut segment).expect("room");
    segment
}

fn arp_frame(dst: Mac, arp: &Arp) -> Vec<u8> {
    let mut frame = vec![0; Ethernet::LEN + Arp::LEN];
    let (h, body) = frame.split_first_chunk_mut().expect("room");
    let (src, kind) = (PEER_MAC, ethertype::ARP);
    Ethernet { dst, src, kind }.emit(h);
    arp.emit(body.first_chunk_mut().expect("room"));
    frame
}
