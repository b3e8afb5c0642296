//! Segments that arrive in one batch: runs of them are taken as one, and what becomes of the
//! connection is what became of it had they come one by one (RFC 9293 §3.10.7.4).

use super::support::script::PEER_ISN;
use super::{EAST, Handle, Host, PORT, Script, Socket, Tcp, TcpSocket, host_with, read};
use netstrata::error::Drop;
use netstrata::tcp::Config;
use netstrata::wire::Tcp as Header;

/// A connection whose first segments are not acknowledged one by one, for then nothing runs.
fn accepted() -> (Script<Host>, Handle<Socket>) {
    let config = Config {
        quick_acks: 0,
        ..Config::default()
    };
    let mut script = host_with(Tcp::new().with_config(config));
    let listener = TcpSocket::listener((EAST, PORT).into(), 4);
    let listener = script.app("listen", |host| host.open(listener).unwrap());
    script.peer("S 0:0 win 65535 <mss 1460,sackOK,TS 100 ecr 0,nop,wscale 7>");
    script.peer(". ack 1 win 512 <TS 101 ecr last>");
    let h = script.host.socket(listener).accept().expect("a guest");
    (script, h)
}

/// What is left of a connection: text in order, its state, segments that came, with text, and
/// that were dropped.
fn outcome(script: &mut Script<Host>, h: Handle<Socket>) -> (String, String, u64, [u64; 3]) {
    let (now, config) = (script.now, Config::default());
    let info = script.host.socket(h).look(|s| s.info(&config, now));
    let info = info.unwrap().expect("a connection");
    let counts = [info.segs_in, info.data_segs_in].map(u64::from);
    let dropped = script.host.stats().drops.get(Drop::BadChecksum);
    let state = format!("{:?}", info.state);
    let came = info.bytes_received;
    let text = read(&mut script.host, h, 1);
    (text, state, came, [counts[0], counts[1], dropped])
}

/// Acknowledgment numbers of the packets sent since there were `from`, counted from the peer's
/// first octet.
fn acks(script: &Script<Host>, from: usize) -> Vec<u32> {
    let number = |packet: &Vec<u8>| {
        let (tcp, ..) = Header::parse(&packet[20..]).expect("a segment");
        tcp.ack.wrapping_sub(PEER_ISN)
    };
    script.sent[from..].iter().map(number).collect()
}

fn next(seed: &mut u64) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize
}

/// A dozen segments: most the next one, full, others short, pushed, spoiled, old, ahead, with
/// another timestamp or window, or without text; the last may end the stream.
fn batch(script: &mut Script<Host>, seed: &mut u64) -> Vec<Vec<u8>> {
    let (mut at, mut stamp) = (1, 102);
    let mut packets = Vec::new();
    for n in 0..12 {
        let (mut len, mut from, mut flags) = (1000, at, ".");
        let (mut win, mut spoiled) = (512, false);
        match next(seed) % 16 {
            0 => len = 300,
            1 => flags = "P.",
            2 => spoiled = true,
            3 => from = at - at.min(700) + 1,
            4 => from = at + 1000,
            5 => stamp += 1,
            6 => win = 600,
            7 => len = 0,
            8 if n == 11 => flags = "F.",
            _ => {}
        }
        let line = format!(
            "{flags} {from}:{} ack 1 win {win} <TS {stamp} ecr last>",
            from + len
        );
        let mut packet = script.parse(&line);
        if spoiled {
            *packet.last_mut().unwrap() ^= 0x10;
        }
        if from == at && !spoiled {
            at += len;
        }
        packets.push(packet);
    }
    packets
}

#[test]
fn a_batch_is_taken_as_its_segments_are() {
    let (mut runs, mut spoiled) = (0, 0);
    for round in 0..300 {
        let (mut together, a) = accepted();
        let (mut apart, b) = accepted();
        let mut seed = round;
        let packets = batch(&mut together, &mut seed);
        let mut seed = round;
        assert_eq!(packets, batch(&mut apart, &mut seed), "the same connection");
        let (before, first) = (together.sent.len(), apart.sent.len());
        together.inject_all(&packets);
        for packet in &packets {
            apart.inject(packet);
        }
        let (one, other) = (outcome(&mut together, a), outcome(&mut apart, b));
        assert_eq!(one, other, "round {round}");
        assert!(!one.0.contains("WRONG"), "{one:?}");
        // One by one those are acknowledged besides that arrive in the middle of a batch; what is
        // repeated, and what is acknowledged at last, is the same.
        let [few, all] = [(&mut together, before), (&mut apart, first)]
            .map(|(script, from)| acks(script.wait(500), from));
        let mut rest = all.iter();
        let among = few.iter().all(|ack| rest.any(|other| other == ack));
        assert!(among, "round {round}: {few:?} is not among {all:?}");
        assert_eq!(few.last(), all.last(), "round {round}");
        runs += usize::from(one.2 >= 4000);
        spoiled += one.3[2];
    }
    assert!(
        runs > 100 && spoiled > 100,
        "{runs} runs, {spoiled} spoiled"
    );
}

