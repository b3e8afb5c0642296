//! Capture files: pcapng written, pcapng and classic pcap read, through `pcap-file`.
//!
//! Invariant: a reader gives every whole packet before it says what is wrong with the rest of
//! the file; no file makes it panic or hold more than one packet beside its buffer.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Cursor, Read, Write};
use std::path::Path;
use std::time::Duration;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use pcap_file::{DataLink, PcapError, TsResolution};

use crate::errors::CliError;
use crate::frame::{Frame, Link, Stamp};

/// The standard stream that stands for a file of this name.
const STANDARD: &str = "-";

/// A capture file being read.
pub struct Reader {
    name: String,
    format: Format,
}

enum Format {
    Classic(PcapReader<Box<dyn Read>>),
    Ng {
        reader: PcapNgReader<Box<dyn Read>>,
        interfaces: Vec<Interface>,
    },
}

/// What an interface description block said.
#[derive(Clone, Copy)]
struct Interface {
    link: Link,
    /// `if_tsresol`: power of ten, or of two with the top bit.
    resolution: u8,
    /// `if_tsoffset`: seconds to add, negative ones to take off.
    offset: i64,
}

impl Reader {
    /// Opens a file, or standard input for `-`, and reads its header.
    ///
    /// # Errors
    /// When it cannot be opened, or is no capture file.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let open = |e: io::Error| CliError::setup(&name, e);
        let mut file: Box<dyn Read> = match path.to_str() {
            Some(STANDARD) => Box::new(io::stdin()),
            _ => Box::new(File::open(path).map_err(open)?),
        };
        let mut magic = Vec::with_capacity(4);
        file.by_ref()
            .take(4)
            .read_to_end(&mut magic)
            .map_err(open)?;
        // The block type of a section header reads the same in both byte orders.
        let ng = magic == [0x0a, 0x0d, 0x0d, 0x0a];
        let file: Box<dyn Read> = Box::new(Cursor::new(magic).chain(file));
        let format = if ng {
            PcapNgReader::new(file).map(|reader| Format::Ng {
                reader,
                interfaces: Vec::new(),
            })
        } else {
            PcapReader::new(file).map(Format::Classic)
        };
        match format {
            Ok(format) => Ok(Self { name, format }),
            Err(PcapError::IoError(e)) if e.kind() != io::ErrorKind::UnexpectedEof => {
                Err(CliError::setup(&name, e))
            }
            Err(_) => Err(CliError::setup(&name, "neither pcapng nor pcap")
                .hint("a file written by `strata dump -w` or `tcpdump -w`")),
        }
    }

    /// The file's name as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hands the next packet to `sink`; `false` at the end of the file.
    ///
    /// # Errors
    /// When the rest of the file is damaged.
    pub fn next(&mut self, sink: impl FnOnce(&Frame<'_>)) -> Result<bool, CliError> {
        let found = match &mut self.format {
            Format::Classic(reader) => classic(reader, sink),
            Format::Ng { reader, interfaces } => ng(reader, interfaces, sink),
        };
        found.map_err(|e| {
            let why = match e {
                PcapError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    "the file ends in the middle of a packet".to_string()
                }
                PcapError::IoError(e) => e.to_string(),
                e => format!("damaged: {e}"),
            };
            CliError::failed(&self.name, why)
        })
    }
}

