//! What applications say about buffers and windows: `SO_RCVBUF`, `SO_SNDBUF`,
//! `TCP_WINDOW_CLAMP`; and what buffers hold of which they said nothing.
//!
//! Invariant: a buffer whose capacity the application chose keeps it
//! ([`Options::receive_fixed`]); the others take the stack's numbers before a connection uses
//! them. Part of what applications touch, beside [`socket`](super::socket).

use super::config::Config;
use super::options::Options;
use super::socket::{Role, TcpSocket, Wants};
use super::tcb::State;
use crate::socket::{RecvBuf, SendBuf};

impl<R: RecvBuf, T: SendBuf, C> TcpSocket<R, T, C> {
    /// Octets the receive buffer holds at most, from now on as given and no more by itself.
    /// Returns what it is now: as much more as a window that was offered needs, for the peer may
    /// have used it. It shrinks as that is used up and read (RFC 9293 §3.8.6.2.2).
    pub fn set_recv_capacity(&mut self, octets: usize) -> usize {
        self.change(|o| o.receive_fixed = true);
        self.wants.set(Wants::READ);
        // No window would ever open for an empty buffer that holds nothing.
        let octets = octets.max(1);
        let promised = self.promised();
        let now = self.rx.set_capacity(octets.max(promised));
        if octets < promised
            && let Role::Connection(tcb) = &mut self.role
        {
            tcb.rare.make().receive_capacity = u32::try_from(octets).unwrap_or(u32::MAX);
            self.wants.set(Wants::SHRINK);
        } else {
            self.wants.clear(Wants::SHRINK);
        }
        now
    }

    /// Lets the receive buffer hold twice as many octets, as Linux does (`SO_RCVBUF`), and ends
    /// its growing by itself. See [`set_recv_capacity`](Self::set_recv_capacity).
    pub fn set_recv_buffer_size(&mut self, octets: usize) {
        self.set_recv_capacity(octets.saturating_mul(2));
    }

    /// Octets the receive buffer holds at most now (`SO_RCVBUF`); what was asked for, also while
    /// it holds more for a window that was offered.
    pub fn recv_buffer_size(&self) -> usize {
        match &self.role {
            Role::Connection(tcb) if self.wants.any(Wants::SHRINK) => {
                let wanted = tcb.rare.get().map(|rare| rare.receive_capacity as usize);
                wanted
                    .filter(|octets| *octets > 0)
                    .unwrap_or(self.rx.capacity())
            }
            _ => self.rx.capacity(),
        }
    }

    /// Octets the send buffer holds at most, from now on as given and no more by itself.
    /// Returns what it is now.
    pub fn set_send_capacity(&mut self, octets: usize) -> usize {
        self.change(|o| o.send_fixed = true);
        self.tx.set_capacity(octets)
    }

    /// Lets the send buffer hold twice as many octets, as Linux does (`SO_SNDBUF`), and ends its
    /// growing by itself. There is news for a writer when a third of it is free.
    pub fn set_send_buffer_size(&mut self, octets: usize) {
        self.set_send_capacity(octets.saturating_mul(2));
    }

    /// Octets the send buffer holds at most now (`SO_SNDBUF`). Where the application did not
    /// choose it, a write that fits in part may go beyond by less than a train of segments: 64
    /// KiB, or half the peer's window.
    pub fn send_buffer_size(&self) -> usize {
        self.tx.capacity()
    }

    /// Gives the buffers of which the application said nothing the stack's first capacities.
    pub(super) fn adopt(&mut self, config: &Config, options: &Options) {
        if !options.receive_fixed {
            self.rx.set_capacity(config.receive_buffer);
        }
        if !options.send_fixed {
            self.tx.set_capacity(config.send_buffer);
        }
    }
}

impl<R: RecvBuf, T, C> TcpSocket<R, T, C> {
    /// Octets that are to be read, or that the peer may send.
    fn promised(&self) -> usize {
        let Role::Connection(tcb) = &self.role else {
            return 0;
        };
        let unread = self.rx.capacity().saturating_sub(self.rx.window());
        if matches!(tcb.state, State::Closed | State::TimeWait) {
            return unread;
        }
        // A window of one unit of its scale may be wider than the buffer, which holds no more for that.
        let all = unread.saturating_add(tcb.rcv_wnd() as usize);
        all.min(self.rx.capacity())
    }

    /// Something was read, or the connection ended: of what was promised less is left, and the
    /// buffer need hold no more.
    #[cold]
    pub(super) fn shrink_on(&mut self) {
        let promised = self.promised();
        let Role::Connection(tcb) = &self.role else {
            return;
        };
        let wanted = tcb.rare.get().map_or(0, |rare| rare.receive_capacity) as usize;
        // Of another connection, if it is nothing.
        if wanted > 0 {
            self.rx.set_capacity(wanted.max(promised));
        }
        if promised <= wanted || wanted == 0 {
            self.wants.clear(Wants::SHRINK);
        }
    }
}
