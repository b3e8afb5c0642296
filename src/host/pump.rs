//! What simple services do with a connection: echo, discard, generate. Each does what can be
//! done now and returns; call it whenever there is news of the socket.

use core::fmt;

use crate::host::pattern::Pattern;
use crate::socket::{ReadBuf, RecvBuf, SendBuf, WriteBuf};
use crate::tcp::{Congestion, RecvError, SendError, Shutdown, TcpError, TcpSocket};

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Octets read from the peer.
    pub received: u64,
    /// Octets written to the peer.
    pub sent: u64,
    /// The peer's octets have ended, and all were read.
    pub ended: bool,
}

/// The connection failed in this turn, and what moved in it before. Prints as its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// What moved before; never ended.
    pub moved: Moved,
    /// What ended the connection.
    pub error: TcpError,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for Broken {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.error.source()
    }
}

/// Sends back what came (RFC 862); shuts down after the peer has and all went back.
///
/// # Errors
/// The connection failed.
pub fn echo<R, T, C>(socket: &mut TcpSocket<R, T, C>, scratch: &mut [u8]) -> Result<Moved, Broken>
where
    R: RecvBuf + ReadBuf,
    T: SendBuf + WriteBuf,
    C: Congestion,
{
    let mut moved = Moved::default();
    loop {
        // Only as much is taken as goes back: the window holds the peer up, not our memory.
        // A connection that takes no more is read to its end, where its error stands.
        let room = if socket.can_send() {
            socket.writable()
        } else {
            usize::MAX
        };
        let room = room.min(scratch.len());
        let Some(into) = scratch.get_mut(..room).filter(|into| !into.is_empty()) else {
            return Ok(moved);
        };
        match socket.recv(into) {
            Ok(0) => {
                socket.shutdown(Shutdown::Write);
                moved.ended = true;
                return Ok(moved);
            }
            Ok(n) => {
                moved.received += n as u64;
                match socket.send(into.get(..n).unwrap_or_default()) {
                    Ok(n) => moved.sent += n as u64,
                    Err(SendError::Failed(error)) => return Err(Broken { moved, error }),
                    // Reading goes on to the end of what came before.
                    Err(SendError::Full | SendError::Closed) => {}
                }
            }
            Err(RecvError::Empty | RecvError::NotConnected) => return Ok(moved),
            Err(RecvError::Failed(error)) => return Err(Broken { moved, error }),
        }
    }
}

/// Hands `sink` all that came, in place (RFC 863 throws it away).
///
/// # Errors
/// The connection failed.
pub fn discard<R, T, C>(
    socket: &mut TcpSocket<R, T, C>,
    mut sink: impl FnMut(&[u8]),
) -> Result<Moved, Broken>
where
    R: RecvBuf + ReadBuf,
    T: SendBuf + WriteBuf,
    C: Congestion,
{
    let mut moved = Moved::default();
    loop {
        let read = socket.read_with(|piece| {
            sink(piece);
            piece.len()
        });
        match read {
            Ok(0) => {
                moved.ended = true;
                return Ok(moved);
            }
            Ok(n) => moved.received += n as u64,
            Err(RecvError::Empty | RecvError::NotConnected) => return Ok(moved),
            Err(RecvError::Failed(error)) => return Err(Broken { moved, error }),
        }
    }
}

/// Writes up to `most` octets of `pattern`; returns how many.
pub fn generate<R, T, C>(socket: &mut TcpSocket<R, T, C>, pattern: &mut Pattern, most: u64) -> u64
where
    R: RecvBuf + ReadBuf,
    T: SendBuf + WriteBuf,
    C: Congestion,
{
    let mut sent = 0;
    while sent < most {
        let room = usize::try_from(most - sent).unwrap_or(usize::MAX);
        let wrote = socket.write_with(room, |piece| {
            pattern.fill(piece);
            piece.len()
        });
        match wrote {
            Ok(n) if n > 0 => sent += n as u64,
            _ => break,
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stack;
    use crate::host::{Connection, os_rng};
    use crate::iface::Ip;
    use crate::net::Ipv4;
    use crate::socket::SlabSockets;
    use crate::tcp::Tcp;
    use phy::{Cable, Instant};
    use std::vec::Vec;

    /// Text and a reset behind it, before the application looked: it hears of both.
    fn reset_on_the_heels<R>(look: impl FnOnce(&mut Connection) -> R) -> R {
        let (near, far) = Cable::new(1500);
        let host = |device, n| {
            let net = Ipv4::default().with(0, [10, 0, 0, n].into(), 24);
            Stack::new(
                Ip::new(device),
                net,
                (Tcp::default(),),
                SlabSockets,
                &mut os_rng(),
            )
        };
        let (mut a, mut b) = (host(near, 1), host(far, 2));
        let server = "10.0.0.2:7".parse().unwrap();
        let listener = b.open(Connection::listener(server, 1)).unwrap();
        let client = a.open(Connection::connecting(server)).unwrap();
        for ms in 0..10 {
            a.poll(Instant::from_millis(ms));
            b.poll(Instant::from_millis(ms));
        }
        let accepted = b.socket(listener).accept().unwrap();
        a.socket(client).with(|s| s.send(b"x")).unwrap().unwrap();
        a.poll(Instant::from_millis(10));
        a.socket(client).with(|s| s.abort()).unwrap();
        a.poll(Instant::from_millis(10));
        b.poll(Instant::from_millis(11));
        b.socket(accepted).with(look).unwrap()
    }

    #[test]
    fn a_reset_on_the_heels_of_text_is_no_end() {
        let broken = Err(Broken {
            moved: Moved {
                received: 1,
                ..Moved::default()
            },
            error: TcpError::Reset,
        });
        let mut scratch = [0; 16];
        assert_eq!(reset_on_the_heels(|s| echo(s, &mut scratch)), broken);
        let mut came = Vec::new();
        let discarded = reset_on_the_heels(|s| discard(s, |text| came.extend_from_slice(text)));
        assert_eq!((discarded, came.as_slice()), (broken, &b"x"[..]));
    }
}
