//! `strata perf`: how fast it is, measured with iperf3's protocol, so that a stock `iperf3` can
//! be the other end; without any peer, both ends in one process.
//!
//! | file | concern |
//! | --- | --- |
//! | `args` | what was asked for on the command line |
//! | `end` | the loop; one end, or both |
//! | `client`; `server`, `visit` | the two ends |
//! | `talk`, `wire`, `channel` | the control connection: meaning, octets, socket |
//! | `params`, `results` | what is told over it |
//! | `test`, `stream`, `pace`, `datagram` | the data |
//! | `tally`, `cpu` | what is counted |
//! | `report`, `doc`, `format` | what is printed |

mod args;
mod channel;
mod client;
mod cpu;
mod datagram;
mod doc;
mod end;
mod format;
mod outfit;
mod pace;
mod params;
mod report;
mod results;
mod server;
mod stream;
mod talk;
mod tally;
mod test;
mod visit;
mod wire;

use std::process::ExitCode;

use netstrata::host::Phy;

pub use args::Args;

use self::client::Client;
use self::end::{End, Place};
use self::report::Report;
use self::server::Server;
use self::stream::Stack;
use crate::errors::CliError;
use crate::global::Global;
use crate::session::{Session, far_host};

/// One end, whichever it is.
type One = Box<dyn End>;

/// Runs it.
///
/// # Errors
/// When the device cannot be opened, or the test cannot be done.
pub fn run(global: &Global, args: Args) -> Result<ExitCode, CliError> {
    let device = global.device()?.unwrap_or_default();
    let alone = matches!(device, Phy::Cable | Phy::Loopback);
    args.check(alone)?;
    let report = args.report(global)?;
    let (mut session, far) = Session::open_alone(global)?;
    let mut far = far.map(far_host);
    let (mut near_ends, mut far_ends) = (Place::default(), Place::default());
    if alone {
        let (first, second) = both(&args, &mut session, far.as_mut(), report)?;
        near_ends.ends.push(first);
        let other = if far.is_some() {
            &mut far_ends
        } else {
            &mut near_ends
        };
        other.ends.push(second);
    } else {
        let now = session.now();
        near_ends.ends.push(if args.serves() {
            let (house, one_off) = (args.house(), args.one_off());
            Box::new(Server::new(
                &mut session.host,
                house,
                report,
                one_off,
                false,
            )?)
        } else {
            let wish = args.wish(session.peer(args.server_address())?);
            Box::new(Client::new(&mut session.host, now, wish, report)?)
        });
    }
    let code = end::run(&mut session, far, &mut near_ends, &mut far_ends)?;
    session.see_off().map(|()| code)
}

/// Both ends, the one that is shown first: where nobody else is, the other one is there too.
fn both(
    args: &Args,
    session: &mut Session,
    mut far: Option<&mut Stack>,
    report: Report,
) -> Result<(One, One), CliError> {
    let serves = args.serves();
    let to = match (serves, session.address().map(|cidr| cidr.ip())) {
        (true, Some(std::net::IpAddr::V4(ours))) => ours,
        _ => session.peer(args.server_address())?,
    };
    let now = session.now();
    let (servers, clients) = match serves {
        true => (report, Report::default()),
        false => (Report::default(), report),
    };
    // It listens before anybody connects.
    let host = match &mut far {
        Some(far) if !serves => far,
        _ => &mut session.host,
    };
    let server = Box::new(Server::new(host, args.house(), servers, true, !serves)?);
    let host = match &mut far {
        Some(far) if serves => far,
        _ => &mut session.host,
    };
    let client = Box::new(Client::new(host, now, args.wish(to), clients)?);
    Ok(if serves {
        (server, client)
    } else {
        (client, server)
    })
}