/// What lies past a gap is bounded by what came: spoiled segments, which cost their sender
/// nothing that he could not forge, do not count as that.
#[test]
fn spoiled_segments_pay_for_no_memory() {
    let (mut script, h) = accepted();
    let segment = |script: &mut Script<Host>, seq: u32| {
        script.parse(&format!(
            ". {seq}:{} ack 1 win 512 <TS 102 ecr last>",
            seq + 1000
        ))
    };
    let first = segment(&mut script, 1);
    let mut spoiled = segment(&mut script, 1001);
    spoiled[1000] ^= 1;
    let mut packets = vec![spoiled; 40];
    packets.insert(0, first);
    script.inject_all(&packets);
    let far = segment(&mut script, 40_001);
    script.inject(&far);
    let text: Vec<_> = (1..40)
        .map(|n| segment(&mut script, n * 1000 + 1))
        .collect();
    script.inject_all(&text);
    assert_eq!(script.host.stats().drops.get(Drop::BadChecksum), 40);
    // What was too far ahead comes again.
    assert_eq!(read(&mut script.host, h, 1), "40000 octets, right");
}

/// RFC 5681 §4.2, RFC 9293 §3.8.6.3: text that arrives together is acknowledged with one segment,
/// as where a device coalesces it, but no more of it than `ack_stretch`; and it makes no difference
/// whether it is taken as a run, which needs timestamps, or one by one.
#[test]
fn profile_acks_of_what_arrives_together() {
    let usual = Config::default().ack_stretch;
    assert_eq!(usual, 2 * 65_535);
    let told = |options: &str, stamp: &str, ack_stretch: u32, len: u32, count: u32| {
        let config = Config {
            quick_acks: 0,
            ack_stretch,
            ..Config::default()
        };
        let mut script = host_with(Tcp::new().with_config(config));
        let listener = TcpSocket::listener((EAST, PORT).into(), 4);
        let listener = script.app("listen", |host| host.open(listener).unwrap());
        script.peer(&format!("S 0:0 win 65535 <mss 1460,{options}nop,wscale 7>"));
        script.peer(&format!(". ack 1 win 512 {stamp}"));
        let h = script.host.socket(listener).accept().expect("a guest");
        let mut at = 1;
        let mut batch = |script: &mut Script<Host>, count: u32| {
            let packets: Vec<_> = (0..count)
                .map(|n| {
                    let from = at + n * len;
                    script.parse(&format!(". {from}:{} ack 1 win 512 {stamp}", from + len))
                })
                .collect();
            let before = script.sent.len();
            script.inject_all(&packets);
            let sent: Vec<_> = acks(script, before).iter().map(|ack| ack - at).collect();
            assert_eq!(
                read(&mut script.host, h, u64::from(at)),
                format!("{} octets, right", count * len)
            );
            at += count * len;
            sent
        };
        // The window opens.
        for _ in 0..8 {
            batch(&mut script, 20);
        }
        (0..3)
            .map(|_| batch(&mut script, count))
            .collect::<Vec<_>>()
    };
    let run = |most, len, count| {
        told(
            "sackOK,TS 100 ecr 0,",
            "<TS 101 ecr last>",
            most,
            len,
            count,
        )
    };
    let one_by_one = |most, len, count| told("", "", most, len, count);
    insta::assert_compact_debug_snapshot!(run(usual, 1448, 64), @"[[92672], [92672], [92672]]");
    insta::assert_compact_debug_snapshot!(run(65_535, 1448, 64), @"[[65160, 92672], [65160, 92672], [65160, 92672]]");
    insta::assert_compact_debug_snapshot!(run(usual, 1000, 30), @"[[30000], [30000], [30000]]");
    for (most, len, count) in [(usual, 1448, 64), (65_535, 1448, 64), (usual, 1000, 30)] {
        assert_eq!(run(most, len, count), one_by_one(most, len, count));
    }
}

/// A spoiled segment within a run costs itself and nothing else: what came before it is there,
/// and what comes after waits for it.
#[test]
fn a_spoiled_segment_leaves_no_octet() {
    let (mut script, h) = accepted();
    let line = |n: u32| {
        format!(
            ". {}:{} ack 1 win 512 <TS 102 ecr last>",
            n * 1000 + 1,
            n * 1000 + 1001
        )
    };
    let mut packets: Vec<_> = (0..5).map(|n| script.parse(&line(n))).collect();
    let good = packets[2].clone();
    packets[2][1000] ^= 1;
    script.inject_all(&packets);
    assert_eq!(script.host.stats().drops.get(Drop::BadChecksum), 1);
    assert_eq!(read(&mut script.host, h, 1), "2000 octets, right");
    script.inject(&good);
    assert_eq!(read(&mut script.host, h, 2001), "3000 octets, right");
}
