//! The applications: one end of a connection, what it did and what it must see.

use netstrata::Stack;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::Instant;
use netstrata::socket::{Handle, ReadBuf, RecvBuf, Rx, SendBuf, Tx, WriteBuf};
use netstrata::tcp::congestion::Any;
use netstrata::tcp::{RecvError, SendError, SendFlags, Shutdown, SocketOf, State, Tcp, TcpError};

use super::device::Watched;
use super::rings::Kind;
use super::watch::octet;

/// A host of the model.
pub type Host<K> = Stack<Ip<Watched>, Ipv4, (Tcp<Any>,), K>;
/// Its sockets.
pub type Sock<K> = SocketOf<K, Any>;

/// One end of a connection.
pub struct End<K: Kind>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    pub h: Handle<Sock<K>>,
    /// Number of its host.
    pub side: usize,
    /// Its port, 0 before it is known, and the peer's.
    pub ports: (u16, u16),
    /// Index of the other end, once known.
    pub peer: Option<usize>,
    /// Those it had before, made by the same SYN.
    pub formers: Vec<usize>,
    /// Something of another connection with the same sequence numbers may have come between the
    /// two: they may not agree, and then give up.
    pub mixed: bool,
    /// It was made by a listener.
    pub accepted: bool,
    pub written: u64,
    /// Octets it writes in all.
    pub budget: u64,
    pub got: u64,
    /// It shut its direction down.
    pub shut: bool,
    pub aborted: bool,
    /// It gave its socket up; whether the socket still had something to read then.
    pub released: bool,
    pub error: Option<TcpError>,
    /// It read the end.
    pub ended: bool,
    /// It reads and writes whenever it hears that it may.
    pub eager: bool,
    /// It shuts down when it has written all.
    pub finishing: bool,
    /// It has not looked since it heard.
    pub due: bool,
    pub state: State,
    /// It was established.
    pub stood: bool,
    /// Its SYN, or its SYN-ACK, is out.
    pub begun: bool,
    /// Options of its own may end it.
    pub fragile: bool,
    /// The peer's FIN came.
    pub heard: bool,
    /// It shut its reading down: nobody tells it that the end came.
    pub deaf: bool,
    /// When it was aborted, had its peer not heard of it yet?
    pub unheard: Option<bool>,
    /// It was given a bound on what is not sent.
    pub bounded: bool,
    /// Largest buffers it ever had.
    pub most: (usize, usize),
    /// When something last came of it.
    pub moved_at: Instant,
    pub unacknowledged: usize,
}

