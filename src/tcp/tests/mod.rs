//! The core against scripts: whole exchanges as snapshots, read against the RFCs.

mod accecn;
mod accecn_paths;
mod acks;
mod attack;
mod autotune;
mod beginnings;
mod buffers;
mod close;
mod cost;
mod dsack;
mod ecn;
mod events;
mod fastopen;
mod flight;
mod frto;
mod harness;
mod info;
mod liars;
mod loss;
mod model;
mod nagle;
mod newreno;
mod notation;
mod open;
mod pacing;
mod pair;
mod persist;
mod pmtu;
mod profile_buffers;
mod profile_cubic;
mod profile_ecn;
mod profile_handshake;
mod profile_recovery;
mod profile_sockets;
mod prr;
mod psh;
mod rack;
mod rfc9293;
mod rto;
mod storm;
mod timestamps;
mod transfer;
mod undo;
mod urgent;
mod uto;
mod windows;

/// Snapshots of this area are `tests/snapshots/tcp__*.snap`.
macro_rules! snapshot {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            snapshot_path => "snapshots",
            omit_expression => true,
        }, {
            insta::assert_snapshot!(concat!("tcp__", $name), $text);
        });
    };
}
use snapshot;

/// Without an allocator its few out-of-order ranges are in it.
#[cfg(feature = "alloc")]
#[test]
fn control_block_is_small() {
    use crate::tcp::{Cubic, Reno, Tcb};
    for size in [size_of::<Tcb<Reno>>(), size_of::<Tcb<Cubic>>()] {
        assert!(size <= 344, "{size} octets");
    }
}
