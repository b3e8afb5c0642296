//! Our stack at one end of the bad wire, in the same thread as the wire.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use netstrata::host::{Pattern, os_rng};
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::congestion::{Any, Observed};
use netstrata::tcp::{Algorithm, RecvError, SendError, SocketOf, Tcp, TcpSocket};
use netstrata::wire::Mac;
use netstrata::{Next, Stack};
use phy::{Clock, Fault, FaultConfig, Monotonic, Tap, Tracer, Waiter, Watch};

use crate::kernel::{PORT, Transfer};
use crate::lab::{FAR, NEAR};
use crate::notes::{Diary, Notes};
use crate::wire::Noted;

type Control = Observed<Any, Diary>;
type Host = Stack<Ethernet<Tracer<Fault<Noted>, Notes>>, Ipv4, (Tcp<Control>,), SlabSockets>;
type Sock = SocketOf<SlabSockets, Control>;

/// What our end does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Connects and sends.
    Sends,
    /// Listens and receives.
    Receives,
}

fn host(tap: Tap, fault: FaultConfig, [near, far]: [Notes; 2]) -> io::Result<Host> {
    Diary::open(&far);
    let tap = Tracer::with_observer(tap, near);
    let link = Tracer::with_observer(Fault::new(tap, fault), far);
    let mut link = Ethernet::new(link, Mac([2, 0, 0, 0, 0, 2]));
    link.add_static(NEAR.0.into(), Mac([2, 0, 0, 0, 0, 1]))
        .map_err(io::Error::other)?;
    let ip = Ipv4::default().with(0, FAR.0, 24);
    let tcp = Tcp::<Control>::default();
    Ok(Stack::new(link, ip, (tcp,), SlabSockets, &mut os_rng()))
}

fn prepare(socket: &mut Sock, cc: Algorithm, buffer: Option<usize>) {
    socket.set_tcp_congestion(Some(cc));
    if let Some(octets) = buffer {
        // What SO_RCVBUF and SO_SNDBUF are there: each side takes twice as much.
        socket.set_recv_buffer_size(octets);
        socket.set_send_buffer_size(octets);
    }
}

/// Plays our `part` towards `peer` until all arrived or it is late; `stop` ends it too.
///
/// Returns a line about the connection.
pub fn play(
    tap: Tap,
    (fault, notes): (FaultConfig, [Notes; 2]),
    part: Part,
    peer: Ipv4Addr,
    cc: Algorithm,
    transfer: &Transfer,
    stop: &AtomicBool,
) -> io::Result<String> {
    let fd = tap.as_fd().try_clone_to_owned()?;
    let mut host = host(tap, fault, notes)?;
    let (clock, waiter) = (Monotonic::new(), Waiter::new()?);
    let mut socket = TcpSocket::closed();
    prepare(&mut socket, cc, transfer.buffer);
    let (mut listener, mut flow) = (None, None);
    if part == Part::Sends {
        let to = SocketAddr::from((peer, PORT));
        socket.connect(to).map_err(io::Error::other)?;
        flow = Some(host.open(socket).map_err(io::Error::other)?);
    } else {
        let at = SocketAddr::from((FAR.0, PORT));
        let bound = socket.bind(at).and_then(|()| socket.listen(1));
        bound.map_err(io::Error::other)?;
        listener = Some(host.open(socket).map_err(io::Error::other)?);
    }
    let mut pattern = Pattern::new();
    let mut last = String::new();
    while !stop.load(Ordering::Relaxed) && !transfer.is_late() {
        let now = clock.now();
        let next = host.poll(now);
        if flow.is_none() {
            flow = listener.and_then(|h: Handle<Sock>| host.socket(h).accept());
        }
        let moved = match flow {
            Some(h) if part == Part::Sends => write(&mut host, h, &mut pattern, transfer)?,
            Some(h) => read(&mut host, h, &mut pattern, transfer)?,
            None => false,
        };
        if moved || next == Next::Now {
            continue;
        }
        let Next::Wait { until, room } = next else {
            continue;
        };
        let soon = now + core::time::Duration::from_millis(200);
        let due = until.map_or(soon, |until| until.min(soon));
        let watch = Watch::readable(&fd).and_writable(room);
        waiter.until(&[watch], &clock, Some(due))?;
    }
    if let Some(h) = flow {
        let config = host.transports().0.config().clone();
        let now = clock.now();
        let line = host.socket(h).look(|s| s.info(&config, now));
        if let Ok(Some(info)) = line {
            last = format!(
                "total_rto:{} rto_ms:{} {info}",
                info.total_rto,
                info.total_rto_time.as_millis()
            );
        }
    }
    Ok(last)
}

/// Writes what fits; true if something did.
fn write(
    host: &mut Host,
    h: Handle<Sock>,
    pattern: &mut Pattern,
    transfer: &Transfer,
) -> io::Result<bool> {
    let left = |pattern: &Pattern| transfer.octets - pattern.position();
    if host.socket(h).look(|s| s.writable() == 0) == Ok(true) || left(pattern) == 0 {
        return Ok(false);
    }
    let wrote = host.socket(h).with(|s| {
        while left(pattern) > 0 {
            let most = usize::try_from(left(pattern)).unwrap_or(usize::MAX);
            let wrote = s.write_with(most, |room| {
                pattern.fill(room);
                room.len()
            });
            match wrote {
                Ok(_) => {}
                Err(SendError::Full) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    });
    wrote.map_err(io::Error::other)?.map_err(io::Error::other)?;
    Ok(true)
}

/// Reads what came; true if something did.
fn read(
    host: &mut Host,
    h: Handle<Sock>,
    pattern: &mut Pattern,
    transfer: &Transfer,
) -> io::Result<bool> {
    if host.socket(h).look(|s| s.readable() == 0) == Ok(true) {
        return Ok(false);
    }
    let read = host.socket(h).with(|s| {
        loop {
            let mut right = true;
            let read = s.read_with(|text| {
                right = pattern.matches(text);
                text.len()
            });
            match read {
                _ if !right => return Err(io::Error::other("other octets came")),
                Ok(0) | Err(RecvError::Empty) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(io::Error::other(e)),
            }
        }
    });
    read.map_err(io::Error::other)??;
    transfer.arrived(pattern.position());
    Ok(true)
}
