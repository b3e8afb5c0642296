//! What the examples share: the place on the network that the command line names, and one line
//! for whatever goes wrong. Every example but `snapshot` and `bare` takes
//!
//! ```text
//! --phy cable|loopback|tap:NAME|tun:NAME|raw:IFACE   the device; without it, a cable
//! --addr ADDRESS/PREFIX                              our address there; may be repeated
//! --gateway ADDRESS                                  the way to other networks
//! --mac ADDRESS, --mtu OCTETS                        other than the device's own
//! ```
#![allow(dead_code, reason = "no example uses all of it")]

use std::fmt::{Debug, Display, Formatter, Result as FmtResult};
use std::net::IpAddr;
use std::time::Duration;

use netstrata::host::{AnyDevice, AnyLink, CABLE_FAR, Opened, Poll, Runner, Settings};
use netstrata::icmp::{Event, Icmp, PingSocket, Received};
use netstrata::{Stack, iface::Interface, net::Ipv4, phy::Medium, socket::SlabSockets};

/// Where a host can be put.
pub struct Place {
    /// The link: Ethernet or bare IP over whatever device was named.
    pub link: AnyLink,
    /// Our addresses and routes on it.
    pub net: Ipv4,
    /// The first of our addresses.
    pub address: IpAddr,
    /// The other end of a cable, for a second host; a real device has real ones.
    pub far: Option<AnyDevice>,
    /// Keeps the time, and sleeps while there is nothing to do.
    pub runner: Runner,
    /// What else was on the command line.
    pub words: Vec<String>,
    /// Who is there without being named: the second host, or ourselves on loopback.
    neighbor: Option<IpAddr>,
}

/// Opens the device that the command line names; the other words are left.
pub fn device() -> Result<(Opened, Vec<String>), Trouble> {
    let (settings, words) = Settings::from_words(std::env::args().skip(1))?;
    Ok((settings.open()?, words))
}

/// The same for a device of Ethernet frames.
pub fn ethernet() -> Result<(Opened, Vec<String>), Trouble> {
    let found = Some(device()?).filter(|(at, _)| at.medium == Medium::Ethernet);
    Ok(found.ok_or("only Ethernet will do: cable, tap or raw")?)
}

/// The same with a link on the device.
pub fn open() -> Result<Place, Trouble> {
    let (at, words) = device()?;
    let first = at.net.addresses().next();
    let address = first.ok_or("this device has no address")?.1.ip();
    Ok(Place {
        link: Opened::link(at.device, at.medium, at.mac),
        net: at.net,
        address,
        neighbor: match at.far {
            Some(_) => Some(CABLE_FAR.ip()),
            None => Some(address).filter(IpAddr::is_loopback),
        },
        far: at.far,
        runner: at.runner,
        words,
    })
}

impl Place {
    /// Whom to talk to: the address in `word`, or else who is there without being named.
    pub fn peer(&self, word: Option<&String>) -> Result<IpAddr, Trouble> {
        let named = word.map(|word| word.parse()).transpose()?;
        Ok(named
            .or(self.neighbor)
            .ok_or("name an address to talk to")?)
    }
}

/// Does `to` answer one echo request within half a second?
pub fn answers<I: Interface>(
    host: &mut Stack<I, Ipv4, (Icmp,), SlabSockets>,
    far: &mut dyn Poll,
    runner: &mut Runner,
    to: IpAddr,
) -> Result<bool, Trouble> {
    let patience = runner.now() + Duration::from_millis(500);
    let ping = host.open(PingSocket::new(0, buffer(), buffer()))?;
    let mut request = host.socket(ping);
    request.with(|socket| socket.send_to(to, 1, b"who is there?", None))??;
    let mut answered = false;
    while !answered && runner.now() < patience {
        runner.turn(&mut [&mut *host, &mut *far], Some(patience))?;
        let reply = |got: Received<'_>| matches!(got.event, Event::Reply(_));
        answered = host.socket(ping).with(|socket| socket.recv(reply))? == Some(true);
    }
    host.close(ping)?;
    Ok(answered)
}

/// A buffer of 64 KiB for datagrams.
pub fn buffer() -> Box<[u8]> {
    vec![0; 1 << 16].into()
}

/// Whatever went wrong, as the one line that `main` ends with.
pub struct Trouble(String);

impl<E: Display> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// `main` prints its error by `Debug`; people want to read it.
impl Debug for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(&self.0)
    }
}
