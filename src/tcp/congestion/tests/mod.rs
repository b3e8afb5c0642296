//! Congestion control over a simulated link: whole runs as snapshots, and rules as properties.

extern crate std;

mod bbr;
mod cubic;
mod link;
mod properties;
mod slow_start;

/// Snapshots of this area are `tests/snapshots/congestion__*.snap`.
macro_rules! snapshot {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            snapshot_path => "snapshots",
            omit_expression => true,
        }, {
            insta::assert_snapshot!(concat!("congestion__", $name), $text);
        });
    };
}
use snapshot;
