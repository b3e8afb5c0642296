//! What the tests of `strata perf` share: its JSON, and a client that is a script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::lab::OURS;
use super::netns::HANG;

/// A connection of the kernel to our server.
pub fn connect() -> TcpStream {
    let to: SocketAddr = format!("{OURS}:5201").parse().expect("an address");
    let stream = TcpStream::connect_timeout(&to, HANG).expect("our server");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    stream
}

/// Reads until the server ends it, in order or by a reset.
pub fn to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = [0; 512];
    loop {
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => all.extend(&piece[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("it does not end"),
            _ => return all,
        }
    }
}

/// A client's control connection, told what to say.
pub struct Script(TcpStream);

impl Script {
    /// What it shows.
    pub const COOKIE: &'static [u8; 37] = b"abcdefghijklmnopqrstuvwxyz2345672345\0";

    /// After the server asked for parameters.
    pub fn begin() -> Self {
        let mut script = Self(connect());
        script.say(Self::COOKIE);
        // The test before may be on its way out.
        while script.byte() != 9 {
            script = Self(connect());
            script.say(Self::COOKIE);
        }
        script
    }

    fn byte(&mut self) -> u8 {
        let mut octet = [0];
        self.0.read_exact(&mut octet).expect("an answer");
        octet[0]
    }

    /// Says this.
    pub fn say(&mut self, octets: &[u8]) {
        self.0.write_all(octets).expect("it is taken");
    }

    /// Hears this and nothing else.
    pub fn hear(&mut self, octets: &[u8]) {
        let mut heard = vec![0; octets.len()];
        self.0.read_exact(&mut heard).expect("an answer");
        assert_eq!(heard, octets);
    }

    /// Hears JSON behind its length.
    pub fn json(&mut self) -> Json {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).expect("a length");
        let mut text = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut text).expect("as much as that");
        Json::read(std::str::from_utf8(&text).expect("text"))
    }
}

/// A document of iperf3's shape.
pub struct Json(Value);

impl Json {
    /// From what was printed; lines of errors may be around it.
    pub fn read(text: &str) -> Self {
        let whole = match (text.find('{'), text.rfind('}')) {
            (Some(from), Some(to)) => &text[from..=to],
            _ => text,
        };
        Self(serde_json::from_str(whole).unwrap_or_else(|e| panic!("{e}: {text}")))
    }

    fn at(&self, path: &str) -> &Value {
        let found = self.0.pointer(path);
        found.unwrap_or_else(|| panic!("no {path} in {:#}", self.0))
    }

    /// A number without a point.
    pub fn int(&self, path: &str) -> u64 {
        let number = self.at(path).as_u64();
        number.unwrap_or_else(|| panic!("{path} in {:#}", self.0))
    }

    /// Any number.
    pub fn number(&self, path: &str) -> f64 {
        let number = self.at(path).as_f64();
        number.unwrap_or_else(|| panic!("{path} in {:#}", self.0))
    }

    /// Text.
    pub fn text(&self, path: &str) -> &str {
        let text = self.at(path).as_str();
        text.unwrap_or_else(|| panic!("{path} in {:#}", self.0))
    }

    /// How many there are in a list.
    pub fn len(&self, path: &str) -> usize {
        self.at(path).as_array().map_or(0, Vec::len)
    }

    /// Octets of all intervals that count.
    pub fn intervals_sum(&self, sum: &str) -> u64 {
        let intervals = self.at("/intervals").as_array().expect("a list");
        let sums = intervals.iter().filter_map(|interval| interval.get(sum));
        let counted = sums.filter(|sum| sum["omitted"] == false);
        counted.filter_map(|sum| sum["bytes"].as_u64()).sum()
    }

    /// The figures agree with each other: streams with their sum, rates with octets and time,
    /// and nobody received what nobody sent.
    pub fn fair(&self) {
        let streams = self.at("/end/streams").as_array().expect("a list");
        for side in ["sender", "receiver"] {
            let each = streams.iter().map(|stream| stream[side]["bytes"].as_u64());
            let sum: u64 = each.map(|octets| octets.expect("a number")).sum();
            let name = if side == "sender" {
                "sum_sent"
            } else {
                "sum_received"
            };
            assert_eq!(sum, self.int(&format!("/end/{name}/bytes")), "{:#}", self.0);
            let octets = self.number(&format!("/end/{name}/bytes"));
            let seconds = self.number(&format!("/end/{name}/seconds"));
            let rate = self.number(&format!("/end/{name}/bits_per_second"));
            let off = (octets * 8.0 - rate * seconds).abs();
            assert!(off <= octets * 0.08 + 8.0, "{:#}", self.0);
        }
        let (sent, received) = ("/end/sum_sent/bytes", "/end/sum_received/bytes");
        assert!(self.int(sent) >= self.int(received), "{:#}", self.0);
    }
}
