//! Numbers as iperf3 prints them: `1.25 MBytes`, `10.5 Mbits/sec`.
//!
//! Invariant: four digits or fewer and a unit, so that columns stay columns.

use std::str::FromStr;

/// What rates are told in (`-f`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// The unit that leaves one to three digits in front of the point.
    #[default]
    Adaptive,
    /// Bits per second by this power of 1000.
    Bits(u8),
    /// Octets per second by this power of 1024.
    Bytes(u8),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Ok(match s {
            "a" | "A" => Self::Adaptive,
            "k" => Self::Bits(1),
            "m" => Self::Bits(2),
            "g" => Self::Bits(3),
            "t" => Self::Bits(4),
            "K" => Self::Bytes(1),
            "M" => Self::Bytes(2),
            "G" => Self::Bytes(3),
            "T" => Self::Bytes(4),
            _ => return Err("expected one of k m g t (bits) or K M G T (bytes)".into()),
        })
    }
}

const PREFIXES: [&str; 5] = ["", "K", "M", "G", "T"];

/// Octets: `1.25 MBytes`.
pub fn octets(n: u64) -> String {
    adaptive(n as f64, 1024.0, "Bytes")
}

/// Octets in so many seconds as a rate: `10.5 Mbits/sec`.
pub fn rate(octets: u64, seconds: f64, format: Format) -> String {
    let (octets, bits) = (per_second(octets, seconds), bits(octets, seconds));
    let fixed = |value: f64, base: f64, power: u8, unit: &str| {
        let prefix = PREFIXES.get(usize::from(power)).unwrap_or(&"");
        format!(
            "{} {prefix}{unit}/sec",
            digits(value / base.powi(power.into()))
        )
    };
    match format {
        Format::Adaptive => adaptive(bits, 1000.0, "bits") + "/sec",
        Format::Bits(power) => fixed(bits, 1000.0, power, "bits"),
        Format::Bytes(power) => fixed(octets, 1024.0, power, "Bytes"),
    }
}

/// Bits per second; 0 when no time passed.
pub fn bits(octets: u64, seconds: f64) -> f64 {
    per_second(octets, seconds) * 8.0
}

fn per_second(octets: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        octets as f64 / seconds
    } else {
        0.0
    }
}

fn adaptive(mut value: f64, base: f64, unit: &str) -> String {
    let mut power = 0;
    while value >= base && power + 1 < PREFIXES.len() {
        value /= base;
        power += 1;
    }
    let prefix = PREFIXES.get(power).unwrap_or(&"");
    format!("{} {prefix}{unit}", digits(value))
}

/// Three significant digits in four columns.
fn digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:4.2}"),
        v if v < 99.95 => format!("{v:4.1}"),
        v => format!("{v:4.0}"),
    }
}

/// A share of a whole in percent, with two significant digits: `0`, `0.052`, `1.5`, `12`.
pub fn percent(part: u64, whole: u64) -> String {
    let percent = share(part, whole);
    let mut decimals = 0;
    let mut least = 9.95;
    while percent > 0.0 && percent < least && decimals < 6 {
        decimals += 1;
        least /= 10.0;
    }
    let text = format!("{percent:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

/// A share of a whole in percent; 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        100.0 * part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_iperf3_prints_them() {
        // Lines of iperf 3.12.
        assert_eq!(octets(131_072), " 128 KBytes");
        assert_eq!(octets(1_310_720), "1.25 MBytes");
        assert_eq!(octets(10_000), "9.77 KBytes");
        assert_eq!(octets(0), "0.00 Bytes");
        assert_eq!(rate(10_000, 1.0, Format::Adaptive), "80.0 Kbits/sec");
        assert_eq!(rate(1_310_720, 1.0, Format::Adaptive), "10.5 Mbits/sec");
        assert_eq!(rate(131_072, 1.0, "m".parse().unwrap()), "1.05 Mbits/sec");
        assert_eq!(rate(131_072, 1.0, "M".parse().unwrap()), "0.12 MBytes/sec");
        assert_eq!(rate(5, 0.0, Format::Adaptive), "0.00 bits/sec");
        assert!("x".parse::<Format>().is_err());
    }

    #[test]
    fn shares_have_two_digits() {
        assert_eq!(percent(0, 4), "0");
        assert_eq!(percent(1, 8), "12");
        assert_eq!(percent(3, 200), "1.5");
        assert_eq!(percent(1, 100), "1");
        assert_eq!(percent(52, 100_000), "0.052");
        assert_eq!(percent(0, 0), "0");
        assert_eq!(percent(7, 7), "100");
    }
}
