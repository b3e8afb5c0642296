//! What `ping` counts, and its summary.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use netstrata::phy::Instant;

/// Counters of a run.
#[derive(Debug, Default)]
pub struct Stats {
    /// When the first request was sent.
    pub begin: Instant,
    /// When the last one was.
    pub last: Instant,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered.
    pub received: u64,
    /// Replies to requests that were answered already.
    pub duplicates: u64,
    /// Errors, ours and others'.
    pub errors: u64,
    /// Round trip times.
    pub rtt: Rtt,
}

/// Round trip times, in microseconds.
#[derive(Debug, Default)]
pub struct Rtt {
    count: u64,
    min: u64,
    max: u64,
    sum: u64,
    squares: u128,
}

impl Rtt {
    /// Takes one more.
    pub fn add(&mut self, rtt: Duration) {
        let us = rtt.as_micros() as u64;
        self.min = if self.count == 0 {
            us
        } else {
            self.min.min(us)
        };
        self.max = self.max.max(us);
        self.sum += us;
        self.squares += u128::from(us) * u128::from(us);
        self.count += 1;
    }

    /// The longest.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.max))
    }

    /// Shortest, mean, longest, and standard deviation, as iputils' `mdev`.
    fn figures(&self) -> Option<[Duration; 4]> {
        let mean = self.sum.checked_div(self.count)?;
        // Divided last: a mean cut to whole microseconds would be off by its own root.
        let (count, sum) = (u128::from(self.count), u128::from(self.sum));
        let variance = (count * self.squares).saturating_sub(sum * sum) / (count * count);
        let figures = [self.min, mean, self.max, variance.isqrt() as u64];
        Some(figures.map(Duration::from_micros))
    }
}

/// Milliseconds as iputils prints them: three decimals below ten, fewer above.
pub fn ms(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0..10_000 => format!("{}.{:03}", us / 1000, us % 1000),
        10_000..100_000 => format!("{}.{:02}", us / 1000, us % 1000 / 10),
        100_000..1_000_000 => format!("{}.{}", us / 1000, us % 1000 / 100),
        _ => format!("{}", us / 1000),
    }
}

impl Stats {
    /// Requests that neither a reply nor an error came for.
    pub const fn outstanding(&self) -> u64 {
        self.sent
            .saturating_sub(self.received)
            .saturating_sub(self.errors)
    }

    /// Share of requests without a reply, in percent, to the six digits that iputils prints.
    fn loss(&self) -> f64 {
        let lost = self.sent.saturating_sub(self.received);
        let percent = 100.0 * lost as f64 / self.sent.max(1) as f64;
        let scale = if percent < 10.0 { 1e5 } else { 1e4 };
        (percent * scale).round() / scale
    }

    /// The summary, two lines or three.
    pub fn summary(&self, to: Ipv4Addr, now: Instant) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            writeln!(f, "\n--- {to} ping statistics ---")?;
            write!(
                f,
                "{} packets transmitted, {} received",
                self.sent, self.received
            )?;
            if self.duplicates > 0 {
                write!(f, ", +{} duplicates", self.duplicates)?;
            }
            if self.errors > 0 {
                write!(f, ", +{} errors", self.errors)?;
            }
            let time = now.saturating_since(self.begin).as_millis();
            writeln!(f, ", {}% packet loss, time {time}ms", self.loss())?;
            if let Some([min, avg, max, mdev]) = self.rtt.figures() {
                let full = |d: Duration| {
                    let us = d.as_micros();
                    format!("{}.{:03}", us / 1000, us % 1000)
                };
                let (min, avg, max, mdev) = (full(min), full(avg), full(max), full(mdev));
                writeln!(f, "rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms")?;
            }
            Ok(())
        })
    }

    /// The summary as one object.
    pub fn json(&self, to: Ipv4Addr, now: Instant) -> serde_json::Value {
        let ms = |d: Duration| d.as_micros() as f64 / 1000.0;
        let rtt = self.rtt.figures().map(|[min, avg, max, mdev]| {
            serde_json::json!({
                "min_ms": ms(min), "avg_ms": ms(avg), "max_ms": ms(max), "mdev_ms": ms(mdev),
            })
        });
        serde_json::json!({
            "event": "summary", "destination": to.to_string(), "transmitted": self.sent,
            "received": self.received, "duplicates": self.duplicates, "errors": self.errors,
            "loss_percent": self.loss(), "rtt": rtt,
            "time_ms": now.saturating_since(self.begin).as_millis() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_three_replies() {
        let mut stats = Stats {
            sent: 4,
            received: 3,
            ..Stats::default()
        };
        for us in [200, 300, 400] {
            stats.rtt.add(Duration::from_micros(us));
        }
        let text = stats
            .summary(Ipv4Addr::new(10, 0, 0, 2), Instant::from_millis(3005))
            .to_string();
        assert_eq!(
            text,
            "\n--- 10.0.0.2 ping statistics ---\n\
             4 packets transmitted, 3 received, 25% packet loss, time 3005ms\n\
             rtt min/avg/max/mdev = 0.200/0.300/0.400/0.081 ms\n"
        );
    }

    #[test]
    fn shares_and_spreads_are_not_cut_short() {
        let mut stats = Stats {
            sent: 3,
            received: 2,
            ..Stats::default()
        };
        for us in [214, 215] {
            stats.rtt.add(Duration::from_micros(us));
        }
        let text = stats
            .summary(Ipv4Addr::LOCALHOST, Instant::ZERO)
            .to_string();
        assert!(text.contains(", 33.3333% packet loss"), "{text}");
        assert!(text.contains("= 0.214/0.214/0.215/0.000 ms"), "{text}");
    }

    #[test]
    fn milliseconds_as_iputils_prints_them() {
        let us = Duration::from_micros;
        let all = [203, 9_999, 12_345, 123_456, 1_234_567].map(|n| ms(us(n)));
        assert_eq!(all, ["0.203", "9.999", "12.34", "123.4", "1234"]);
    }
}
