//! What a path does to packets besides losing them: it cuts some in two, and brings copies of old
//! ones.

use netstrata::wire::{Ipv4, Tcp};

use super::watch::Watch;

/// Packets of each host that may come once more.
const OLD: usize = 40;

impl Watch {
    /// Remembers one packet of some, if its checksum is in it.
    pub fn keep(&mut self, side: usize, packet: &[u8], whole: bool) {
        let Some(chance) = &mut self.chance else {
            return;
        };
        if whole && chance.below(8) == 0 {
            let old = &mut self.old[side];
            if old.len() == OLD {
                old.remove(chance.below(OLD));
            }
            old.push_back(packet.to_vec());
        }
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
