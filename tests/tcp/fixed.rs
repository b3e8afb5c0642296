//! TCP without an allocator: sockets in lent slots, offered to a listener in advance.

use netstrata::Stack;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, cable};
use netstrata::socket::{FixedSockets, Handle, Ring, fixed};
use netstrata::tcp::{OfferError, Shutdown, SocketOf, State, Tcp, TcpSocket};

use crate::support::script::Script;
use crate::support::{EAST, Seed, pattern, snapshot};

type Socket<'a> = SocketOf<FixedSockets<'a>>;
type Host<'a> = Stack<Ip<cable::End>, Ipv4, (Tcp,), FixedSockets<'a>>;

fn socket<'a>(rx: &'a mut [u8], tx: &'a mut [u8]) -> Socket<'a> {
    TcpSocket::new(Ring::new(rx), Ring::new(tx))
}

fn host<'a>(slots: &'a mut [fixed::Slot<Socket<'a>>]) -> Script<Host<'a>> {
    let (end, wire) = Cable::new(1500);
    let ip = Ipv4::default().with(0, [192, 0, 2, 1].into(), 24);
    let tables = (fixed::FixedSet::new(slots),);
    let host = Stack::with_tables(Ip::new(end), ip, (Tcp::new(),), tables, &mut Seed(1));
    Script::new(host, wire, 80)
}

fn echo<'a>(script: &mut Script<Host<'a>>, h: Handle<Socket<'a>>) {
    let mut text = [0; 1000];
    let read = script.told("read", |host| {
        host.socket(h).with(|s| s.recv(&mut text)).unwrap()
    });
    let good = text[..read.unwrap()].iter().zip(1..);
    assert!(good.into_iter().all(|(octet, n)| *octet == pattern(n)));
    let _ = script.told("write", |host| {
        host.socket(h)
            .with(|s| s.send(&text[..read.unwrap()]))
            .unwrap()
    });
}

#[test]
fn a_listener_uses_the_sockets_it_was_offered() {
    let mut buffers = [[0; 2000]; 4];
    let mut slots = [const { fixed::Slot::EMPTY }; 4];
    let [a, b, c, d] = &mut buffers;
    let mut script = host(&mut slots);
    let mut listener = socket(&mut [], &mut []);
    listener.bind((EAST, 80).into()).unwrap();
    listener.listen(4).unwrap();
    let listener = script.host.open(listener).unwrap();
    let first = script.host.open(socket(a, b)).unwrap();
    let second = script.host.open(socket(c, d)).unwrap();
    script.play("# no buffers: no answer\n< S 0:0 win 1000 <mss 500>");
    for spare in [first, second] {
        assert_eq!(script.host.socket(listener).offer(spare), Ok(()));
        let again = script.host.socket(listener).offer(spare);
        assert_eq!(again, Err(OfferError::Open));
    }
    let own = script.host.socket(listener).offer(listener);
    assert_eq!(own, Err(OfferError::Open));
    let wrong = script.host.socket(first).offer(second);
    assert_eq!(wrong, Err(OfferError::NotListening));
    script.note("two sockets are offered");
    script.play("< S 0:0 win 1000 <mss 500>\n< P. 1:101 ack 1 win 1000");
    let h = script.host.socket(listener).accept().unwrap();
    assert_eq!(h, second);
    echo(&mut script, h);
    script.play("< F. 101:101 ack 101 win 1000");
    script.told("close", |host| {
        host.socket(h)
            .with(|s| s.shutdown(Shutdown::Write))
            .unwrap()
    });
    script.play("< . 102:102 ack 102 win 1000");
    assert_eq!(script.host.socket(h).look(|s| s.state()), Ok(State::Closed));

    script.note("offered once more");
    assert_eq!(script.host.socket(listener).offer(h), Ok(()));
    script.play("< port 5001 S 0:0 win 1000\n< port 5001 P. 1:11 ack 1 win 1000");
    let again = script.host.socket(listener).accept().unwrap();
    assert_eq!(again, h);
    echo(&mut script, again);
    snapshot!("tcp__fixed_offered", script.transcript());
}
