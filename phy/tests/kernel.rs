//! Taps, tunnels and packet sockets against the Linux kernel, in namespaces that each test
//! makes for itself. Where that is not allowed the tests say so and pass.
#![cfg(all(feature = "std", target_os = "linux"))]

mod netns;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use netns::{enter, ip, within};
use phy::{
    Csum, Device, Gso, Instant, LinkState, OpenFailure, RawOptions, RawSocket, RxCsum, RxMeta, Tap,
    TapOptions, Tun, TxMeta, TxToken, Waiter, Watch,
};

const NOW: Instant = Instant::ZERO;
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

fn send(device: &mut impl Device, head: &[u8], payload: &[u8], meta: TxMeta) {
    let (a, b) = payload.split_at(payload.len() / 2);
    let token = device.transmit(NOW).expect("room for one frame");
    let fill = |to: &mut [u8]| {
        to.copy_from_slice(head);
        Ok(())
    };
    token.send_gather(head.len(), [a, b], meta, fill).unwrap();
    device.flush(NOW);
}

/// Receives frames until one is what the test waits for.
fn await_frame(
    device: &mut (impl Device + AsFd),
    what: &str,
    mut wanted: impl FnMut(&[u8], RxMeta) -> bool,
) -> (Vec<u8>, RxMeta) {
    let waiter = Waiter::new().unwrap();
    let mut found = None;
    while found.is_none() {
        let watch = [Watch::readable(device)];
        let woken = waiter.wait(&watch, Some(Duration::from_secs(10))).unwrap();
        assert!(woken.ready, "no frame: {what}");
        device.receive(NOW, 64, &mut |frame: &mut [u8], meta: RxMeta| {
            if found.is_none() && wanted(frame, meta) {
                found = Some((frame.to_vec(), meta));
            }
        });
    }
    found.unwrap()
}

fn drain(device: &mut impl Device) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    device.receive(NOW, 64, &mut |frame: &mut [u8], _: RxMeta| {
        frames.push(frame.to_vec());
    });
    frames
}

/// RFC 1071, folded, not complemented.
fn sum(octets: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// IPv4 header from 10.9.0.2 to 10.9.0.1.
fn ipv4(protocol: u8, payload: usize) -> Vec<u8> {
    let mut h = vec![
        0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1,
    ];
    h[2..4].copy_from_slice(&(20 + payload as u16).to_be_bytes());
    let check = !sum(&h);
    h[10..12].copy_from_slice(&check.to_be_bytes());
    h
}

/// The sum of the pseudo-header that goes with it.
fn pseudo(protocol: u8, len: usize) -> u16 {
    let mut h = vec![10, 9, 0, 2, 10, 9, 0, 1, 0, protocol];
    h.extend_from_slice(&(len as u16).to_be_bytes());
    sum(&h)
}

fn arp_request() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&OURS);
    frame.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&OURS);
    frame.extend_from_slice(&[10, 9, 0, 2, 0, 0, 0, 0, 0, 0, 10, 9, 0, 1]);
    frame
}

fn up(name: &str) {
    ip(&format!("addr add 10.9.0.1/24 dev {name}"));
    ip(&format!("link set {name} up"));
}

#[test]
fn a_tap_carries_frames_both_ways() {
    within("tap", || {
        let mut tap = Tap::open("tap0").unwrap();
        assert_eq!(tap.capabilities().link, LinkState::Down);
        ip("link set tap0 mtu 1400");
        up("tap0");
        assert!(tap.transmit(NOW).is_some());
        let caps = tap.capabilities();
        assert_eq!(tap.name(), "tap0");
        assert_eq!((caps.link, caps.max_frame), (LinkState::Up, 1414));
        assert!(!caps.tx_csum && caps.gso.is_none());

        let request = arp_request();
        send(&mut tap, &request[..14], &request[14..], TxMeta::NONE);
        let (reply, _) = await_frame(&mut tap, "ARP reply", |f, _| f[12..14] == [8, 6]);
        assert_eq!(reply[..6], OURS);
        assert_eq!(reply[20..22], [0, 2]);
        assert_eq!(reply[28..32], [10, 9, 0, 1]);
        assert!(tap.take_error().is_none());
        assert_eq!(tap.lost(), 0);
    });
}