impl<K: Kind> End<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    pub fn new(h: Handle<Sock<K>>, side: usize, ports: (u16, u16), budget: u64) -> Self {
        Self {
            h,
            side,
            ports,
            peer: None,
            formers: Vec::new(),
            mixed: false,
            accepted: false,
            written: 0,
            budget,
            got: 0,
            shut: false,
            aborted: false,
            released: false,
            error: None,
            ended: false,
            eager: true,
            finishing: false,
            due: true,
            state: State::SynSent,
            stood: false,
            begun: false,
            fragile: false,
            heard: false,
            deaf: false,
            unheard: None,
            bounded: false,
            most: (0, 0),
            moved_at: Instant::ZERO,
            unacknowledged: 0,
        }
    }

    /// Its ports as the pattern needs them: those of clients, which are chosen late, are above
    /// all others.
    fn way(&self) -> (u16, u16) {
        let (own, peer) = self.ports;
        (if own == 0 { u16::MAX } else { own }, peer)
    }

    /// Nothing will come of it any more.
    pub fn over(&self) -> bool {
        self.released
            || self.error.is_some()
            || self.aborted
            || self.ended && self.shut && !self.state.sends() && self.state != State::FinWait2
    }

    fn failed(&mut self, error: TcpError) {
        assert_eq!(self.error, None, "a second error: {error}");
        self.error = Some(error);
    }

    /// The octets from `got` on are as they should be.
    fn check(&mut self, text: &[u8]) {
        let (own, peer) = self.way();
        assert!(!self.ended || text.is_empty(), "text after the end");
        for (n, octet_read) in (self.got..).zip(text) {
            assert_eq!(*octet_read, octet((peer, own), n), "octet {n} as read");
        }
        self.got += text.len() as u64;
    }

    fn read_result(&mut self, read: Result<usize, RecvError>) -> bool {
        match read {
            Ok(0) => {
                self.ended |= self.error.is_none() && !self.aborted && !self.deaf;
                false
            }
            Ok(_) => true,
            Err(RecvError::Empty) => false,
            Err(RecvError::NotConnected) => {
                assert_eq!(self.state, State::Closed, "not connected");
                false
            }
            Err(RecvError::Failed(error)) => {
                self.failed(error);
                false
            }
        }
    }

    /// Reads up to `most` octets in the way of number `how`; true if more may be there.
    pub fn read(&mut self, s: &mut Sock<K>, most: usize, how: usize) -> bool {
        let readable = s.readable();
        let read = match how % 4 {
            0 => {
                let mut room = vec![0; most.max(1)];
                let read = s.recv(&mut room);
                self.check(&room[..read.unwrap_or(0)]);
                read
            }
            1 => {
                let mut text = Vec::new();
                let read = s.read_with(|piece| {
                    let n = piece.len().min(most.max(1));
                    text.extend_from_slice(&piece[..n]);
                    n
                });
                self.check(&text);
                read
            }
            2 => {
                let text: Vec<u8> = s.peek().concat();
                assert_eq!(text.len(), readable, "all is seen in place");
                let n = most.min(text.len());
                self.check(&text[..n]);
                s.consume(n);
                if n == 0 {
                    return false;
                }
                Ok(n)
            }
            _ => {
                // Looking changes nothing; an empty read is none.
                let before = s.peek().concat();
                let empty = s.recv(&mut []);
                assert_eq!(empty, Ok(0));
                assert_eq!(s.read_with(|_| 0).unwrap_or(0), 0);
                assert_eq!(s.peek().concat(), before);
                if before.is_empty() {
                    // What `read_with` said is lost; so is its error.
                    self.due = true;
                    if !s.can_recv() && self.error.is_none() {
                        self.unsure(s);
                    }
                }
                return false;
            }
        };
        if let Ok(n) = read {
            assert!(n <= readable, "{n} octets of {readable}");
        }
        self.read_result(read)
    }

    /// The end or a failure was told to nobody: a failure leaves no other trace than CLOSED.
    fn unsure(&mut self, s: &Sock<K>) {
        if s.state() == State::Closed && !self.ended {
            self.aborted = true;
        }
    }

    /// Writes up to `most` octets in the way of number `how`; true if more may fit.
    pub fn write(&mut self, s: &mut Sock<K>, most: usize, how: usize) -> bool {
        self.write_with(s, most, how, SendFlags::default())
    }

    /// The same with flags, where the way has any.
    pub fn write_with(
        &mut self,
        s: &mut Sock<K>,
        most: usize,
        how: usize,
        flags: SendFlags,
    ) -> bool {
        let left = usize::try_from(self.budget - self.written).unwrap();
        let most = most.min(left);
        let (way, at) = (self.way(), self.written);
        let room = s.writable();
        let wrote = if how.is_multiple_of(2) || most == 0 {
            let text: Vec<u8> = (at..at + most as u64).map(|n| octet(way, n)).collect();
            s.send_with(&text, flags)
        } else {
            s.write_with(most, |to| {
                for (to, n) in to.iter_mut().zip(at..) {
                    *to = octet(way, n);
                }
                to.len()
            })
        };
        match wrote {
            Ok(n) => {
                // With a bound on what is not sent, room is told late and taken early; and a
                // buffer that grows takes the rest of a train.
                let fits = n <= room || self.bounded || room > 0 && n < room + 65_536;
                assert!(n <= most && fits, "{n} octets written");
                assert!(!self.shut, "written after shutdown");
                self.written += n as u64;
                n > 0 && self.written < self.budget
            }
            Err(SendError::Full) => {
                assert_eq!(room, 0, "full");
                false
            }
            Err(SendError::Closed) => {
                let closed = self.shut
                    || self.aborted
                    || self.error.is_some()
                    || matches!(self.state, State::Closed | State::TimeWait);
                assert!(closed, "closed for sending in {}", self.state);
                // Writes no more.
                self.budget = self.written;
                false
            }
            Err(SendError::Failed(error)) => {
                self.failed(error);
                false
            }
        }
    }

    /// Does all that can be done now.
    pub fn act(&mut self, host: &mut Host<K>) {
        if self.released || !std::mem::take(&mut self.due) {
            return;
        }
        let socket = &mut host.socket(self.h);
        let done = socket.with(|s| {
            self.state = s.state();
            while self.error.is_none() && self.read(s, 100_000, 1) {}
            while self.error.is_none() && !self.shut && self.budget > self.written {
                if !self.write(s, 100_000, 1) {
                    break;
                }
            }
            let all = self.written == self.budget || self.error.is_some();
            if self.finishing && !self.shut && all {
                s.shutdown(Shutdown::Write);
                self.shut = true;
            }
        });
        done.expect("an open socket");
    }

    /// Looks at it from outside.
    pub fn observe(&mut self, host: &mut Host<K>, now: Instant) {
        if self.released {
            return;
        }
        let socket = host.socket(self.h);
        let (state, unacknowledged, readable) = socket
            .look(|s| {
                if let (0, Some(local)) = (self.ports.0, s.local_addr()) {
                    self.ports.0 = local.port();
                }
                let (rx, tx) = (s.readable(), s.unacknowledged());
                // A window is never less than one unit of its scale (RFC 7323 §2.2).
                let most = self.most.0.max(1 << 14);
                assert!(rx <= most, "{rx} octets in a receive buffer");
                assert!(tx <= self.most.1, "{tx} octets in a send buffer");
                if let Some(info) = s.info(&Default::default(), now) {
                    self.begun = true;
                    let unit = 1 << info.rcv_wscale;
                    let most = self.most.0.max(unit);
                    assert!(info.rcv_wnd as usize <= most, "window {}", info.rcv_wnd);
                }
                (s.state(), tx, rx)
            })
            .expect("an open socket");
        if state != self.state || unacknowledged < self.unacknowledged {
            self.moved_at = now;
        }
        assert!(
            legal(self.state, state),
            "{} after {}: {:?}",
            state,
            self.state,
            self.ports
        );
        let ours = [
            State::FinWait1,
            State::FinWait2,
            State::Closing,
            State::LastAck,
            State::TimeWait,
        ];
        assert!(
            self.shut || !ours.contains(&state),
            "{state} without a shutdown"
        );
        self.stood |= state.is_synchronized();
        let theirs = [
            State::CloseWait,
            State::LastAck,
            State::Closing,
            State::TimeWait,
        ];
        self.heard |= theirs.contains(&state);
        self.ended |= self.deaf && readable == 0 && self.heard;
        self.state = state;
        self.unacknowledged = unacknowledged;
    }
}

/// What follows a state at once (RFC 9293 §3.3.2, figure 5); every one may end in CLOSED.
fn follows(state: State) -> &'static [State] {
    use State::*;
    match state {
        Closed | TimeWait | LastAck => &[],
        Listen => &[SynReceived, SynSent],
        SynSent => &[SynReceived, Established],
        SynReceived => &[Established, FinWait1],
        Established => &[FinWait1, CloseWait],
        FinWait1 => &[FinWait2, Closing, TimeWait],
        FinWait2 | Closing => &[TimeWait],
        CloseWait => &[LastAck],
    }
}

/// May `to` come of `from`, with others in between?
fn legal(from: State, to: State) -> bool {
    from == to || to == State::Closed || follows(from).iter().any(|next| legal(*next, to))
}
