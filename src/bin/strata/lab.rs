//! `strata lab`: two hosts in network namespaces, joined by a cable, and a tap in the first.

mod make;
mod plan;
mod state;

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Subcommand;
use serde_json::json;

use crate::errors::{CliError, note};
use crate::global::Global;
use plan::{Host, Plan};
use state::State;

/// Makes and removes the two hosts that the examples talk about
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sudo strata lab up && sudo strata lab exec host2 ping -c 3 192.168.0.2"
)]
pub struct Args {
    /// Another lab beside the first: its hosts are NAME-host1 and NAME-host2
    #[arg(long, global = true, value_name = "NAME", value_parser = plan::name)]
    name: Option<String>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes the lab, or leaves it as it is when it is there
    #[command(after_help = "Example: sudo strata lab up")]
    Up,
    /// Removes what `up` made, and ends what runs there; nothing else
    #[command(after_help = "Example: sudo strata lab down")]
    Down,
    /// Shows the lab; exit code 1 when there is none
    #[command(after_help = "Example: strata lab status")]
    Status,
    /// Runs a command on a host; `strata` is this program
    #[command(after_help = "Example: sudo strata lab exec host1 strata dump -i host1-veth -n")]
    Exec {
        /// host1 or host2
        host: Host,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
}

/// Makes, removes or shows the lab, or runs a command in it.
pub fn run(global: &Global, args: Args) -> Result<ExitCode, CliError> {
    let plan = Plan::new(args.name.unwrap_or_default());
    match args.action {
        Action::Up => {
            root("up")?;
            let made = make::up(&plan)?;
            note!(
                "{}",
                if made {
                    "the lab is up"
                } else {
                    "the lab was up already"
                }
            );
            show(global, &plan, true)
        }
        Action::Down => {
            root("down")?;
            let make::Removed { hosts, processes } = make::down(&plan)?;
            match (hosts, processes) {
                (0, _) => note!("there was no lab to remove"),
                (n, 0) => note!("removed {n} hosts"),
                (n, 1) => note!("removed {n} hosts, and ended the process that ran there"),
                (n, p) => note!("removed {n} hosts, and ended {p} processes that ran there"),
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Status => {
            let up = State::load(&plan)?.is_some_and(|state| state.holds());
            show(global, &plan, up)
        }
        Action::Exec { host, command } => exec(&plan, host, &command),
    }
}

/// Namespaces are for root.
fn root(action: &str) -> Result<(), CliError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(
        CliError::setup(action, "network namespaces need root").hint(format_args!(
            "`sudo strata lab {action}`, or `--phy cable` on any command, which needs no lab"
        )),
    )
}

/// Becomes the command, inside the host.
fn exec(plan: &Plan, host: Host, command: &[std::ffi::OsString]) -> Result<ExitCode, CliError> {
    root("exec")?;
    let up = State::load(plan)?.is_some_and(|state| state.holds());
    if !up {
        return Err(CliError::setup("exec", "there is no lab").hint("`sudo strata lab up`"));
    }
    let Some((program, arguments)) = command.split_first() else {
        return Err(CliError::setup("exec", "no command given").hint("`strata lab exec host1 sh`"));
    };
    // So that examples work before this program is on anybody's path.
    let program = match program.to_str() {
        Some("strata") => std::env::current_exe().map_or_else(|_| program.clone(), Into::into),
        _ => program.clone(),
    };
    let error = Command::new("ip")
        .args(["netns", "exec", &plan.namespace(host)])
        .arg(program)
        .args(arguments)
        .exec();
    Err(make::ip_failed("netns exec", &error))
}

/// Hosts, links and addresses, and what to try; exit code 1 when it is not up.
fn show(global: &Global, plan: &Plan, up: bool) -> Result<ExitCode, CliError> {
    let mut out = io::stdout().lock();
    if global.json {
        let links: Vec<_> = plan
            .links()
            .map(|link| {
                json!({
                    "host": plan.namespace(link.host),
                    "interface": link.interface,
                    "address": link.address,
                    "peer": link.peer,
                })
            })
            .collect();
        writeln!(out, "{}", json!({ "up": up, "links": links }))?;
    } else if up {
        writeln!(
            out,
            "{:<16} {:<11} {:<16} TO",
            "HOST", "INTERFACE", "ADDRESS"
        )?;
        for link in plan.links() {
            let host = plan.namespace(link.host);
            writeln!(
                out,
                "{host:<16} {:<11} {:<16} {}",
                link.interface, link.address, link.peer
            )?;
        }
        writeln!(out, "\nTry (as root):")?;
        for (command, what) in plan.examples() {
            writeln!(out, "  {command:<74} # {what}")?;
        }
    } else {
        writeln!(out, "the lab is not up; `sudo strata lab up` makes it")?;
    }
    Ok(ExitCode::from(u8::from(!up)))
}