#[test]
fn a_tap_that_is_down_loses_frames_and_says_so() {
    within("tap down", || {
        let mut tap = Tap::open("tap0").unwrap();
        ip("link set tap0 up");
        let request = arp_request();
        send(&mut tap, &request, &[], TxMeta::NONE);
        assert_eq!(tap.lost(), 0);
        ip("link set tap0 down");
        send(&mut tap, &request, &[], TxMeta::NONE);
        assert_eq!(tap.lost(), 1);
        assert_eq!(tap.capabilities().link, LinkState::Down);
        assert!(tap.take_error().is_some());
        assert!(tap.take_error().is_none());
    });
}

#[test]
fn a_tun_carries_packets_both_ways() {
    within("tun", || {
        let mut tun = Tun::open("tun0").unwrap();
        up("tun0");
        let mut echo = vec![8, 0, 0, 0, 0, 7, 0, 1, b'h', b'i'];
        let check = !sum(&echo);
        echo[2..4].copy_from_slice(&check.to_be_bytes());
        send(&mut tun, &ipv4(1, echo.len()), &echo, TxMeta::NONE);
        let (reply, _) = await_frame(&mut tun, "echo reply", |p, _| p[9] == 1);
        assert_eq!(reply[12..16], [10, 9, 0, 1]);
        assert_eq!(reply[20..22], [0, 0]);
        assert_eq!(reply[28..], *b"hi");
        assert_eq!(tun.capabilities().max_frame, 1500);
    });
}

#[test]
fn a_persistent_tap_with_several_queues_is_attached_to() {
    within("persistent", || {
        ip("tuntap add dev keep0 mode tap multi_queue");
        let plain = Tap::open("keep0").unwrap();
        let options = TapOptions::new().with_multi_queue(true);
        let second = Tap::with_options("keep0", options).unwrap();
        assert_eq!(plain.name(), second.name());
        drop((plain, second));
        assert!(ip("-brief link show keep0").contains("keep0"));
    });
}

