//! What is told about a connection: each number where it is known what it must be.

extern crate std;

use core::time::Duration;

use super::beginnings::{accepted, plain};
use super::harness::Harness;
use super::snapshot;
use crate::socket::SendBuf;
use crate::tcp::{SendFlags, TcpInfo};

fn info(h: &Harness) -> TcpInfo {
    h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx)
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Octets and segments, sent, sent again and received.
#[test]
fn octets_and_segments_are_counted() {
    let mut h = accepted();
    h.play(
        "write 2500
        +100ms
        < P. 1:301 ack 2501 win 512
        < . 401:501 ack 2501 win 512
        write 100
        # a probe, and a retransmission
        +900ms
        < . 501:501 ack 2601 win 512
        +50ms",
    );
    let told = info(&h);
    assert_eq!(
        (told.bytes_acked, told.bytes_sent, told.bytes_retrans),
        (2600, 2800, 200)
    );
    assert_eq!((told.bytes_received, told.rcv_ooopack), (300, 1));
    assert_eq!((told.data_segs_out, told.total_retrans), (6, 2));
    // Acknowledgments of ours went with text, or at once: of what came first, out of order.
    assert_eq!((told.segs_out, told.data_segs_in, told.segs_in), (8, 2, 3));
    assert_eq!((told.unacked, told.notsent_bytes), (0, 0));
    assert_eq!((told.total_rto, told.total_rto_recoveries), (1, 1));
    assert_eq!(told.total_rto_time, ms(300));
    assert_eq!(told.last_data_sent, ms(350));
    assert_eq!(told.last_data_recv, Some(ms(950)));
    assert_eq!(told.last_ack_recv, ms(50));
}

/// Busy from what is written until it is acknowledged; of that, held up by the peer's window, or
/// by a buffer that takes no more while all it holds is in flight.
#[test]
fn time_is_told_apart() {
    let times = |h: &Harness| {
        let told = info(h);
        (told.busy_time, told.rwnd_limited, told.sndbuf_limited)
    };
    let mut h = accepted();
    h.play("+1s\nwrite 500\n+100ms\n< . 1:1 ack 501 win 2\n+1s");
    assert_eq!(times(&h), (ms(100), ms(0), ms(0)));
    // A window of 256 octets for 800.
    h.play("write 800\n+70ms");
    assert_eq!(times(&h), (ms(170), ms(70), ms(0)));
    h.play("< . 1:1 ack 501 win 512\n+30ms\n< . 1:1 ack 1301 win 512\n+1s");
    assert_eq!(times(&h), (ms(200), ms(70), ms(0)));
    // The application has more than was taken, and all that was is in flight.
    h.tx.written += 2000;
    h.tcb.wrote(SendFlags::default(), false, h.tx.queued());
    h.send();
    h.play("+40ms");
    assert_eq!(times(&h), (ms(240), ms(70), ms(40)));
    h.play("< . 1:1 ack 3301 win 512\n+1s");
    assert_eq!(times(&h), (ms(240), ms(70), ms(40)));
}

/// What text would be paced at: twice a window in a round trip, and 120 % of it once slow start
/// has ended; no more than the application allows.
#[test]
fn pacing_rates() {
    let mut h = accepted();
    assert_eq!(info(&h).pacing_rate, Some(200_000));
    h.play("write 10000\n+100ms\n< . 1:1 ack 1 win 512 <sack 1001:5001>");
    h.play("+100ms\n< . 1:1 ack 10001 win 512\nwrite 3000\n+100ms\n< . 1:1 ack 13001 win 512");
    let told = info(&h);
    let rtt = u64::try_from(told.rtt.unwrap_or_default().as_micros()).unwrap_or(1);
    let window = u64::from(told.cwnd_octets) * 1_000_000 / rtt;
    let slow_start = told.cwnd_octets / 2 < told.ssthresh_octets.unwrap_or(0) / 2;
    let percent = if slow_start { 200 } else { 120 };
    assert_eq!(told.pacing_rate, Some(window * percent / 100));
}

