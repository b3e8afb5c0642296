//! Plans into packets: one packet where that is possible, else a train of segments from one
//! header.
//!
//! Invariant: the segments of a train differ in sequence number, flags and text only; what is
//! found for one of them, its way and its header, holds for all. Text goes from the send buffer
//! to the device in place, or, where the device would copy it, is copied and summed in one pass.
//! Called by [`egress`](super::egress).

use phy::{Csum, Gso, TxMeta};

use super::demux::{Ends, header_of};
use super::segment::Plan;
use super::seq::SeqNum;
use crate::error::TxError;
use crate::iface::Offload;
use crate::net::{Dest, Output};
use crate::socket::SendBuf;
use crate::wire::{IpHeader, Sum, Tcp as Header, TcpFlags, TcpTemplate, protocol};

/// Who talks to whom, on the way that was found last.
pub(super) struct Line<'a> {
    pub ends: &'a Ends,
    pub offload: &'a Offload,
}

impl Line<'_> {
    /// Sends a plan. Returns octets of text and segments sent, and what ended it early.
    pub fn send(
        &self,
        out: &mut impl Output,
        plan: &Plan,
        tx: &impl SendBuf,
    ) -> (usize, usize, Option<TxError>) {
        let step = usize::from(plan.mss.max(1));
        out.mark(plan.ecn & 3);
        // A device that cuts leaves CWR on the first segment only, as RFC 3168 wants it; as part
        // of a counter (RFC 9768 §3.2.2) it belongs on all.
        let cuts = self.offload.gso.is_some() && !plan.flags.contains(TcpFlags::CWR);
        let train = plan.len > step;
        if train && !cuts {
            return self.train(out, plan, tx, step);
        }
        let text = tx.peek(plan.offset, plan.len);
        let sent = if train || self.offload.tx_csum {
            self.whole(out, plan, text, train)
        } else {
            self.single(out, plan, text)
        };
        match sent {
            Ok(()) => (plan.len, plan.len.div_ceil(step).max(1), None),
            Err(error) => (0, 0, Some(error)),
        }
    }

    /// Sends a plan of one segment, whose checksum is ours to compute.
    fn single(&self, out: &mut impl Output, plan: &Plan, text: [&[u8]; 2]) -> Result<(), TxError> {
        let header = header_of(self.ends, plan);
        let options = &plan.options;
        let head = Header::LEN.saturating_add(options.len());
        if self.offload.copies {
            let whole = head.saturating_add(plan.len);
            return out.send_along(whole, [&[]; 2], TxMeta::NONE, |ip, octets| {
                // The lengths are those asked for: they fit.
                let _ = header.emit_with(ip, options.as_slice(), text, octets);
            });
        }
        out.send_along(head, text, TxMeta::NONE, |ip, octets| {
            let [first, second] = text;
            let sum = Sum::of(first).add_bytes(second);
            let _ = header.emit_summed(ip, options.as_slice(), plan.len, sum, octets);
        })
    }

    /// Sends a plan as segments of `step` octets and the rest.
    fn train(
        &self,
        out: &mut impl Output,
        plan: &Plan,
        tx: &impl SendBuf,
        step: usize,
    ) -> (usize, usize, Option<TxError>) {
        let (local, peer) = (self.ends.local.ip(), self.ends.peer.ip());
        let ip = IpHeader::new(local, peer, protocol::TCP);
        let header = header_of(self.ends, plan);
        let Ok(template) = TcpTemplate::new(&ip, &header, &plan.options) else {
            // No plan is that long.
            return (0, 0, Some(TxError::Dropped));
        };
        let not_last = plan.flags.without(TcpFlags::FIN | TcpFlags::PSH);
        let (partial, copies) = (self.offload.tx_csum, self.offload.copies);
        let mut text = tx.peek(plan.offset, plan.len);
        let (mut at, mut count) = (0_usize, 0_usize);
        loop {
            // A plan is no longer than a packet may be, so none of these sums wraps.
            let len = step.min(plan.len.wrapping_sub(at));
            let end = at.wrapping_add(len);
            let flags = if end < plan.len { not_last } else { plan.flags };
            let seq = (plan.seq + at as u32).0;
            let pieces = take(&mut text, len);
            let [first, second] = pieces;
            let sent = if partial {
                let mut part = *plan;
                (part.seq, part.flags) = (SeqNum(seq), flags);
                self.whole(out, &part, pieces, false)
            } else if copies {
                let whole = template.len().wrapping_add(len);
                out.send_along(whole, [&[]; 2], TxMeta::NONE, |_, octets| {
                    template.emit_with((seq, flags), pieces, octets);
                })
            } else {
                out.send_along(template.len(), pieces, TxMeta::NONE, |_, head| {
                    let mut sum = Sum::of(first);
                    if !second.is_empty() {
                        sum = sum.add_bytes(second);
                    }
                    template.emit((seq, flags), len, sum, head);
                })
            };
            if let Err(error) = sent {
                return (at, count, Some(error));
            }
            (at, count) = (end, count.wrapping_add(1));
            if at >= plan.len {
                return (at, count, None);
            }
        }
    }

    /// Sends one packet with `text` behind the header that `plan` asks for; the device completes
    /// it, and cuts it if `cut`.
    #[inline(never)]
    fn whole(
        &self,
        out: &mut impl Output,
        plan: &Plan,
        text: [&[u8]; 2],
        cut: bool,
    ) -> Result<(), TxError> {
        let header = header_of(self.ends, plan);
        let options = plan.options.as_slice();
        let head = Header::LEN.saturating_add(options.len());
        let len = text.iter().fold(0_usize, |n, t| n.saturating_add(t.len()));
        let mut meta = TxMeta::NONE;
        meta.csum = Some(CHECKSUM);
        if cut {
            meta.gso = Some(Gso {
                mss: plan.mss.max(1),
                header: head as u16,
            });
        }
        out.send_along(head, text, meta, |ip, octets| {
            // The lengths are those asked for: they fit.
            let _ = header.emit_partial(ip, options, len, octets);
        })
    }
}

