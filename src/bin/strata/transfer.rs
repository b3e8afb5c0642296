//! Where octets of a connection come from and go to.
//!
//! Invariant: nothing here blocks; standard input is read only when it has something.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use netstrata::host::{Pattern, pump};
use netstrata::tcp::{SendError, Shutdown, TcpError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::errors::CliError;
use crate::trace::Connection;

/// Octets read from a file at once at most.
const PIECE: usize = 1 << 18;

/// What is sent.
pub enum Input {
    /// Nothing, until the peer has sent everything.
    None,
    /// So many octets of the pattern.
    Pattern(Pattern, u64),
    /// A file, read as the connection takes it.
    File(File),
    /// Standard input, as it comes; by its descriptor, as a buffer would hide octets from
    /// whoever waits for more.
    Stdin(File),
}

/// How far sending got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// The connection takes no more now, or nothing is there now.
    Some(u64),
    /// Everything was sent with these last octets.
    All(u64),
}

impl Input {
    /// Reads from a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<(Self, Option<u64>), CliError> {
        if path == Path::new("-") {
            return Ok((Self::stdin()?, None));
        }
        let fail = |e| CliError::setup(path.display(), e).hint("another file for --file");
        let file = File::open(path).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        if meta.is_dir() {
            return Err(CliError::setup(path.display(), "is a directory").hint("a file for --file"));
        }
        Ok((Self::File(file), meta.is_file().then_some(meta.len())))
    }

    /// Standard input.
    ///
    /// # Errors
    /// When there is no descriptor left for it.
    pub fn stdin() -> Result<Self, CliError> {
        let own = io::stdin().as_fd().try_clone_to_owned();
        let fd = own.map_err(|e| CliError::setup("standard input", e))?;
        Ok(Self::Stdin(fd.into()))
    }

    /// Moves into `socket` what it takes now.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn feed(&mut self, socket: &mut Connection) -> io::Result<Fed> {
        let mut fed = 0;
        match self {
            Self::None => {}
            Self::Pattern(pattern, left) => {
                fed = pump::generate(socket, pattern, *left);
                *left -= fed;
                return Ok(if *left == 0 {
                    Fed::All(fed)
                } else {
                    Fed::Some(fed)
                });
            }
            Self::File(file) => loop {
                match read_into(socket, file)? {
                    Some(0) => return Ok(Fed::All(fed)),
                    Some(n) => fed += n as u64,
                    None => return Ok(Fed::Some(fed)),
                }
            },
            Self::Stdin(stdin) => {
                while readable(stdin.as_fd()) {
                    match read_into(socket, stdin)? {
                        Some(0) => return Ok(Fed::All(fed)),
                        Some(n) => fed += n as u64,
                        None => break,
                    }
                }
            }
        }
        Ok(Fed::Some(fed))
    }

    /// What to watch for more, if it comes by itself.
    pub fn watch(&self) -> Option<&File> {
        match self {
            Self::Stdin(stdin) => Some(stdin),
            _ => None,
        }
    }
}

/// Reads once, in place; `None` if the connection takes no more now, `Some(0)` at the end.
fn read_into(socket: &mut Connection, from: &mut impl Read) -> io::Result<Option<usize>> {
    let mut read = Ok(0);
    let wrote = socket.write_with(PIECE, |piece| {
        read = loop {
            match from.read(piece) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        *read.as_ref().unwrap_or(&0)
    });
    match wrote {
        Ok(_) => read.map(Some),
        Err(SendError::Full | SendError::Closed | SendError::Failed(_)) => Ok(None),
    }
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// What becomes of what is received.
pub enum Output {
    /// It is counted and thrown away.
    Discard,
    /// It must be the pattern.
    Verify(Pattern),
    /// It must be this file again.
    Compare(File, PathBuf, Vec<u8>),
    /// It goes to a file.
    File(BufWriter<File>, PathBuf),
    /// It goes to standard output.
    Stdout(io::Stdout),
}

/// Why what was received was not what it should be.
#[derive(Debug)]
pub enum Bad {
    /// It differs from what was sent, somewhere in the octets after this many.
    Differs(u64),
    /// It could not be written.
    Io(String, io::Error),
}

impl Output {
    /// Writes to a file, which is made or made empty; `-` is standard output.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        let file = File::create(path)
            .map_err(|e| CliError::setup(path.display(), e).hint("a file that can be written"))?;
        Ok(Self::File(
            BufWriter::with_capacity(PIECE, file),
            path.into(),
        ))
    }

    /// Compares with a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn compare(path: &Path) -> Result<Self, CliError> {
        let file = File::open(path).map_err(|e| CliError::setup(path.display(), e))?;
        Ok(Self::Compare(file, path.into(), Vec::new()))
    }

    /// Takes octets that came after `before` others.
    ///
    /// # Errors
    /// See [`Bad`].
    pub fn take(&mut self, before: u64, octets: &[u8]) -> Result<(), Bad> {
        let io = |name: &Path| {
            let name = name.display().to_string();
            move |e| Bad::Io(name, e)
        };
        match self {
            Self::Discard => Ok(()),
            Self::Verify(pattern) => match pattern.matches(octets) {
                true => Ok(()),
                false => Err(Bad::Differs(before)),
            },
            Self::Compare(file, path, buffer) => {
                buffer.resize(octets.len(), 0);
                match file.read_exact(buffer) {
                    Ok(()) if buffer == octets => Ok(()),
                    Ok(()) => Err(Bad::Differs(before)),
                    Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Bad::Differs(before)),
                    Err(e) => Err(io(path)(e)),
                }
            }
            Self::File(file, path) => file.write_all(octets).map_err(io(path)),
            Self::Stdout(out) => out
                .write_all(octets)
                .map_err(io(Path::new("standard output"))),
        }
    }

    /// All has come: writes out what is held back.
    ///
    /// # Errors
    /// See [`Bad`].
    pub fn finish(&mut self) -> Result<(), Bad> {
        match self {
            Self::File(file, path) => file
                .flush()
                .map_err(|e| Bad::Io(path.display().to_string(), e)),
            Self::Stdout(out) => out
                .flush()
                .map_err(|e| Bad::Io("standard output".into(), e)),
            Self::Discard | Self::Verify(_) | Self::Compare(..) => Ok(()),
        }
    }

    /// Whether what comes is held against what was sent.
    pub const fn verifies(&self) -> bool {
        matches!(self, Self::Verify(_) | Self::Compare(..))
    }
}

