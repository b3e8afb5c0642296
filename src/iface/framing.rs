//! The way down into Ethernet frames.
//!
//! Invariant: the frame header is written in front of the packet in the device's own buffer;
//! offsets of offload requests move by its length and the payload stays where it is.

use core::net::IpAddr;

use phy::{Abort, Capabilities, TxMeta, TxToken, assemble};

use super::hold::Hold;
use super::neighbor::MAX_UNFINISHED;
use super::{Offload, PacketTx};
use crate::error::TxError;
use crate::wire::{Arp, Ethernet as Header, Mac, ethertype};

/// The link address of a group: its low 23 bits behind 01:00:5e for IPv4 (RFC 1112 §6.4), its low
/// 32 bits behind 33:33 for IPv6 (RFC 2464 §7).
pub(super) fn group(ip: IpAddr) -> Mac {
    match ip {
        IpAddr::V4(ip) => Mac::from_ipv4_multicast(ip),
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
    }
}

pub(super) fn send_arp(token: impl TxToken, src: Mac, dst: Mac, arp: Arp) -> Result<(), Abort> {
    token.send(Header::LEN + Arp::LEN, TxMeta::NONE, |frame| {
        let (h, body) = frame.split_first_chunk_mut().ok_or(Abort)?;
        let kind = ethertype::ARP;
        Header { dst, src, kind }.emit(h);
        arp.emit(body.first_chunk_mut().ok_or(Abort)?);
        Ok(())
    })
}

/// Room for one frame, or why there is none.
pub(super) struct EthTx<T> {
    pub(super) token: Result<T, TxError>,
    pub(super) caps: Capabilities,
    pub(super) header: Header,
}

impl<T: TxToken> PacketTx for EthTx<T> {
    fn mtu(&self) -> usize {
        super::mtu(&self.caps, Header::LEN)
    }

    fn offload(&self) -> Offload {
        Offload::of(&self.caps, Header::LEN)
    }

    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        let Self {
            token,
            caps,
            header,
        } = self;
        super::fits(&caps, Header::LEN, head, payload, meta)?;
        let token = token?;
        let front = head.saturating_add(Header::LEN);
        let meta = meta.shifted(Header::LEN as u16);
        token.send_gather(front, payload, meta, |frame| {
            let (h, packet) = frame.split_first_chunk_mut().ok_or(Abort)?;
            header.emit(h);
            fill(packet)
        })?;
        Ok(())
    }
}

/// Room for one packet in an unfinished neighbour entry.
pub(super) struct WaitTx<'a> {
    pub(super) id: usize,
    pub(super) caps: Capabilities,
    pub(super) hold: &'a mut Hold<MAX_UNFINISHED>,
    pub(super) displaced: &'a mut u32,
}

impl PacketTx for WaitTx<'_> {
    fn mtu(&self) -> usize {
        super::mtu(&self.caps, Header::LEN)
    }

    /// Nothing long may wait.
    fn offload(&self) -> Offload {
        Offload {
            gso: None,
            uso: None,
            ..Offload::of(&self.caps, Header::LEN)
        }
    }

    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        let whole = TxMeta { gso: None, ..meta };
        super::fits(&self.caps, Header::LEN, head, payload, whole)?;
        let [a, b] = payload;
        let len = head.saturating_add(a.len()).saturating_add(b.len());
        // Nor what would have to be cut apart, which is not done when it leaves.
        if let Some(gso) = meta.gso
            && len > usize::from(gso.header).saturating_add(gso.mss.into())
        {
            return Err(TxError::TooBig(gso.header.saturating_add(gso.mss)));
        }
        let write = |packet: &mut [u8]| assemble(packet, payload, fill);
        let gone = self.hold.push(self.id, len, whole, write)?;
        *self.displaced = self.displaced.saturating_add(gone);
        Ok(())
    }
}
