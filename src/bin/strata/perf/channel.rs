//! The control connection as a socket: octets between it and what they mean.
//!
//! Invariant: no more is read than there is room for, so that a peer's window holds it up and
//! not our memory; what is to be said waits until the socket takes it.

use netstrata::socket::Handle;
use netstrata::tcp::{RecvError, TcpError};
use serde_json::Value;

use super::stream::Stack;
use super::wire::{Cookie, Inbox, State, put_json};
use crate::trace::Connection;

/// See the head of this file.
pub struct Channel {
    /// Its socket.
    pub handle: Handle<Connection>,
    /// What came.
    pub inbox: Inbox,
    outbox: Vec<u8>,
    ended: Option<Option<TcpError>>,
    /// Is there anything to be moved?
    stirred: bool,
}

impl Channel {
    /// Of a socket, for messages of up to `most` octets.
    pub fn new(handle: Handle<Connection>, most: usize) -> Self {
        Self {
            handle,
            inbox: Inbox::new(most),
            outbox: Vec::new(),
            ended: None,
            stirred: true,
        }
    }

    /// There is news of the socket.
    pub fn stir(&mut self) {
        self.stirred = true;
    }

    /// Says where the test stands.
    pub fn state(&mut self, state: State) {
        self.outbox.push(state.octet());
        self.stirred = true;
    }

    /// Says that it cannot be done, for iperf3's reason of that number.
    pub fn error(&mut self, code: u32) {
        self.state(State::ServerError);
        self.outbox.extend(code.to_be_bytes());
        self.outbox.extend([0; 4]);
    }

    /// Says which test it belongs to.
    pub fn cookie(&mut self, cookie: &Cookie) {
        self.outbox.extend(cookie.octets());
        self.stirred = true;
    }

    /// Says more.
    pub fn json(&mut self, value: &Value) {
        put_json(value, &mut self.outbox);
        self.stirred = true;
    }

    /// Has the peer ended it (`None`), or the network (why)? Only when all that came before was
    /// understood.
    pub fn ended(&self) -> Option<Option<TcpError>> {
        self.ended
    }

    /// Moves what can be moved.
    pub fn pump(&mut self, host: &mut Stack) {
        if !core::mem::take(&mut self.stirred) {
            return;
        }
        let (inbox, outbox) = (&mut self.inbox, &mut self.outbox);
        let mut full = false;
        let ended = host.socket(self.handle).with(|socket| {
            if !outbox.is_empty()
                && let Ok(sent) = socket.send(outbox)
            {
                outbox.drain(..sent);
            }
            loop {
                full = false;
                let read = socket.read_with(|piece| {
                    let taken = inbox.fill(piece);
                    full = taken < piece.len();
                    taken
                });
                match read {
                    _ if full => return None,
                    Ok(0) => return Some(None),
                    Ok(_) => {}
                    Err(RecvError::Empty) => return None,
                    Err(RecvError::NotConnected) => return Some(None),
                    Err(RecvError::Failed(error)) => return Some(Some(error)),
                }
            }
        });
        if let Some(ended) = ended.unwrap_or(Some(None)) {
            self.ended = self.ended.or(Some(ended));
        }
        // Room in the inbox makes no news.
        self.stirred = full;
    }

    /// Takes leave, when all is said that the socket takes.
    pub fn close(&mut self, host: &mut Stack) {
        self.stirred = true;
        self.pump(host);
        // Octets that nobody reads would make it a reset, and what we said last might be lost.
        let _ = host.socket(self.handle).with(|socket| {
            while socket.read_with(|piece| piece.len()).is_ok_and(|n| n > 0) {}
        });
        let _ = host.close(self.handle);
    }
}
