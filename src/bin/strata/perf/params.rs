//! What a test is: what the client asks for and the server is told.
//!
//! Invariant: what [`Params::from_json`] lets through is within [`limits`]: whoever reads it
//! need not fear it.

use std::fmt;

use serde_json::{Map, Value, json};

/// Bounds of what a peer may ask for: those of iperf3, of which each is enough.
pub mod limits {
    /// Streams each way.
    pub const PARALLEL: u64 = 128;
    /// Seconds of a test.
    pub const TIME: u64 = 86_400;
    /// Seconds before it that do not count.
    pub const OMIT: u64 = 600;
    /// Octets of a block of TCP.
    pub const BLOCK: u64 = 1 << 20;
    /// Octets of a datagram.
    pub const DATAGRAM: std::ops::RangeInclusive<u64> = 16..=65_507;
    /// Octets of a socket's buffers.
    pub const WINDOW: u64 = 512 << 20;
    /// Blocks sent at once when a rate is kept.
    pub const BURST: u64 = 1000;
    /// Octets of a segment.
    pub const MSS: u64 = 9216;
    /// Octets of the JSON of all this.
    pub const JSON: usize = 64 << 10;
}

/// The version of the protocol spoken here, as its client tells it.
const SPOKEN: &str = "3.12";

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// UDP instead of TCP.
    pub udp: bool,
    /// The server sends.
    pub reverse: bool,
    /// Both send.
    pub bidir: bool,
    /// Streams, each way.
    pub parallel: u16,
    /// Seconds that count; 0 when `bytes` or `blocks` end the test.
    pub time: u32,
    /// Seconds before those.
    pub omit: u32,
    /// Octets that end the test, or 0.
    pub bytes: u64,
    /// Blocks that end the test, or 0.
    pub blocks: u64,
    /// Octets of a block.
    pub len: u32,
    /// Bits per second of each stream, 0 without limit.
    pub rate: u64,
    /// Blocks sent at once at that rate; 0 means 1.
    pub burst: u32,
    /// Octets of each buffer of a stream, 0 for the usual.
    pub window: u32,
    /// Largest segment, 0 for the usual.
    pub mss: u16,
    /// No Nagle algorithm.
    pub no_delay: bool,
    /// Type of service of all packets.
    pub tos: u8,
    /// Congestion control by name.
    pub congestion: Option<String>,
    /// The client wants to see what the server prints.
    pub server_output: bool,
    /// Datagrams are counted with 64 bits.
    pub wide_counters: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            udp: false,
            reverse: false,
            bidir: false,
            parallel: 1,
            time: 10,
            omit: 0,
            bytes: 0,
            blocks: 0,
            len: 128 << 10,
            rate: 0,
            burst: 0,
            window: 0,
            mss: 0,
            no_delay: false,
            tos: 0,
            congestion: None,
            server_output: false,
            wide_counters: false,
        }
    }
}

/// Which end of the control connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It asked for the test.
    Client,
    /// It was asked.
    Server,
}

/// A test that is refused: why, and iperf3's number for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What is refused.
    pub what: &'static str,
    /// iperf3's number for it.
    pub code: u32,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "test refused: {}", self.what)
    }
}

impl std::error::Error for Refused {}

impl Params {
    /// All streams of the test.
    pub fn streams(&self) -> usize {
        usize::from(self.parallel) * if self.bidir { 2 } else { 1 }
    }

    /// Does this side send on its stream `index`, in the order the client opens them?
    pub fn sends(&self, side: Side, index: usize) -> bool {
        let to_server = if self.bidir {
            index < usize::from(self.parallel)
        } else {
            !self.reverse
        };
        to_server == (side == Side::Client)
    }

    /// The number a stream goes by in results: iperf3 leaves 2 out.
    pub fn stream_id(index: usize) -> u32 {
        let n = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        if n == 1 { 1 } else { n.saturating_add(1) }
    }

    /// Octets that end the test, by bytes or by blocks; `None` when time does.
    pub fn volume(&self) -> Option<u64> {
        match (self.bytes, self.blocks) {
            (0, 0) => None,
            (0, blocks) => Some(blocks.saturating_mul(self.len.into())),
            (bytes, _) => Some(bytes),
        }
    }

