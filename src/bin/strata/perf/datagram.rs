//! The head of a test's datagrams: when each was sent and its number, and what follows from
//! those at the receiver; and the datagrams that open a stream.
//!
//! Invariant: any octets are taken; a number far ahead counts as that many lost, as it does in
//! iperf3, and nothing overflows.

use netstrata::phy::Instant;

use super::tally::Figures;

/// What a client opens a stream with.
pub const HELLO: [u8; 4] = *b"9876";
/// What the server answers.
pub const WELCOME: [u8; 4] = *b"6789";
/// The same as versions before 3.12 say it: 123456789 and 987654321, lower octet first.
pub const OLD_HELLO: [u8; 4] = 123_456_789u32.to_le_bytes();
/// See [`OLD_HELLO`].
pub const OLD_WELCOME: [u8; 4] = 987_654_321u32.to_le_bytes();

/// The answer to a datagram that opens a stream; `None` for one that does not.
pub fn welcome(octets: &[u8]) -> Option<[u8; 4]> {
    match octets {
        o if *o == HELLO => Some(WELCOME),
        o if *o == OLD_HELLO => Some(OLD_WELCOME),
        _ => None,
    }
}

/// Is it the answer to [`HELLO`]?
pub fn is_welcome(octets: &[u8]) -> bool {
    *octets == WELCOME || *octets == OLD_WELCOME
}

/// The head of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// When it was sent, by the sender's clock.
    pub sent: Instant,
    /// Its number, from 1.
    pub number: u64,
}

impl Head {
    /// Octets of it, with numbers of 64 bits or of 32.
    pub const fn len(wide: bool) -> usize {
        if wide { 16 } else { 12 }
    }

    /// Writes it at the beginning of `datagram`, as far as that goes.
    pub fn put(self, wide: bool, datagram: &mut [u8]) {
        let micros = self.sent.micros();
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let mut head = [0; 16];
        let [s0, s1, s2, s3, u0, u1, u2, u3, number @ ..] = &mut head;
        [*s0, *s1, *s2, *s3] = (seconds as u32).to_be_bytes();
        [*u0, *u1, *u2, *u3] = (micros as u32).to_be_bytes();
        if wide {
            *number = self.number.to_be_bytes();
        } else {
            let [a, b, c, d, ..] = number;
            [*a, *b, *c, *d] = (self.number as u32).to_be_bytes();
        }
        let len = Self::len(wide).min(datagram.len());
        for (to, from) in datagram.iter_mut().zip(head).take(len) {
            *to = from;
        }
    }

    /// The head of a datagram that has one.
    pub fn parse(wide: bool, datagram: &[u8]) -> Option<Self> {
        let (seconds, rest) = datagram.split_first_chunk()?;
        let (micros, rest) = rest.split_first_chunk()?;
        let number = match wide {
            true => u64::from_be_bytes(*rest.first_chunk()?),
            false => u32::from_be_bytes(*rest.first_chunk()?).into(),
        };
        let seconds = u64::from(u32::from_be_bytes(*seconds));
        let micros = u64::from(u32::from_be_bytes(*micros));
        let sent = Instant::from_micros(seconds * 1_000_000 + micros);
        Some(Self { sent, number })
    }
}

/// What a receiver remembers of the datagrams before.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Time on the way of the last one, µs; the two clocks need not agree.
    transit: Option<i64>,
    /// In µs.
    jitter: f64,
}

impl Arrivals {
    /// Counts a datagram that came `now`.
    pub fn see(&mut self, head: Head, now: Instant, figures: &mut Figures) {
        if head.number > figures.packets {
            let skipped = head.number - figures.packets - 1;
            let skipped = i64::try_from(skipped).unwrap_or(i64::MAX);
            figures.lost = figures.lost.saturating_add(skipped);
            figures.packets = head.number;
        } else {
            figures.out_of_order += 1;
            // It was taken for lost when a later one came.
            figures.lost = (figures.lost - 1).max(0);
        }
        let transit = (now.micros() as i64).wrapping_sub(head.sent.micros() as i64);
        if let Some(before) = self.transit.replace(transit) {
            let change = transit.wrapping_sub(before).unsigned_abs() as f64;
            self.jitter += (change - self.jitter) / 16.0;
            figures.jitter = self.jitter / 1e6;
        }
    }

    /// Begins with the jitter anew.
    pub fn restart(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_as_iperf3_sends_them() {
        // From a datagram of iperf 3.12: 11542.443704 s, number 1.
        let seen = [0, 0, 0x2d, 0x16, 0, 6, 0xc5, 0x38, 0, 0, 0, 1, 0xc3];
        let head = Head {
            sent: Instant::from_micros(11_542_443_704),
            number: 1,
        };
        assert_eq!(Head::parse(false, &seen), Some(head));
        let mut written = [0; 12];
        head.put(false, &mut written);
        assert_eq!(written, seen[..12]);
        let mut wide = [9; 18];
        let last = Head {
            number: u64::MAX,
            ..head
        };
        last.put(true, &mut wide);
        assert_eq!(Head::parse(true, &wide), Some(last));
        assert_eq!(wide[16..], [9, 9]);
        assert_eq!(Head::parse(true, &wide[..15]), None);
        assert_eq!(welcome(b"9876"), Some(*b"6789"));
        assert_eq!(
            welcome(&[0x15, 0xcd, 0x5b, 7]),
            Some([0xb1, 0x68, 0xde, 0x3a])
        );
        assert_eq!(welcome(b"98765"), None);
    }

    /// Sends `numbers` one millisecond apart, each `late` µs later on the way than the first.
    fn arrivals(numbers: &[(u64, u64)]) -> Figures {
        let (mut arrivals, mut figures) = (Arrivals::default(), Figures::default());
        for (n, (number, late)) in numbers.iter().enumerate() {
            let sent = Instant::from_micros(n as u64 * 1000);
            let now = Instant::from_micros(500_000 + n as u64 * 1000 + late);
            arrivals.see(
                Head {
                    sent,
                    number: *number,
                },
                now,
                &mut figures,
            );
        }
        figures
    }

    #[test]
    fn losses_and_late_ones() {
        let figures = arrivals(&[(1, 0), (2, 0), (5, 0), (4, 0), (6, 0)]);
        assert_eq!(
            (figures.packets, figures.lost, figures.out_of_order),
            (6, 1, 1)
        );
        assert_eq!(figures.jitter, 0.0);
        // Every number of 64 bits is one.
        let figures = arrivals(&[(u64::MAX, 0), (1, 0), (u64::MAX, 0)]);
        assert_eq!(figures.out_of_order, 2);
    }

    #[test]
    fn jitter_as_rfc_3550_has_it() {
        // One change of 160 µs: a sixteenth of it; then none: a sixteenth less.
        assert!((arrivals(&[(1, 0), (2, 160)]).jitter - 10e-6).abs() < 1e-9);
        let later = arrivals(&[(1, 0), (2, 160), (3, 160)]).jitter;
        assert!((later - 9.375e-6).abs() < 1e-9);
    }
}
