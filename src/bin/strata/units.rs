//! Numbers with units as people type them: `5%`, `20ms`, `10mbit`, `100M`.
//!
//! Invariant: no unit is guessed where a wrong guess would be far off, results never wrap, and
//! every refusal names what would have been accepted. Parsing is decimal and exact: no floats.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use netstrata::tcp::MtuProbing;

/// A share in parts per million: 0 to 1,000,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    ppm: u32,
}

impl Percent {
    /// Parts per million, 0 to 1,000,000.
    pub const fn ppm(self) -> u32 {
        self.ppm
    }
}

impl FromStr for Percent {
    type Err = String;

    /// Reads `5%`, `0.5%` or plain `5`, which is the same as `5%`.
    fn from_str(s: &str) -> Result<Self, String> {
        let number = s.strip_suffix('%').unwrap_or(s).trim_end();
        match scaled(number, 10_000) {
            Some(ppm) if ppm <= 1_000_000 => Ok(Self { ppm: ppm as u32 }),
            _ => Err("expected a share from 0% to 100%, such as 0.5%".into()),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.ppm / 10_000, self.ppm % 10_000);
        if part == 0 {
            return write!(f, "{whole}%");
        }
        let part = format!("{part:04}");
        write!(f, "{whole}.{}%", part.trim_end_matches('0'))
    }
}

/// Reads a time with its unit: `20ms`, `250us`, `1.5s`, `2min`, or `0`.
///
/// # Errors
/// What would have been accepted. A number without a unit is refused unless it is zero.
pub fn delay(s: &str) -> Result<Duration, String> {
    let (number, unit) = split(s);
    let nanos = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "" if number == "0" => 0,
        _ => return Err("expected a time with its unit, such as 250us, 20ms or 1.5s".into()),
    };
    scaled(number, nanos)
        .map(Duration::from_nanos)
        .ok_or_else(|| "expected a time such as 250us, 20ms or 1.5s".into())
}

/// As [`delay`], and a number without a unit counts seconds, as in `ping -i 0.2`.
///
/// # Errors
/// What would have been accepted.
pub fn seconds(s: &str) -> Result<Duration, String> {
    match split(s) {
        (number, "") => scaled(number, 1_000_000_000)
            .map(Duration::from_nanos)
            .ok_or_else(|| "expected seconds, or a time such as 20ms".into()),
        _ => delay(s),
    }
}

/// Reads a time between two lines: as [`seconds`], 10 ms at least.
///
/// # Errors
/// What would have been accepted.
pub fn pause(s: &str) -> Result<Duration, String> {
    let least = Duration::from_millis(10);
    match seconds(s) {
        Ok(time) if time >= least => Ok(time),
        _ => Err("expected seconds, or a time from 10ms, such as 1s".into()),
    }
}

/// Reads when larger segments are tried: `off`, `blackhole` or `always`.
///
/// # Errors
/// What would have been accepted.
pub fn probing(s: &str) -> Result<MtuProbing, String> {
    match s {
        "off" => Ok(MtuProbing::Off),
        "blackhole" => Ok(MtuProbing::BlackHole),
        "always" => Ok(MtuProbing::Always),
        _ => Err("neither off, blackhole nor always".into()),
    }
}

/// Reads bits per second: `10mbit`, `1.5gbit`, `500kbit`, `9600bit`; decimal multiples.
///
/// # Errors
/// What would have been accepted; zero is refused, as nothing would ever pass.
pub fn rate(s: &str) -> Result<u64, String> {
    let (number, unit) = split(s);
    let unit = unit.to_ascii_lowercase();
    let unit = unit
        .strip_suffix("/s")
        .or(unit.strip_suffix("ps"))
        .unwrap_or(&unit);
    let multiple = match unit {
        "bit" => Some(1),
        "kbit" => Some(1_000),
        "mbit" => Some(1_000_000),
        "gbit" => Some(1_000_000_000),
        _ => None,
    };
    multiple
        .and_then(|multiple| scaled(number, multiple))
        .filter(|rate| *rate > 0)
        .ok_or_else(|| "expected bits per second above zero, such as 500kbit or 10mbit".into())
}

