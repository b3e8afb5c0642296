//! Handshakes of the active side, and what they agree on.

use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

#[test]
fn active_open() {
    let mut h = Harness::connect(Config::default());
    let text = h.play(
        "+100ms
        < S. 0:0 ack 1 win 65535 <mss 1460,sackOK,TS 700 ecr 0,nop,wscale 7>
        write 1000
        +100ms
        < . 1:1 ack 1001 win 512 <TS 800 ecr 100>
        info",
    );
    snapshot!("open_active", text);
}
