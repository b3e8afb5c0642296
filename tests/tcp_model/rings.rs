//! Storage of two kinds, one type each: what grows, and rings and tables of fixed size as a
//! microcontroller has them, so that sockets must be offered to listeners.

use netstrata::socket::fixed::{FixedSet, Slot};
use netstrata::socket::{
    Elastic, ReadBuf, RecvBuf, Ring, Rx, SendBuf, SlabSet, SlabSockets, Socket, Storage, Stores,
    Tx, WriteBuf,
};
use netstrata::tcp::SocketOf;
use netstrata::tcp::congestion::Any;

/// A storage the model can make sockets for.
pub trait Kind: Stores<SocketOf<Self, Any>, Set: Sized> + Sized + 'static
where
    Rx<Self>: RecvBuf + ReadBuf,
    Tx<Self>: SendBuf + WriteBuf,
{
    /// Must sockets be offered to listeners?
    const OFFERS: bool;
    /// Buffers.
    fn buffers(rx: usize, tx: usize) -> (Rx<Self>, Tx<Self>);
    /// An empty table.
    fn table() -> Self::Set;
}

impl Kind for SlabSockets {
    const OFFERS: bool = false;
    fn buffers(rx: usize, tx: usize) -> (Elastic, Elastic) {
        (Elastic::new(rx), Elastic::new(tx))
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
    fn buffers(rx: usize, tx: usize) -> (Lent, Lent) {
        let ring = |octets| Ring::new(vec![0; octets].into_boxed_slice());
        (ring(rx), ring(tx))
    }
    fn table() -> FixedSet<'static, SocketOf<Self, Any>> {
        let mut slots = Vec::new();
        slots.resize_with(48, || Slot::EMPTY);
        FixedSet::new(slots)
    }
}
