//! What a test asks of its sockets, and iperf3's numbers for what goes wrong.
//!
//! Invariant: whatever a peer asks for, all buffers of a test together stay within
//! [`MEMORY`].

use netstrata::tcp::Algorithm;

use super::params::Params;
use crate::trace::Connection;

/// Octets of all buffers of a test that asks for windows.
const MEMORY: usize = 256 << 20;

/// Sets a stream's socket up as the test wants it. What we do not have is left as it is; the
/// results tell what was used.
pub fn outfit(socket: &mut Connection, params: &Params) {
    socket.set_nodelay(params.no_delay);
    socket.set_tos(params.tos);
    if params.mss > 0 {
        socket.set_mss(Some(params.mss));
    }
    if let Some(algorithm) = params.congestion.as_deref().and_then(algorithm) {
        socket.set_tcp_congestion(Some(algorithm));
    }
    if params.window > 0 {
        let share = MEMORY / params.streams().max(1) / 2;
        let window = (params.window as usize).clamp(4096, share);
        socket.set_send_capacity(window);
        socket.set_recv_capacity(window);
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    name.parse().ok()
}

/// iperf3's number for parameters that make no sense.
pub const BAD_PARAMS: u32 = 114;
/// iperf3's number for a message that is none.
pub const BAD_MESSAGE: u32 = 110;
/// iperf3's number for a test on which nothing moves.
pub const IDLE: u32 = 144;

/// What a number of iperf3's stands for, where it can be helped.
pub fn reason(code: u32) -> String {
    let why = match code {
        5 => "the test is too long",
        6 => "too many streams",
        7 | 20 => "no such block length",
        8 => "the window is too large",
        10 => "the MSS is too large",
        12 => "omitting too long",
        13 | 142 => "it wants authentication",
        15 => "the burst is too long",
        BAD_MESSAGE => "it did not understand a message",
        BAD_PARAMS => "it did not understand the parameters",
        27 => "more bits per second than it allows",
        134 => "it has no such congestion control",
        IDLE => "nothing moved for too long",
        _ => return format!("for iperf3's reason {code}"),
    };
    why.into()
}
