//! `strata`: the stack at work from the command line.
//!
//! One file a subcommand, each with its `Args` and one function
//! `run(&Global, Args) -> Result<ExitCode, CliError>`. Invariant: commands return, they do not
//! exit; errors are printed here and nowhere else; a reader that closes our output ends us
//! quietly. Exit codes: 0 done, 1 ran and failed, 2 usage or set-up.

mod argv;
mod clock;
mod demo;
mod dump;
mod errors;
mod filter;
mod flow;
mod frame;
mod global;
mod ids;
mod lab;
mod manual;
mod pcap;
mod perf;
mod ping;
mod plot;
mod profile;
#[cfg(test)]
mod random_frames;
mod services;
mod session;
mod source;
mod stats;
mod stop;
mod tcpclient;
mod tcpserver;
mod text;
mod trace;
mod transfer;
mod units;
mod view;

use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use crate::errors::{CliError, note};
use crate::global::Global;

/// A user-space TCP/IP stack, and tools around it.
#[derive(Debug, Parser)]
#[command(
    name = "strata",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "Example: strata tcpclient --size 100M"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ping(ping::Args),
    Tcpclient(tcpclient::Args),
    Tcpserver(tcpserver::Args),
    Perf(perf::Args),
    Dump(dump::Args),
    Ids(ids::Args),
    Plot(plot::Args),
    Lab(lab::Args),
    Completions(manual::Completions),
    Man(manual::Page),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(argv::rewrite(std::env::args_os())) {
        Ok(cli) => cli,
        // Help asked for is no error, and help is all that nothing can be answered with. Whether
        // anybody still reads makes no difference.
        Err(e) if is_help(&e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
        Err(e) => {
            note!("strata: {}", one_line(&e));
            return ExitCode::from(2);
        }
    };
    let (name, result) = run(&cli.global, cli.command);
    result.unwrap_or_else(|e: CliError| {
        let e = e.of(name);
        if !e.is_silent() {
            note!("{e}");
        }
        ExitCode::from(e.code())
    })
}

/// Is it help, or the version, that is to be printed?
fn is_help(error: &clap::Error) -> bool {
    let none = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    !error.use_stderr() || error.kind() == none
}

/// What is wrong with the arguments, in one line, and where to look.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let before = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more");
    let mut line = String::new();
    for part in text.lines().take_while(before).map(str::trim) {
        let part = part.trim_start_matches("error: ");
        match part.strip_prefix("tip: ") {
            _ if part.is_empty() => {}
            Some(tip) => line.push_str(&format!("; {tip}")),
            None if line.is_empty() => line.push_str(part),
            None => line.push_str(&format!(" {part}")),
        }
    }
    let other = match error.get(ContextKind::InvalidArg).map(ToString::to_string) {
        Some(arg) if arg.starts_with("--addr") || arg.starts_with("--phy") => {
            "or use --phy cable, which has an address of its own"
        }
        _ => "or see --help",
    };
    format!("{line}; {other}")
}

/// Runs a command; its name goes in front of its errors.
fn run(global: &Global, command: Command) -> (&'static str, Result<ExitCode, CliError>) {
    match command {
        Command::Ping(args) => ("ping", ping::run(global, args)),
        Command::Tcpclient(args) => ("tcpclient", tcpclient::run(global, args)),
        Command::Tcpserver(args) => ("tcpserver", tcpserver::run(global, args)),
        Command::Perf(args) => ("perf", perf::run(global, args)),
        Command::Dump(args) => ("dump", dump::run(global, args)),
        Command::Plot(args) => ("plot", plot::run(global, args)),
        Command::Ids(args) => ("ids", ids::run(global, args)),
        Command::Completions(args) => ("completions", manual::completions(&args, Cli::command())),
        Command::Man(args) => ("man", manual::page(&args, Cli::command())),
        Command::Lab(args) => ("lab", lab::run(global, args)),
    }
}
