//! Many datagrams at once between us and the Linux kernel, over taps and packet sockets: each
//! with its own boundaries and every octet, and as one frame where the kernel cuts and joins.
#![cfg(all(feature = "std", target_os = "linux"))]

#[path = "support/netns.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "each test file takes what it needs"
)]
mod netns;

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use netns::Namespace;
use netstrata::Stack;
use netstrata::host::os_rng;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::{
    Clock, Device, Direction, Monotonic, OpenFailure, RawOptions, RawSocket, Tap, TapOptions,
    Traced, Tracer, Waiter, Watch,
};
use netstrata::socket::SlabSockets;
use netstrata::socket::mailbox::Meta;
use netstrata::udp::{Udp, UdpSocket};
use netstrata::wire::Mac;

const KERNEL: &str = "10.77.0.1";
const OURS: [u8; 4] = [10, 77, 0, 2];

/// Sends back what it gets, cut as it came, and says how it came. With the argument `whole` it
/// takes and gives many datagrams with one call.
const ECHO: &str = "
import socket, struct, sys
UDP_SEGMENT, UDP_GRO = 103, 104
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
whole = sys.argv[2] == 'whole'
if whole:
    s.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
print('Listening', flush=True)
while True:
    data, said, _, peer = s.recvmsg(65535, 64)
    sizes = [struct.unpack('i', v)[0] for l, t, v in said if (l, t) == (socket.IPPROTO_UDP, UDP_GRO)]
    size = sizes[0] if sizes else len(data)
    print('got', len(data), size, flush=True)
    cut = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack('H', size))] if 0 < size < len(data) else []
    s.sendmsg([data], cut, 0, peer)
";

/// Lengths of the UDP datagrams in frames that passed, sent and received, each as one however
/// many it is to become.
type Seen = Rc<RefCell<[Vec<usize>; 2]>>;

fn watch<D: Device>(device: D) -> (Tracer<D, impl FnMut(Traced<'_>)>, Seen) {
    let seen = Seen::default();
    let noted = Rc::clone(&seen);
    let mut scratch = vec![];
    let tracer = Tracer::new(device, move |frame: Traced<'_>| {
        let octets = frame.contiguous(&mut scratch);
        if octets.len() > 42 && octets[12..14] == [8, 0] && octets[23] == 17 {
            let way = usize::from(frame.direction == Direction::Received);
            let len = usize::from(u16::from_be_bytes([octets[38], octets[39]])) - 8;
            assert!(len <= octets.len() - 42);
            noted.borrow_mut()[way].push(len);
        }
    });
    (tracer, seen)
}

/// Sends `total` octets in datagrams of `each` to the kernel's echo until they came back; the
/// frames that it took, both ways.
fn converse<D: Device + AsFd>(device: D, how: How, each: usize, total: usize) -> [Vec<usize>; 2] {
    let (device, seen) = watch(device);
    let link = Ethernet::<_>::new(device, Mac([2, 0, 0, 0, 0, 2]));
    let net = Ipv4::default().with(0, OURS.into(), 24);
    let mut host = Stack::new(link, net, (Udp::default(),), SlabSockets, &mut os_rng());
    let buffer = || vec![0; 200_000].into_boxed_slice();
    let h = host.open(UdpSocket::new(7, buffer(), buffer())).unwrap();
    let data: Vec<u8> = (0..total).map(|n| (n * 7 % 251) as u8).collect();
    let to = Meta::new(format!("{KERNEL}:9").parse().unwrap());
    let (clock, waiter) = (Monotonic::new(), Waiter::new().unwrap());
    let give_up = clock.now() + Duration::from_secs(30);
    let mut room = vec![0; 65_535];
    // The first one finds the link address.
    for (data, each) in [(&b"!"[..], 1), (&data, each)] {
        for way in seen.borrow_mut().iter_mut() {
            way.clear();
        }
        let queue = |s: &mut UdpSocket<_>| match how {
            How::Together => s.send_segments(data, each, &to),
            How::OneByOne => {
                let mut pieces = data.chunks(each);
                let count = pieces.len();
                let all = pieces.try_for_each(|piece| s.send_to(piece, to.peer));
                all.map(|()| count)
            }
        };
        assert_eq!(
            host.socket(h).with(queue),
            Ok(Ok(data.len().div_ceil(each)))
        );
        let mut back = vec![];
        while back.len() < data.len() {
            assert!(clock.now() < give_up, "{} came back", back.len());
            host.poll(clock.now());
            let take = |s: &mut UdpSocket<_>| {
                while let Ok(got) = s.recv_segments(&mut room) {
                    assert!(got.stride == each || got.len < each, "{got:?}");
                    back.extend_from_slice(&room[..got.len]);
                }
            };
            host.socket(h).with(take).unwrap();
            if back.len() < data.len() {
                let readable = Watch::readable(host.iface.device());
                waiter.until(&[readable], &clock, Some(give_up)).unwrap();
            }
        }
        assert!(back == data, "other octets");
    }
    let seen = seen.borrow();
    seen.clone()
}