fn classic(
    reader: &mut PcapReader<Box<dyn Read>>,
    sink: impl FnOnce(&Frame<'_>),
) -> Result<bool, PcapError> {
    let header = reader.header();
    // Raw packets: the checked ones refuse what a snap length cut short.
    let Some(packet) = reader.next_raw_packet() else {
        return Ok(false);
    };
    let packet = packet?;
    let unit = match header.ts_resolution {
        TsResolution::MicroSecond => 1_000,
        TsResolution::NanoSecond => 1,
    };
    let nanos = u64::from(packet.ts_frac) * unit;
    sink(&frame(
        Stamp((u64::from(packet.ts_sec) * 1_000_000_000).saturating_add(nanos)),
        link(header.datalink),
        &packet.data,
        packet.orig_len,
    ));
    Ok(true)
}

fn ng(
    reader: &mut PcapNgReader<Box<dyn Read>>,
    interfaces: &mut Vec<Interface>,
    sink: impl FnOnce(&Frame<'_>),
) -> Result<bool, PcapError> {
    // Each turn consumes a block of the file.
    while let Some(block) = reader.next_block() {
        let (id, stamp, data, len) = match block? {
            Block::SectionHeader(_) => {
                interfaces.clear();
                continue;
            }
            Block::InterfaceDescription(block) => {
                interfaces.push(Interface::of(&block));
                continue;
            }
            Block::EnhancedPacket(packet) => {
                // The crate takes ticks of any length for nanoseconds; so these are ticks.
                let ticks = u64::try_from(packet.timestamp.as_nanos()).unwrap_or(u64::MAX);
                (packet.interface_id, ticks, packet.data, packet.original_len)
            }
            Block::Packet(packet) => {
                let id = packet.interface_id.into();
                (id, packet.timestamp, packet.data, packet.original_len)
            }
            Block::SimplePacket(packet) => {
                let caught = packet.data.len().min(packet.original_len as usize);
                let data = packet.data.get(..caught).unwrap_or_default().to_vec();
                (0, 0, Cow::Owned(data), packet.original_len)
            }
            _ => continue,
        };
        let interface = interfaces
            .get(id as usize)
            .ok_or(PcapError::InvalidInterfaceId(id))?;
        sink(&frame(interface.stamp(stamp), interface.link, &data, len));
        return Ok(true);
    }
    Ok(false)
}

fn frame(time: Stamp, link: Link, octets: &[u8], len: u32) -> Frame<'_> {
    Frame {
        time,
        link,
        octets,
        len: octets.len().max(len as usize),
        trusted: false,
    }
}

fn link(kind: DataLink) -> Link {
    match kind {
        DataLink::ETHERNET => Link::Ethernet,
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => Link::Ip,
        other => Link::Other(other.into()),
    }
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>) -> Self {
        let mut interface = Self {
            link: link(block.linktype),
            resolution: 6,
            offset: 0,
        };
        for option in &block.options {
            match option {
                InterfaceDescriptionOption::IfTsResol(power) => interface.resolution = *power,
                InterfaceDescriptionOption::IfTsOffset(seconds) => {
                    interface.offset = seconds.cast_signed()
                }
                _ => {}
            }
        }
        interface
    }

    fn stamp(&self, ticks: u64) -> Stamp {
        let ticks = i128::from(ticks) * 1_000_000_000;
        let power = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 != 0 {
            ticks.checked_shr(power).unwrap_or(0)
        } else {
            10i128.checked_pow(power).map_or(0, |unit| ticks / unit)
        };
        let nanos = nanos + i128::from(self.offset) * 1_000_000_000;
        Stamp(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

/// A pcapng file being written, with times in nanoseconds.
pub struct Writer {
    name: String,
    inner: PcapNgWriter<BufWriter<Box<dyn Write>>>,
    /// The links described so far; an interface's number is its place.
    links: Vec<Link>,
}

impl Writer {
    /// Creates or empties a file; `-` is standard output.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let file: Box<dyn Write> = match path.to_str() {
            Some(STANDARD) => Box::new(io::stdout()),
            _ => Box::new(File::create(path).map_err(|e| CliError::setup(&name, e))?),
        };
        match PcapNgWriter::new(BufWriter::new(file)) {
            Ok(inner) => Ok(Self {
                name,
                inner,
                links: Vec::new(),
            }),
            Err(e) => Err(broken(&name, e)),
        }
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, frame: &Frame<'_>) -> Result<(), CliError> {
        let id = match self.links.iter().position(|link| *link == frame.link) {
            Some(id) => id,
            None => self.describe(frame.link)?,
        };
        let block = EnhancedPacketBlock {
            interface_id: id as u32,
            timestamp: Duration::from_nanos(frame.time.0),
            original_len: u32::try_from(frame.len).unwrap_or(u32::MAX),
            data: Cow::Borrowed(frame.octets),
            options: Vec::new(),
        };
        self.put(&Block::EnhancedPacket(block))
    }

    fn describe(&mut self, link: Link) -> Result<usize, CliError> {
        let linktype = match link {
            Link::Ethernet => DataLink::ETHERNET,
            Link::Ip => DataLink::RAW,
            Link::Other(n) => n.into(),
        };
        self.put(&Block::InterfaceDescription(InterfaceDescriptionBlock {
            linktype,
            snaplen: 0,
            options: vec![InterfaceDescriptionOption::IfTsResol(9)],
        }))?;
        self.links.push(link);
        Ok(self.links.len() - 1)
    }

    fn put(&mut self, block: &Block<'_>) -> Result<(), CliError> {
        let written = self.inner.write_block(block);
        written.map(|_| ()).map_err(|e| broken(&self.name, e))
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), CliError> {
        let flushed = self.inner.get_mut().flush();
        flushed.map_err(|e| broken(&self.name, PcapError::IoError(e)))
    }
}

fn broken(name: &str, e: PcapError) -> CliError {
    match e {
        PcapError::IoError(e) if name == STANDARD => e.into(),
        PcapError::IoError(e) => CliError::failed(name, e),
        e => CliError::failed(name, e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ticks_from_an_offset() {
        let stamp = |resolution, offset, ticks| {
            let link = Link::Ethernet;
            let interface = Interface {
                link,
                resolution,
                offset,
            };
            interface.stamp(ticks).0
        };
        assert_eq!(stamp(6, 0, 1_500_000), 1_500_000_000);
        assert_eq!(stamp(9, 2, 1), 2_000_000_001);
        assert_eq!(stamp(0x80 | 1, 0, 3), 1_500_000_000);
        // Signed, as draft-ietf-opsawg-pcapng has it.
        assert_eq!(stamp(6, -2, 5_000_000), 3_000_000_000);
        assert_eq!(stamp(6, -2, 1), 0);
        assert_eq!(stamp(0, i64::MAX, u64::MAX), u64::MAX);
        assert_eq!(stamp(0x7f, i64::MIN, u64::MAX), 0);
        assert_eq!(stamp(0xff, 1, u64::MAX), 1_000_000_000);
    }
}
