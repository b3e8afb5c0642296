//! The command line: iperf3's letters.
//!
//! Invariant: what is accepted here is done, or said not to be; nothing is silently left out.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use netstrata::tcp::Algorithm;

use super::client::Wish;
use super::doc::Doc;
use super::format::Format;
use super::params::{Params, limits};
use super::report::{Report, Sink};
use super::visit::House;
use crate::errors::CliError;
use crate::global::Global;
use crate::units;

/// Measures throughput with iperf3's protocol; the other end may be a stock iperf3.
///
/// With neither --client nor --server both ends run here, over a cable in memory.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: strata perf\n         \
    strata perf -u -b 100M --loss 1%\n         \
    strata perf --phy tap:tap0 --addr 192.168.1.2/24 -c 192.168.1.1 -P 4 -R    # iperf3 -s there\n         \
    strata perf --phy tap:tap0 --addr 192.168.1.2/24 -s    # iperf3 -c 192.168.1.2 there")]
pub struct Args {
    /// Ask the server at this address for a test
    #[arg(short, long, value_name = "ADDRESS", num_args = 0..=1, value_parser = units::host)]
    client: Option<Option<Ipv4Addr>>,

    /// Serve tests, one at a time
    #[arg(short, long, conflicts_with = "client")]
    server: bool,

    /// Port of the server
    #[arg(short, long, value_name = "PORT", default_value_t = 5201, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Serve one test, then end
    #[arg(short = '1', long)]
    one_off: bool,

    /// Datagrams instead of connections
    #[arg(short, long)]
    udp: bool,

    /// Seconds to send
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    time: u32,

    /// Octets to send, instead of a time
    #[arg(short = 'n', long, value_name = "SIZE", value_parser = units::size, conflicts_with = "time")]
    bytes: Option<u64>,

    /// Blocks to send, instead of a time
    #[arg(short = 'k', long, value_name = "N", value_parser = units::size, conflicts_with_all = ["time", "bytes"])]
    blockcount: Option<u64>,

    /// Octets of a block; 128K with TCP, a segment's with UDP
    #[arg(short, long, value_name = "SIZE", value_parser = units::size)]
    length: Option<u64>,

    /// Streams at once
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=128))]
    parallel: u16,

    /// The server sends
    #[arg(short = 'R', long, conflicts_with = "bidir")]
    reverse: bool,

    /// Both send
    #[arg(long)]
    bidir: bool,

    /// Bits per second of each stream, as 100M, or 100M/8 for eight blocks at once; 0 as fast
    /// as can be; 1M with UDP if not given
    #[arg(short, long, value_name = "RATE", value_parser = bitrate)]
    bitrate: Option<(u64, u32)>,

    /// Octets of the buffers of each stream
    #[arg(short, long, value_name = "SIZE", value_parser = units::size)]
    window: Option<u64>,

    /// Octets of text in a segment, at most
    #[arg(short = 'M', long, value_name = "OCTETS", value_parser = clap::value_parser!(u16).range(88..=9216))]
    set_mss: Option<u16>,

    /// Send short segments at once (no Nagle algorithm)
    #[arg(short = 'N', long)]
    no_delay: bool,

    /// Type of service of all packets
    #[arg(short = 'S', long, value_name = "N", value_parser = clap::value_parser!(u8))]
    tos: Option<u8>,

    /// Congestion control
    #[arg(short = 'C', long, visible_alias = "cc", value_name = "cubic|reno|bbr")]
    congestion: Option<Algorithm>,

    /// Do not even write blocks into the send buffer: what it holds goes out
    #[arg(short = 'Z', long)]
    zerocopy: bool,

    /// Seconds before the test that do not count
    #[arg(short = 'O', long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=600))]
    omit: u32,

    /// Seconds between reports; 0 for none
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,

    /// Unit of rates: k m g t (bits) or K M G T (octets)
    #[arg(
        short,
        long,
        value_name = "UNIT",
        default_value = "a",
        hide_default_value = true
    )]
    format: Format,

    /// iperf3's JSON at the end; --json has it on one line
    #[arg(short = 'J')]
    pretty: bool,

    /// Print to this file
    #[arg(long, value_name = "FILE")]
    logfile: Option<PathBuf>,

    /// In front of each line
    #[arg(short = 'T', long, value_name = "TEXT")]
    title: Option<String>,

    /// Repeated in the JSON
    #[arg(long, value_name = "TEXT")]
    extra_data: Option<String>,

    /// Show what the server prints
    #[arg(long)]
    get_server_output: bool,

    /// Count datagrams with 64 bits
    #[arg(long)]
    udp_counters_64bit: bool,

    /// Milliseconds for connecting
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    connect_timeout: u32,

    /// Milliseconds in which nothing may move
    #[arg(long, value_name = "MS", default_value_t = 120_000, value_parser = clap::value_parser!(u32).range(100..=86_400_000))]
    rcv_timeout: u32,

    /// IPv4, which is all there is
    #[arg(short = '4', long)]
    version4: bool,

    /// Every line is out at once anyway.
    #[arg(long, hide = true)]
    forceflush: bool,
}

