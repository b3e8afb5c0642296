//! What a path does to packets besides losing them: it cuts some in two, and brings copies of old
//! ones.

use netstrata::phy::Instant;
use netstrata::wire::{Ipv4, Tcp, TcpFlags};

use super::draw::skewed;
use super::watch::{Watch, octet};

/// Packets of each host that may come once more.
const OLD: usize = 40;

impl Watch {
    /// Remembers one packet of some, if its checksum is in it.
    pub fn keep(&mut self, now: Instant, side: usize, packet: &[u8], whole: bool) {
        let Some(chance) = &mut self.chance else {
            return;
        };
        if whole && chance.below(8) == 0 {
            let old = &mut self.old[side];
            if old.len() == OLD {
                old.remove(chance.below(OLD));
            }
            old.push_back((now, packet.to_vec()));
        }
    }

    /// What somebody sends to side `to` who sees all that passes: text from `past` octets beyond the
    /// window on, or an acknowledgment of octets that were never sent.
    pub fn beyond(&mut self, to: usize, past: u32, ack: bool) -> Option<Vec<u8>> {
        let chance = self.chance.as_mut()?;
        let recent = &self.recent[1 - to];
        let packet = recent.get(chance.below(recent.len().max(1)))?;
        let (header, _, segment) = Ipv4::parse(packet).ok()?;
        let (tcp, options, _) = Tcp::parse(segment).ok()?;
        let plain = !tcp.flags.intersects(TcpFlags::SYN | TcpFlags::RST);
        let key = if to == 0 {
            (tcp.dst, tcp.src)
        } else {
            (tcp.src, tcp.dst)
        };
        let (edge, octets, full) = self.edge(key, to).filter(|_| plain)?;
        let most = octets.saturating_sub(1).min(50) as usize;
        let straddles = full && !ack && past < 50;
        let back = if straddles {
            skewed(self.chance.as_mut()?, most + 1) as u32
        } else {
            0
        };
        let past = if straddles { 0 } else { past };
        let mut forged = Tcp { ..tcp };
        if ack {
            forged.ack = tcp.ack.wrapping_add(1_000_000 + past);
        } else {
            // Where the window is full, some of it is what came already.
            forged.seq = edge.wrapping_add(past).wrapping_sub(back);
        }
        forged.flags = TcpFlags::ACK;
        let first = octets + u64::from(past) - 1 - u64::from(back);
        let text = (first..first + if ack { 0 } else { 50 }).map(|n| octet((tcp.src, tcp.dst), n));
        let mut bytes = vec![0; 20 + options.len()];
        bytes.extend(text);
        let ip = header.header();
        forged.emit(&ip, options, &mut bytes).ok()?;
        let mut front = vec![0; 20];
        let room = front.first_chunk_mut()?;
        header.emit(bytes.len(), room).ok()?;
        front.extend_from_slice(&bytes);
        Some(front)
    }

    /// `packet` in two fragments (RFC 791 §2.3), now and then: a path that does so though it must
    /// not, as some tunnels do.
    pub fn cut(&mut self, packet: &[u8]) -> Option<[Vec<u8>; 2]> {
        let chance = self.chance.as_mut().filter(|_| self.cuts > 0)?;
        if chance.below(self.cuts) > 0 {
            return None;
        }
        let (header, _, segment) = Ipv4::parse(packet).ok()?;
        Tcp::verify(&header.header(), segment).ok()?;
        let at = 8 * (1 + chance.below(segment.len() / 8));
        let (front, back) = segment.split_at_checked(at).filter(|s| !s.1.is_empty())?;
        self.pieces = self.pieces.wrapping_add(1);
        let fragment = |text: &[u8], offset: usize| {
            let mut bytes = vec![0; 20];
            let header = Ipv4 {
                ident: self.pieces,
                dont_fragment: false,
                more_fragments: offset == 0,
                fragment_offset: offset as u16,
                ..header
            };
            let room = bytes.first_chunk_mut().expect("20 octets");
            header.emit(text.len(), room).expect("a short packet");
            bytes.extend_from_slice(text);
            bytes
        };
        Some([fragment(front, 0), fragment(back, at)])
    }
}
