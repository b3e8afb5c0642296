//! The limit of a tap: a do-nothing TCP. It shakes hands, then writes one frame over and over as
//! far as the peer's window allows, or acknowledges the last of each batch it read; no buffers,
//! no timers, no checks.

use std::io;
use std::time::Instant as Clock;

use crate::content::Text;
use crate::kernel::{self, HERE, HOST_MAC, MAC, PORT, STACK};
use crate::tap_fd::{LARGEST, TapFd, VNET, fold, vnet_of, words};

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;
const MSS: u16 = 1460;
/// Octets of text in a super-segment: a multiple of the segment size.
const SUPER: usize = 44 * MSS as usize;
/// Shift of our window: with 1 MiB of super-segments, or 256 KiB of segments on the way, no queue
/// of the kernel's overflows.
const SCALES: [u8; 2] = [2, 4];
/// Frames read before one acknowledgment.
const BATCH: usize = 64;

struct Fake {
    tap: TapFd,
    offload: bool,
    /// The kernel's port, and ours.
    port: u16,
    ours: u16,
    seq: u32,
    ack: u32,
    /// What the kernel acknowledged, and how far it lets us send.
    una: u32,
    edge: u32,
    scale: u8,
    ended: bool,
    into: Vec<u8>,
}

impl Fake {
    fn open(offload: bool) -> io::Result<Self> {
        let tap = TapFd::open(offload)?;
        kernel::address(&tap.name)?;
        Ok(Self {
            tap,
            offload,
            port: PORT,
            ours: kernel::fresh_port(),
            seq: 1,
            ack: 0,
            una: 1,
            edge: 0,
            scale: 0,
            ended: false,
            into: vec![0; LARGEST],
        })
    }

