//! One stream of a test: a connection, or datagrams between two ports, on which one end sends.
//!
//! Invariant: octets are written and read in place, nothing is allocated while they move, and
//! what is counted was taken by the socket (sender) or by us (receiver).

use std::net::SocketAddr;

use netstrata::host::{AnyLink, Datagrams, Host};
use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::socket::mailbox::Meta;
use netstrata::tcp::{Config, RecvError, SendError};
use netstrata::transport::datagram;
use netstrata::udp;

use super::datagram::{Arrivals, Head, welcome};
use super::pace::Pace;
use super::tally::{Extremes, Figures, Link};
use crate::trace::{Connection, Control};

/// A host that tests run on.
pub type Stack = Host<AnyLink, Control>;

/// What a stream goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Socket {
    /// TCP.
    Tcp(Handle<Connection>),
    /// UDP.
    Udp(Handle<Datagrams>),
}

/// What senders send.
pub struct Source {
    /// A block of it.
    pub block: Box<[u8]>,
    /// Is it written at all? Otherwise what the send buffer has been holding goes out.
    pub fill: bool,
    /// Do datagrams have numbers of 64 bits?
    pub wide: bool,
}

impl Source {
    /// Writes what comes at `at` of a block; returns how many octets.
    fn put(&self, at: usize, piece: &mut [u8]) -> usize {
        if !self.fill {
            return piece.len();
        }
        let from = self.block.get(at..).unwrap_or_default();
        let len = from.len().min(piece.len());
        if let (Some(from), Some(to)) = (from.get(..len), piece.get_mut(..len)) {
            to.copy_from_slice(from);
        }
        len
    }
}

/// See the head of this file.
pub struct Stream {
    /// The number it goes by between the two ends.
    pub id: u32,
    /// Our side.
    pub local: SocketAddr,
    /// The other side.
    pub remote: SocketAddr,
    /// Do we send?
    pub sends: bool,
    /// What it goes through.
    pub socket: Socket,
    /// What moved since the beginning.
    pub figures: Figures,
    /// What of it does not count.
    pub omitted: Figures,
    /// What of it was reported.
    pub reported: Figures,
    /// The connection when last looked at.
    pub link: Link,
    /// Over the whole test.
    pub extremes: Extremes,
    /// Congestion control in use, with TCP.
    pub congestion: Option<&'static str>,
    /// Why nothing moves any more.
    pub failed: Option<String>,
    /// The rate it keeps.
    pub pace: Option<Pace>,
    /// Is it to be woken when its rate allows more?
    pub waits: bool,
    /// Where in a block it is.
    at: usize,
    arrivals: Arrivals,
}