#[test]
fn queues_of_one_tap_share_its_frames() {
    within("queues", || {
        let options = TapOptions::new().with_offload(true);
        let mut taps = Tap::queues("tap0", options, 2).unwrap();
        up("tap0");
        for tap in &mut taps {
            assert_eq!(tap.name(), "tap0");
            let caps = tap.capabilities();
            assert!(caps.tx_csum && caps.rx_csum && caps.gso.is_some());
        }
        // Datagrams from many ports to a neighbour that is known: each on one queue.
        let mac = "02:00:00:00:00:99";
        ip(&format!("neigh add 10.9.0.2 lladdr {mac} dev tap0"));
        for _ in 0..32 {
            let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
            socket.send_to(b"x", "10.9.0.2:9").unwrap();
        }
        let udp = |frame: &Vec<u8>| frame[..6] == OURS && frame[23] == 17;
        let counts = [0, 1].map(|n| drain(&mut taps[n]).iter().filter(|f| udp(f)).count());
        assert_eq!(counts.iter().sum::<usize>(), 32);
        assert!(counts.iter().all(|n| *n > 0), "{counts:?}");

        drop(taps);
        ip("tuntap add dev keep0 mode tap");
        let error = Tap::queues("keep0", options, 2).unwrap_err();
        assert_eq!(error.failure(), OpenFailure::OneQueue);
        assert_eq!(Tap::queues("keep0", options, 1).unwrap().len(), 1);
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    within("open errors", || {
        let why = |result: Result<Tap, phy::OpenError>| result.unwrap_err().failure();
        let _held = Tap::open("tap0").unwrap();
        assert_eq!(why(Tap::open("tap0")), OpenFailure::Busy);
        assert_eq!(why(Tap::open("lo")), OpenFailure::WrongKind);
        assert_eq!(why(Tap::open("a/b")), OpenFailure::BadName);
        let tun = Tun::open("tap0").unwrap_err();
        assert_eq!(tun.failure(), OpenFailure::WrongKind);
        let raw = RawSocket::open("eth9").unwrap_err();
        assert_eq!(raw.failure(), OpenFailure::NoSuchDevice);
        assert_eq!(raw.name(), "eth9");
    });
}

/// A segment from port 5000 to 80 with the pseudo-header's sum in its checksum field.
fn segment(seq: u32, ack: u32, flags: u8, payload: usize) -> Vec<u8> {
    let mut tcp = vec![0x13, 0x88, 0, 80];
    tcp.extend_from_slice(&seq.to_be_bytes());
    tcp.extend_from_slice(&ack.to_be_bytes());
    tcp.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp[16..18].copy_from_slice(&pseudo(6, 20 + payload).to_be_bytes());
    let mut packet = ipv4(6, 20 + payload);
    packet.extend_from_slice(&tcp);
    packet
}

#[test]
fn a_tun_with_offloads_leaves_checksums_and_segments_to_the_kernel() {
    within("tun offload", || {
        let options = TapOptions::new().with_offload(true);
        let mut tun = Tun::with_options("tun0", options).unwrap();
        up("tun0");
        let caps = tun.capabilities();
        assert!(caps.tx_csum && caps.rx_csum && caps.gso.is_some());
        let listener = TcpListener::bind("10.9.0.1:80").unwrap();
        let csum = Some(Csum {
            start: 20,
            offset: 16,
        });
        let meta = TxMeta {
            csum,
            ..TxMeta::NONE
        };
        send(&mut tun, &segment(100, 0, 0x02, 0), &[], meta);
        let (syn_ack, learned) = await_frame(&mut tun, "SYN-ACK", |p, _| p[33] == 0x12);
        assert_eq!(learned.csum, RxCsum::Valid, "made on this host");
        let theirs = u32::from_be_bytes(syn_ack[24..28].try_into().unwrap()) + 1;
        send(&mut tun, &segment(101, theirs, 0x10, 0), &[], meta);

        // One packet of 20,000 octets goes in, the listener reads them all.
        let payload: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
        let gso = Some(Gso {
            mss: 1460,
            header: 40,
        });
        let meta = TxMeta { gso, ..meta };
        let head = segment(101, theirs, 0x18, payload.len());
        send(&mut tun, &head, &payload, meta);
        let (mut peer, _) = listener.accept().unwrap();
        let mut got = vec![0; payload.len()];
        peer.read_exact(&mut got).unwrap();
        assert!(got == payload);

        // And the other way one super-segment arrives.
        peer.write_all(&payload).unwrap();
        // Segments of 536 octets, as our SYN named no size (RFC 9293 §3.7.1).
        let (packet, learned) = await_frame(&mut tun, "super-segment", |_, m| m.gro.is_some());
        assert_eq!((learned.csum, learned.gro), (RxCsum::Valid, Some(536)));
        assert!(packet.len() > 40 + 536, "{} octets", packet.len());
        assert!(tun.take_error().is_none());
    });
}

/// What runs in a second namespace, which lasts as long as this.
struct Far<R> {
    result: mpsc::Receiver<R>,
    _release: mpsc::Sender<()>,
}

impl<R> Far<R> {
    fn result(&self) -> R {
        let patience = Duration::from_secs(30);
        let result = self.result.recv_timeout(patience);
        result.expect("the other end panicked or waits for ever")
    }
}

/// Runs `far` in a second namespace at the other end of a cable whose ends are `veth0`
/// (10.9.0.1, here) and `veth1` (10.9.0.2, there).
fn with_veth<R: Send + 'static>(far: impl FnOnce() -> R + Send + 'static) -> Far<R> {
    let (tell, told) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    let (give, result) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    thread::spawn(move || {
        enter();
        tell.send(nix::unistd::gettid()).unwrap();
        gone.recv().unwrap();
        ip("addr add 10.9.0.2/24 dev veth1");
        ip("link set veth1 up");
        tell.send(nix::unistd::gettid()).unwrap();
        give.send(far()).unwrap();
        // Ends, and the namespace with it, when the other side is dropped.
        let _ = released.recv();
    });
    let there = told.recv().unwrap();
    ip(&format!(
        "link add veth0 type veth peer name veth1 netns {there}"
    ));
    up("veth0");
    go.send(()).unwrap();
    told.recv().unwrap();
    // The kernel drops what is sent before it has noticed that both ends are up.
    let noticed = |_| ip("-oneline link show veth0").contains("state UP");
    assert!((0..1000).any(noticed), "veth0 does not come up");
    Far {
        result,
        _release: release,
    }
}

#[test]
fn a_packet_socket_sees_foreign_frames_and_tags_but_not_its_own() {
    within("raw frames", || {
        let (ready, is_ready) = mpsc::channel();
        let far = with_veth(move || {
            let mut raw = RawSocket::open("veth1").unwrap();
            ready.send(()).unwrap();
            // For an address that is not veth1's, so only promiscuous reception sees it.
            let mut seen = Vec::new();
            await_frame(&mut raw, "foreign frames", |f, _| {
                if f[..6] == OURS {
                    seen.push(f.to_vec());
                }
                seen.len() == 2
            });
            seen
        });
        is_ready.recv().unwrap();
        let mut raw = RawSocket::open("veth0").unwrap();
        assert!(ip("-details link show veth0").contains("promiscuity 1"));
        let mut frame = OURS.to_vec();
        frame.extend_from_slice(&[2, 0, 0, 0, 0, 0x98, 0x88, 0xb5]);
        frame.resize(60, 0xee);
        let mut tagged = frame.clone();
        tagged.splice(12..12, [0x81, 0x00, 0x20, 0x05]);
        send(&mut raw, &frame[..14], &frame[14..], TxMeta::NONE);
        send(&mut raw, &tagged[..14], &tagged[14..], TxMeta::NONE);
        assert_eq!(far.result(), [frame, tagged]);

        // The kernel's own frames are not received either: it asks for an address here.
        let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
        socket.send_to(b"x", "10.9.0.77:9").unwrap();
        assert_eq!(drain(&mut raw), [[0_u8; 0]; 0], "echo of outgoing frames");
        assert!(raw.take_error().is_none());
        assert_eq!(raw.lost(), 0);
        drop(raw);
        // A test beside this one that starts a program lends it our socket until it runs.
        let quiet = || ip("-details link show veth0").contains("promiscuity 0");
        assert!((0..100).any(|_| quiet()));
    });
}

#[test]
fn super_frames_of_the_host_arrive_whole() {
    within("raw offload", || {
        let (ready, is_ready) = mpsc::channel();
        let far = with_veth(move || {
            let mut raw = RawSocket::open("veth1").unwrap();
            let listener = TcpListener::bind("10.9.0.2:80").unwrap();
            ready.send(()).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            let mut largest = (0, RxMeta::new());
            let mut stream = vec![None; got.len()];
            let mut first = None;
            raw.receive(NOW, usize::MAX, &mut |f: &mut [u8], meta: RxMeta| {
                if f.len() < 54 || f[12..14] != [8, 0] || f[23] != 6 {
                    return;
                }
                let total = usize::from(u16::from_be_bytes([f[16], f[17]]));
                assert_eq!(f.len().max(60), (total + 14).max(60), "whole packets");
                let seq = u32::from_be_bytes(f[38..42].try_into().unwrap());
                if f[47] & 2 != 0 {
                    first = Some(seq + 1);
                }
                let at = seq.wrapping_sub(first.unwrap_or(seq)) as usize;
                let data = 34 + usize::from(f[46] >> 4) * 4;
                for (to, from) in stream.iter_mut().skip(at).zip(&f[data..total + 14]) {
                    *to = Some(*from);
                }
                if f.len() > largest.0 {
                    largest = (f.len(), meta);
                }
            });
            assert_eq!(raw.lost(), 0);
            let seen: Option<Vec<u8>> = stream.into_iter().collect();
            assert!(seen.as_ref() == Some(&got), "the socket saw other octets");
            largest
        });
        is_ready.recv().unwrap();
        let mut stream = TcpStream::connect("10.9.0.2:80").unwrap();
        let data: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 253) as u8).collect();
        stream.write_all(&data).unwrap();
        drop(stream);
        let (len, meta) = far.result();
        assert!(len > 32_000, "largest frame {len}");
        assert_eq!(meta.csum, RxCsum::Valid);
        assert_eq!(meta.gro, Some(1448));
    });
}

