//! One connection that carries the pattern both ways, checked octet by octet.

use netstrata::Stack;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::Device;
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::{RecvError, SendError, Shutdown, SocketOf, Tcp};
use netstrata::wire::Mac;

use super::{Seed, pattern};

/// A host on an Ethernet.
pub type Lan<D> = Stack<Ethernet<D>, Ipv4, (Tcp,), SlabSockets>;
/// Its sockets.
pub type Socket = SocketOf<SlabSockets>;

/// Host 192.0.2.`n` on a device.
pub fn lan<D: Device>(device: D, n: u8) -> Lan<D> {
    lan_with(device, n, Tcp::new())
}

/// The same with other numbers.
pub fn lan_with<D: Device>(device: D, n: u8, tcp: Tcp) -> Lan<D> {
    let iface = Ethernet::new(device, Mac([2, 0, 0, 0, 0, n]));
    let ip = Ipv4::default().with(0, [192, 0, 2, n].into(), 24);
    Stack::new(iface, ip, (tcp,), SlabSockets, &mut Seed(n.into()))
}

/// One side of a transfer.
#[derive(Debug)]
pub struct Side {
    /// Its socket.
    pub h: Handle<Socket>,
    /// Octets it sends before it shuts down.
    pub total: u64,
    /// It shut its direction down.
    pub shut: bool,
    /// Octets written.
    pub sent: u64,
    /// Octets read, all of them right.
    pub got: u64,
    /// It read the end.
    pub ended: bool,
}

impl Side {
    /// A side that sends `total` octets.
    pub fn new(h: Handle<Socket>, total: u64) -> Self {
        Self {
            h,
            total,
            shut: false,
            sent: 0,
            got: 0,
            ended: false,
        }
    }

    /// Writes and reads what can be; true when both directions have ended.
    ///
    /// # Panics
    /// When an octet is wrong or the connection fails.
    pub fn act<D: Device>(&mut self, host: &mut Lan<D>) -> bool {
        let Self {
            total,
            shut,
            sent,
            got,
            ended,
            ..
        } = self;
        let due = host.socket(self.h).look(|s| {
            let write = *sent < *total && s.writable() > 0 || *sent == *total && !*shut;
            s.readable() > 0 || s.is_at_end() != *ended || write
        });
        if due != Ok(true) {
            return self.ended && self.shut;
        }
        *ended = host
            .socket(self.h)
            .with(|s| {
                while *sent < *total {
                    let most = usize::try_from(*total - *sent).unwrap();
                    let wrote = s.write_with(most, |room| {
                        for (octet, n) in room.iter_mut().zip(*sent..) {
                            *octet = pattern(n);
                        }
                        room.len()
                    });
                    match wrote {
                        Ok(n) => *sent += n as u64,
                        Err(SendError::Full) => break,
                        Err(error) => panic!("{error} after {sent} sent"),
                    }
                }
                if *sent == *total && !*shut {
                    s.shutdown(Shutdown::Write);
                    *shut = true;
                }
                loop {
                    let read = s.read_with(|text| {
                        for (octet, n) in text.iter().zip(*got..) {
                            assert_eq!(*octet, pattern(n), "at {n}");
                        }
                        text.len()
                    });
                    match read {
                        Ok(0) => break true,
                        Ok(n) => *got += n as u64,
                        Err(RecvError::Empty) => break false,
                        Err(error) => panic!("{error} after {got} received"),
                    }
                }
            })
            .expect("a socket");
        self.ended && self.shut
    }
}