impl Stream {
    /// One that nothing moved on yet.
    pub fn new(
        id: u32,
        sends: bool,
        socket: Socket,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Self {
        Self {
            id,
            local,
            remote,
            sends,
            socket,
            figures: Figures::default(),
            omitted: Figures::default(),
            reported: Figures::default(),
            link: Link::default(),
            extremes: Extremes::default(),
            congestion: None,
            failed: None,
            pace: None,
            waits: false,
            at: 0,
            arrivals: Arrivals::default(),
        }
    }

    /// Sends what can be sent now, at most `most` octets, of which it returns how many it did.
    pub fn send(&mut self, host: &mut Stack, now: Instant, source: &Source, most: u64) -> u64 {
        if self.failed.is_some() {
            return 0;
        }
        let before = self.figures.octets;
        match self.socket {
            Socket::Tcp(h) => {
                // A handle that names nothing is that of a socket that was closed.
                let _ = host
                    .socket(h)
                    .with(|socket| self.write(socket, now, source, most));
            }
            Socket::Udp(h) => {
                let _ = host
                    .socket(h)
                    .with(|socket| self.post(socket, now, source, most));
            }
        }
        self.figures.octets - before
    }

    /// Octets that may be sent now by the rate, of `most`.
    fn allowed(&mut self, now: Instant, most: u64) -> u64 {
        let by_rate = self.pace.as_mut().map(|pace| pace.allowed(now));
        by_rate.map_or(most, |octets| octets.min(most))
    }

    fn moved(&mut self, octets: usize) {
        self.figures.octets += octets as u64;
        if let Some(pace) = &mut self.pace {
            pace.sent(octets as u64);
        }
    }

    fn write(&mut self, socket: &mut Connection, now: Instant, source: &Source, mut most: u64) {
        loop {
            let room = usize::try_from(self.allowed(now, most)).unwrap_or(usize::MAX);
            if room == 0 {
                return;
            }
            match socket.write_with(room, |piece| source.put(self.at, piece)) {
                Ok(0) | Err(SendError::Full) => return,
                Ok(written) => {
                    self.at = (self.at + written) % source.block.len().max(1);
                    self.moved(written);
                    most -= written as u64;
                }
                Err(error) => {
                    self.failed = Some(error.to_string());
                    return;
                }
            }
        }
    }

    fn post(&mut self, socket: &mut Datagrams, now: Instant, source: &Source, mut most: u64) {
        let (meta, len) = (Meta::new(self.remote), source.block.len());
        let head = Head::len(source.wide);
        while self.allowed(now, most) > 0 {
            // As many together as one packet may carry, there is room for, and the rate allows.
            let allowed = self.allowed(now, most).div_ceil(len.max(1) as u64);
            let room = socket.writable().unwrap_or(0).min(udp::socket::MAX_DATA);
            let count = usize::try_from(allowed).unwrap_or(usize::MAX);
            let count = count.min(room / len.max(1)).max(1);
            let first = self.figures.packets + 1;
            let fill = |datagrams: &mut [u8]| {
                for (number, datagram) in (first..).zip(datagrams.chunks_mut(len.max(1))) {
                    // All of a datagram but its head is the same each time.
                    if let (true, Some(to)) = (source.fill, datagram.get_mut(head..)) {
                        to.copy_from_slice(source.block.get(head..).unwrap_or_default());
                    }
                    Head { sent: now, number }.put(source.wide, datagram);
                }
                datagrams.len()
            };
            match socket.send_segments_with(count * len, len, &meta, fill) {
                Ok(sent) => {
                    self.figures.packets += sent as u64;
                    self.moved(count * len);
                    most = most.saturating_sub((count * len) as u64);
                }
                Err(datagram::SendError::Full) => return,
                Err(error) => {
                    self.failed = Some(error.to_string());
                    return;
                }
            }
        }
    }

    /// Takes what has come; returns how many octets.
    pub fn receive(&mut self, host: &mut Stack, now: Instant, wide: bool) -> u64 {
        let before = self.figures.octets;
        match self.socket {
            Socket::Tcp(h) => {
                let _ = host.socket(h).with(|socket| self.read(socket));
            }
            Socket::Udp(h) => {
                let _ = host
                    .socket(h)
                    .with(|socket| self.collect(socket, now, wide));
            }
        }
        self.figures.octets - before
    }

    fn read(&mut self, socket: &mut Connection) {
        loop {
            match socket.read_with(|piece| piece.len()) {
                // The end of it comes when the test is over; before that nothing moves, which
                // is noticed.
                Ok(0) | Err(RecvError::Empty | RecvError::NotConnected) => return,
                Ok(read) => self.figures.octets += read as u64,
                Err(RecvError::Failed(error)) => {
                    self.failed = Some(error.to_string());
                    return;
                }
            }
        }
    }

    fn collect(&mut self, socket: &mut Datagrams, now: Instant, wide: bool) {
        loop {
            let (figures, arrivals) = (&mut self.figures, &mut self.arrivals);
            let again = socket.recv_with(|_, datagram| {
                // Our answer was lost, and the other end asks once more.
                let again = welcome(datagram);
                if again.is_none()
                    && let Some(head) = Head::parse(wide, datagram)
                {
                    figures.octets += datagram.len() as u64;
                    arrivals.see(head, now, figures);
                }
                again
            });
            match again {
                Ok(None) => {}
                Ok(Some(answer)) => {
                    // One that finds no room is asked for again.
                    let _ = socket.send_to(&answer, self.remote);
                }
                Err(_) => return,
            }
        }
    }

    /// Looks at the connection's own numbers.
    pub fn look(&mut self, host: &mut Stack, now: Instant) {
        let Socket::Tcp(h) = self.socket else { return };
        let info = host
            .socket(h)
            .look(|socket| socket.info(&Config::default(), now));
        let Ok(Some(info)) = info else { return };
        self.congestion = Some(info.congestion);
        if self.sends {
            self.figures.retransmits = info.total_retrans.into();
            self.link = Link::of(&info);
            self.extremes.see(&self.link);
        }
    }

    /// What counts from now on.
    pub fn restart(&mut self) {
        (self.omitted, self.reported) = (self.figures, self.figures);
        self.extremes = Extremes::default();
        self.arrivals.restart();
        self.figures.jitter = 0.0;
    }

    /// What moved of what counts.
    pub fn counted(&self) -> Figures {
        self.figures.since(&self.omitted)
    }

    /// Has all that was sent left, and, with TCP, arrived?
    pub fn is_drained(&self, host: &mut Stack) -> bool {
        let left = match self.socket {
            Socket::Tcp(h) => host.socket(h).look(|socket| socket.unacknowledged()),
            Socket::Udp(h) => host.socket(h).look(|socket| socket.queued()),
        };
        self.failed.is_some() || left.unwrap_or(0) == 0
    }

    /// Takes leave: in order if everything was said, at once if not.
    pub fn close(&self, host: &mut Stack) {
        let drained = self.is_drained(host);
        match self.socket {
            Socket::Tcp(h) => {
                if !drained {
                    let _ = host.socket(h).with(|socket| socket.abort());
                }
                let _ = host.close(h);
            }
            Socket::Udp(h) => {
                host.remove::<Datagrams, _>(h);
            }
        }
    }
}

/// A socket for datagrams of up to `len` octets, one of `streams`.
pub fn datagrams(len: usize, streams: usize) -> Datagrams {
    // Room for what comes between two turns, and for what a turn sends.
    let one = len.saturating_add(64);
    let rx = ((8 << 20) / streams.max(1))
        .clamp(256 << 10, 2 << 20)
        .max(one * 4);
    let tx = (one * 64).clamp(192 << 10, 256 << 10).max(one * 2);
    udp::UdpSocket::new(0, vec![0; rx].into(), vec![0; tx].into())
}