    /// A header for `len` octets of text to come.
    fn head(&self, flags: u8, len: usize, cut: bool) -> Vec<u8> {
        let options: &[u8] = match flags & SYN {
            0 => &[],
            _ => &[2, 4, (MSS >> 8) as u8, MSS as u8, 1, 3, 3, self.shift()],
        };
        let tcp = 20 + options.len();
        let cut = cut.then_some((MSS, 34 + tcp as u16));
        let mut frame = vnet_of(cut).to_vec();
        frame.extend(HOST_MAC);
        frame.extend(MAC);
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(((20 + tcp + len) as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend(STACK.octets());
        frame.extend(HERE.octets());
        let sum = !fold(words(&frame[VNET + 14..VNET + 34]));
        frame[VNET + 24..VNET + 26].copy_from_slice(&sum.to_be_bytes());
        frame.extend(self.ours.to_be_bytes());
        frame.extend(self.port.to_be_bytes());
        frame.extend(self.seq.to_be_bytes());
        frame.extend(self.ack.to_be_bytes());
        frame.extend([(tcp as u8 / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(options);
        let all = (tcp + len) as u32;
        let sum = fold(words(&frame[VNET + 26..VNET + 34]) + 6 + (all >> 16) + (all & 0xffff));
        frame[VNET + 50..VNET + 52].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    fn shift(&self) -> u8 {
        SCALES[usize::from(self.offload)]
    }

    /// Sends a segment without text.
    fn say(&mut self, flags: u8) {
        let frame = self.head(flags, 0, false);
        self.tap.write(&frame);
        self.seq = self.seq.wrapping_add(u32::from(flags & (SYN | FIN) != 0));
    }

    /// Takes one frame in; its flags, and how much text was new.
    fn hear(&mut self) -> Option<(u8, usize)> {
        let n = self.tap.read(&mut self.into)?;
        let frame = self.into.get(VNET..n)?;
        if frame.len() < 54 || frame[12..14] != [8, 0] || frame[23] != 6 {
            return Some((0, 0));
        }
        let word = |at: usize| {
            u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]])
        };
        let half = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let flags = frame[47];
        let head = 34 + usize::from(frame[46] >> 4) * 4;
        let text = (14 + usize::from(half(16))).saturating_sub(head);
        let seq = word(38);
        (self.port, self.ours) = (half(34), half(36));
        if flags & SYN != 0 {
            self.ack = seq.wrapping_add(1);
            self.scale = scale_of(&frame[54..head]);
            self.edge = word(42).wrapping_add(u32::from(half(48)));
            return Some((flags, 0));
        }
        if flags & ACK != 0 {
            self.una = word(42);
            self.edge = self.una.wrapping_add(u32::from(half(48)) << self.scale);
        }
        let end = seq.wrapping_add(text as u32);
        let new = end.wrapping_sub(self.ack) as i32;
        let new = if seq == self.ack {
            new.max(0) as usize
        } else {
            0
        };
        self.ack = self.ack.wrapping_add(new as u32);
        if flags & FIN != 0 && end == self.ack {
            self.ack = self.ack.wrapping_add(1);
            self.ended = true;
        }
        Some((flags, new))
    }
}

/// Makes a header one of a frame that asks nothing of the kernel, which then compares the checksum
/// as it does for anybody who sends segment by segment. Gives the sum of header and `text` without
/// the sequence number.
fn finished(frame: &mut [u8], text: &[u8]) -> u32 {
    frame[..VNET].fill(0);
    let pseudo = u32::from(u16::from_be_bytes([frame[VNET + 50], frame[VNET + 51]]));
    frame[VNET + 38..VNET + 42].fill(0);
    frame[VNET + 50..VNET + 52].fill(0);
    pseudo + words(&frame[VNET + 34..]) + words(text)
}

fn scale_of(options: &[u8]) -> u8 {
    let mut rest = options;
    loop {
        match *rest {
            [3, 3, scale, ..] => return scale,
            [1, ref more @ ..] => rest = more,
            [_, len, ..] if len >= 2 && rest.len() >= usize::from(len) => {
                rest = &rest[usize::from(len)..];
            }
            _ => return 0,
        }
    }
}

/// Sends `total` octets to the kernel; seconds until it has read them.
pub fn out(offload: bool, total: u64) -> io::Result<f64> {
    let mut fake = Fake::open(offload)?;
    let sink = kernel::sink(Text::Plain)?;
    fake.say(SYN);
    while fake.ack == 0 {
        fake.hear();
    }
    fake.say(ACK);
    let len = if offload { SUPER } else { MSS.into() };
    let text = vec![0x5a; len];
    // Where the tap drops a frame the last acknowledgment repeats: then all goes out again.
    let (first, mut repeated) = (fake.seq, 0);
    let total = total.next_multiple_of(len as u64);
    let mut frame = fake.head(ACK, len, offload);
    let unsummed = (!offload).then(|| finished(&mut frame, &text));
    let most = 0xffff_u32 << fake.shift();
    let start = Clock::now();
    let last = first.wrapping_add(total as u32);
    let mut acked = 0_u64;
    while acked < total {
        let mut burst = 0;
        while burst < BATCH
            && fake.seq != last
            && fake.edge.wrapping_sub(fake.seq.wrapping_add(len as u32)) as i32 >= 0
            && fake.seq.wrapping_sub(fake.una) < most
        {
            // Only the sequence number changes, and the checksum, if the kernel does not complete it.
            frame[VNET + 38..VNET + 42].copy_from_slice(&fake.seq.to_be_bytes());
            if let Some(sum) = unsummed {
                let sum = !fold(sum + (fake.seq >> 16) + (fake.seq & 0xffff));
                frame[VNET + 50..VNET + 52].copy_from_slice(&sum.to_be_bytes());
            }
            fake.tap.write_two(&frame, &text);
            fake.seq = fake.seq.wrapping_add(len as u32);
            burst += 1;
        }
        let before = fake.una;
        while fake.hear().is_some() {}
        acked += u64::from(fake.una.wrapping_sub(before));
        repeated = if fake.una == before && fake.seq != before {
            repeated + 1
        } else {
            0
        };
        if repeated > 200_000 {
            fake.seq = fake.una;
            repeated = 0;
        }
    }
    let took = start.elapsed().as_secs_f64();
    fake.say(FIN | ACK);
    // Until the kernel has closed too: the next run may not meet what is left of this one.
    while !sink.is_finished() || !fake.ended {
        fake.hear();
    }
    fake.say(ACK);
    Ok(took)
}

/// Takes `total` octets from the kernel; seconds from the first to the last.
pub fn into(offload: bool, total: u64) -> io::Result<f64> {
    let mut fake = Fake::open(offload)?;
    let source = kernel::source(total, Text::Plain);
    while fake.ack == 0 {
        fake.hear();
    }
    fake.say(SYN | ACK);
    let start = Clock::now();
    let mut got = 0;
    while got < total {
        let mut batch = 0;
        while batch < BATCH
            && let Some((_, new)) = fake.hear()
        {
            got += new as u64;
            batch += 1;
        }
        if batch > 0 {
            fake.say(ACK);
        }
    }
    let took = start.elapsed().as_secs_f64();
    fake.say(FIN | ACK);
    while !source.is_finished() {
        if fake.hear().is_some() {
            fake.say(ACK);
        }
    }
    Ok(took)
}

/// As much of a check as a do-nothing protocol can have: the sum of a frame of ours is right.
#[cfg(test)]
#[test]
fn sums() {
    use crate::tap_fd::pseudo;
    assert_eq!(fold(words(&[0xff, 0xff, 0, 1])), 1);
    let frame = [&[0; 26][..], &[10, 9, 0, 2, 10, 9, 0, 1], &[0; 20]].concat();
    assert_eq!(pseudo(&frame), fold(0x0a09 * 2 + 2 + 1 + 6 + 20));
}
