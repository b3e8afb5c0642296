//! Captures: bytes of the file, directions, times, and files that fail.
#![cfg(feature = "std")]

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use phy::{Cable, Device, Direction, Instant, Medium, Pcap, PcapWriter, RxMeta, TxMeta, TxToken};

const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// A file in memory that both the capture and the test hold, and that fails when full.
#[derive(Clone, Default)]
struct Disk {
    octets: Arc<Mutex<Vec<u8>>>,
    room: Option<usize>,
}

impl Write for Disk {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut disk = self.octets.lock().unwrap();
        if self
            .room
            .is_some_and(|room| disk.len() + octets.len() > room)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.extend_from_slice(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send(device: &mut impl Device, now: Instant, head: &[u8], payload: &[u8]) {
    let token = device.transmit(now).unwrap();
    token
        .send_gather(head.len(), [payload, &[]], TxMeta::NONE, |to| {
            to.copy_from_slice(head);
            Ok(())
        })
        .unwrap();
    device.flush(now);
}

#[test]
fn both_directions_are_recorded_with_their_times() {
    let disk = Disk::default();
    let (near, mut far) = Cable::new(64);
    let mut near = Pcap::new(near, disk.clone(), Medium::Ip, EPOCH).unwrap();
    send(&mut near, Instant::from_micros(1), b"abc", b"defg");
    send(&mut far, Instant::ZERO, b"reply", b"");
    let mut seen = 0;
    near.receive(Instant::from_secs(2), 64, &mut |_: &mut [u8], _: RxMeta| {
        seen += 1
    });
    assert_eq!(seen, 1);
    drop(near);

    let octets = disk.octets.lock().unwrap().clone();
    let mut reader = PcapNgReader::new(&octets[..]).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(interface) => {
                assert_eq!(interface.linktype, DataLink::RAW);
            }
            Block::EnhancedPacket(packet) => {
                let flags = packet.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::Flags(flags) => Some(*flags),
                    _ => None,
                });
                packets.push((packet.timestamp - EPOCH, packet.data.to_vec(), flags));
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    let sent = (Duration::from_micros(1), b"abcdefg".to_vec(), Some(2));
    let received = (Duration::from_secs(2), b"reply".to_vec(), Some(1));
    assert_eq!(packets, [sent, received]);
}

#[cfg(target_endian = "little")]
#[test]
fn the_file_is_pcapng() {
    let mut file = Vec::new();
    let mut capture = PcapWriter::new(&mut file, Medium::Ethernet).unwrap();
    capture
        .write(EPOCH, Some(Direction::Sent), &[0x11; 5])
        .unwrap();
    capture.write(EPOCH, None, &[0x22; 4]).unwrap();
    drop(capture);
    let mut lines = String::new();
    for (n, row) in file.chunks(16).enumerate() {
        write!(lines, "{:04x}:", n * 16).unwrap();
        for word in row.chunks(4) {
            lines.push(' ');
            for octet in word {
                write!(lines, "{octet:02x}").unwrap();
            }
        }
        lines.push('\n');
    }
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("phy__pcapng_two_frames", lines);
    });
}

#[test]
fn a_full_disk_ends_the_capture_and_not_the_traffic() {
    let disk = Disk {
        room: Some(200),
        ..Disk::default()
    };
    let (near, far) = Cable::new(1514);
    let mut near = Pcap::new(near, disk.clone(), Medium::Ethernet, EPOCH).unwrap();
    for n in 0..20 {
        send(&mut near, Instant::from_secs(n), &[0; 1000], &[]);
    }
    assert_eq!(far.arriving().len(), 20);
    let error = near.take_error().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(near.take_error().is_none());
    assert!(disk.octets.lock().unwrap().len() <= 200);
}

#[test]
fn the_file_grows_once_a_second() {
    let disk = Disk::default();
    let (near, _far) = Cable::new(64);
    let mut near = Pcap::new(near, disk.clone(), Medium::Ethernet, EPOCH).unwrap();
    let written = || disk.octets.lock().unwrap().len();
    send(&mut near, Instant::from_millis(999), b"x", b"y");
    assert_eq!(written(), 0);
    near.flush(Instant::from_millis(1000));
    assert!(written() > 0);
}
