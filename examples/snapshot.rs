//! Pinning an encoding of one's own: its octets as snapshots, so that no change of the format
//! goes unseen. This crate's own headers are held the same way.
//!
//! ```text
//! $ cargo run --example snapshot
//! sensor 7: -12.5 °C, alarm
//! ipv4  10.0.0.1 > 10.0.0.2 proto 253 ttl 64 tos 0x00 id 0 DF header 20 total 24
//! data  4 octets
//! 0000  45 00 00 18 00 00 40 00 40 fd 25 e7 0a 00 00 01  E.....@.@.%.....
//! 0010  0a 00 00 02 18 07 ff 83                          ........
//! ```
//!
//! `cargo test --example snapshot` holds the format to that; a changed octet fails the test and
//! is shown. `cargo insta review` then takes it over, where it is meant.

use std::fmt::{Display, Formatter, Result as FmtResult};

use netstrata::wire::{Dump, Ipv4, WireError, protocol};

/// What a thermometer says, in four octets:
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |0 0 0 1|A|0 0 0|    sensor     |  tenths of a degree Celsius   |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    alarm: bool,
    sensor: u8,
    tenths: i16,
}

const VERSION: u8 = 1;
const ALARM: u8 = 0b1000;

impl Reading {
    /// Reads a header that is cut off the front of `octets`, which can be any.
    fn parse(octets: &[u8]) -> Result<Self, WireError> {
        let [first, sensor, hi, lo] = *octets.first_chunk().ok_or(WireError::Truncated)?;
        if first >> 4 != VERSION {
            return Err(WireError::BadVersion);
        }
        Ok(Self {
            alarm: first & ALARM != 0,
            sensor,
            tenths: i16::from_be_bytes([hi, lo]),
        })
    }

    /// Writes the header.
    fn emit(&self) -> [u8; 4] {
        let alarm = if self.alarm { ALARM } else { 0 };
        let [hi, lo] = self.tenths.to_be_bytes();
        [VERSION << 4 | alarm, self.sensor, hi, lo]
    }
}

impl Display for Reading {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let degrees = f32::from(self.tenths) / 10.0;
        let alarm = if self.alarm { ", alarm" } else { "" };
        write!(f, "sensor {}: {degrees:.1} °C{alarm}", self.sensor)
    }
}

/// A reading in a packet, as text: lines for people, and the octets, which are the truth.
fn picture(octets: &[u8]) -> Result<String, WireError> {
    let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let mut header = [0; Ipv4::LEN];
    Ipv4::new(src, dst, protocol::EXPERIMENT).emit(octets.len(), &mut header)?;
    let packet = [&header, octets].concat();
    Ok(format!(
        "{}\n{}",
        Reading::parse(octets)?,
        Dump::ip(&packet)
    ))
}

const COLD: Reading = Reading {
    alarm: true,
    sensor: 7,
    tenths: -125,
};

fn main() -> Result<(), WireError> {
    print!("{}", picture(&COLD.emit())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_four_octets() {
        insta::assert_snapshot!(picture(&COLD.emit()).unwrap(), @r"
        sensor 7: -12.5 °C, alarm
        ipv4  10.0.0.1 > 10.0.0.2 proto 253 ttl 64 tos 0x00 id 0 DF header 20 total 24
        data  4 octets
        0000  45 00 00 18 00 00 40 00 40 fd 25 e7 0a 00 00 01  E.....@.@.%.....
        0010  0a 00 00 02 18 07 ff 83                          ........
        ");
    }

    #[test]
    fn other_versions_and_shorter_ones_are_refused() {
        assert_eq!(picture(&[0x20, 7, 0, 0]), Err(WireError::BadVersion));
        assert_eq!(picture(&[0x10, 7, 0]), Err(WireError::Truncated));
    }

    #[test]
    fn what_is_written_is_read() {
        for tenths in i16::MIN..=i16::MAX {
            let reading = Reading { tenths, ..COLD };
            assert_eq!(Reading::parse(&reading.emit()), Ok(reading));
        }
    }
}