    /// `TCP` or `UDP`.
    pub fn protocol(&self) -> &'static str {
        if self.udp { "UDP" } else { "TCP" }
    }

    /// As it is told to the server.
    pub fn to_json(&self) -> Value {
        let mut o = Map::new();
        let mut put = |name: &str, value: Value| {
            o.insert(name.into(), value);
        };
        put(if self.udp { "udp" } else { "tcp" }, json!(true));
        put("omit", json!(self.omit));
        put("time", json!(self.time));
        put("num", json!(self.bytes));
        put("blockcount", json!(self.blocks));
        put("parallel", json!(self.parallel));
        put("len", json!(self.len));
        put("pacing_timer", json!(1000));
        put("client_version", json!(SPOKEN));
        let flags = [
            ("reverse", self.reverse),
            ("bidirectional", self.bidir),
            ("nodelay", self.no_delay),
        ];
        for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
            put(name, json!(true));
        }
        let numbers = [
            ("MSS", self.mss.into()),
            ("window", self.window.into()),
            ("bandwidth", self.rate),
            ("burst", self.burst.into()),
            ("TOS", self.tos.into()),
            ("get_server_output", u64::from(self.server_output)),
            ("udp_counters_64bit", u64::from(self.wide_counters)),
        ];
        for (name, number) in numbers.into_iter().filter(|(_, number)| *number > 0) {
            put(name, json!(number));
        }
        if let Some(name) = &self.congestion {
            put("congestion", json!(name));
        }
        Value::Object(o)
    }

    /// What a client asks for.
    ///
    /// # Errors
    /// What of it will not be done.
    pub fn from_json(value: &Value) -> Result<Self, Refused> {
        let refused = |what, code| Refused { what, code };
        let Some(o) = value.as_object() else {
            return Err(refused("its parameters are no JSON object", 114));
        };
        let flag = |name: &str| match o.get(name) {
            Some(Value::Bool(on)) => *on,
            Some(Value::Number(n)) => n.as_f64() != Some(0.0),
            _ => false,
        };
        let number = |name: &str, default: u64, most: u64, what: &'static str, code: u32| {
            let number = match o.get(name) {
                None | Some(Value::Null) => default,
                Some(value) => value.as_u64().unwrap_or(u64::MAX),
            };
            if number <= most {
                Ok(number)
            } else {
                Err(refused(what, code))
            }
        };
        if flag("sctp") {
            return Err(refused("SCTP", 18));
        }
        if o.contains_key("authtoken") {
            return Err(refused("authentication", 13));
        }
        let udp = flag("udp");
        let parallel = number("parallel", 1, limits::PARALLEL, "more than 128 streams", 6)?;
        let len = match udp {
            true => number(
                "len",
                1460,
                *limits::DATAGRAM.end(),
                "datagrams that long",
                20,
            )?,
            false => number("len", 128 << 10, limits::BLOCK, "blocks above 1 MiB", 7)?,
        };
        if udp && len < *limits::DATAGRAM.start() || len == 0 {
            return Err(refused("blocks that short", 20));
        }
        let any = u64::MAX - 1;
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let params = Self {
            udp,
            reverse: flag("reverse"),
            bidir: flag("bidirectional"),
            parallel: u16::try_from(parallel.max(1)).unwrap_or(1),
            time: narrow(number("time", 0, limits::TIME, "more than a day", 5)?),
            omit: narrow(number("omit", 0, limits::OMIT, "omitting above 600 s", 12)?),
            bytes: number("num", 0, any, "that number of octets", 16)?,
            blocks: number("blockcount", 0, any, "that number of blocks", 16)?,
            len: narrow(len),
            rate: number("bandwidth", 0, any, "that bitrate", 114)?,
            burst: narrow(number("burst", 0, limits::BURST, "bursts above 1000", 15)?),
            window: narrow(number(
                "window",
                0,
                limits::WINDOW,
                "windows above 512 MiB",
                8,
            )?),
            mss: u16::try_from(number("MSS", 0, limits::MSS, "an MSS above 9216", 10)?)
                .unwrap_or(0),
            no_delay: flag("nodelay"),
            tos: u8::try_from(number("TOS", 0, 255, "that type of service", 21)?).unwrap_or(0),
            congestion: o.get("congestion").and_then(Value::as_str).map(short),
            server_output: flag("get_server_output"),
            wide_counters: flag("udp_counters_64bit"),
        };
        if params.reverse && params.bidir {
            return Err(refused("reverse and bidirectional at once", 25));
        }
        Ok(params)
    }
}

