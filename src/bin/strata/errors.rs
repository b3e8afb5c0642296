//! How commands fail: one line that says what failed, why, and what to try.
//!
//! Invariant: every error a command returns is printed by `main` alone, once, on standard error,
//! and decides the exit code: 1 the command ran and failed, 2 usage or set-up.

use std::fmt;
use std::io;

/// Why a command ended.
#[derive(Debug)]
pub struct CliError {
    command: &'static str,
    what: String,
    why: String,
    hint: Option<String>,
    code: u8,
    /// Whoever read our output has gone: end without a word, as if killed by SIGPIPE.
    closed: bool,
}

impl CliError {
    fn new(what: impl fmt::Display, why: impl fmt::Display, code: u8) -> Self {
        Self {
            command: "",
            what: what.to_string(),
            why: why.to_string(),
            hint: None,
            code,
            closed: false,
        }
    }

    /// The command ran and failed: exit code 1.
    pub fn failed(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(what, why, 1)
    }

    /// The command could not begin, by its arguments or its surroundings (privilege, device,
    /// file): exit code 2.
    pub fn setup(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(what, why, 2)
    }

    /// As [`CliError::setup`] for errors that say all in one line of their own, such as those
    /// of devices.
    pub fn device(line: impl fmt::Display) -> Self {
        Self::setup(line, "")
    }

    /// Adds the ways out: `try ...` is put in front.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Names the command, for the front of the line.
    #[must_use]
    pub fn of(mut self, command: &'static str) -> Self {
        self.command = command;
        self
    }

    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        if self.closed { 0 } else { self.code }
    }

    /// Whether there is nothing to say.
    pub fn is_silent(&self) -> bool {
        self.closed
    }
}

/// `strata dump: eth9: no such device; try ip link`.
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strata")?;
        if !self.command.is_empty() {
            write!(f, " {}", self.command)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.why.is_empty() {
            write!(f, ": {}", self.why)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; try {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CliError {}

/// Errors of standard output, which is what commands use `?` on. Files and devices have names,
/// and errors of theirs are made with [`CliError::setup`] or [`CliError::failed`].
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self {
            closed: error.kind() == io::ErrorKind::BrokenPipe,
            ..Self::failed("standard output", &error)
        }
    }
}

/// Prints a line on standard error, whether or not anybody reads it. `eprintln!` would panic
/// when nobody does.
macro_rules! note {
    ($($format:tt)*) => {{
        use ::std::io::Write as _;
        let _ = ::std::writeln!(::std::io::stderr(), $($format)*);
    }};
}
pub(crate) use note;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_a_way_out() {
        let e = CliError::setup("eth9", "no such device")
            .hint("`ip link`")
            .of("dump");
        assert_eq!(
            e.to_string(),
            "strata dump: eth9: no such device; try `ip link`"
        );
        assert_eq!(e.code(), 2);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let e = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(e.is_silent() && e.code() == 0);
        assert!(!CliError::from(io::Error::from(io::ErrorKind::StorageFull)).is_silent());
    }
}
