//! Reading and writing the text of a connection.
//!
//! Invariant: what came is read before a failure is told, a failure is told once, and after it
//! and after the peer's FIN reading gives the end. Part of what applications touch, beside
//! [`socket`](super::socket).

use core::fmt;

use super::congestion::Congestion;
use super::error::TcpError;
use super::push::SendFlags;
use super::socket::{Role, TcpSocket, Wants};
use crate::socket::{ReadBuf, RecvBuf, SendBuf, WriteBuf};

/// Why nothing could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// Nothing is there now; look again when there is news of the socket.
    Empty,
    /// It is no connection.
    NotConnected,
    /// The connection failed; told once.
    Failed(TcpError),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing to read now"),
            Self::NotConnected => f.write_str("not connected"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RecvError {}

/// Why nothing could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The send buffer is full; try again when there is news of the socket.
    Full,
    /// It is no connection, or was shut down, or has ended.
    Closed,
    /// The connection failed; told once.
    Failed(TcpError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("send buffer is full"),
            Self::Closed => f.write_str("connection is closed for sending"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SendError {}

impl<R: RecvBuf + ReadBuf, T, C: Congestion> TcpSocket<R, T, C> {
    /// Octets that can be read now.
    pub fn readable(&self) -> usize {
        self.rx.readable()
    }

    /// What Linux's `TCP_INQ` gives: [`readable`](Self::readable), and 1 where that is 0 but
    /// reading gives the end, so that whoever asks first does not miss it.
    pub fn inq(&self) -> usize {
        match self.rx.readable() {
            0 => usize::from(self.is_at_end() && !matches!(self.role, Role::Closed(_))),
            octets => octets,
        }
    }

    /// Octets from the next one to be read up to the end of those the peer calls urgent; 0 if it
    /// calls none so (RFC 9293 §3.8.5). There is news of the socket when they become more. They
    /// may not have come yet. Urgent octets are read in line.
    pub fn urgent(&self) -> usize {
        match &self.role {
            Role::Connection(tcb) => tcb.urgent_left(self.rx.readable()) as usize,
            _ => 0,
        }
    }

    /// Copies out what has come, as much as fits. `Ok(0)` is the end: the peer sends no more
    /// (or `into` is empty). There is news of a socket once for all that came since the last
    /// news, the end included: read until [`RecvError::Empty`] or the end before waiting.
    ///
    /// # Errors
    /// See [`RecvError`]. What came before a failure is read before it is told.
    pub fn recv(&mut self, into: &mut [u8]) -> Result<usize, RecvError> {
        let mut copied = 0;
        for piece in self.rx.peek() {
            let rest = into.get_mut(copied..).unwrap_or_default();
            let n = piece.len().min(rest.len());
            if let (Some(from), Some(to)) = (piece.get(..n), rest.get_mut(..n)) {
                to.copy_from_slice(from);
                copied = copied.saturating_add(n);
            }
        }
        self.consume(copied);
        if copied > 0 || into.is_empty() {
            return Ok(copied);
        }
        self.end().map(|()| 0)
    }

    /// What has come, in place, in up to two pieces; [`consume`](Self::consume) what was used.
    pub fn peek(&self) -> [&[u8]; 2] {
        self.rx.peek()
    }

    /// Forgets the `n` oldest octets, or all if there are fewer.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.rx.readable());
        if n > 0 {
            self.rx.consume(n);
            self.wants.set(Wants::READ);
            if self.wants.any(Wants::SHRINK) {
                self.shrink_on();
            }
        }
    }

    /// Lets `f` read in place: it gets the oldest octets and returns how many it used. `Ok(0)`
    /// is the end if `f` was not called.
    ///
    /// # Errors
    /// See [`RecvError`].
    pub fn read_with(&mut self, f: impl FnOnce(&[u8]) -> usize) -> Result<usize, RecvError> {
        let [first, second] = self.rx.peek();
        let piece = if first.is_empty() { second } else { first };
        if piece.is_empty() {
            return self.end().map(|()| 0);
        }
        let used = f(piece).min(piece.len());
        self.consume(used);
        Ok(used)
    }

    /// Has the peer sent its last octet, and was it read? A failed connection ends too.
    pub fn is_at_end(&self) -> bool {
        self.rx.readable() == 0 && !self.can_recv()
    }

    /// Nothing is left to be read: for ever?
    fn end(&mut self) -> Result<(), RecvError> {
        if let Some(error) = self.take_error() {
            return Err(RecvError::Failed(error));
        }
        match self.role {
            Role::Closed(_) | Role::Listen(_) => Err(RecvError::NotConnected),
            Role::Opening(_) | Role::Connection(_) if self.can_recv() => Err(RecvError::Empty),
            Role::Opening(_) | Role::Connection(_) => Ok(()),
        }
    }
}

impl<R, T: SendBuf + WriteBuf, C: Congestion> TcpSocket<R, T, C> {
    /// Octets that can be written now; a write of more may take some more, the rest of a train
    /// ([`send_buffer_size`](Self::send_buffer_size)). With a bound on what is not sent yet
    /// ([`set_notsent_lowat`](Self::set_notsent_lowat)) none while half of it waits, so that a
    /// writer that asks first does not write in small pieces.
    pub fn writable(&self) -> usize {
        if !self.can_send() {
            return 0;
        }
        match &self.role {
            Role::Connection(tcb) if !tcb.takes_more(&self.tx) => 0,
            _ => self.tx.writable().min(self.admitted()),
        }
    }

    /// Octets written and not acknowledged by the peer yet.
    pub fn unacknowledged(&self) -> usize {
        self.tx.queued()
    }

    /// Appends what fits of `data`; returns how much did.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, data: &[u8]) -> Result<usize, SendError> {
        self.send_with(data, SendFlags::default())
    }

    /// As [`send`](Self::send), with flags.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_with(&mut self, data: &[u8], flags: SendFlags) -> Result<usize, SendError> {
        self.may_write()?;
        let most = self.admitted().min(data.len());
        let data_now = data.get(..most).unwrap_or(data);
        let written = if most > self.tx.writable() {
            self.write_beyond(data_now)
        } else {
            self.tx.write(data_now)
        };
        if let Role::Connection(tcb) = &mut self.role {
            tcb.wrote(flags, written == data.len(), self.tx.queued());
        }
        if written == 0 && !data.is_empty() {
            return Err(SendError::Full);
        }
        Ok(written)
    }

    /// Lets `f` write in place into at least one and at most `max` octets of the send buffer;
    /// `f` returns how many it wrote.
    ///
    /// # Errors
    /// See [`SendError`]; `f` was not called.
    pub fn write_with(
        &mut self,
        max: usize,
        f: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, SendError> {
        self.may_write()?;
        let max = max.min(self.admitted());
        let full = self.tx.writable() == 0 || max == 0;
        let written = if full { 0 } else { self.tx.write_with(max, f) };
        if let Role::Connection(tcb) = &mut self.role {
            tcb.wrote(SendFlags::default(), !full, self.tx.queued());
        }
        if full {
            Err(SendError::Full)
        } else {
            Ok(written)
        }
    }

    /// Appends what fits of `data`, and the rest of a train that fits in part.
    #[cold]
    fn write_beyond(&mut self, data: &[u8]) -> usize {
        let Role::Connection(tcb) = &self.role else {
            return self.tx.write(data);
        };
        let (capacity, beyond) = (self.tx.capacity(), tcb.beyond(&self.tx));
        self.tx.set_capacity(capacity.saturating_add(beyond));
        let written = self.tx.write(data);
        self.tx.set_capacity(capacity);
        written
    }

    /// Octets that the bound on what is not sent yet allows.
    fn admitted(&self) -> usize {
        match &self.role {
            Role::Connection(tcb) => tcb.admits(&self.tx),
            _ => usize::MAX,
        }
    }

    fn may_write(&mut self) -> Result<(), SendError> {
        if let Some(error) = self.take_error() {
            return Err(SendError::Failed(error));
        }
        if self.can_send() {
            Ok(())
        } else if self.wants.any(Wants::SHED) {
            // Reset for its memory with its next turn, which tells so.
            Err(SendError::Full)
        } else {
            Err(SendError::Closed)
        }
    }
}
