//! Taps and tunnels of the Linux kernel: interfaces whose wire is this process. Opening one
//! creates the interface or attaches to a persistent one; what opening created goes away
//! when the last queue is closed, however the process ends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::vec::Vec;

use crate::tuntap::Queue;
use crate::{Capabilities, Device, FrameSink, Instant, IoStats, Medium, OpenError, TxToken};

/// How to open a [`Tap`] or a [`Tun`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TapOptions {
    /// Let several queues share the interface, one per worker.
    pub multi_queue: bool,
    /// Negotiate the virtio-net header: checksums and segmentation are left to the kernel,
    /// and the kernel may hand over TCP super-segments of up to 64 KB. A kernel that refuses
    /// part of it gets the next best; [`Device::capabilities`] tells what came of it.
    pub offload: bool,
    /// Let the kernel take what we send as it takes frames from a network card (`IFF_NAPI`), so
    /// that it may join segments before it looks at them. Pays only where a thread of the kernel
    /// does that beside ours (`echo 1 > /sys/class/net/NAME/threaded`) and segments are sent one
    /// by one; see BENCHMARKS.md. Without effect where the kernel does not know it.
    pub napi: bool,
}

impl TapOptions {
    /// One queue, no offloads.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            multi_queue: false,
            offload: false,
            napi: false,
        }
    }

    /// Sets [`TapOptions::multi_queue`].
    #[must_use]
    pub const fn with_multi_queue(mut self, on: bool) -> Self {
        self.multi_queue = on;
        self
    }

    /// Sets [`TapOptions::offload`].
    #[must_use]
    pub const fn with_offload(mut self, on: bool) -> Self {
        self.offload = on;
        self
    }

    /// Sets [`TapOptions::napi`].
    #[must_use]
    pub const fn with_napi(mut self, on: bool) -> Self {
        self.napi = on;
        self
    }
}

macro_rules! queue_of {
    ($Type:ident, $medium:expr) => {
        impl $Type {
            /// Opens one queue of the interface `name`, creating it if there is none. The
            /// interface must be brought up by other means (`ip link set NAME up`).
            ///
            /// # Errors
            /// [`OpenError`] says what failed and how to go on.
            pub fn open(name: &str) -> Result<Self, OpenError> {
                Self::with_options(name, TapOptions::new())
            }

            /// As [`Self::open`], with options.
            ///
            /// # Errors
            /// [`OpenError`] says what failed and how to go on.
            pub fn with_options(name: &str, options: TapOptions) -> Result<Self, OpenError> {
                Queue::open($medium, name, options).map(Self)
            }

            /// Opens `count` queues of the interface `name` (1 to 256), one for each worker. The
            /// kernel keeps a flow on the queue that last sent a packet of it, and otherwise
            /// spreads flows by a hash of addresses and ports that is the same both ways. It
            /// notes a new flow only after it has handled the packet, so that the first answer
            /// may be on another queue; it forgets a flow that was idle for three seconds, and
            /// remembers 4,096 at most.
            ///
            /// # Errors
            /// [`OpenError`] says what failed and how to go on:
            /// [`OpenFailure::OneQueue`](crate::OpenFailure::OneQueue) for an interface that
            /// was made with one.
            pub fn queues(
                name: &str,
                options: TapOptions,
                count: usize,
            ) -> Result<Vec<Self>, OpenError> {
                let queues = Queue::open_all($medium, name, options, count)?;
                Ok(queues.into_iter().map(Self).collect())
            }

            /// The interface's name.
            #[must_use]
            pub fn name(&self) -> &str {
                self.0.name()
            }

            /// The interface's MTU in octets, looked at about once a second.
            #[must_use]
            pub const fn mtu(&self) -> usize {
                self.0.mtu()
            }

            /// Frames lost because the kernel did not take them, since opening.
            #[must_use]
            pub const fn lost(&self) -> u64 {
                self.0.lost()
            }

            /// System calls and frames so far.
            #[must_use]
            pub const fn io_stats(&self) -> IoStats {
                self.0.io_stats()
            }

            /// The first error since the last call, if any. Errors cost frames and never
            /// stop the device; full kernel queues are no errors.
            pub fn take_error(&mut self) -> Option<io::Error> {
                self.0.take_error()
            }
        }

        impl Device for $Type {
            fn capabilities(&self) -> Capabilities {
                self.0.capabilities()
            }
            fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
                self.0.receive(now, budget, sink)
            }
            fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
                self.0.transmit(now)
            }
        }

        /// Readable when a frame waits: for [`Waiter`](crate::Waiter).
        impl AsFd for $Type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $Type {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_fd().as_raw_fd()
            }
        }
    };
}

/// An Ethernet interface of this host whose wire is this process.
///
/// ```no_run
/// let tap = phy::Tap::open("tap0")?;
/// println!("{} carries frames of {} octets", tap.name(), tap.mtu() + 14);
/// # Ok::<(), phy::OpenError>(())
/// ```
#[derive(Debug)]
pub struct Tap(Queue);

queue_of!(Tap, Medium::Ethernet);

/// An interface of this host that carries bare IP packets to and from this process.
///
/// ```no_run
/// let tun = phy::Tun::open("tun0")?;
/// println!("{} carries packets of {} octets", tun.name(), tun.mtu());
/// # Ok::<(), phy::OpenError>(())
/// ```
#[derive(Debug)]
pub struct Tun(Queue);

queue_of!(Tun, Medium::Ip);