/// Who asks when all is over is told what the connection learned.
#[test]
fn what_was_measured_outlives_the_connection() {
    let mut h = accepted();
    h.play(
        "write 5000
        +100ms
        < . 1:1 ack 1 win 512 <sack 3001:4001>
        # late, and never sent again, twice
        < . 1:1 ack 2001 win 512 <sack 3001:4001>
        < . 1:1 ack 5001 win 512",
    );
    let measured = |h: &Harness| {
        let told = info(h);
        (told.delivery_rate, told.reord_seen, told.reordering)
    };
    let before = measured(&h);
    assert!(before.0.is_some() && before.1 == 2, "{before:?}");
    h.play("< R. 1:1 ack 5001 win 0");
    assert_eq!(info(&h).state, crate::tcp::State::Closed);
    assert_eq!(measured(&h), before);
    assert_eq!(h.tcb.deadline(), None);
}

/// The line, as `ss -ti` has it.
#[test]
fn line_of_ss() {
    let text = accepted().play(
        "stats
        write 12000
        +100ms
        < P. 1:301 ack 2001 win 512
        read
        stats
        < . 301:301 ack 2001 win 512 <sack 3001:5001>
        +250ms
        stats",
    );
    snapshot!("info_line", text);
}

/// Windows, sizes, probes and what came out of order, each by its name in `tcp_info`; segments
/// where Linux counts segments, octets where it counts octets.
#[test]
fn fields_by_name() {
    let mut h = Harness::accepted(plain(), 1000);
    h.play("write 3000\n+100ms\n< . 1:1 ack 3001 win 2");
    let told = info(&h);
    assert_eq!((told.snd_wnd, told.rcv_wnd), (256, 65_536));
    assert_eq!((told.snd_mss, told.advmss, told.rcv_mss), (1000, 1460, 0));
    // 1000 octets of the peer's MSS on a path of 1460; IP's header is the socket's to add.
    assert_eq!((told.pmtu, told.rehash), (1480, 0));
    assert_eq!((told.snd_wscale, told.rcv_wscale), (7, 8));
    assert_eq!((told.rcv_ooopack, told.rcv_space), (0, 14_600));
    assert_eq!((told.probes, told.backoff, told.retransmits), (0, 0, 0));
    // A closed window is probed; later, the peer being idle, it is too.
    h.play("< . 1:1 ack 3001 win 0\nwrite 100\n+1s");
    let told = info(&h);
    assert_eq!((told.probes, told.backoff, told.retransmits), (2, 2, 0));
    assert_eq!(
        (told.snd_wnd, told.notsent_bytes, told.unacked),
        (0, 100, 0)
    );
    h.play("< . 1:1 ack 3001 win 512\n+100ms\n< . 1:1 ack 3101 win 512\nmss 500\nwrite 600");
    let told = info(&h);
    assert_eq!((told.pmtu, told.snd_mss, told.unacked), (520, 500, 2));
    assert_eq!((told.probes, told.backoff), (0, 0));
    // Two timeouts in a row, of which the peer says that one was for nothing (RFC 2883).
    h.play("+1s\n< . 1:1 ack 3701 win 512 <sack 3101:3601>");
    let told = info(&h);
    assert!(told.dsack_dups == 1 && told.total_retrans >= 1, "{told}");
    h.play("< . 1001:1501 ack 3701 win 512");
    assert_eq!(info(&h).rcv_ooopack, 1);
    // The receiver's round trip, once enough came to measure it.
    let text: std::string::String = (0..40)
        .map(|n| {
            std::format!(
                "< . {}:{} ack 3701 win 512\n",
                1 + n * 1000,
                1001 + n * 1000
            )
        })
        .collect();
    h.play(&text);
    h.play("read\n+50ms\n< . 40001:41001 ack 3701 win 512");
    assert!(info(&h).rcv_rtt.is_some_and(|rtt| rtt > ms(0)));
}