impl Args {
    /// What depends on several of them.
    ///
    /// # Errors
    /// What does not go together.
    pub fn check(&self, alone: bool) -> Result<(), CliError> {
        if !alone && !self.server && self.client.is_none() {
            return Err(CliError::setup("perf", "which end?")
                .hint("-c ADDRESS or -s; or no --phy, for both ends here"));
        }
        let wrong = |what: &str, why: &str| Err(CliError::setup(what, why));
        let length = self.length.unwrap_or(1024);
        match self.udp {
            true if !limits::DATAGRAM.contains(&length) => {
                wrong("--length", "16 to 65507 with UDP")
            }
            false if !(1..=limits::BLOCK).contains(&length) => {
                wrong("--length", "1 to 1M with TCP")
            }
            _ if self.window.is_some_and(|window| window > limits::WINDOW) => {
                wrong("--window", "512M at most")
            }
            _ if self.bytes == Some(0) || self.blockcount == Some(0) => {
                wrong("--bytes", "nothing to send")
            }
            _ => Ok(()),
        }
    }

    /// Are we a server?
    pub fn serves(&self) -> bool {
        self.server
    }

    /// For one test?
    pub fn one_off(&self) -> bool {
        self.one_off
    }

    /// The server's address, if one was given.
    pub fn server_address(&self) -> Option<Ipv4Addr> {
        self.client.flatten()
    }

    fn every(&self) -> Option<Duration> {
        (!self.interval.is_zero()).then_some(self.interval)
    }

    /// What a server is told.
    pub fn house(&self) -> House {
        House {
            every: self.every(),
            fill: !self.zerocopy,
            stall: Duration::from_millis(self.rcv_timeout.into()),
            port: self.port,
        }
    }

    /// What a client is told.
    pub fn wish(&self, server: Ipv4Addr) -> Wish {
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let volume = self.bytes.is_some() || self.blockcount.is_some();
        let usual = if self.udp { (1_000_000, 0) } else { (0, 0) };
        let (rate, burst) = self.bitrate.unwrap_or(usual);
        let length = if self.udp { 0 } else { 128 << 10 };
        let params = Params {
            udp: self.udp,
            reverse: self.reverse,
            bidir: self.bidir,
            parallel: self.parallel,
            time: if volume { 0 } else { self.time },
            omit: self.omit,
            bytes: self.bytes.unwrap_or(0),
            blocks: self.blockcount.unwrap_or(0),
            len: narrow(self.length.unwrap_or(length)),
            rate,
            burst,
            window: narrow(self.window.unwrap_or(0)),
            mss: self.set_mss.unwrap_or(0),
            no_delay: self.no_delay,
            tos: self.tos.unwrap_or(0),
            congestion: self.congestion.map(|algorithm| algorithm.name().into()),
            server_output: self.get_server_output,
            wide_counters: self.udp_counters_64bit,
        };
        Wish {
            server: SocketAddr::new(IpAddr::V4(server), self.port),
            params,
            every: self.every(),
            fill: !self.zerocopy,
            stall: Duration::from_millis(self.rcv_timeout.into()),
            connect: Duration::from_millis(self.connect_timeout.into()),
            extra: self.extra_data.clone(),
        }
    }

    /// How things are told.
    ///
    /// # Errors
    /// When the file for it cannot be written.
    pub fn report(&self, global: &Global) -> Result<Report, CliError> {
        let sink = match &self.logfile {
            None => Sink::Stdout,
            Some(path) => {
                Sink::File(File::create(path).map_err(|e| CliError::setup(path.display(), e))?)
            }
        };
        let doc = (self.pretty || global.json).then(|| Doc::new(!self.pretty));
        Ok(Report {
            sink,
            format: self.format,
            title: self.title.clone().filter(|_| doc.is_none()),
            doc,
            ..Report::default()
        })
    }
}

/// Reads iperf3's rates: `100M` is 100,000,000 bits per second; `/8` lets eight blocks go at
/// once.
fn bitrate(s: &str) -> Result<(u64, u32), String> {
    let expected =
        || String::from("expected bits per second such as 100M, 1.5G or 0, and perhaps /BURST");
    let (rate, burst) = match s.split_once('/') {
        None => (s, 0),
        Some((rate, burst)) => {
            let burst = burst
                .parse()
                .ok()
                .filter(|n| (1..=limits::BURST).contains(n));
            (rate, burst.ok_or_else(expected)?)
        }
    };
    let unit = match rate.to_ascii_lowercase().as_str() {
        "0" => return Ok((0, 0)),
        r if r.ends_with("bit") || r.ends_with("/s") => "",
        _ => "bit",
    };
    let rate = units::rate(&format!("{rate}{unit}")).map_err(|_| expected())?;
    Ok((rate, u32::try_from(burst).unwrap_or(1)))
}

/// Reads seconds between reports.
fn interval(s: &str) -> Result<Duration, String> {
    let time = units::seconds(s)?;
    let fair = time.is_zero() || (100..=60_000).contains(&time.as_millis());
    if fair {
        Ok(time)
    } else {
        Err("expected 0, or 0.1 to 60 seconds".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_as_iperf3_has_them() {
        assert_eq!(bitrate("100M"), Ok((100_000_000, 0)));
        assert_eq!(bitrate("1.5g/8"), Ok((1_500_000_000, 8)));
        assert_eq!(bitrate("10mbit"), Ok((10_000_000, 0)));
        assert_eq!((bitrate("0"), bitrate("800")), (Ok((0, 0)), Ok((800, 0))));
        for bad in ["", "M", "-1", "1M/", "1M/0", "1M/1001", "1X"] {
            assert!(bitrate(bad).is_err(), "{bad}");
        }
        assert!(interval("0.05").is_err() && interval("61").is_err());
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
    }
}
