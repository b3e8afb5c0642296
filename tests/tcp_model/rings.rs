//! Storage of two kinds, one type each: what grows, and rings and tables of fixed size as a
//! microcontroller has them, so that sockets must be offered to listeners.

use netstrata::socket::fixed::{FixedSet, Slot};
use netstrata::socket::{
    Elastic, ReadBuf, RecvBuf, Ring, Rx, SendBuf, SlabSet, SlabSockets, Socket, Storage, Stores,
    Tx, WriteBuf,
};
use netstrata::tcp::congestion::Any;
use netstrata::tcp::{SocketOf, TcpSocket};

/// A storage the model can make sockets for.
pub trait Kind: Stores<SocketOf<Self, Any>, Set: Sized> + Sized + 'static
where
    Rx<Self>: RecvBuf + ReadBuf,
    Tx<Self>: SendBuf + WriteBuf,
{
    /// Must sockets be offered to listeners?
    const OFFERS: bool;
    /// A closed socket with buffers of these sizes.
    fn socket(rx: usize, tx: usize) -> SocketOf<Self, Any>;
    /// One whose buffers grow by themselves, where there is such a thing.
    fn growing() -> Option<SocketOf<Self, Any>>;
    /// An empty table.
    fn table() -> Self::Set;
}

impl Kind for SlabSockets {
    const OFFERS: bool = false;
    fn socket(rx: usize, tx: usize) -> SocketOf<Self, Any> {
        TcpSocket::new(Elastic::new(rx), Elastic::new(tx))
    }
    fn growing() -> Option<SocketOf<Self, Any>> {
        Some(TcpSocket::closed())
    }
    fn table() -> SlabSet<SocketOf<Self, Any>> {
        SlabSet::default()
    }
}

/// Rings of fixed size.
#[derive(Debug)]
pub struct Rings;

type Lent = Ring<Box<[u8]>>;

impl Storage for Rings {
    type Bytes = Box<[u8]>;
    type Rx = Lent;
    type Tx = Lent;
    fn stream(_: usize, _: usize) -> Option<(Lent, Lent)> {
        None
    }
}

impl<K: Socket + 'static> Stores<K> for Rings {
    type Set = FixedSet<'static, K>;
}

impl Kind for Rings {
    const OFFERS: bool = true;
    fn socket(rx: usize, tx: usize) -> SocketOf<Self, Any> {
        let ring = |octets| Ring::new(vec![0; octets].into_boxed_slice());
        TcpSocket::new(ring(rx), ring(tx))
    }
    fn growing() -> Option<SocketOf<Self, Any>> {
        None
    }
    fn table() -> FixedSet<'static, SocketOf<Self, Any>> {
        let mut slots = Vec::new();
        slots.resize_with(48, || Slot::EMPTY);
        FixedSet::new(slots)
    }
}
