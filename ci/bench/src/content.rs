//! What bulk transfers carry: one octet over and over when they are timed, and octets that depend
//! on their place when they are compared instead.

use std::io;

/// Octets after which the pattern repeats: prime, so that no segment, page or buffer hides a shift.
const PERIOD: usize = 65_521;

/// What a transfer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Octets that nobody looks at: what is timed.
    Plain,
    /// Octets that are compared where they arrive: what is not timed.
    Checked,
}

/// The sender's text.
pub struct Source {
    octets: Vec<u8>,
    text: Text,
    at: usize,
}

fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let period = (0..PERIOD).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let mut octets: Vec<u8> = period.collect();
    while octets.len() < PERIOD + len {
        octets.extend_from_within(..PERIOD.min(PERIOD + len - octets.len()));
    }
    octets
}

impl Source {
    /// That gives up to `piece` octets at once.
    pub fn new(text: Text, piece: usize) -> Self {
        let octets = match text {
            Text::Plain => vec![0x5a; piece],
            Text::Checked => pattern(piece),
        };
        Self {
            octets,
            text,
            at: 0,
        }
    }

    /// The next octets, `len` of them; no more than a piece.
    pub fn next(&self, len: usize) -> &[u8] {
        &self.octets[self.at..][..len]
    }

    /// So many of them are on their way.
    pub fn took(&mut self, len: usize) {
        if self.text == Text::Checked {
            self.at = (self.at + len) % PERIOD;
        }
    }

    /// Writes the next octets in place, as far as anybody looks at them.
    pub fn fill(&mut self, room: &mut [u8]) -> usize {
        if self.text == Text::Checked {
            room.copy_from_slice(self.next(room.len()));
            self.took(room.len());
        }
        room.len()
    }
}

/// The receiver's comparison.
pub struct Check {
    source: Source,
    got: u64,
    /// Where the first wrong octet was.
    wrong: Option<u64>,
}

impl Check {
    /// Of up to `piece` octets at once.
    pub fn new(text: Text, piece: usize) -> Self {
        Self {
            source: Source::new(text, piece),
            got: 0,
            wrong: None,
        }
    }

    /// Looks at the next octets.
    pub fn take(&mut self, octets: &[u8]) {
        if self.source.text == Text::Checked {
            let same = self.source.next(octets.len()) == octets;
            if !same && self.wrong.is_none() {
                self.wrong = Some(self.got);
            }
            self.source.took(octets.len());
        }
        self.got += octets.len() as u64;
    }

    /// Octets so far.
    pub fn got(&self) -> u64 {
        self.got
    }

    /// Was all as it was sent, and `total` octets of it?
    pub fn finish(&self, total: u64) -> io::Result<()> {
        match self.wrong {
            Some(at) => Err(io::Error::other(format!("other octets behind {at}"))),
            None if self.got != total => {
                let got = self.got;
                Err(io::Error::other(format!("{got} octets instead of {total}")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[test]
fn notices_a_wrong_octet_and_a_missing_one() {
    let mut source = Source::new(Text::Checked, 100_000);
    let mut check = Check::new(Text::Checked, 100_000);
    for len in [1, 1448, 65_520, 100_000, 3] {
        check.take(source.next(len));
        source.took(len);
    }
    assert!(check.finish(166_972).is_ok());
    assert!(check.finish(166_973).is_err());
    let mut octets = source.next(10).to_vec();
    octets[9] ^= 1;
    check.take(&octets);
    assert!(check.finish(166_982).is_err());
    // One octet too few is another place in the pattern.
    let mut check = Check::new(Text::Checked, 100);
    check.take(&Source::new(Text::Checked, 100).next(100)[1..]);
    assert!(check.finish(99).is_err());
}
