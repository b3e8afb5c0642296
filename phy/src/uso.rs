//! What the kernel makes of frames that hold several UDP datagrams (`VIRTIO_NET_HDR_GSO_UDP_L4`,
//! Virtual I/O Device 1.2 §5.1.6; Linux 6.2 and later). Invariant: where it is not known to take
//! them, none is offered; datagrams then leave one by one.

use crate::GsoLimits;

/// Limits of such a frame: a packet's length field, and what a receiver of the same host takes
/// apart (`UDP_MAX_SEGMENTS` of all kernels that know these frames).
pub(crate) const LIMITS: GsoLimits = GsoLimits {
    max_size: 65_535,
    max_segments: 64,
};

/// Does the running kernel know such frames on packet sockets? It cannot be asked, so its version
/// decides.
pub(crate) fn known() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| since_6_2(&release))
}

fn since_6_2(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    let version: (u32, u32) = (major, minor);
    version >= (6, 2)
}

#[cfg(test)]
mod tests {
    use super::since_6_2;

    #[test]
    fn versions_are_compared_as_numbers() {
        for old in ["5.15.0-generic", "6.1.99", "6.0", "4.19", "6", "", "x.y"] {
            assert!(!since_6_2(old), "{old}");
        }
        for new in ["6.2.0", "6.12.1-amd64", "6.18", "10.0.0", "7.0-rc1"] {
            assert!(since_6_2(new), "{new}");
        }
    }
}