#[test]
fn a_packet_socket_batches_and_offloads() {
    within("raw batch", || {
        let (ready, is_ready) = mpsc::channel();
        let far = with_veth(move || {
            let socket = UdpSocket::bind("10.9.0.2:9").unwrap();
            ready.send(()).unwrap();
            let mut got = Vec::new();
            let mut buffer = [0; 64];
            while got.len() < 100 {
                let len = socket.recv(&mut buffer).unwrap();
                got.push(buffer[..len].to_vec());
            }
            got
        });
        is_ready.recv().unwrap();
        let options = RawOptions::new().with_offload(true);
        let mut raw = RawSocket::with_options("veth0", options).unwrap();
        assert!(raw.capabilities().tx_csum && raw.capabilities().gso.is_some());
        let mut frame = vec![0xff; 6];
        frame.extend_from_slice(&raw.link_address());
        frame.extend_from_slice(&[8, 0]);
        // To 10.9.0.2 from an address of nobody, by Ethernet broadcast.
        let mut header = ipv4(17, 12);
        header[12..20].copy_from_slice(&[10, 9, 0, 77, 10, 9, 0, 2]);
        header[10..12].fill(0);
        let check = !sum(&header);
        header[10..12].copy_from_slice(&check.to_be_bytes());
        frame.extend_from_slice(&header);
        let mut seed = header[12..20].to_vec();
        seed.extend_from_slice(&[0, 17, 0, 12]);
        frame.extend_from_slice(&[0x13, 0x88, 0, 9, 0, 12]);
        frame.extend_from_slice(&sum(&seed).to_be_bytes());
        let csum = Some(Csum {
            start: 34,
            offset: 6,
        });
        let meta = TxMeta {
            csum,
            ..TxMeta::NONE
        };
        for n in 0..100_u32 {
            let token = raw.transmit(NOW).expect("a queue of 100 frames");
            token
                .send_gather(42, [&n.to_be_bytes(), &[]], meta, |to| {
                    to.copy_from_slice(&frame);
                    Ok(())
                })
                .unwrap();
        }
        raw.flush(NOW);
        let got = far.result();
        assert!(
            got.iter()
                .enumerate()
                .all(|(n, d)| **d == (n as u32).to_be_bytes())
        );
        assert_eq!((raw.lost(), raw.deadline()), (0, None));
    });
}

