//! The octets of the control connection: a cookie, states of one octet, and JSON behind its
//! length.
//!
//! Invariant: nothing is kept beyond a limit that whoever asks names, and memory is taken for
//! octets that came, not for those that were announced.

use std::fmt;

use netstrata::host::os_rng;
use rand_core::Rng as _;
use serde_json::Value;

/// What a test is known by on all its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie([u8; Cookie::LEN]);

impl Cookie {
    /// Octets of a cookie: 36 letters and digits, and a zero.
    pub const LEN: usize = 37;

    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

    /// One that nobody can guess.
    pub fn random() -> Self {
        let mut cookie = [0; Self::LEN];
        let mut rng = os_rng();
        for octet in cookie.iter_mut().take(Self::LEN - 1) {
            let drawn = rng.next_u32() as usize % Self::LETTERS.len();
            *octet = Self::LETTERS.get(drawn).copied().unwrap_or(b'a');
        }
        Self(cookie)
    }

    /// `None` for octets no iperf3 would send.
    pub fn parse(octets: &[u8; Self::LEN]) -> Option<Self> {
        let (last, letters) = octets.split_last()?;
        let fair = *last == 0 && letters.iter().all(u8::is_ascii_alphanumeric);
        fair.then_some(Self(*octets))
    }

    /// As it is sent.
    pub fn octets(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.0.split_last().map_or(&[][..], |(_, letters)| letters);
        f.write_str(str::from_utf8(letters).unwrap_or_default())
    }
}

/// Where a test stands, as one end tells the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum State {
    /// Server: all streams are there, get ready.
    TestStart = 1,
    /// Server: send.
    TestRunning = 2,
    /// Client: enough.
    TestEnd = 4,
    /// Server: tell me what is wanted.
    ParamExchange = 9,
    /// Server: open the streams.
    CreateStreams = 10,
    /// Server: I was told to stop.
    ServerTerminate = 11,
    /// Client: I was told to stop.
    ClientTerminate = 12,
    /// Server: tell me your numbers.
    ExchangeResults = 13,
    /// Server: that was all of mine.
    DisplayResults = 14,
    /// Client: goodbye.
    IperfDone = 16,
    /// Server: there is a test already.
    AccessDenied = -1,
    /// Server: it cannot be done; two numbers follow.
    ServerError = -2,
}

impl State {
    const ALL: [Self; 12] = [
        Self::TestStart,
        Self::TestRunning,
        Self::TestEnd,
        Self::ParamExchange,
        Self::CreateStreams,
        Self::ServerTerminate,
        Self::ClientTerminate,
        Self::ExchangeResults,
        Self::DisplayResults,
        Self::IperfDone,
        Self::AccessDenied,
        Self::ServerError,
    ];

    /// As it is sent.
    pub const fn octet(self) -> u8 {
        (self as i8).cast_unsigned()
    }
}

/// What came is not what this protocol has at this place.
#[derive(Debug, PartialEq, Eq)]
pub enum Bad {
    /// No such state.
    State(u8),
    /// A state that has no place here.
    Unexpected(State),
    /// Not a cookie.
    Cookie,
    /// So many octets of JSON, more than fit.
    TooLong(u32),
    /// No JSON, and why.
    Json(String),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(octet) => write!(f, "unknown control message {octet:#04x}"),
            Self::Unexpected(state) => write!(f, "control message {state:?} out of turn"),
            Self::Cookie => f.write_str("no iperf3 cookie"),
            Self::TooLong(octets) => write!(f, "control message of {octets} octets"),
            Self::Json(why) => write!(f, "bad control message: {why}"),
        }
    }
}

impl std::error::Error for Bad {}

/// Octets of a control connection that wait to be understood.
#[derive(Debug)]
pub struct Inbox {
    octets: Vec<u8>,
    most: usize,
}

impl Inbox {
    /// Keeps at most `most` octets, so much JSON with its length among them.
    pub const fn new(most: usize) -> Self {
        let octets = Vec::new();
        Self { octets, most }
    }

    /// Keeps at most `most` octets from now on.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Takes what fits of `octets`; returns how many did.
    pub fn fill(&mut self, octets: &[u8]) -> usize {
        let room = self
            .most
            .saturating_sub(self.octets.len())
            .min(octets.len());
        let fits = octets.get(..room).unwrap_or_default();
        self.octets.extend_from_slice(fits);
        room
    }

