//! `--trace FILE`: what happens to connections, as JSON lines.
//!
//! Invariant: a connection made while no file is open hears nothing and costs nothing; writing
//! never fails in the middle of a connection, but the first failure is kept and told by
//! [`finish`], and nothing is written after it.
//!
//! The file has one object a line. The first says what this is:
//!
//! ```json
//! {"trace":"strata","version":1,"command":"tcpclient","congestion":"cubic","epoch":1782025489.21}
//! ```
//!
//! `epoch` is the time of `"t":0`, in seconds since 1970. Every other line is an
//! [`Event`]: `t` seconds, `c` the number of the connection in this file, from 1, `e` the kind,
//! and the event's fields: octets, places in the stream from 0, times in seconds, rates in
//! octets per second.
//!
//! ```json
//! {"t":0.000012,"c":1,"e":"opened","local":"10.0.0.1:49152","peer":"10.0.0.2:80","state":"SYN-SENT"}
//! {"t":0.000014,"c":1,"e":"sent","seq":0,"len":0,"n":1,"flags":"S","ack":0,"wnd":64240}
//! {"t":0.020310,"c":1,"e":"state","from":"SYN-SENT","to":"ESTABLISHED"}
//! {"t":0.020411,"c":1,"e":"sent","seq":0,"len":14480,"n":10,"flags":".","ack":0,"wnd":65536}
//! {"t":0.040520,"c":1,"e":"received","seq":0,"len":0,"flags":".","ack":2896,"wnd":65536}
//! {"t":0.040520,"c":1,"e":"sack","from":4344,"to":5792}
//! {"t":0.040520,"c":1,"e":"rtt","rtt":0.020109}
//! {"t":0.040520,"c":1,"e":"cwnd","cwnd":17376,"ssthresh":null,"flight":11584,"srtt":0.020109,"rto":0.220109,"pacing":null}
//! ```
//!
//! The others: `failed` (`error`), `ca_state` (`from`, `to`), `lost` (`octets`), `loss` (`kind`,
//! `flight`), `undo`, `rto` (`backoff`), `tlp`. A `sent` of octets that were sent before has
//! `"again":true`. The last line, `{"t":…,"e":"end"}`, is missing where the file was cut short.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use netstrata::phy::Instant;
use netstrata::socket::SlabSockets;
use netstrata::tcp::congestion::{Any, Loss, Observed};
use netstrata::tcp::{Algorithm, Event, Observer, SocketOf};

use crate::errors::CliError;

/// Congestion control of this command's connections: any, and perhaps traced.
pub type Control = Observed<Any, Tracing>;

/// A TCP connection or listener of this command.
pub type Connection = SocketOf<SlabSockets, Control>;

/// Octets gathered before they are written.
const GATHERED: usize = 256 << 10;

