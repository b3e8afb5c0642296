//! Echo replies that cannot leave at once, because they must be fragmented or need a source
//! address. Invariant: at most [`MOST`] wait; what more comes is refused.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use phy::TxMeta;

use crate::context::Cx;
use crate::error::{Drop, TxError};
use crate::iface::Wait;
use crate::net::{Dest, Ingress, Output};
use crate::wire::Icmpv4;

/// Replies that may wait: half a megabyte at worst.
const MOST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Replies(VecDeque<(Dest, Vec<u8>)>);

impl Replies {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the reply to a request; false if too many wait.
    pub fn push(&mut self, request: &Ingress<'_>) -> bool {
        if self.0.len() >= MOST {
            return false;
        }
        let mut message = request.payload.to_vec();
        Icmpv4::set_echo_reply(&mut message);
        let to = Dest {
            src: request.unicast.then_some(request.ip.dst),
            tos: request.ip.tos & !3,
            wait: Wait::Queue,
            ..Dest::new(request.ip.src, request.ip.proto)
        };
        self.0.push_back((to, message));
        true
    }

    /// Sends up to `budget` of them; returns how many.
    pub fn send(&mut self, cx: &mut Cx, out: &mut impl Output, budget: usize) -> usize {
        let mut sent = 0;
        while sent < budget {
            let Some((to, message)) = self.0.pop_front() else {
                break;
            };
            let Some((head, data)) = message.split_first_chunk::<{ Icmpv4::LEN }>() else {
                continue;
            };
            let result = out.send_gather(to, Icmpv4::LEN, [data, &[]], TxMeta::NONE, |_, room| {
                room.copy_from_slice(head)
            });
            match result {
                Ok(()) => cx.stats.icmp_echoes = cx.stats.icmp_echoes.wrapping_add(1),
                Err(TxError::Full) => {
                    self.0.push_front((to, message));
                    break;
                }
                Err(_) => cx.drop(Drop::TxFull),
            }
            sent += 1;
        }
        sent
    }
}
