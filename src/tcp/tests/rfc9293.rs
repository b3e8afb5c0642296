//! Requirements of RFC 9293's Appendix B that no other file has a script for; `tests/rfc9293.md`
//! has all of them.

use core::net::SocketAddr;
use core::time::Duration;

use super::harness::Harness;
use super::snapshot;
use crate::secret::Secret;
use crate::tcp::{Config, Options};
use phy::Instant;

/// Without timestamps and scaling, which makes windows what is said.
fn plain() -> Config {
    Config {
        timestamps: false,
        window_scaling: false,
        ..Config::default()
    }
}

/// RFC 9293 §3.1 (MUST-1, REC-1): a window above 32767 is as large as it says.
#[test]
fn windows_are_unsigned() {
    let mut h = Harness::accepted(plain(), 10_000);
    let text = h.play(
        "write 70000
        +100ms
        < . 1:1 ack 10001 win 55535
        +100ms
        # more than 32767 octets in flight
        < . 1:1 ack 20001 win 65535",
    );
    snapshot!("windows_are_unsigned", text);
}

/// RFC 9293 §3.8.6 (MUST-66): a closed window keeps no RST out, nor the urgent pointer, though
/// it keeps out the text that the pointer comes with.
#[test]
fn urgent_pointer_at_a_closed_window() {
    let small = Config {
        receive_buffer: 500,
        ..plain()
    };
    let mut h = Harness::accepted(small, 1000);
    let text = h.play(
        "< . 1:501 ack 1 win 1000
        # the window is zero
        < U. 501:601 ack 1 win 1000 urg 100
        urgent
        < U. 501:501 ack 1 win 1000 urg 100
        urgent
        < R. 501:501 ack 1 win 0
        read",
    );
    snapshot!("urgent_at_a_closed_window", text);
}

/// RFC 9293 §3.5.3 (SHLD-2): a RST may come with text, which says why; it is a RST all the same.
#[test]
fn reset_with_text() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play("< R. 1:21 ack 1 win 0");
    snapshot!("reset_with_text", text);
}

/// RFC 9293 §3.4.1 (MUST-8, MUST-9, SHLD-1): initial sequence numbers follow a clock of 4 µs,
/// from a place that depends on the connection in a way nobody can compute without the secret.
#[test]
fn initial_sequence_numbers() {
    let secret = Secret::fixed();
    let local: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let isn = |us: u64, port: u16| {
        let peer = SocketAddr::from(([192, 0, 2, 2], port));
        secret.isn(Instant::from_micros(us), local, peer)
    };
    let first = isn(0, 5000);
    assert_eq!(isn(3, 5000).wrapping_sub(first), 0);
    assert_eq!(isn(4, 5000).wrapping_sub(first), 1);
    // Around the whole space in 4.77 hours (MUST-8).
    assert_eq!(isn(4 << 32, 5000), first);
    let apart = |port| isn(0, port).wrapping_sub(first);
    let near = (5001..6000).filter(|port| apart(*port) < 1 << 16 || apart(*port) > u32::MAX << 16);
    assert_eq!(near.count(), 0, "neighbours in port are none in number");
    // Each part of the connection's name counts.
    let of = |local: &str, peer: &str| {
        let name = |text: &str| text.parse().expect("an address");
        secret.isn(Instant::ZERO, name(local), name(peer))
    };
    let names = [
        of("192.0.2.1:80", "192.0.2.2:5000"),
        of("192.0.2.1:81", "192.0.2.2:5000"),
        of("192.0.2.9:80", "192.0.2.2:5000"),
        of("192.0.2.1:80", "192.0.2.9:5000"),
        of("192.0.2.2:5000", "192.0.2.1:80"),
    ];
    for (n, one) in names.iter().enumerate() {
        assert!(names.iter().skip(n + 1).all(|other| other != one), "{n}");
    }
    assert_ne!(
        Secret::new(&mut Steps(1)).isn(Instant::ZERO, local, local),
        Secret::new(&mut Steps(2)).isn(Instant::ZERO, local, local),
    );
}

/// Numbers that are not random at all.
struct Steps(u64);

impl rand_core::TryRng for Steps {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|n| n as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(1);
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        to.fill(self.0 as u8);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Steps {}

/// RFC 9293 §3.8.4 (MUST-24, MUST-25, MUST-28): keep-alive is off until asked for, and then waits
/// for two hours.
#[test]
fn keep_alive_by_default() {
    assert!(!Options::default().keepalive);
    assert_eq!(Config::default().keepalive_time, Duration::from_secs(7200));
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "# nothing for a day
        +86400s
        info",
    );
    snapshot!("keep_alive_off", text);
}

/// RFC 9293 §3.8.4 (MUST-29), with the numbers of the profile: two hours, then nine probes every
/// 75 s, none of which is the last because it alone was not answered.
#[test]
fn keep_alive_when_asked() {
    let mut h = Harness::accepted(plain(), 1000);
    let options = Options {
        keepalive: true,
        ..h.tcb.options()
    };
    h.tcb.set_options(&h.cfg, h.now, options);
    let text = h.play(
        "+7200s
        +600s
        # eight were lost, the ninth is answered; then all are lost
        < . 1:1 ack 1 win 512
        +7875s",
    );
    snapshot!("keep_alive_on", text);
}

/// RFC 9293 §3.8.3 (MUST-21): an application that has more patience than the retries gets it.
#[test]
fn a_longer_user_timeout() {
    let impatient = Config {
        retries: 2,
        ..plain()
    };
    let mut h = Harness::accepted(impatient, 1000);
    let text = h.play("usertimeout 30s\nwrite 1000\n+40s");
    snapshot!("user_timeout_longer", text);
}

/// RFC 9293 §3.8.3 (MUST-20, SHLD-10, SHLD-11): text is repeated fifteen times, which takes more
/// than the 100 seconds asked for; only then the connection is given up.
#[test]
fn retransmissions_end_late() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play("write 1000\n+100s\ninfo\n+2000s");
    let sent = text.matches("> P. 1:1001").count();
    assert_eq!(sent, 1 + 1 + 15, "first, probe, and fifteen again:\n{text}");
    assert!(text.contains("CLOSED: connection timed out"), "{text}");
    let (before, _) = text.split_once("CLOSED").expect("it ends");
    let at = before.lines().last().expect("a line").trim();
    let seconds: f64 = at.split(' ').next().unwrap_or("").parse().unwrap_or(0.0);
    assert!(seconds > 100.0, "{at}");
    snapshot!("r2", text);
}
