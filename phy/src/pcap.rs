//! Captures in pcapng (the IETF draft `draft-ietf-opsawg-pcapng`), which tcpdump and
//! Wireshark read: one section, one interface, an enhanced packet block per frame with its
//! direction, times in nanoseconds. Invariant: trouble with the file never touches traffic.

use core::time::Duration;
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::vec::Vec;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use crate::tracer::{Direction, Observer, Traced, Tracer};
use crate::{Capabilities, Device, FrameSink, Instant, Medium, TxToken};

/// `if_tsresol`: times count in units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

/// The largest frame a capture holds; longer ones are cut. What tcpdump uses.
const SNAP_LENGTH: u32 = 262_144;

/// How often frames written so far are pushed out to the file.
const FLUSH: Duration = Duration::from_secs(1);

/// Writes frames to a pcapng file.
///
/// ```
/// use core::time::Duration;
/// use phy::{Direction, Medium, PcapWriter};
///
/// let mut file = Vec::new();
/// let mut capture = PcapWriter::new(&mut file, Medium::Ethernet)?;
/// let since_1970 = Duration::from_secs(1_700_000_000);
/// capture.write(since_1970, Some(Direction::Sent), &[0; 60])?;
/// capture.flush()?;
/// drop(capture);
/// assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    blocks: Blocks<W>,
}

/// The crate's writer, which has no `Debug` of its own.
struct Blocks<W: Write>(PcapNgWriter<BufWriter<W>>);

impl<W: Write> core::fmt::Debug for Blocks<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PcapNgWriter")
    }
}

impl<W: Write> PcapWriter<W> {
    /// Starts a capture of frames that begin as `medium` says. Output is buffered.
    ///
    /// # Errors
    /// Whatever writing the file's header meets.
    pub fn new(writer: W, medium: Medium) -> io::Result<Self> {
        let linktype = match medium {
            Medium::Ethernet => DataLink::ETHERNET,
            Medium::Ip => DataLink::RAW,
        };
        let mut blocks = PcapNgWriter::new(BufWriter::new(writer)).map_err(told)?;
        let interface = InterfaceDescriptionBlock {
            linktype,
            snaplen: SNAP_LENGTH,
            options: std::vec![InterfaceDescriptionOption::IfTsResol(NANOSECONDS)],
        };
        blocks.write_pcapng_block(interface).map_err(told)?;
        Ok(Self {
            blocks: Blocks(blocks),
        })
    }

    /// Adds a frame. `at` is the time since 1970-01-01 00:00 UTC.
    ///
    /// # Errors
    /// Whatever writing meets; the file is then unfit for more frames.
    pub fn write(
        &mut self,
        at: Duration,
        direction: Option<Direction>,
        octets: &[u8],
    ) -> io::Result<()> {
        // Bits 0 and 1 of `epb_flags`: inbound, outbound.
        let options = match direction {
            None => Vec::new(),
            Some(Direction::Received) => std::vec![EnhancedPacketOption::Flags(1)],
            Some(Direction::Sent) => std::vec![EnhancedPacketOption::Flags(2)],
        };
        let kept = octets.get(..SNAP_LENGTH as usize).unwrap_or(octets);
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: at,
            original_len: u32::try_from(octets.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(kept),
            options,
        };
        self.blocks
            .0
            .write_pcapng_block(block)
            .map(drop)
            .map_err(told)
    }

    /// Pushes out what is buffered; dropping does so too, without telling of errors.
    ///
    /// # Errors
    /// Whatever writing meets.
    pub fn flush(&mut self) -> io::Result<()> {
        self.blocks.0.get_mut().flush()
    }

    /// What is written to.
    pub fn get_ref(&self) -> &W {
        self.blocks.0.get_ref().get_ref()
    }
}

fn told(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// Writes every frame of `D` to a pcapng file.
///
/// Frames whose checksum is left to the device are recorded as the stack made them, with
/// the checksum unfinished, as captures on a host with offloads always show them.
#[derive(Debug)]
pub struct Pcap<D, W: Write>(Tracer<D, Recorder<W>>);

#[derive(Debug)]
struct Recorder<W: Write> {
    /// `None` after an error.
    writer: Option<PcapWriter<W>>,
    error: Option<io::Error>,
    epoch: Duration,
    flushed: Instant,
    scratch: Vec<u8>,
}

impl<D, W: Write> Pcap<D, W> {
    /// Starts a capture of all frames of `device`, which begin as `medium` says. `epoch` is
    /// the time since 1970-01-01 00:00 UTC at [`Instant::ZERO`], as
    /// [`Monotonic::unix_epoch_offset`](crate::Monotonic::unix_epoch_offset) tells.
    ///
    /// # Errors
    /// Whatever writing the file's header meets.
    pub fn new(device: D, writer: W, medium: Medium, epoch: Duration) -> io::Result<Self> {
        let recorder = Recorder {
            writer: Some(PcapWriter::new(writer, medium)?),
            error: None,
            epoch,
            flushed: Instant::ZERO,
            scratch: Vec::new(),
        };
        Ok(Self(Tracer::with_observer(device, recorder)))
    }

    /// The error that ended the capture, if one did; traffic goes on without it.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.0.observer_mut().error.take()
    }

    /// Pushes out what is buffered; otherwise done once a second and on drop.
    ///
    /// # Errors
    /// Whatever writing meets.
    pub fn flush_file(&mut self) -> io::Result<()> {
        match &mut self.0.observer_mut().writer {
            Some(writer) => writer.flush(),
            None => Ok(()),
        }
    }

    /// The device.
    pub const fn get_ref(&self) -> &D {
        self.0.get_ref()
    }

    /// The device; frames moved through it directly are not recorded.
    pub const fn get_mut(&mut self) -> &mut D {
        self.0.get_mut()
    }
}

impl<W: Write> Recorder<W> {
    fn note(&mut self, done: io::Result<()>) {
        if let Err(error) = done {
            self.writer = None;
            self.error = Some(error);
        }
    }

    fn flush(&mut self, now: Instant) {
        if now.saturating_since(self.flushed) >= FLUSH
            && let Some(writer) = &mut self.writer
        {
            self.flushed = now;
            let done = writer.flush();
            self.note(done);
        }
    }
}

impl<W: Write> Observer for Recorder<W> {
    fn saw(&mut self, frame: Traced<'_>) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        let at = self
            .epoch
            .saturating_add(frame.at.saturating_since(Instant::ZERO));
        let octets = frame.contiguous(&mut self.scratch);
        let done = writer.write(at, Some(frame.direction), octets);
        self.note(done);
    }
}

impl<D: Device, W: Write> Device for Pcap<D, W> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        self.0.receive(now, budget, sink)
    }
    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        self.0.transmit(now)
    }
    fn flush(&mut self, now: Instant) {
        self.0.flush(now);
        self.0.observer_mut().flush(now);
    }
    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }
}

#[cfg(unix)]
impl<D: std::os::fd::AsFd, W: Write> std::os::fd::AsFd for Pcap<D, W> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
