//! The work that ci/instructions.sh counts, without the peers.

#[path = "../content.rs"]
mod content;
#[path = "../count.rs"]
mod count;
#[allow(dead_code, reason = "not all of it is counted")]
#[path = "../ours.rs"]
mod ours;
#[allow(dead_code, reason = "not all of it is counted")]
#[path = "../work.rs"]
mod work;

fn main() {
    count::run(std::env::args().skip(1));
}
