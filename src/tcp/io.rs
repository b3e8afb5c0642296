//! Errors of sockets as `std::io` knows them, for programs that use both.

use std::io::{Error, ErrorKind};
use std::net;

use super::error::TcpError;
use super::socket::{Shutdown, UseError};
use super::stream::{RecvError, SendError};

impl TcpError {
    /// What `std::io` calls it.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::BrokenPipe => ErrorKind::BrokenPipe,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::HostUnreachable => ErrorKind::HostUnreachable,
            Self::NetUnreachable => ErrorKind::NetworkUnreachable,
            Self::Aborted => ErrorKind::ConnectionAborted,
            Self::NoMemory => ErrorKind::OutOfMemory,
            Self::AddrInUse => ErrorKind::AddrInUse,
        }
    }
}

impl From<TcpError> for Error {
    fn from(error: TcpError) -> Self {
        Self::new(error.kind(), error)
    }
}

impl From<RecvError> for Error {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Empty => ErrorKind::WouldBlock.into(),
            RecvError::NotConnected => ErrorKind::NotConnected.into(),
            RecvError::Failed(error) => error.into(),
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full => ErrorKind::WouldBlock.into(),
            SendError::Closed => ErrorKind::BrokenPipe.into(),
            SendError::Failed(error) => error.into(),
        }
    }
}

impl From<UseError> for Error {
    fn from(error: UseError) -> Self {
        let kind = match error {
            UseError::Open => ErrorKind::AlreadyExists,
            UseError::Unaddressable => ErrorKind::AddrNotAvailable,
        };
        Self::new(kind, error)
    }
}

impl From<net::Shutdown> for Shutdown {
    fn from(how: net::Shutdown) -> Self {
        match how {
            net::Shutdown::Read => Self::Read,
            net::Shutdown::Write => Self::Write,
            net::Shutdown::Both => Self::Both,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_std() {
        let failed = TcpError::Refused;
        for (error, kind) in [
            (Error::from(failed), ErrorKind::ConnectionRefused),
            (RecvError::Empty.into(), ErrorKind::WouldBlock),
            (RecvError::NotConnected.into(), ErrorKind::NotConnected),
            (
                RecvError::Failed(failed).into(),
                ErrorKind::ConnectionRefused,
            ),
            (SendError::Full.into(), ErrorKind::WouldBlock),
            (SendError::Closed.into(), ErrorKind::BrokenPipe),
            (
                SendError::Failed(TcpError::BrokenPipe).into(),
                ErrorKind::BrokenPipe,
            ),
            (UseError::Unaddressable.into(), ErrorKind::AddrNotAvailable),
        ] {
            assert_eq!(error.kind(), kind);
        }
        assert_eq!(Shutdown::from(net::Shutdown::Both), Shutdown::Both);
    }
}
