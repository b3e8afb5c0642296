//! Where frames to look at come from: a file, or a device that is only listened to.
//!
//! Invariant: a source never sends, and a step takes a bounded time, so that Ctrl-C is seen.

use std::path::Path;
use std::time::Duration;

use netstrata::phy::{
    Bell, Clock, Device, FrameSink, LinkState, Monotonic, OpenError, RawOptions, RawSocket, RxCsum,
    RxToken, Tap, Tun, TxToken, Waiter, Watch,
};

use crate::demo::Demo;
use crate::errors::CliError;
use crate::frame::{Frame, Link, Stamp};
use crate::global::Global;
use crate::pcap::Reader;
use crate::session::{gone, told_if_down};
use netstrata::host::Phy;

/// Frames taken from a device in one step.
const BUDGET: usize = 256;

/// How long a step sleeps when nothing comes.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More may be waiting.
    More,
    /// Nothing came for a while.
    Idle,
    /// Nothing will come any more.
    End,
}

/// A source of frames.
pub enum Source {
    /// A capture file.
    File(Box<Reader>),
    /// A device.
    Live(Box<Live>),
    /// Two hosts of our own.
    Demo(Box<Demo>),
}

/// A device that is listened to.
pub struct Live {
    phy: Phy,
    device: Listener,
    clock: Monotonic,
    waiter: Waiter,
    seen: u64,
}

enum Listener {
    Raw(RawSocket),
    Tap(Tap),
    Tun(Tun),
}

impl Listener {
    fn link(&self) -> LinkState {
        match self {
            Self::Raw(raw) => raw.capabilities().link,
            Self::Tap(tap) => tap.capabilities().link,
            Self::Tun(tun) => tun.capabilities().link,
        }
    }
}

impl Source {
    /// Opens what was asked for: a file, or else a device, or else a demonstration.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(
        global: &Global,
        file: Option<&Path>,
        device: Option<Phy>,
    ) -> Result<Self, CliError> {
        match (file, device) {
            (Some(path), _) => Ok(Self::File(Box::new(Reader::open(path)?))),
            (None, Some(Phy::Cable | Phy::Loopback) | None) => {
                Ok(Self::Demo(Box::new(Demo::open(global)?)))
            }
            (None, Some(phy)) => Ok(Self::Live(Box::new(Live::open(&phy)?))),
        }
    }

    /// Hands what comes next to `sink`.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn step(&mut self, mut sink: impl FnMut(&Frame<'_>)) -> Result<Step, CliError> {
        match self {
            Self::File(reader) => match reader.next(sink)? {
                true => Ok(Step::More),
                false => Ok(Step::End),
            },
            Self::Live(live) => live.step(&mut sink),
            Self::Demo(demo) => demo.step(&mut sink),
        }
    }

    /// Wakes a step that sleeps; files never do.
    pub fn bell(&self) -> Option<Bell> {
        match self {
            // The hosts of a demonstration have seen to it themselves.
            Self::File(_) | Self::Demo(_) => None,
            Self::Live(live) => Some(live.waiter.bell()),
        }
    }

    /// Whether time passes while we look.
    pub const fn is_live(&self) -> bool {
        !matches!(self, Self::File(_))
    }
}

impl Live {
    fn open(phy: &Phy) -> Result<Self, CliError> {
        let fail = |e: OpenError| CliError::device(e);
        // What this host sends is as interesting as what it receives.
        let listen = RawOptions::new().with_outgoing(true);
        let device = match phy {
            Phy::Raw(name) => RawSocket::with_options(name, listen).map(Listener::Raw),
            Phy::Tap(name) => Tap::open(name).map(Listener::Tap),
            Phy::Tun(name) => Tun::open(name).map(Listener::Tun),
            Phy::Cable | Phy::Loopback => {
                return Err(
                    CliError::setup(phy, "ends in this process, where nobody sends")
                        .hint("-i IFACE, which `ip link` lists, or -r FILE"),
                );
            }
            #[cfg(feature = "xdp")]
            Phy::Xdp(name) => {
                return Err(
                    CliError::setup(phy, "would take the frames away from this host")
                        .hint(format_args!("-i {name}, which only listens, or -r FILE")),
                );
            }
        };
        let device = device.map_err(fail)?;
        told_if_down(phy, device.link());
        Ok(Self {
            phy: phy.clone(),
            device,
            clock: Monotonic::new(),
            waiter: Waiter::new().map_err(|e| CliError::setup("sleeping", e))?,
            seen: 0,
        })
    }

    fn step(&mut self, sink: &mut impl FnMut(&Frame<'_>)) -> Result<Step, CliError> {
        let now = self.clock.now();
        let link = match self.device {
            Listener::Tun(_) => Link::Ip,
            _ => Link::Ethernet,
        };
        let mut pass = Pass {
            // One reading for a batch: what came together is told together.
            time: Stamp::now(),
            link,
            sink,
        };
        let taken = match &mut self.device {
            Listener::Raw(raw) => raw.receive(now, BUDGET, &mut pass),
            Listener::Tap(tap) => tap.receive(now, BUDGET, &mut pass),
            Listener::Tun(tun) => tun.receive(now, BUDGET, &mut pass),
        };
        self.seen += taken as u64;
        if taken > 0 {
            return Ok(Step::More);
        }
        if self.device.link() == LinkState::Gone {
            return Err(gone(&self.phy));
        }
        let watch = match &self.device {
            Listener::Raw(raw) => Watch::readable(raw),
            Listener::Tap(tap) => Watch::readable(tap),
            Listener::Tun(tun) => Watch::readable(tun),
        };
        match self.waiter.wait(&[watch], Some(PATIENCE)) {
            Ok(woken) if woken.ready => {
                self.complain()?;
                Ok(Step::More)
            }
            Ok(_) => Ok(Step::Idle),
            Err(e) => Err(CliError::failed("waiting for frames", e)),
        }
    }

    /// Ends when the device is gone; an interface that is down for a while is waited for.
    fn complain(&mut self) -> Result<(), CliError> {
        let error = match &mut self.device {
            Listener::Raw(raw) => raw.take_error(),
            Listener::Tap(tap) => tap.take_error(),
            Listener::Tun(tun) => tun.take_error(),
        };
        match error {
            Some(e) if e.raw_os_error() == Some(libc::ENETDOWN) => Ok(()),
            Some(e) => Err(CliError::failed(&self.phy, e)),
            None => Ok(()),
        }
    }

    /// Frames the device handed over.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Frames lost between the kernel and us, as far as known.
    pub fn lost(&mut self) -> u64 {
        match &mut self.device {
            Listener::Raw(raw) => raw.lost(),
            Listener::Tap(tap) => tap.lost(),
            Listener::Tun(tun) => tun.lost(),
        }
    }
}

/// Frames of a device, handed on.
struct Pass<'a, S> {
    time: Stamp,
    link: Link,
    sink: &'a mut S,
}

impl<S: FnMut(&Frame<'_>)> FrameSink for Pass<'_, S> {
    fn frame(&mut self, mut rx: impl RxToken, _answer: Option<impl TxToken>) {
        let trusted = rx.meta().csum == RxCsum::Valid;
        let octets = &*rx.frame();
        (self.sink)(&Frame {
            time: self.time,
            link: self.link,
            octets,
            len: octets.len(),
            trusted,
        });
    }
}