/// How the datagrams are queued.
#[derive(Debug, Clone, Copy)]
enum How {
    /// With one call.
    Together,
    /// With a call for each.
    OneByOne,
}

/// Opens the tap, once nobody holds the one before: a process that another test starts may have it
/// for a moment.
fn tap(options: TapOptions) -> Tap {
    let clock = Monotonic::new();
    let give_up = clock.now() + Duration::from_secs(30);
    loop {
        match Tap::with_options("port0", options) {
            Err(e) if e.failure() == OpenFailure::Busy && clock.now() < give_up => {
                thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Sizes of datagrams and of all of them: with a shorter last one, as many octets as go, and as
/// many datagrams.
const CASES: [(usize, usize); 3] = [(1400, 40 * 1400 + 700), (1472, 44 * 1472), (10, 640)];

#[test]
fn a_tap_with_offload_carries_many_datagrams_in_one_frame() {
    need!("python3");
    let kernel = Namespace::new();
    kernel.ip("tuntap add dev port0 mode tap");
    kernel.up("port0", &format!("{KERNEL}/24"));
    let mut echo = kernel.spawn("python3", ["-c", ECHO, KERNEL, "whole"]);
    echo.wait_for("Listening");
    let both = [How::Together, How::OneByOne];
    for (how, (each, total)) in both.iter().flat_map(|how| CASES.map(|case| (*how, case))) {
        let frames = kernel.run(|| {
            let tap = tap(TapOptions::new().with_offload(true));
            let whole = tap.capabilities().uso.is_some();
            whole.then(|| converse(tap, how, each, total))
        });
        let Some(frames) = frames else {
            skip!("this kernel takes no frames of several datagrams")
        };
        assert_eq!(frames, [[total], [total]], "{how:?} {each}");
        echo.wait_for(&format!("got {total} {each}"));
    }
}

#[test]
fn a_tap_without_offload_carries_the_same_one_by_one() {
    need!("python3");
    let kernel = Namespace::new();
    kernel.ip("tuntap add dev port0 mode tap");
    kernel.up("port0", &format!("{KERNEL}/24"));
    let mut echo = kernel.spawn("python3", ["-c", ECHO, KERNEL, "single"]);
    echo.wait_for("Listening");
    for (each, total) in CASES {
        let frames = kernel.run(|| converse(tap(TapOptions::new()), How::Together, each, total));
        for way in frames {
            assert_eq!(way.len(), total.div_ceil(each));
            assert!(way.iter().all(|len| *len <= each));
        }
    }
}

#[test]
fn a_packet_socket_with_offload_carries_many_datagrams_in_one_frame() {
    need!("python3");
    let (kernel, apart) = (Namespace::new(), Namespace::new());
    kernel.veth("port0", &format!("{KERNEL}/24"), &apart, "port1", "");
    let mut echo = kernel.spawn("python3", ["-c", ECHO, KERNEL, "whole"]);
    echo.wait_for("Listening");
    for (each, total) in CASES {
        let frames = apart.run(|| {
            let options = RawOptions::new().with_offload(true);
            let raw = RawSocket::with_options("port1", options).unwrap();
            let whole = raw.capabilities().uso.is_some();
            whole.then(|| converse(raw, How::Together, each, total))
        });
        let Some(frames) = frames else {
            skip!("this kernel takes no frames of several datagrams")
        };
        assert_eq!(frames, [[total], [total]], "{each}");
        echo.wait_for(&format!("got {total} {each}"));
    }
}
