//! The same work on lwIP: two copies of Debian's library in one process, each in a linker
//! namespace of its own, since lwIP keeps its state in globals; joined by a cable as good as ours.
//!
//! What Debian compiles in: windows and send buffers of 65,535 octets, a segment size of 1,460, no
//! timestamps and no selective acknowledgments, a mutex around its memory, and text always
//! copied when it is written. The C side is `lwip/host.c`.
#![allow(unsafe_code)]

use std::ffi::{CString, c_int, c_uint, c_void};
use std::io;
use std::time::Instant as Clock;

use crate::content::{Check, Source, Text};
use crate::work::{Access, PIECE, Traffic};

const SERVER: u32 = u32::from_ne_bytes([10, 0, 0, 1]);
const CLIENT: u32 = u32::from_ne_bytes([10, 0, 0, 2]);

type Room = extern "C" fn(*mut *mut c_void) -> *mut c_void;
type Arrive = extern "C" fn(*mut c_void, usize);
type Reader = extern "C" fn(*mut c_void, *const c_void, usize);

/// What one copy offers, as `lwip_host` of `lwip/host.c` lists it.
#[repr(C)]
struct Calls {
    open_host: extern "C" fn(u32, u32),
    join: extern "C" fn(Room, Arrive),
    frame_room: Room,
    arrive: Arrive,
    turn: extern "C" fn(),
    serve_bulk: extern "C" fn(u16) -> c_int,
    call_bulk: extern "C" fn(u16) -> c_int,
    standing: extern "C" fn() -> c_uint,
    send_bulk: unsafe extern "C" fn(*const c_void, usize) -> usize,
    read_bulk: unsafe extern "C" fn(c_int, Option<Reader>, *mut c_void),
    received: extern "C" fn() -> u64,
    serve_churn: extern "C" fn(u16) -> c_int,
    call_churn: extern "C" fn(u16) -> c_int,
    busy: extern "C" fn() -> c_int,
    ends: extern "C" fn() -> c_uint,
    forget: extern "C" fn(),
    open_datagrams: extern "C" fn(u16) -> c_int,
    send_datagram: unsafe extern "C" fn(u16, *const c_void, usize) -> c_int,
    heap: extern "C" fn() -> usize,
}

/// Shared objects stay for the life of the process.
type Host = &'static Calls;

/// Where ci/bench.sh has put the C side, if lwIP is installed.
fn built() -> Option<CString> {
    CString::new(std::env::var("NETSTRATA_LWIP").ok()?).ok()
}

/// Is there a library to compare with?
pub fn installed() -> bool {
    built().is_some()
}

/// Another copy of lwIP.
fn load() -> io::Result<Host> {
    let path = built().ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: strings end with a zero; the object is ours, runs nothing when it is loaded, and is
    // never unloaded, so that its one variable is there as long as the process. Its type is
    // `Calls`: both lists are in the same order.
    unsafe {
        let object = libc::dlmopen(libc::LM_ID_NEWLM, path.as_ptr(), libc::RTLD_NOW);
        if object.is_null() {
            let why = std::ffi::CStr::from_ptr(libc::dlerror());
            return Err(io::Error::other(why.to_string_lossy().into_owned()));
        }
        let calls = libc::dlsym(object, c"lwip_host".as_ptr());
        calls
            .cast::<Calls>()
            .as_ref()
            .ok_or(io::ErrorKind::NotFound.into())
    }
}

extern "C" fn look(check: *mut c_void, octets: *const c_void, len: usize) {
    // SAFETY: lwIP's side passes on the pointer that `read` gave it, which is a `Check` until the
    // next call of `read`, and octets of its own that nobody changes meanwhile.
    unsafe {
        let octets = std::slice::from_raw_parts(octets.cast::<u8>(), len);
        (*check.cast::<Check>()).take(octets);
    }
}

/// Two hosts: one pair a process and kind of work, whose namespaces are few.
pub struct Pair {
    server: Host,
    client: Host,
    flows: usize,
    serving: Option<u16>,
    datagrams: bool,
    check: Box<Check>,
}

fn done(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::other("lwIP has no memory or port")),
    }
}

impl Pair {
    pub fn new() -> io::Result<Self> {
        let (server, client) = (load()?, load()?);
        (server.open_host)(SERVER, CLIENT);
        (client.open_host)(CLIENT, SERVER);
        (server.join)(client.frame_room, client.arrive);
        (client.join)(server.frame_room, server.arrive);
        Ok(Self {
            server,
            client,
            flows: 0,
            serving: None,
            datagrams: false,
            check: Box::new(Check::new(Text::Plain, 0)),
        })
    }