thread_local! {
    /// The file, if there is to be one. The hosts of a command live in one thread, and
    /// observers are made where none could hand them a file.
    static FILE: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

struct Trace {
    path: PathBuf,
    /// `None` after a failure.
    out: Option<BufWriter<File>>,
    failed: Option<io::Error>,
    connections: u32,
    last: Instant,
}

impl Trace {
    fn write(&mut self, now: Instant, line: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let Some(out) = &mut self.out else { return };
        self.last = now;
        if let Err(e) = line(out) {
            self.fail(e);
        }
    }

    /// Writes no more, not even what was gathered.
    fn fail(&mut self, e: io::Error) {
        self.failed = Some(e);
        if let Some(out) = self.out.take() {
            let _ = out.into_parts();
        }
    }
}

/// Makes or empties the file and traces connections made from now on.
///
/// # Errors
/// When it cannot be created.
pub fn begin(
    path: &Path,
    command: &str,
    congestion: Algorithm,
    epoch: Duration,
) -> Result<(), CliError> {
    let file = File::create(path).map_err(|e| {
        CliError::setup(path.display(), e).hint("a file that can be written for --trace")
    })?;
    let mut trace = Trace {
        path: path.into(),
        out: Some(BufWriter::with_capacity(GATHERED, file)),
        failed: None,
        connections: 0,
        last: Instant::ZERO,
    };
    let (seconds, micros) = (epoch.as_secs(), epoch.subsec_micros());
    trace.write(Instant::ZERO, |out| {
        writeln!(
            out,
            "{{\"trace\":\"strata\",\"version\":1,\"command\":\"{command}\",\
             \"congestion\":\"{congestion}\",\"epoch\":{seconds}.{micros:06}}}"
        )
    });
    FILE.with_borrow_mut(|file| *file = Some(trace));
    Ok(())
}

/// Writes out what was gathered and closes the file, if there is one.
///
/// # Errors
/// When not everything could be written.
pub fn finish() -> Result<(), CliError> {
    let Some(mut trace) = FILE.take() else {
        return Ok(());
    };
    let last = trace.last;
    trace.write(last, |out| {
        writeln!(out, "{{\"t\":{},\"e\":\"end\"}}", Seconds(last.micros()))?;
        out.flush()
    });
    match trace.failed {
        None => Ok(()),
        Some(e) => Err(CliError::failed(
            trace.path.display(),
            format_args!("{e}; the trace is not whole, though the connections went on"),
        )
        .hint("--trace with a file where there is room")),
    }
}

/// Who writes what happens to one connection.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// The number of the connection; 0 if nothing is to be written.
    number: u32,
}

impl Default for Tracing {
    fn default() -> Self {
        let traced = FILE.with_borrow(Option::is_some);
        Self {
            number: u32::from(traced),
        }
    }
}

impl Observer for Tracing {
    #[inline]
    fn watches(&self) -> bool {
        self.number > 0
    }

    #[cold]
    fn on_event(&mut self, now: Instant, event: &Event) {
        FILE.with_borrow_mut(|file| {
            let Some(trace) = file else { return };
            if let Event::Opened { .. } = event {
                trace.connections = trace.connections.saturating_add(1);
                self.number = trace.connections;
            }
            let number = self.number;
            trace.write(now, |out| line(out, now, number, event));
        });
    }
}

/// Microseconds, as seconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A value, or null.
struct OrNull<T>(Option<T>);

