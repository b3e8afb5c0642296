//! HTTP GET (RFC 9112) over a TCP connection of our own: status to standard error, body to
//! standard output, and success only for a status of 2xx.
//!
//! ```text
//! $ cargo run --example fetch
//! HTTP/1.1 200 OK
//! Hello from the end of the cable.
//! ```
//!
//! From a server of the kernel's, as root:
//! `cargo run --example fetch -- --phy tap:tap0 --addr 192.168.1.2/24 http://192.168.1.1:8000/`

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use netstrata::Stack;
use netstrata::host::{Connection, Far, os_rng, pump};
use netstrata::icmp::Icmp;
use netstrata::socket::SlabSockets;
use netstrata::tcp::Tcp;
use support::{Place, Trouble};

/// Octets of a response at most, and how long it may take.
const LIMIT: usize = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<ExitCode, Trouble> {
    let place = support::open()?;
    let (server, path) = target(&place)?;
    let (mut far, mut runner) = (place.far.map(Far::new), place.runner);
    let protocols = (Icmp::default(), Tcp::default());
    let mut host = Stack::new(place.link, place.net, protocols, SlabSockets, &mut os_rng());

    // What is written before the connection stands is sent as soon as it does.
    let socket = host.open(Connection::connecting(server))?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {server}\r\n\r\n");
    host.socket(socket).with(|s| s.send(request.as_bytes()))??;

    let (mut text, mut ended) = (Vec::new(), false);
    let patience = runner.now() + PATIENCE;
    while !ended && !Response::parse(&text).is_some_and(|response| response.is_complete()) {
        if text.len() > LIMIT || runner.now() > patience {
            return Err("the response is too long, or takes too long".into());
        }
        runner.turn(&mut [&mut host, &mut far], Some(patience))?;
        let take = |octets: &[u8]| text.extend_from_slice(octets);
        ended = host.socket(socket).with(|s| pump::discard(s, take))??.ended;
    }

    let response = Response::parse(&text).ok_or("the server does not speak HTTP")?;
    eprintln!("{}", response.status.escape_debug());
    std::io::stdout().write_all(response.body)?;
    if response.length.is_some() && !response.is_complete() {
        return Err("the connection ended before the response did".into());
    }

    // TCP ends with this program: the server should hear of it first.
    host.close(socket)?;
    let patience = runner.now() + Duration::from_secs(1);
    while host.socket(socket).look(|_| ()).is_ok() && runner.now() < patience {
        runner.turn(&mut [&mut host, &mut far], Some(patience))?;
    }
    Ok(ExitCode::from(u8::from(!response.is_success())))
}

/// Server and path of `http://ADDRESS:PORT/PATH`, or of an address and a path.
fn target(place: &Place) -> Result<(SocketAddr, String), Trouble> {
    let url = place.words.concat();
    let url = url.strip_prefix("http://").unwrap_or(&url);
    let (server, path) = url.split_once('/').unwrap_or((url, ""));
    let server = match server.parse() {
        Ok(server) => server,
        Err(_) if server.is_empty() => SocketAddr::new(place.peer(None)?, 80),
        Err(_) => SocketAddr::new(server.parse()?, 80),
    };
    Ok((server, path.to_owned()))
}

/// A response as far as it has come.
struct Response<'t> {
    status: &'t str,
    /// What Content-Length says of the body; without it the body goes on to the end.
    length: Option<usize>,
    body: &'t [u8],
}

impl<'t> Response<'t> {
    /// Reads a response, once all of its head has come.
    fn parse(text: &'t [u8]) -> Option<Self> {
        let end = text.windows(4).position(|four| four == b"\r\n\r\n")?;
        let mut head = str::from_utf8(&text[..end]).ok()?.lines();
        let status = head.next().filter(|line| line.starts_with("HTTP/"))?;
        let mut fields = head.filter_map(|line| line.split_once(':'));
        let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|(_, octets)| octets.trim().parse().ok());
        let body = &text[end + 4..];
        let body = length.and_then(|n| body.get(..n)).unwrap_or(body);
        Some(Self {
            status,
            length,
            body,
        })
    }

    fn is_complete(&self) -> bool {
        self.length.is_some_and(|length| self.body.len() >= length)
    }

    fn is_success(&self) -> bool {
        let mut words = self.status.split(' ');
        words.nth(1).is_some_and(|code| code.starts_with('2'))
    }
}
