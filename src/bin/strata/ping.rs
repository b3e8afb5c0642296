//! `strata ping`: echo requests, with the output and exit codes of iputils.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use netstrata::icmp::{Event, PingSocket};
use netstrata::net::ErrorKind;
use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::transport::datagram::Why;

use crate::errors::{CliError, note};
use crate::global::Global;
use crate::session::Session;
use crate::stop;
use crate::units;

mod stats;
use stats::Stats;

/// Sends echo requests to a host and tells what comes back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: strata ping -c 3\n         \
    strata ping --phy tap:tap0 --addr 192.168.1.2/24 192.168.1.1")]
pub struct Args {
    /// Whom to ask: an IPv4 address; the other end if the device is a cable
    #[arg(value_name = "DESTINATION", value_parser = units::host)]
    destination: Option<Ipv4Addr>,

    /// The seed's name of DESTINATION
    #[arg(
        long,
        hide = true,
        value_name = "DESTINATION",
        value_parser = units::host,
        conflicts_with = "destination"
    )]
    dest: Option<Ipv4Addr>,

    /// Stop after so many requests
    #[arg(short, long, value_name = "N", value_parser = units::count)]
    count: Option<u64>,

    /// Seconds between requests
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = units::seconds)]
    interval: Duration,

    /// Seconds to wait for a reply when none has come
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "10", value_parser = units::seconds)]
    timeout: Duration,

    /// Stop after this many seconds, whatever came
    #[arg(short = 'w', long, value_name = "SECONDS", value_parser = units::seconds)]
    deadline: Option<Duration>,

    /// Octets of data in a request
    #[arg(short, long, value_name = "OCTETS", default_value_t = 56, value_parser = clap::value_parser!(u16).range(..=65_507))]
    size: u16,

    /// Time to live of requests
    #[arg(short, long, value_name = "TTL", value_parser = clap::value_parser!(u8).range(1..))]
    ttl: Option<u8>,

    /// Nothing but the first line and the summary
    #[arg(short, long)]
    quiet: bool,

    /// Addresses as numbers: they are never anything else
    #[arg(short, hide = true)]
    numeric: bool,
}

type Socket = PingSocket<Box<[u8]>>;

struct Ping<'a> {
    args: &'a Args,
    json: bool,
    to: Ipv4Addr,
    socket: Handle<Socket>,
    /// When each request was sent that is not answered.
    sent: HashMap<u64, Instant>,
    stats: Stats,
}