impl<T: std::fmt::Display> std::fmt::Display for OrNull<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// The line of one event. By hand, as all of its words are ours and none needs an escape.
fn line(out: &mut impl Write, now: Instant, number: u32, event: &Event) -> io::Result<()> {
    let seconds = |time: Duration| Seconds(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    let (t, e) = (Seconds(now.micros()), event.name());
    write!(out, "{{\"t\":{t},\"c\":{number},\"e\":\"{e}\"")?;
    match event {
        Event::Opened { local, peer, state } => write!(
            out,
            ",\"local\":\"{local}\",\"peer\":\"{peer}\",\"state\":\"{state}\""
        )?,
        Event::State { from, to } => write!(out, ",\"from\":\"{from}\",\"to\":\"{to}\"")?,
        Event::Failed { error } => write!(out, ",\"error\":\"{error}\"")?,
        Event::Sent {
            seq,
            len,
            segments,
            repeated,
            flags,
            ack,
            window,
        } => {
            write!(out, ",\"seq\":{seq},\"len\":{len},\"n\":{segments}")?;
            if *repeated {
                out.write_all(b",\"again\":true")?;
            }
            write!(out, ",\"flags\":\"{flags}\",\"ack\":{ack},\"wnd\":{window}")?;
        }
        Event::Received {
            seq,
            len,
            flags,
            ack,
            window,
        } => write!(
            out,
            ",\"seq\":{seq},\"len\":{len},\"flags\":\"{flags}\",\"ack\":{ack},\"wnd\":{window}"
        )?,
        Event::Sack { from, to } => write!(out, ",\"from\":{from},\"to\":{to}")?,
        Event::Rtt { sample } => write!(out, ",\"rtt\":{}", seconds(*sample))?,
        Event::CaState { from, to } => {
            let (from, to) = (from.as_str(), to.as_str());
            write!(out, ",\"from\":\"{from}\",\"to\":\"{to}\"")?;
        }
        Event::Lost { octets } => write!(out, ",\"octets\":{octets}")?,
        Event::Loss { kind, in_flight } => {
            write!(
                out,
                ",\"kind\":\"{}\",\"flight\":{in_flight}",
                loss_name(*kind)
            )?;
        }
        Event::Rto { backoff } => write!(out, ",\"backoff\":{backoff}")?,
        Event::ZeroWindow { closed } => write!(out, ",\"closed\":{closed}")?,
        Event::Persist { probes } | Event::KeepAlive { probes } => {
            write!(out, ",\"probes\":{probes}")?;
        }
        Event::IdleRestart { idle } => {
            let idle = Duration::from_millis((*idle).into());
            write!(out, ",\"idle\":{}", seconds(idle))?;
        }
        Event::PathMtu { mss } => write!(out, ",\"mss\":{mss}")?,
        Event::Cwnd {
            cwnd,
            ssthresh,
            in_flight,
            srtt,
            rto,
            pacing,
        } => write!(
            out,
            ",\"cwnd\":{cwnd},\"ssthresh\":{},\"flight\":{in_flight},\"srtt\":{},\"rto\":{},\
             \"pacing\":{}",
            OrNull(*ssthresh),
            OrNull(srtt.map(seconds)),
            seconds(*rto),
            OrNull(*pacing),
        )?,
        // `undo`, `tlp`, and what events there may be some day, by name.
        _ => {}
    }
    out.write_all(b"}\n")
}

fn loss_name(kind: Loss) -> &'static str {
    match kind {
        Loss::Detected => "detected",
        Loss::Ecn => "ecn",
        Loss::Timeout => "timeout",
        Loss::Repeated => "repeated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netstrata::tcp::{CaState, State, TcpError};
    use netstrata::wire::TcpFlags;

    /// Every kind makes an object with its name.
    #[test]
    fn lines_are_json() {
        let at = "10.0.0.1:80".parse().unwrap();
        let time = Duration::from_micros(20_109);
        let (from, to) = (State::SynSent, State::Established);
        let flags = TcpFlags::ACK | TcpFlags::PSH;
        let events = [
            Event::Opened {
                local: at,
                peer: at,
                state: from,
            },
            Event::State { from, to },
            Event::Failed {
                error: TcpError::TimedOut,
            },
            Event::Sent {
                seq: 5_000_000_000,
                len: 14480,
                segments: 10,
                repeated: true,
                flags,
                ack: 1,
                window: 2,
            },
            Event::Received {
                seq: 1,
                len: 2,
                flags,
                ack: 3,
                window: 4,
            },
            Event::Sack { from: 1, to: 2 },
            Event::Rtt { sample: time },
            Event::CaState {
                from: CaState::Open,
                to: CaState::Loss,
            },
            Event::Lost { octets: 7 },
            Event::Loss {
                kind: Loss::Repeated,
                in_flight: 8,
            },
            Event::Undo,
            Event::Rto { backoff: 2 },
            Event::Tlp,
            Event::ZeroWindow { closed: true },
            Event::Persist { probes: 1 },
            Event::KeepAlive { probes: 2 },
            Event::IdleRestart { idle: 1500 },
            Event::PathMtu { mss: 1200 },
            Event::Cwnd {
                cwnd: 1,
                ssthresh: None,
                in_flight: 2,
                srtt: Some(time),
                rto: time,
                pacing: Some(9),
            },
        ];
        for event in events {
            let mut text = Vec::new();
            line(&mut text, Instant::from_micros(1_000_001), 3, &event).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.ends_with("}\n"), "{text}");
            let object: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(object["e"], event.name());
            assert_eq!((&object["t"], &object["c"]), (&1.000_001.into(), &3.into()));
            if let Event::Sent { .. } = event {
                assert_eq!(object["again"], true);
                assert_eq!(object["seq"], 5_000_000_000_u64);
            }
        }
    }

    /// Nobody asked: nobody watches.
    #[test]
    fn off_without_a_file() {
        assert!(!Tracing::default().watches());
        assert!(finish().is_ok());
    }
}
