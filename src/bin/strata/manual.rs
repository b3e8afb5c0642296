//! `strata completions` and `strata man`: what shells and `man` want to know of this command,
//! from the same description that `--help` prints.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::errors::CliError;

/// Prints completions for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: strata completions bash > ~/.local/share/bash-completion/completions/strata"
)]
pub struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints a manual page.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: strata man tcpclient | man -l -")]
pub struct Page {
    /// Of which command; of strata itself if not given
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints completions.
///
/// # Errors
/// When nobody takes them.
pub fn completions(args: &Completions, mut strata: Command) -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut strata, "strata", &mut text);
    io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a manual page.
///
/// # Errors
/// When there is no such command, or nobody takes the page.
pub fn page(args: &Page, mut strata: Command) -> Result<ExitCode, CliError> {
    // Gives subcommands the options that all have.
    strata.build();
    let wanted = match &args.command {
        None => strata,
        Some(name) => {
            let found = strata.find_subcommand(name).cloned();
            let found = found.ok_or_else(|| {
                CliError::setup(name, "no such command").hint("`strata help` for their names")
            })?;
            found.display_name(format!("strata-{name}"))
        }
    };
    let mut text = Vec::new();
    Man::new(wanted).render(&mut text)?;
    io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}
