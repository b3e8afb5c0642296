//! What the Linux kernel makes of a connection that we close with text unread, and we of one that
//! it closes so (RFC 9293 §3.6.1, RFC 2525 §2.17); held against two of its own sockets.
#![cfg(all(feature = "std", target_os = "linux"))]

#[path = "support/netns.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "each test file takes what it needs"
)]
mod netns;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use netns::{HANG, Namespace};
use netstrata::Stack;
use netstrata::host::{AnyLink, Connection, Host, Opened, Phy, Runner, Settings, os_rng};
use netstrata::icmp::Icmp;
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::{RecvError, Tcp, TcpError};
use netstrata::udp::Udp;

const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const PORT: u16 = 7;
const TEXT: [u8; 1000] = [7; 1000];

/// A host of ours and the kernel on one tap.
struct Place {
    kernel: Namespace,
    host: Host<AnyLink>,
    runner: Runner,
}

impl Place {
    fn new() -> Self {
        let kernel = Namespace::new();
        let settings = Settings {
            phy: Phy::Tap("port0".into()),
            addrs: vec![format!("{OURS}/24").parse().unwrap()],
            ..Settings::default()
        };
        let at = kernel.run(|| settings.open()).unwrap();
        kernel.up("port0", &format!("{KERNEL}/24"));
        let protocols = (Icmp::default(), Udp::default(), Tcp::default());
        let link = Opened::link(at.device, at.medium, at.mac);
        let host = Stack::new(link, at.net, protocols, SlabSockets, &mut os_rng());
        Self {
            kernel,
            host,
            runner: at.runner,
        }
    }

    /// Runs our host until `done` has an answer.
    fn until<R>(&mut self, mut done: impl FnMut(&mut Host<AnyLink>) -> Option<R>) -> R {
        let by = Instant::now() + HANG;
        while Instant::now() < by {
            if let Some(result) = done(&mut self.host) {
                return result;
            }
            let soon = self.runner.now() + Duration::from_millis(1);
            self.runner
                .turn(&mut [&mut self.host], Some(soon))
                .expect("the tap is there");
        }
        panic!("it hangs");
    }

    /// A connection of the kernel to us, or of ours to it: its end, and ours.
    fn connection(&mut self, to_us: bool) -> (TcpStream, Handle<Connection>) {
        let kernel = self.kernel.run(|| match to_us {
            true => None,
            false => Some(TcpListener::bind((KERNEL, PORT)).expect("a free port")),
        });
        let (stream, ours) = if let Some(listener) = kernel {
            listener.set_nonblocking(true).unwrap();
            let to = SocketAddr::new(KERNEL.into(), PORT);
            let ours = self.host.open(Connection::connecting(to)).unwrap();
            (self.until(|_| listener.accept().ok()).0, ours)
        } else {
            let here = SocketAddr::new(OURS.into(), PORT);
            let listener = self.host.open(Connection::listener(here, 1)).unwrap();
            let namespace = Namespace::same(&self.kernel);
            let client = thread::spawn(move || namespace.run(|| TcpStream::connect(here).unwrap()));
            let ours = self.until(|host| host.socket(listener).accept());
            self.until(|_| client.is_finished().then_some(()));
            self.host.close(listener).unwrap();
            (client.join().unwrap(), ours)
        };
        stream.set_nonblocking(true).unwrap();
        (stream, ours)
    }

    /// Waits for the kernel's text to lie in our receive buffer.
    fn holds(&mut self, ours: Handle<Connection>) {
        self.until(|host| {
            let readable = host.socket(ours).look(|s| s.readable()).unwrap();
            (readable == TEXT.len()).then_some(())
        });
    }
}

/// What became of a call, once it does not block.
fn settled<R>(result: std::io::Result<R>) -> Option<Result<R, ErrorKind>> {
    match result {
        Err(e) if e.kind() == ErrorKind::WouldBlock => None,
        result => Some(result.map_err(|e| e.kind())),
    }
}

/// Two sockets of the kernel's that are connected.
fn pair() -> [TcpStream; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    [a, listener.accept().unwrap().0]
}

/// Writes until it fails.
fn refused(stream: &mut TcpStream) -> Option<ErrorKind> {
    match stream.write(&TEXT) {
        Err(e) if e.kind() != ErrorKind::WouldBlock => Some(e.kind()),
        _ => None,
    }
}

#[test]
fn the_kernel_is_reset_when_we_close_with_text_unread() {
    need!();
    let mut place = Place::new();
    let among_themselves = place.kernel.run(|| {
        let [mut a, b] = pair();
        a.write_all(&TEXT).unwrap();
        b.peek(&mut [0]).unwrap();
        drop(b);
        a.read(&mut [0]).map_err(|e| e.kind())
    });
    assert_eq!(among_themselves, Err(ErrorKind::ConnectionReset));
    for to_us in [true, false] {
        let (mut stream, ours) = place.connection(to_us);
        stream.write_all(&TEXT).unwrap();
        place.holds(ours);
        place.host.close(ours).unwrap();
        let read = place.until(|_| settled(stream.read(&mut [0])));
        assert_eq!(read, among_themselves, "{to_us}");
        let gone = place.host.socket(ours).look(|s| s.state());
        assert!(gone.is_err(), "nothing of it waits: {gone:?}");
    }
}

/// In order where all was read; and what the kernel says after that is nobody's.
#[test]
fn the_kernel_hears_the_end_when_we_close_with_all_read() {
    need!();
    let mut place = Place::new();
    let among_themselves = place.kernel.run(|| {
        let [mut a, mut b] = pair();
        a.write_all(&TEXT).unwrap();
        b.read_exact(&mut [0; TEXT.len()]).unwrap();
        drop(b);
        let end = a.read(&mut [0]).map_err(|e| e.kind());
        (
            end,
            std::iter::repeat_with(|| refused(&mut a)).find_map(|e| e),
        )
    });
    assert_eq!(among_themselves, (Ok(0), Some(ErrorKind::BrokenPipe)));
    for to_us in [true, false] {
        let (mut stream, ours) = place.connection(to_us);
        stream.write_all(&TEXT).unwrap();
        place.holds(ours);
        let read = |s: &mut Connection| s.recv(&mut [0; TEXT.len()]);
        assert_eq!(place.host.socket(ours).with(read), Ok(Ok(TEXT.len())));
        place.host.close(ours).unwrap();
        let end = place.until(|_| settled(stream.read(&mut [0])));
        let error = place.until(|_| refused(&mut stream));
        assert_eq!((end, Some(error)), among_themselves, "{to_us}");
    }
}

#[test]
fn we_are_reset_when_the_kernel_closes_with_text_unread() {
    need!();
    let mut place = Place::new();
    for to_us in [true, false] {
        let (stream, ours) = place.connection(to_us);
        place.until(|host| {
            host.socket(ours)
                .look(|s| s.can_send())
                .ok()
                .filter(|can| *can)
        });
        let sent = place.host.socket(ours).with(|s| s.send(&TEXT));
        assert_eq!(sent, Ok(Ok(TEXT.len())));
        let seen = place.until(|_| settled(stream.peek(&mut [0])));
        assert_eq!(seen, Ok(1));
        drop(stream);
        let error = place.until(|host| {
            let read = host.socket(ours).with(|s| s.recv(&mut [0])).unwrap();
            (read != Err(RecvError::Empty)).then_some(read)
        });
        assert_eq!(error, Err(RecvError::Failed(TcpError::Reset)), "{to_us}");
        place.host.close(ours).unwrap();
    }
}