    /// The next `N` octets, if they have come.
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.octets.first_chunk::<N>()?;
        self.octets.drain(..N);
        Some(taken)
    }

    /// The next state.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn state(&mut self) -> Result<Option<State>, Bad> {
        let Some([octet]) = self.take() else {
            return Ok(None);
        };
        let known = State::ALL.into_iter().find(|s| s.octet() == octet);
        known.map(Some).ok_or(Bad::State(octet))
    }

    /// The next cookie.
    ///
    /// # Errors
    /// When what came is none.
    pub fn cookie(&mut self) -> Result<Option<Cookie>, Bad> {
        match self.take() {
            None => Ok(None),
            Some(octets) => Cookie::parse(&octets).map(Some).ok_or(Bad::Cookie),
        }
    }

    /// The next JSON.
    ///
    /// # Errors
    /// When it would not fit, as soon as that is known, or is no JSON.
    pub fn json(&mut self) -> Result<Option<Value>, Bad> {
        let Some(len) = self.octets.first_chunk().copied().map(u32::from_be_bytes) else {
            return Ok(None);
        };
        let end = (len as usize).saturating_add(4);
        if end > self.most {
            return Err(Bad::TooLong(len));
        }
        let Some(text) = self.octets.get(4..end) else {
            return Ok(None);
        };
        let value = serde_json::from_slice(text).map_err(|e| Bad::Json(e.to_string()));
        self.octets.drain(..end);
        // Whatever it grew to is not needed any more.
        self.octets.shrink_to_fit();
        value.map(Some)
    }
}

/// Appends JSON behind its length.
pub fn put_json(value: &Value, out: &mut Vec<u8>) {
    let text = value.to_string();
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.extend(text.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_letters_and_a_zero() {
        let cookie = Cookie::random();
        assert_eq!(Cookie::parse(cookie.octets()), Some(cookie));
        assert_ne!(Cookie::random(), cookie);
        assert_eq!(cookie.to_string().len(), 36);
        assert_eq!(
            Cookie::parse(b"GET / HTTP/1.1\r\nHost: 192.168.100.10\r"),
            None
        );
        assert_eq!(Cookie::parse(&[b'a'; 37]), None);
    }

    #[test]
    fn a_dialogue_octet_by_octet() {
        let mut wire = Vec::from(*b"s3tgd4bhb3tspzgxkhevg6fq4urou6hg6a4a\0");
        put_json(&serde_json::json!({"tcp": true}), &mut wire);
        wire.push(State::TestEnd.octet());
        let (mut inbox, mut seen) = (Inbox::new(100), Vec::new());
        for octet in wire {
            assert_eq!(inbox.fill(&[octet]), 1);
            let step = match seen.len() {
                0 => inbox.cookie().unwrap().map(|c| c.to_string()),
                1 => inbox.json().unwrap().map(|v| v.to_string()),
                _ => inbox.state().unwrap().map(|s| format!("{s:?}")),
            };
            seen.extend(step);
        }
        let cookie = "s3tgd4bhb3tspzgxkhevg6fq4urou6hg6a4a";
        assert_eq!(seen, [cookie, "{\"tcp\":true}", "TestEnd"]);
        assert_eq!(inbox.state(), Ok(None));
    }

    #[test]
    fn announced_octets_take_no_memory() {
        let mut inbox = Inbox::new(1 << 20);
        inbox.fill(&[0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(inbox.json(), Err(Bad::TooLong(0x7fff_ffff)));
        let mut inbox = Inbox::new(1 << 20);
        inbox.fill(&[0, 0, 0xff, 0xff, b'{']);
        assert_eq!(inbox.json(), Ok(None));
        assert!(inbox.octets.capacity() < 64);
        // And an end to what came without being asked for.
        let taken: usize = (0..8).map(|_| inbox.fill(&[0; 1 << 18])).sum();
        assert_eq!(taken, (1 << 20) - 5);
    }

    #[test]
    fn what_is_no_json_is_told() {
        for text in ["{\"tcp\":true", "", "nonsense", &"[".repeat(4000)] {
            let mut inbox = Inbox::new(8192);
            inbox.fill(&(text.len() as u32).to_be_bytes());
            inbox.fill(text.as_bytes());
            assert!(matches!(inbox.json(), Err(Bad::Json(_))), "{text:.20}");
        }
        let mut inbox = Inbox::new(8);
        inbox.fill(&[State::AccessDenied.octet(), 0x63]);
        assert_eq!(inbox.state(), Ok(Some(State::AccessDenied)));
        assert_eq!(inbox.state(), Err(Bad::State(0x63)));
    }
}