#[test]
fn an_interface_that_is_deleted_is_gone_and_one_that_is_renamed_is_not() {
    within("deleted", || {
        let mut tap = Tap::open("tap0").unwrap();
        up("tap0");
        ip("link delete tap0");
        assert!(drain(&mut tap).is_empty());
        assert_eq!(tap.capabilities().link, LinkState::Gone);

        ip("link add left type veth peer name right");
        up("left");
        ip("link set right up");
        let mut raw = RawSocket::open("right").unwrap();
        // Both ends must be down to be renamed by old kernels.
        ip("link set right down");
        ip("link set right name other");
        ip("link set other up");
        let second = |n| Instant::from_secs(n);
        raw.receive(second(2), 64, &mut |_: &mut [u8], _: RxMeta| {});
        raw.receive(second(4), 64, &mut |_: &mut [u8], _: RxMeta| {});
        assert_eq!(raw.capabilities().link, LinkState::Up);
        assert_eq!((raw.name(), raw.deadline()), ("other", None));
        ip("link delete left");
        raw.receive(second(6), 64, &mut |_: &mut [u8], _: RxMeta| {});
        raw.receive(second(8), 64, &mut |_: &mut [u8], _: RxMeta| {});
        assert_eq!(raw.capabilities().link, LinkState::Gone);
        assert_eq!(raw.deadline(), None);
    });
}