/// Runs it.
///
/// # Errors
/// When the device cannot be opened, or nothing can be printed.
pub fn run(global: &Global, args: Args) -> Result<ExitCode, CliError> {
    let mut session = Session::open(global)?;
    let to = session.peer(args.destination.or(args.dest))?;
    if to.is_unspecified() {
        return Err(CliError::setup(to, "nobody's address").hint("another one"));
    }
    let buffer = || vec![0; 1 << 18].into_boxed_slice();
    let socket = session
        .host
        .open(Socket::new(0, buffer(), buffer()))
        .map_err(|e| CliError::setup("socket", e))?;
    let mut ping = Ping {
        args: &args,
        json: global.json,
        to,
        socket,
        sent: HashMap::new(),
        stats: Stats::default(),
    };
    ping.banner()?;
    let ended = ping.run(&mut session);
    ping.summary(&session)?;
    ended.and_then(|()| session.see_off())?;
    // As iputils: with both, all that were to be sent must be answered in time.
    let wanted = args.count.filter(|_| args.deadline.is_some()).unwrap_or(1);
    Ok(if ping.stats.received >= wanted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

impl Ping<'_> {
    fn run(&mut self, session: &mut Session) -> Result<(), CliError> {
        let begin = session.now();
        self.stats.begin = begin;
        let end = self.args.deadline.map(|after| begin + after);
        let mut next = begin;
        loop {
            let now = session.now();
            if stop::asked() || end.is_some_and(|end| now >= end) {
                return Ok(());
            }
            let all = self
                .args
                .count
                .is_some_and(|count| self.stats.sent >= count);
            if !all && now >= next {
                self.send(session, now)?;
                next = (next + self.args.interval).max(now);
                continue; // with an interval of zero the next goes at once
            }
            let patience = self.patience();
            let last = self.stats.last + patience;
            if all && (self.stats.outstanding() == 0 || now >= last) {
                return Ok(());
            }
            let wake = if all { last } else { next };
            session.turn(Some(end.map_or(wake, |end| end.min(wake))), &[])?;
            self.receive(session)?;
        }
    }

    /// How long the last request is waited for: twice the longest round trip, as iputils.
    fn patience(&self) -> Duration {
        match self.stats.rtt.max() {
            Some(rtt) => (rtt * 2).max(Duration::from_millis(10)),
            None => self.args.timeout,
        }
    }

    fn send(&mut self, session: &mut Session, now: Instant) -> Result<(), CliError> {
        let seq = self.stats.sent + 1;
        let mut data = vec![0; self.args.size.into()];
        for (n, octet) in data.iter_mut().enumerate() {
            *octet = n as u8; // iputils' filler: each octet its number
        }
        let (to, ttl) = (IpAddr::V4(self.to), self.args.ttl);
        let queued = session
            .host
            .socket(self.socket)
            .with(|socket| socket.send_to(to, seq as u16, &data, ttl));
        self.stats.sent = seq;
        self.stats.last = now;
        match queued {
            Ok(Ok(())) => {
                self.sent.insert(seq, now);
                // What is older than a turn of the 16-bit number cannot be told from it.
                self.sent.remove(&seq.wrapping_sub(1 << 16));
            }
            Ok(Err(e)) => {
                self.stats.errors += 1;
                note!("strata ping: request {seq}: {e}");
            }
            Err(e) => return Err(CliError::failed("socket", e)),
        }
        session.turn(Some(now), &[])?;
        self.receive(session)
    }

    fn receive(&mut self, session: &mut Session) -> Result<(), CliError> {
        let us = session
            .address()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |cidr| cidr.ip());
        loop {
            let mut line = Ok(());
            let socket = self.socket;
            let got = session.host.socket(socket).with(|socket| {
                socket.recv(|got| {
                    let seq = self.whole(got.seq);
                    line = match got.event {
                        Event::Reply(data) => self.reply(got.from, seq, got.ttl, data, got.when),
                        Event::Error(kind) => self.error(got.from, seq, &describe(kind)),
                        Event::NotSent(why) => self.error(us, seq, &not_sent(why)),
                    };
                })
            });
            line?;
            if !matches!(got, Ok(Some(()))) {
                return Ok(());
            }
        }
    }

    /// The number of a request whose lower 16 bits are on the wire.
    fn whole(&self, seq: u16) -> u64 {
        let behind = (self.stats.sent as u16).wrapping_sub(seq);
        self.stats.sent.saturating_sub(behind.into())
    }

    fn reply(
        &mut self,
        from: IpAddr,
        seq: u64,
        ttl: u8,
        data: &[u8],
        at: Instant,
    ) -> io::Result<()> {
        let octets = data.len() + 8;
        let damaged = data.iter().enumerate().any(|(n, octet)| *octet != n as u8);
        let rtt = self.sent.remove(&seq).map(|sent| at.saturating_since(sent));
        let duplicate = rtt.is_none();
        if let Some(rtt) = rtt {
            self.stats.received += 1;
            self.stats.rtt.add(rtt);
        } else {
            self.stats.duplicates += 1;
        }
        if self.args.quiet {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.json {
            let ms = rtt.map(|rtt| rtt.as_micros() as f64 / 1000.0);
            let line = serde_json::json!({
                "event": "reply", "from": from.to_string(), "octets": octets, "icmp_seq": seq,
                "ttl": ttl, "time_ms": ms, "duplicate": duplicate, "damaged": damaged,
            });
            return writeln!(out, "{line}");
        }
        write!(out, "{octets} bytes from {from}: icmp_seq={seq} ttl={ttl}")?;
        if let Some(rtt) = rtt {
            write!(out, " time={} ms", stats::ms(rtt))?;
        }
        let marks = [(duplicate, " (DUP!)"), (damaged, " (wrong data!)")];
        for (_, mark) in marks.iter().filter(|(on, _)| *on) {
            write!(out, "{mark}")?;
        }
        writeln!(out)
    }

    fn error(&mut self, from: IpAddr, seq: u64, what: &str) -> io::Result<()> {
        self.stats.errors += 1;
        self.sent.remove(&seq);
        if self.args.quiet {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if self.json {
            let line = serde_json::json!({
                "event": "error", "from": from.to_string(), "icmp_seq": seq, "error": what,
            });
            return writeln!(out, "{line}");
        }
        writeln!(out, "From {from} icmp_seq={seq} {what}")
    }

    fn banner(&self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let (to, data) = (self.to, usize::from(self.args.size));
        let mut out = io::stdout().lock();
        writeln!(out, "PING {to} ({to}) {data}({}) bytes of data.", data + 28)
    }

    fn summary(&self, session: &Session) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return writeln!(out, "{}", self.stats.json(self.to, session.now()));
        }
        write!(out, "{}", self.stats.summary(self.to, session.now()))?;
        out.flush()
    }
}

/// Why our own host did not send.
fn not_sent(why: Why) -> String {
    match why {
        Why::Icmp(kind) => describe(kind),
        Why::NoRoute => "Network is unreachable".into(),
        Why::TooBig(mtu) => format!("Message too long, mtu={mtu}"),
        Why::Broadcast => "Destination is a broadcast address".into(),
        other => format!("{other:?}"),
    }
}

/// What iputils calls an ICMP error.
fn describe(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NetUnreachable => "Destination Net Unreachable".into(),
        ErrorKind::HostUnreachable => "Destination Host Unreachable".into(),
        ErrorKind::ProtocolUnreachable => "Destination Protocol Unreachable".into(),
        ErrorKind::PortUnreachable => "Destination Port Unreachable".into(),
        ErrorKind::PacketTooBig(mtu) => format!("Frag needed and DF set (mtu = {mtu})"),
        ErrorKind::SourceRouteFailed => "Source Route Failed".into(),
        ErrorKind::Prohibited => "Packet filtered".into(),
        ErrorKind::TtlExceeded => "Time to live exceeded".into(),
        ErrorKind::ReassemblyExceeded => "Frag reassembly time exceeded".into(),
        ErrorKind::ParameterProblem(at) => format!("Parameter problem: pointer = {at}"),
        other => format!("{other:?}"),
    }
}
