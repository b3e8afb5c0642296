//! A stack on an AF_XDP socket at one end of a veth pair, and the Linux kernel at the other.
#![cfg(all(feature = "xdp", target_os = "linux"))]

#[path = "support/netns.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "each test file takes what it needs"
)]
mod netns;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use netns::{HANG, Namespace};
use netstrata::host::{Connection, Host, Pattern, os_rng, pump};
use netstrata::icmp::Icmp;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::{
    Bell, Capabilities, Clock, Device, IoStats, LinkState, Monotonic, OpenFailure, Waiter, Watch,
    XdpMode, XdpOptions, XdpSocket,
};
use netstrata::socket::SlabSockets;
use netstrata::tcp::Tcp;
use netstrata::udp::Udp;
use netstrata::wire::Mac;
use netstrata::{Next, Stack};

const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 2);

/// A veth pair within one namespace, whose second end is ours alone.
fn wire() -> Namespace {
    let here = Namespace::new();
    here.ip("link add port0 type veth peer name port1");
    here.up("port0", &format!("{KERNEL}/24"));
    here.up("port1", "");
    let up = |_| here.ip("-oneline link show port0").contains("state UP");
    assert!((0..1000).any(up), "port0 does not come up");
    here
}

/// Rings the bell also when an assertion fails, so that the stack does not go on for ever.
struct End<'a>(&'a AtomicBool, Bell);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
        self.1.ring();
    }
}

/// Echoes until told to end; what the device counted.
fn echo(xdp: XdpSocket, waiter: &Waiter, end: &AtomicBool) -> IoStats {
    let net = Ipv4::default().with(0, OURS, 24);
    let protocols = (Icmp::default(), Udp::default(), Tcp::default());
    let link = Ethernet::new(xdp, Mac([2, 0, 0, 0, 0, 0x79]));
    let mut host: Host<_> = Stack::new(link, net, protocols, SlabSockets, &mut os_rng());
    let here = SocketAddr::new(OURS.into(), 7);
    let listener = host.open(Connection::listener(here, 64)).unwrap();
    let clock = Monotonic::new();
    let mut scratch = vec![0; 1 << 16];
    while !end.load(Relaxed) {
        let next = host.poll(clock.now());
        let mut busy = false;
        while let Some(h) = host.next_news::<Connection, _>() {
            busy = true;
            while host.socket(listener).accept().is_some() {}
            if h != listener {
                let moved = host.socket(h).with(|s| pump::echo(s, &mut scratch));
                if moved.unwrap().unwrap().ended {
                    host.close(h).unwrap();
                }
            }
        }
        if let (false, Next::Wait { until, room }) = (busy, next) {
            let device = host.iface.device();
            let watch = Watch::readable(device).and_writable(room);
            waiter.until(&[watch], &clock, until).unwrap();
        }
    }
    host.iface.device_mut().io_stats()
}

fn visit(octets: usize) {
    let mut text = vec![0; octets];
    Pattern::new().fill(&mut text);
    let mut stream = TcpStream::connect_timeout(&(OURS, 7).into(), HANG).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&text).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == text, "{} octets of {octets}", back.len());
    });
}

#[test]
fn the_kernel_pings_us_and_gets_back_what_it_sends() {
    need!("ping");
    for (options, mtu) in [
        (XdpOptions::new().with_trusting(true), 1500),
        // Few frames, so that the rings go around and fill, and small ones.
        (XdpOptions::new().with_trusting(true).with_frames(64), 600),
    ] {
        let here = wire();
        here.ip(&format!("link set port0 mtu {mtu}"));
        here.ip(&format!("link set port1 mtu {mtu}"));
        let xdp = match here.run(|| XdpSocket::with_options("port1", options)) {
            Err(e) if e.failure() == OpenFailure::NotSupported => skip!("{e}"),
            opened => opened.unwrap(),
        };
        let caps: Capabilities = xdp.capabilities();
        assert_eq!((xdp.name(), xdp.mtu()), ("port1", mtu));
        assert_eq!((caps.max_frame, caps.link), (mtu + 14, LinkState::Up));
        assert!(!caps.tx_csum && caps.gso.is_none());
        assert_eq!(xdp.mode(), XdpMode::Driver, "a veth has it");
        assert!(xdp.as_fd().try_clone_to_owned().is_ok());
        let (waiter, end) = (Waiter::new().unwrap(), AtomicBool::new(false));
        let io = thread::scope(|scope| {
            let stack = scope.spawn(|| echo(xdp, &waiter, &end));
            let ender = End(&end, waiter.bell());
            for args in ["-c 3 -i 0.05", "-c 1 -s 0", "-c 2 -i 0.05 -s 20000"] {
                let args = format!("-W 10 {args} {OURS}");
                let (status, said) = here.output("ping", args.split(' '));
                assert!(status.success(), "ping {args}: {said}");
            }
            here.run(|| {
                thread::scope(|visits| {
                    for n in 0..4 {
                        visits.spawn(move || visit(1_000_000 + n));
                    }
                });
            });
            drop(ender);
            stack.join().unwrap()
        });
        assert!(io.frames_in > 2700 && io.frames_out > 2700, "{io:?}");
        assert!(io.writes < io.frames_out, "{io:?}");
        // Closing it gives the interface back.
        assert!(!here.ip("-details link show port1").contains("xdp"));
    }
}

#[test]
fn what_cannot_be_taken_over_says_why() {
    need!();
    let here = wire();
    here.run(|| {
        let why = |name, options| {
            XdpSocket::with_options(name, options)
                .unwrap_err()
                .failure()
        };
        let first = match XdpSocket::open("port1") {
            Err(e) if e.failure() == OpenFailure::NotSupported => skip!("{e}"),
            opened => opened.unwrap(),
        };
        let plain = XdpOptions::new();
        assert_eq!(why("port1", plain), OpenFailure::Busy);
        drop(first);
        let several = XdpSocket::queues("port1", plain, 2).unwrap_err();
        assert_eq!(several.failure(), OpenFailure::OneQueue);
        assert_eq!(why("port9", plain), OpenFailure::NoSuchDevice);
        assert_eq!(why("a/b", plain), OpenFailure::BadName);
        assert_eq!(why("lo", plain), OpenFailure::WrongKind);
        assert!(matches!(
            why("port1", plain.with_frames(100)),
            OpenFailure::Os(_)
        ));
        assert!(matches!(
            why("port1", plain.with_queue(9)),
            OpenFailure::Os(_)
        ));
    });
}

/// Only what another host of this machine feeds is trusted; and it is the interface of our own
/// namespace that is asked about, though the directory of all interfaces shows another's.
#[test]
fn the_end_of_a_veth_pair_is_told_from_what_may_see_a_wire() {
    need!();
    let here = wire();
    here.ip("tuntap add tap0 mode tap");
    // Not every kernel has these; what is not there is not trusted either.
    for stacked in [
        "link add link port1 name vlan5 type vlan id 5",
        "link add dummy0 type dummy",
        "link add bridge0 type bridge",
    ] {
        here.output("ip", stacked.split(' '));
    }
    let names = ["port0", "port1", "vlan5", "tap0", "dummy0", "bridge0", "lo"];
    let faces = here.run(|| names.map(XdpSocket::faces_a_host));
    assert_eq!(faces, [true, true, false, false, false, false, false]);
    // Nor is it asked from elsewhere.
    let elsewhere = Namespace::new();
    assert!(!elsewhere.run(|| XdpSocket::faces_a_host("port1")));
}
