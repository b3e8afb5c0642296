//! What applications say about buffers and windows: `SO_RCVBUF`, `SO_SNDBUF`,
//! `TCP_WINDOW_CLAMP`; and what buffers hold of which they said nothing.
//!
//! Invariant: a buffer whose capacity the application chose keeps it
//! ([`Options::receive_fixed`]); the others take the stack's numbers before a connection uses
//! them. Part of what applications touch, beside [`socket`](super::socket).

use super::config::Config;
use super::options::Options;
use super::socket::{TcpSocket, Wants};
use crate::socket::{RecvBuf, SendBuf};

impl<R: RecvBuf, T: SendBuf, C> TcpSocket<R, T, C> {
    /// Octets the receive buffer holds at most, from now on as given and no more by itself;
    /// shrinking does not take back a window that was offered. Returns what it is now.
    pub fn set_recv_capacity(&mut self, octets: usize) -> usize {
        self.change(|o| o.receive_fixed = true);
        self.wants.set(Wants::READ);
        self.rx.set_capacity(octets)
    }

    /// Octets the send buffer holds at most, from now on as given and no more by itself.
    /// Returns what it is now.
    pub fn set_send_capacity(&mut self, octets: usize) -> usize {
        self.change(|o| o.send_fixed = true);
        self.tx.set_capacity(octets)
    }

    /// Lets the receive buffer hold twice as many octets, as Linux does (`SO_RCVBUF`), and ends
    /// its growing by itself. See [`set_recv_capacity`](Self::set_recv_capacity).
    pub fn set_recv_buffer_size(&mut self, octets: usize) {
        self.set_recv_capacity(octets.saturating_mul(2));
    }

    /// Octets the receive buffer holds at most now (`SO_RCVBUF`).
    pub fn recv_buffer_size(&self) -> usize {
        self.rx.capacity()
    }

    /// Lets the send buffer hold twice as many octets, as Linux does (`SO_SNDBUF`), and ends its
    /// growing by itself. There is news for a writer when a third of it is free.
    pub fn set_send_buffer_size(&mut self, octets: usize) {
        self.set_send_capacity(octets.saturating_mul(2));
    }

    /// Octets the send buffer holds at most now (`SO_SNDBUF`).
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