    /// Establishes connections until there are `n`.
    pub fn establish(&mut self, n: usize) -> io::Result<()> {
        const PORT: u16 = 80;
        if self.serving.is_none() {
            done((self.server.serve_bulk)(PORT))?;
            self.serving = Some(PORT);
        }
        while self.flows < n {
            done((self.client.call_bulk)(PORT))?;
            self.flows += 1;
            let standing = |host: Host| (host.standing)() as usize;
            while standing(self.client) < self.flows || standing(self.server) < self.flows {
                (self.client.turn)();
                (self.server.turn)();
            }
        }
        Ok(())
    }

    /// From now on text is read so, and compared if it is to be.
    fn read(&mut self, access: Access, text: Text) {
        *self.check = Check::new(text, PIECE);
        let look = (text == Text::Checked).then_some(look as Reader);
        let check: *mut Check = &raw mut *self.check;
        let in_place = c_int::from(access == Access::InPlace);
        // SAFETY: the box outlives every turn of this pair, and nobody else looks into it then.
        unsafe { (self.server.read_bulk)(in_place, look, check.cast()) };
    }

    /// Sends `total` octets on the first connection, client to server; seconds it took. Reads in
    /// place, where that is asked for; writing always copies.
    pub fn bulk(&mut self, total: usize, access: Access, text: Text) -> io::Result<f64> {
        self.establish(1)?;
        self.read(access, text);
        let mut source = Source::new(text, PIECE);
        let mut sent = 0;
        let start = Clock::now();
        while (self.server.received)() < total as u64 {
            while sent < total {
                let piece = source.next(PIECE.min(total - sent));
                // SAFETY: pointer and length are those of a slice, which lwIP copies.
                let n = unsafe { (self.client.send_bulk)(piece.as_ptr().cast(), piece.len()) };
                source.took(n);
                sent += n;
                if n == 0 {
                    break;
                }
            }
            (self.client.turn)();
            (self.server.turn)();
        }
        let took = start.elapsed().as_secs_f64();
        self.finish(total as u64, text)?;
        Ok(took)
    }

    fn finish(&self, total: u64, text: Text) -> io::Result<()> {
        match text {
            Text::Plain => Ok(()),
            Text::Checked => self.check.finish(total),
        }
    }

    /// Opens, uses (an octet each way) and closes `rounds` times `at_once` connections; seconds.
    /// Those in TIME-WAIT are forgotten after each round.
    pub fn churn(&mut self, rounds: usize, at_once: usize) -> io::Result<f64> {
        const PORT: u16 = 81;
        if self.serving.is_none() {
            done((self.server.serve_churn)(PORT))?;
            self.serving = Some(PORT);
        }
        let start = Clock::now();
        for _ in 0..rounds {
            for _ in 0..at_once {
                done((self.client.call_churn)(PORT))?;
            }
            let busy = |host: Host| (host.busy)() != 0;
            while busy(self.client) || busy(self.server) {
                (self.client.turn)();
                (self.server.turn)();
            }
            if (self.server.ends)() as usize != at_once {
                return Err(io::Error::other("a connection did not end in order"));
            }
            (self.client.forget)();
            (self.server.forget)();
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// Sends `count` datagrams of `len` octets; seconds it took.
    pub fn datagrams(&mut self, count: usize, len: usize, text: Text) -> io::Result<f64> {
        const PORT: u16 = 9;
        if !self.datagrams {
            done((self.server.open_datagrams)(PORT))?;
            done((self.client.open_datagrams)(PORT))?;
            self.datagrams = true;
        }
        self.read(Access::Copy, text);
        let mut source = Source::new(text, len);
        let mut sent = 0;
        let start = Clock::now();
        while (self.server.received)() < count as u64 {
            for _ in 0..Traffic::BURST.min(count - sent) {
                let piece = source.next(len);
                // SAFETY: pointer and length are those of a slice, which lwIP copies.
                let result =
                    unsafe { (self.client.send_datagram)(PORT, piece.as_ptr().cast(), len) };
                done(result)?;
                source.took(len);
                sent += 1;
            }
            (self.client.turn)();
            (self.server.turn)();
        }
        let took = start.elapsed().as_secs_f64();
        self.finish((count * len) as u64, text)?;
        Ok(took)
    }

    /// Octets of heap in use, both hosts together.
    pub fn heap(&self) -> usize {
        (self.server.heap)() + (self.client.heap)()
    }
}
