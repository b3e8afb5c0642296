//! What a device can do. Asked often (before every batch), so it is a small `Copy` value;
//! only `link` and, on devices whose MTU is set from outside, `max_frame` may change
//! between two calls.

/// What a device offers to the layers above it.
///
/// Built with [`Capabilities::new`] and the `with_*` methods; fields may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Largest frame in octets: link header included, frame check sequence not. For Ethernet
    /// of MTU 1500 that is 1514; for a device of bare IP packets it is the MTU. A frame
    /// sent with [`Gso`](crate::Gso) may be larger, up to [`GsoLimits::max_size`].
    pub max_frame: usize,
    /// The device completes the checksum asked for by [`TxMeta::csum`](crate::TxMeta::csum).
    /// Where this is false the stack writes complete checksums.
    pub tx_csum: bool,
    /// The device verifies transport checksums and says so in
    /// [`RxMeta::csum`](crate::RxMeta::csum). A hint only: each frame's own word counts.
    pub rx_csum: bool,
    /// Set when the device cuts large TCP segments itself.
    pub gso: Option<GsoLimits>,
    /// Set when the device cuts several UDP datagrams of equal size, the last one perhaps
    /// shorter, out of one frame.
    pub uso: Option<GsoLimits>,
    /// A frame lies in one piece of memory, and payload handed over apart is copied into it.
    /// Who must touch each octet anyway, for a checksum, does better to write payload in place,
    /// with [`TxToken::send`](crate::TxToken::send).
    pub copies: bool,
    /// How many frames one `receive` or one `flush` moves at best; at least 1.
    pub burst: usize,
    /// Whether frames can be expected to leave at all.
    pub link: LinkState,
}

/// Limits of a device's segmentation offload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GsoLimits {
    /// Largest frame handed over whole, in octets, all headers included.
    pub max_size: u32,
    /// Most segments cut from one frame.
    pub max_segments: u16,
}

/// Whether the device has a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum LinkState {
    /// Frames are carried.
    #[default]
    Up,
    /// Frames sent now are lost.
    Down,
    /// The interface does not exist any more: frames are lost for ever, and none will come.
    Gone,
}

/// What the octets of a frame begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// An Ethernet header, then 802.1Q tags or none.
    Ethernet,
    /// An IP header.
    Ip,
}

impl Capabilities {
    /// A device without offloads, one frame at a time, link up; `max_frame` in octets.
    #[must_use]
    pub const fn new(max_frame: usize) -> Self {
        Self {
            max_frame,
            tx_csum: false,
            rx_csum: false,
            gso: None,
            uso: None,
            copies: false,
            burst: 1,
            link: LinkState::Up,
        }
    }

    /// Sets [`Capabilities::max_frame`], in octets.
    #[must_use]
    pub const fn with_max_frame(mut self, max_frame: usize) -> Self {
        self.max_frame = max_frame;
        self
    }

    /// Sets [`Capabilities::tx_csum`].
    #[must_use]
    pub const fn with_tx_csum(mut self, on: bool) -> Self {
        self.tx_csum = on;
        self
    }

    /// Sets [`Capabilities::rx_csum`].
    #[must_use]
    pub const fn with_rx_csum(mut self, on: bool) -> Self {
        self.rx_csum = on;
        self
    }

    /// Sets [`Capabilities::gso`].
    #[must_use]
    pub const fn with_gso(mut self, limits: Option<GsoLimits>) -> Self {
        self.gso = limits;
        self
    }

    /// Sets [`Capabilities::uso`].
    #[must_use]
    pub const fn with_uso(mut self, limits: Option<GsoLimits>) -> Self {
        self.uso = limits;
        self
    }

    /// Sets [`Capabilities::copies`].
    #[must_use]
    pub const fn with_copies(mut self, on: bool) -> Self {
        self.copies = on;
        self
    }

    /// Sets [`Capabilities::burst`], in frames; 0 counts as 1.
    #[must_use]
    pub const fn with_burst(mut self, frames: usize) -> Self {
        self.burst = if frames == 0 { 1 } else { frames };
        self
    }

    /// Sets [`Capabilities::link`].
    #[must_use]
    pub const fn with_link(mut self, link: LinkState) -> Self {
        self.link = link;
        self
    }

    /// Largest frame this device takes with the metadata `gso` set or not, in octets.
    #[must_use]
    pub fn frame_limit(&self, gso: bool) -> usize {
        match self.gso.or(self.uso) {
            Some(limits) if gso => self.max_frame.max(limits.max_size as usize),
            _ => self.max_frame,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segmented_frames_exceed_max_frame() {
        let limits = GsoLimits {
            max_size: 65_549,
            max_segments: 64,
        };
        let plain = Capabilities::new(1514);
        assert_eq!(plain.frame_limit(true), 1514);
        let caps = plain.with_gso(Some(limits)).with_burst(0);
        assert_eq!(caps.frame_limit(true), 65_549);
        assert_eq!(caps.frame_limit(false), 1514);
        assert_eq!(caps.burst, 1);
        assert_eq!(plain.with_uso(Some(limits)).frame_limit(true), 65_549);
    }
}
