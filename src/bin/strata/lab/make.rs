//! Making and removing a lab with the `ip` command.
//!
//! Invariant: what is made is remembered before the next step, and a step that fails takes
//! everything made so far with it.

use std::io;
use std::process::{Command, Stdio};

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

/// Removes what `up` made; returns how many hosts there were.
///
/// # Errors
/// When `ip` fails; what was removed so far is forgotten then, too.
pub fn down(plan: &Plan) -> Result<usize, CliError> {
    match State::load(plan)? {
        Some(state) => remove(state),
        None => Ok(0),
    }
}

fn remove(state: State) -> Result<usize, CliError> {
    let mut removed = 0;
    for namespace in &state.namespaces {
        if namespace.is_there() {
            ip(&["netns", "delete", &namespace.name])?;
            removed += 1;
        }
    }
    state.forget()?;
    Ok(removed)
}

/// Runs `ip`, which says on standard error what it does not like.
fn ip(words: &[&str]) -> Result<(), CliError> {
    let output = Command::new("ip")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| ip_failed(&words.join(" "), &e))?;
    if output.status.success() {
        return Ok(());
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