/// A name of somebody else's, cut to what a line can bear.
fn short(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_ascii_graphic())
        .take(32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Params, Refused> {
        Params::from_json(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn as_a_client_of_version_3_12_says_it() {
        let said = r#"{"tcp":true,"omit":1,"time":1,"num":0,"blockcount":0,"MSS":1200,
            "nodelay":true,"parallel":2,"window":65536,"len":1000,"bandwidth":80000,
            "pacing_timer":1000,"title":"ti","congestion":"reno","get_server_output":1,
            "client_version":"3.12"}"#;
        let wanted = Params {
            omit: 1,
            time: 1,
            mss: 1200,
            no_delay: true,
            parallel: 2,
            window: 65_536,
            len: 1000,
            rate: 80_000,
            congestion: Some("reno".into()),
            server_output: true,
            ..Params::default()
        };
        assert_eq!(read(said), Ok(wanted));
    }

    #[test]
    fn ours_comes_back_as_it_went() {
        let all = Params {
            udp: true,
            bidir: true,
            time: 0,
            blocks: 7,
            len: 1448,
            burst: 3,
            tos: 40,
            wide_counters: true,
            rate: u64::MAX - 1,
            ..Params::default()
        };
        for params in [Params::default(), all] {
            assert_eq!(Params::from_json(&params.to_json()), Ok(params));
        }
    }

    #[test]
    fn nobody_asks_for_too_much() {
        for (bad, code) in [
            (r#"{"tcp":true,"parallel":129}"#, 6),
            (r#"{"tcp":true,"parallel":-1}"#, 6),
            (r#"{"tcp":true,"parallel":1e300}"#, 6),
            (r#"{"tcp":true,"len":1048577}"#, 7),
            (r#"{"tcp":true,"len":0}"#, 20),
            (r#"{"udp":true,"len":65508}"#, 20),
            (r#"{"udp":true,"len":15}"#, 20),
            (r#"{"tcp":true,"time":86401}"#, 5),
            (r#"{"tcp":true,"time":"x"}"#, 5),
            (r#"{"tcp":true,"omit":601}"#, 12),
            (r#"{"tcp":true,"window":536870913}"#, 8),
            (r#"{"sctp":true}"#, 18),
            (r#"{"tcp":true,"reverse":true,"bidirectional":true}"#, 25),
            (r#"{"authtoken":"x"}"#, 13),
            ("[]", 114),
        ] {
            assert_eq!(read(bad).map_err(|r| r.code), Err(code), "{bad}");
        }
        let strange = read(r#"{"congestion":"a\u0007\u001b[2Jb"}"#).unwrap();
        assert_eq!(strange.congestion.as_deref(), Some("a[2Jb"));
    }

    #[test]
    fn who_sends_on_which_stream() {
        let params = Params {
            parallel: 2,
            bidir: true,
            ..Params::default()
        };
        let sends = |side| (0..4).map(|n| params.sends(side, n)).collect::<Vec<_>>();
        assert_eq!(sends(Side::Client), [true, true, false, false]);
        assert_eq!(sends(Side::Server), [false, false, true, true]);
        assert_eq!(
            (0..4).map(Params::stream_id).collect::<Vec<_>>(),
            [1, 3, 4, 5]
        );
        let reverse = Params {
            reverse: true,
            ..Params::default()
        };
        assert!(!reverse.sends(Side::Client, 0) && reverse.sends(Side::Server, 0));
    }
}
