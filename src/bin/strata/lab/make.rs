//! Making and removing a lab with the `ip` command.
//!
//! Invariant: what is made is remembered before the next step, and a step that fails takes
//! everything made so far with it.

use std::io;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::plan::Plan;
use super::state::{Namespace, State};
use crate::errors::CliError;

/// Makes the lab; `false` when it is there already.
///
/// # Errors
/// When a name is taken, or `ip` fails.
pub fn up(plan: &Plan) -> Result<bool, CliError> {
    if let Some(state) = State::load(plan)? {
        if state.holds() {
            return Ok(false);
        }
        // Half of it is gone: begin anew.
        remove(state)?;
    }
    for name in plan.namespaces() {
        if Namespace::named(name.clone()).is_some() {
            return Err(CliError::setup(
                format_args!("namespace {name}"),
                "exists, and is not ours",
            )
            .hint(format_args!(
                "`strata lab --name mine up`, or `sudo ip netns delete {name}`"
            )));
        }
    }
    let mut state = State::new(plan);
    match fill(plan, &mut state) {
        Ok(()) => Ok(true),
        Err(e) => {
            // The first failure is the one to tell.
            let _ = remove(state);
            Err(e)
        }
    }
}

fn fill(plan: &Plan, state: &mut State) -> Result<(), CliError> {
    for name in plan.namespaces() {
        ip(&["netns", "add", &name])?;
        state.namespaces.extend(Namespace::named(name));
        state.save()?;
    }
    for step in plan.steps() {
        let words: Vec<&str> = step.iter().map(String::as_str).collect();
        ip(&words)?;
    }
    Ok(())
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Namespaces.
    pub hosts: usize,
    /// Processes that ran in them and were told to end.
    pub processes: usize,
}

/// Removes what `up` made, and ends what runs in it: without the lab it would go on, talking to
/// nobody.
///
/// # Errors
/// When `ip` fails; what was removed so far is forgotten then, too.
pub fn down(plan: &Plan) -> Result<Removed, CliError> {
    match State::load(plan)? {
        Some(state) => remove(state),
        None => Ok(Removed::default()),
    }
}

fn remove(state: State) -> Result<Removed, CliError> {
    let mut removed = Removed::default();
    for namespace in &state.namespaces {
        if namespace.is_there() {
            removed.processes += end_processes(&namespace.name)?;
            ip(&["netns", "delete", &namespace.name])?;
            removed.hosts += 1;
        }
    }
    state.forget()?;
    Ok(removed)
}

/// Asks all processes in a namespace but this one to end; returns how many.
fn end_processes(namespace: &str) -> Result<usize, CliError> {
    let listed = ip(&["netns", "pids", namespace])?;
    let own = std::process::id();
    let pids = listed.lines().filter_map(|line| line.trim().parse().ok());
    let ended = pids.filter(|pid: &u32| *pid != own).filter(|pid| {
        // One that has ended by itself in the meantime needs no telling.
        i32::try_from(*pid).is_ok_and(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok())
    });
    Ok(ended.count())
}

/// Runs `ip`, which says on standard error what it does not like; what it prints is returned.
fn ip(words: &[&str]) -> Result<String, CliError> {
    let output = Command::new("ip")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| ip_failed(&words.join(" "), &e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let why = errors.lines().next().unwrap_or("failed without a word");
    let what = format!("ip {}", words.join(" "));
    Err(CliError::setup(what, why)
        .hint("`strata lab down` and once more, or without a lab: `--phy cable`"))
}

/// `ip` itself could not be run.
pub fn ip_failed(what: &str, error: &io::Error) -> CliError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "the command `ip` is not there".to_string(),
        _ => error.to_string(),
    };
    CliError::setup(format_args!("ip {what}"), why).hint("to install iproute2, or `--phy cable`")
}
