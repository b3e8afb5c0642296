//! How a stack stores sockets and their buffers; chosen once, for all kinds.

use core::ops::DerefMut;

use crate::socket::{Socket, SocketSet};
use crate::wire::Sum;

/// Where received stream octets wait for the application: the protocol's side.
pub trait RecvBuf {
    /// Octets that may still be written past the last committed one.
    fn window(&self) -> usize;
    /// Octets the buffer holds at most.
    fn capacity(&self) -> usize;
    /// Copies `data` to `offset` octets past the last committed one, out of order if need be;
    /// returns how many fitted. Out of order a buffer may take less than the window.
    fn write(&mut self, offset: usize, data: &[u8]) -> usize;
    /// As [`write`](Self::write) right past the last committed octet; returns the sum of what
    /// fitted as well, for text that is verified once it is here and committed only then.
    fn write_summed(&mut self, data: &[u8]) -> (usize, Sum) {
        let fitted = self.write(0, data).min(data.len());
        (fitted, Sum::of(data.get(..fitted).unwrap_or(data)))
    }
    /// Gives the next `n` octets, all written before, to the reader.
    fn commit(&mut self, n: usize);
    /// Changes how many octets it holds at most; what is held stays. Returns what it is now.
    fn set_capacity(&mut self, octets: usize) -> usize;
    /// Octets of memory it occupies now.
    fn memory(&self) -> usize {
        self.capacity()
    }
    /// What was written `offset` octets past the last committed one, or farther, is no longer
    /// needed; nor is the memory it is in.
    fn forget_after(&mut self, offset: usize) {
        let _ = offset;
    }
    /// The last `n` octets that [`write_summed`](Self::write_summed) took were not what the peer
    /// sent: as if they had not come. Nothing may be written out of order.
    fn retract(&mut self, n: usize) {
        let _ = n;
        self.forget_after(0);
    }
    /// Gives back memory that what it holds does not need.
    fn trim(&mut self) {}
}

/// Received stream octets: the reader's side.
pub trait ReadBuf {
    /// Octets ready to be read.
    fn readable(&self) -> usize;
    /// The oldest readable octets, in place, in up to two pieces.
    fn peek(&self) -> [&[u8]; 2];
    /// Forgets the `n` oldest octets.
    fn consume(&mut self, n: usize);
}

/// Where octets to send wait until they are acknowledged: the protocol's side.
pub trait SendBuf {
    /// Octets held, sent or not.
    fn queued(&self) -> usize;
    /// Up to `len` octets at `offset` past the oldest, in place: the device gathers from here.
    fn peek(&self, offset: usize, len: usize) -> [&[u8]; 2];
    /// Forgets the `n` oldest octets: they are acknowledged.
    fn release(&mut self, n: usize);
    /// Octets the buffer holds at most.
    fn capacity(&self) -> usize;
    /// Changes how many octets it holds at most; what is held stays. Returns what it is now.
    fn set_capacity(&mut self, octets: usize) -> usize;
    /// Octets of memory it occupies now.
    fn memory(&self) -> usize {
        self.capacity()
    }
    /// Gives back memory that what it holds does not need.
    fn trim(&mut self) {}
}

/// Octets to send: the writer's side.
pub trait WriteBuf {
    /// Octets that may be written now.
    fn writable(&self) -> usize;
    /// Appends what fits of `data`; returns how much did.
    fn write(&mut self, data: &[u8]) -> usize;
    /// Lets `f` write in place into free room of at least one and at most `max` octets; `f`
    /// returns how many it wrote. 0 if there is no room.
    fn write_with(&mut self, max: usize, f: impl FnOnce(&mut [u8]) -> usize) -> usize;
}

/// How a stack stores sockets and their buffers.
pub trait Storage {
    /// Buffers of datagram sockets.
    type Bytes: DerefMut<Target = [u8]>;
    /// Receive buffers of stream sockets.
    type Rx: RecvBuf;
    /// Send buffers of stream sockets.
    type Tx: SendBuf;

    /// Buffers of at most `rx` and `tx` octets for a connection that a listener accepted;
    /// `None` where only the application can give some.
    fn stream(rx: usize, tx: usize) -> Option<(Self::Rx, Self::Tx)>;
}

/// The datagram buffers of storage `S`.
pub type Bytes<S> = <S as Storage>::Bytes;
/// The stream receive buffers of storage `S`.
pub type Rx<S> = <S as Storage>::Rx;
/// The stream send buffers of storage `S`.
pub type Tx<S> = <S as Storage>::Tx;

/// `Self` can hold sockets of kind `K`.
pub trait Stores<K: Socket>: Storage {
    /// The table.
    type Set: SocketSet<K>;
}
