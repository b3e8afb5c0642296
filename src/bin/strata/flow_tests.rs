use super::*;

/// A packet of TCP between 10.0.0.`from` and 10.0.0.`to`.
fn packet(from: u8, to: u8, ports: (u16, u16), flags: TcpFlags, payload: &mut [u8; 20]) -> Ip<'_> {
    payload[0..2].copy_from_slice(&ports.0.to_be_bytes());
    payload[2..4].copy_from_slice(&ports.1.to_be_bytes());
    payload[12..14].copy_from_slice(&(0x5000 | flags.bits()).to_be_bytes());
    Ip {
        src: [10, 0, 0, from].into(),
        dst: [10, 0, 0, to].into(),
        proto: protocol::TCP,
        first: protocol::TCP,
        v4: None,
        header: &[],
        payload,
        announced: 20,
        fragment: None,
    }
}

struct Watch {
    table: Table,
    now: u64,
    ended: Vec<(Flow, Reason)>,
}

impl Watch {
    fn new(limit: usize) -> Self {
        let limit = NonZeroUsize::new(limit).unwrap();
        Self {
            table: Table::new(limit, Duration::from_secs(60)),
            now: 0,
            ended: Vec::new(),
        }
    }

    /// One second later.
    fn see(&mut self, from: u8, to: u8, ports: (u16, u16), flags: TcpFlags) -> Change {
        self.now += 1_000_000_000;
        let mut payload = [0; 20];
        let ip = packet(from, to, ports, flags, &mut payload);
        let ended = &mut self.ended;
        self.table.packet(Stamp(self.now), 54, &ip, |flow, why| {
            ended.push((*flow, why))
        })
    }
}

const S: TcpFlags = TcpFlags::SYN;
const A: TcpFlags = TcpFlags::ACK;
const F: TcpFlags = TcpFlags::FIN;
const R: TcpFlags = TcpFlags::RST;

#[test]
fn a_conversation_from_beginning_to_end() {
    let mut w = Watch::new(8);
    let steps = [
        (1, S, Change::Opened, State::SynSent),
        (2, S | A, Change::None, State::SynReceived),
        (1, A, Change::Completed, State::Established),
        (1, A | F, Change::None, State::Closing),
        (2, A | F, Change::None, State::Closed),
        (1, A, Change::None, State::Closed),
        (1, S, Change::Opened, State::SynSent),
        (2, R | A, Change::Refused, State::Reset),
    ];
    for (from, flags, change, state) in steps {
        let (to, ports) = if from == 1 {
            (2, (4000, 80))
        } else {
            (1, (80, 4000))
        };
        assert_eq!(w.see(from, to, ports, flags), change, "{flags}");
        assert_eq!(w.table.iter().next().unwrap().state, state, "{flags}");
    }
    let (first, why) = w.ended[0];
    assert_eq!(
        (why, first.to_server.packets, first.to_client.packets),
        (Reason::Reused, 4, 2)
    );
    assert_eq!(
        (first.to_client.bytes, first.duration()),
        (108, Duration::from_secs(5))
    );
    assert_eq!((w.table.seen, w.table.len()), (2, 1));
}

#[test]
fn the_longest_silent_makes_room() {
    let mut w = Watch::new(2);
    w.see(1, 2, (1, 80), S);
    w.see(1, 2, (2, 80), S);
    w.see(1, 2, (1, 80), S);
    w.see(1, 2, (3, 80), S);
    assert_eq!(w.table.len(), 2);
    assert_eq!((w.ended[0].0.client.1, w.ended[0].1), (2, Reason::Evicted));
}

#[test]
fn silence_ends_a_flow() {
    let mut w = Watch::new(8);
    w.see(1, 2, (1, 80), S);
    w.see(1, 2, (2, 80), S);
    w.table.expire(Stamp(62_000_000_000), |flow, why| {
        assert_eq!((flow.client.1, why), (1, Reason::Timeout));
    });
    assert_eq!(w.table.len(), 1);
    w.now = 70_000_000_000;
    assert_eq!(w.see(1, 2, (2, 80), A), Change::Begun);
    assert_eq!(w.ended[0].1, Reason::Timeout);
}

#[test]
fn what_was_joined_in_the_middle_is_no_handshake() {
    let mut w = Watch::new(8);
    assert_eq!(w.see(2, 1, (80, 4000), A), Change::Begun);
    assert_eq!(w.table.iter().next().unwrap().state, State::Established);
    assert_eq!(w.see(1, 2, (4000, 80), R), Change::None);
}