/// Takes the first `len` octets off a text in two pieces, or all there are.
#[inline]
fn take<'t>(text: &mut [&'t [u8]; 2], len: usize) -> [&'t [u8]; 2] {
    let [first, second] = *text;
    if let Some((now, later)) = first.split_at_checked(len) {
        *text = [later, second];
        return [now, &[]];
    }
    let rest = len.saturating_sub(first.len()).min(second.len());
    let (now, later) = second.split_at_checked(rest).unwrap_or((second, &[]));
    *text = [&[], later];
    [first, now]
}

/// Where the device finds what it completes.
const CHECKSUM: Csum = Csum {
    start: 0,
    offset: Header::CHECKSUM_OFFSET as u16,
};

/// Sends a plan without text.
pub(super) fn bare(
    out: &mut impl Output,
    dest: Dest,
    ends: &Ends,
    plan: &Plan,
) -> Result<(), TxError> {
    let dest = Dest {
        tos: dest.tos | plan.ecn & 3,
        ..dest
    };
    let header = header_of(ends, plan);
    let options = plan.options.as_slice();
    let head = Header::LEN.saturating_add(options.len());
    out.send(dest, head, |ip, octets| {
        // The length is the one that was asked for: it fits.
        let _ = header.emit(ip, options, octets);
    })
}

#[cfg(test)]
mod tests {
    use super::take;

    #[test]
    fn texts_are_taken_in_order() {
        let whole: [u8; 10] = core::array::from_fn(|i| i as u8);
        for cut in 0..=10 {
            for len in 1..=11 {
                let (a, b) = whole.split_at(cut);
                let mut text = [a, b];
                let mut seen = std::vec::Vec::new();
                while text.iter().any(|piece| !piece.is_empty()) {
                    let [first, second] = take(&mut text, len);
                    assert!(first.len() + second.len() <= len);
                    seen.extend([first, second].concat());
                }
                assert_eq!(seen, whole);
                assert_eq!(take(&mut text, len), [&[] as &[u8]; 2]);
            }
        }
    }
}