/// Octets to and from one connection.
pub struct Transfer {
    pub input: Input,
    pub output: Output,
    /// Received octets that are enough.
    pub limit: Option<u64>,
    /// Octets given to the connection.
    pub sent: u64,
    /// Octets taken from it.
    pub received: u64,
    /// Everything was sent.
    pub fed: bool,
    /// The peer has sent everything.
    pub ended: bool,
    /// Both, and the peer has acknowledged all that it was sent.
    pub over: bool,
}

/// What ends a transfer before its time.
#[derive(Debug)]
pub enum Trouble {
    /// The connection failed.
    Connection(TcpError),
    /// The input could not be read.
    Input(io::Error),
    /// See [`Bad`].
    Output(Bad),
}

impl Trouble {
    /// What the connection failed with, if that is it.
    pub const fn error(&self) -> Option<TcpError> {
        match self {
            Self::Connection(error) => Some(*error),
            Self::Input(_) | Self::Output(_) => None,
        }
    }
}

impl Transfer {
    /// A transfer that has not begun.
    pub const fn new(input: Input, output: Output, limit: Option<u64>) -> Self {
        Self {
            input,
            output,
            limit,
            sent: 0,
            received: 0,
            fed: false,
            ended: false,
            over: false,
        }
    }

    /// Moves what can be moved now, both ways; true if anything was.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub fn turn(&mut self, socket: &mut Connection) -> Result<bool, Trouble> {
        let before = (self.sent, self.received, self.fed, self.ended);
        if !self.fed && socket.can_send() {
            match self.input.feed(socket).map_err(Trouble::Input)? {
                Fed::Some(n) => self.sent += n,
                Fed::All(n) => {
                    self.sent += n;
                    self.fed = true;
                    socket.shutdown(Shutdown::Write);
                }
            }
        }
        if !self.ended {
            let (mut bad, output, received) = (Ok(()), &mut self.output, &mut self.received);
            let limit = self.limit.unwrap_or(u64::MAX);
            let moved = pump::discard(socket, |octets| {
                let left = usize::try_from(limit - *received).unwrap_or(usize::MAX);
                let octets = octets.get(..left).unwrap_or(octets);
                if bad.is_ok() {
                    bad = output.take(*received, octets);
                }
                *received += octets.len() as u64;
            });
            bad.map_err(Trouble::Output)?;
            let moved = moved.map_err(|broken| Trouble::Connection(broken.error))?;
            if moved.ended || self.received >= limit {
                self.ended = true;
                // Whoever only receives has nothing to say after that either.
                if matches!(self.input, Input::None) {
                    self.stop(socket);
                }
                self.output.finish().map_err(Trouble::Output)?;
            }
        }
        if self.ended && !self.over {
            // What the peer has not acknowledged may still be refused: it closed its side, and
            // then does not want what it gets.
            if let Some(error) = socket.take_error() {
                return Err(Trouble::Connection(error));
            }
            self.over = self.fed && socket.unacknowledged() == 0;
        }
        Ok(before != (self.sent, self.received, self.fed, self.ended))
    }

    /// Stops sending here: what was given to the connection still arrives.
    pub fn stop(&mut self, socket: &mut Connection) {
        if !self.fed {
            self.fed = true;
            socket.shutdown(Shutdown::Write);
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Input(error) => write!(f, "cannot read the input: {error}"),
            Self::Output(Bad::Differs(at)) => {
                write!(
                    f,
                    "what came back differs from what was sent, after octet {at}"
                )
            }
            Self::Output(Bad::Io(name, error)) => write!(f, "cannot write {name}: {error}"),
        }
    }
}