/// Reads the address of another host.
///
/// # Errors
/// What would have been accepted.
pub fn host(s: &str) -> Result<Ipv4Addr, String> {
    let expected = "expected an IPv4 address, such as 192.168.1.1: names are not looked up";
    s.parse().map_err(|_| expected.into())
}

/// Reads how many: 1 or more.
///
/// # Errors
/// What would have been accepted.
pub fn count(s: &str) -> Result<u64, String> {
    let count = s.parse().ok().filter(|n| *n > 0);
    count.ok_or_else(|| "expected a whole number from 1".into())
}

/// Reads octets: `100M` (mebibytes, as `dd` and `iperf3` read it), `1.5GiB`, `10MB` (decimal),
/// `20480`.
///
/// # Errors
/// What would have been accepted.
pub fn size(s: &str) -> Result<u64, String> {
    let (number, unit) = split(s);
    let multiple = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    multiple
        .and_then(|multiple| scaled(number, multiple))
        .ok_or_else(|| "expected octets, such as 20480, 64K, 100M or 1GB".into())
}

/// Octets for people: `1.5 MiB`, `512 B`.
pub fn octets(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let step = (n.ilog2() / 10).min(units.len() as u32);
    let tenths = (u128::from(n) * 10) >> (10 * step);
    let unit = units.get(step as usize - 1).unwrap_or(&"EiB");
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// The number in front and what follows it.
fn split(s: &str) -> (&str, &str) {
    let s = s.trim();
    let at = s
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(s.len());
    let (number, unit) = s.split_at(at);
    (number, unit.trim_start())
}

/// `number` times `multiple`, where `number` is digits with at most one point; digits finer than
/// one are cut off. `None` when it is no such number or does not fit.
fn scaled(number: &str, multiple: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') {
        return None;
    }
    let digits = |s: &str| match s {
        "" => Some(0),
        s if s.bytes().all(|b| b.is_ascii_digit()) => s.parse::<u64>().ok(),
        _ => None,
    };
    // Eighteen digits behind the point are finer than any unit here.
    let part = part.get(..18.min(part.len()))?;
    let scale = 10u128.pow(part.len() as u32);
    let fraction = u128::from(digits(part)?) * u128::from(multiple) / scale;
    digits(whole)?
        .checked_mul(multiple)?
        .checked_add(u64::try_from(fraction).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        let ppm = |s: &str| s.parse::<Percent>().map(Percent::ppm);
        assert_eq!(ppm("5%"), Ok(50_000));
        assert_eq!(ppm("0.5%"), Ok(5_000));
        assert_eq!(ppm("100"), Ok(1_000_000));
        assert_eq!(ppm(".0001%"), Ok(1));
        for bad in ["101%", "-1%", "", "%", "five", "1.2.3%", "٣%"] {
            assert!(ppm(bad).is_err(), "{bad}");
        }
        assert_eq!("0.50%".parse::<Percent>().unwrap().to_string(), "0.5%");
    }

    #[test]
    fn times_need_their_unit_but_seconds_do_not() {
        assert_eq!(delay("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(delay("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(delay("0"), Ok(Duration::ZERO));
        assert!(delay("20").is_err());
        assert_eq!(seconds("0.2"), Ok(Duration::from_millis(200)));
        assert_eq!(seconds("250us"), Ok(Duration::from_micros(250)));
        assert!(seconds("99999999999999999999").is_err());
    }

    #[test]
    fn rates_are_decimal_and_sizes_binary() {
        assert_eq!(rate("10mbit"), Ok(10_000_000));
        assert_eq!(rate("1.5Gbit/s"), Ok(1_500_000_000));
        assert!(rate("0mbit").is_err() && rate("10M").is_err());
        assert_eq!(size("100M"), Ok(100 << 20));
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("20480"), Ok(20480));
        assert!(size("").is_err() && size("9999999999T").is_err());
        assert_eq!(octets(1023), "1023 B");
        assert_eq!(octets(100 << 20), "100.0 MiB");
        assert_eq!(octets(u64::MAX), "15.9 EiB");
    }
}
