//! What passes both ends of a path, a line for each segment, for those who want to know why.

use std::cell::RefCell;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use netstrata::tcp::Event;
use phy::{Instant, Observer, Traced};

thread_local! {
    /// Where a connection of ours on this thread notes what happens to it.
    static OURS: RefCell<Notes> = RefCell::default();
}

/// Lines, and the first sequence numbers of both sides.
#[derive(Debug, Default)]
struct Book {
    lines: String,
    first: [Option<u32>; 2],
}

/// A place at which segments are noted down, if anybody asked.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    book: Option<Arc<Mutex<Book>>>,
    /// The last octet of the address of who is here.
    here: u8,
}

impl Notes {
    /// Of a run, where `wanted`: at the near end and at the far one.
    pub fn new(wanted: bool) -> [Self; 2] {
        let book = wanted.then(Arc::default);
        [1, 2].map(|here| Self {
            book: book.clone(),
            here,
        })
    }

    /// Writes them to a file.
    pub fn save(&self, path: &Path) {
        if let Some(book) = &self.book {
            let book = book.lock().expect("no panic");
            if let Err(e) = std::fs::write(path, &book.lines) {
                eprintln!("{}: {e}", path.display());
            }
        }
    }
}

/// What happens to a connection of ours, among its segments.
#[derive(Debug, Clone, Copy, Default)]
pub struct Diary;

impl Diary {
    /// This thread's connections write to `notes` from now on.
    pub fn open(notes: &Notes) {
        OURS.set(notes.clone());
    }
}

impl netstrata::tcp::Observer for Diary {
    fn watches(&self) -> bool {
        OURS.with_borrow(|notes| notes.book.is_some())
    }

    fn on_event(&mut self, now: Instant, event: &Event) {
        if matches!(
            event,
            Event::Sent { .. } | Event::Received { .. } | Event::Sack { .. }
        ) {
            return;
        }
        OURS.with_borrow(|notes| {
            let Some(book) = &notes.book else { return };
            let mut book = book.lock().expect("no panic");
            let at = now.micros() as f64 / 1000.0;
            let _ = writeln!(book.lines, "{at:>12.3} far  event {event:?}");
        });
    }
}

fn number(octets: &[u8], at: usize) -> u32 {
    let four = octets.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_be_bytes(four.unwrap_or_default())
}

impl Observer for Notes {
    fn saw(&mut self, frame: Traced<'_>) {
        let Some(book) = &self.book else { return };
        let mut scratch = Vec::new();
        let frame_at = frame.at;
        let octets = frame.contiguous(&mut scratch);
        let Some(ip) = octets.get(14..).filter(|ip| ip.len() >= 40 && ip[9] == 6) else {
            return;
        };
        let total = usize::from(ip[2]) * 256 + usize::from(ip[3]);
        let (from, tcp) = (ip[15], &ip[20..total.clamp(40, ip.len())]);
        let (head, flags) = (usize::from(tcp[12] >> 4) * 4, tcp[13]);
        let (seq, ack) = (number(tcp, 4), number(tcp, 8));
        let mut book = book.lock().expect("no panic");
        let (own, other) = if from == 1 { (0, 1) } else { (1, 0) };
        if flags & 2 != 0 {
            book.first[own] = Some(seq);
        }
        let own = book.first[own].unwrap_or(0);
        let other = book.first[other].unwrap_or(0);
        let moves = if from == self.here { "sends" } else { "gets " };
        let who = if self.here == 1 { "near" } else { "far " };
        let len = tcp.len().saturating_sub(head);
        let win = usize::from(tcp[14]) * 256 + usize::from(tcp[15]);
        let mut line = format!(
            "{:>12.3} {who} {moves} {}+{len} ack {} win {win} {flags:02x}",
            frame_at.micros() as f64 / 1000.0,
            seq.wrapping_sub(own),
            ack.wrapping_sub(other),
        );
        let mut options = tcp.get(20..head).unwrap_or(&[]);
        while let [kind, rest @ ..] = options {
            let len = match kind {
                0 => break,
                1 => 1,
                _ => usize::from(rest.first().copied().unwrap_or(0)).max(2),
            };
            match kind {
                5 => {
                    for at in (2..len.saturating_sub(7)).step_by(8) {
                        let (lo, hi) = (number(options, at), number(options, at + 4));
                        let (lo, hi) = (lo.wrapping_sub(other), hi.wrapping_sub(other));
                        let _ = write!(line, " [{lo} {hi}]");
                    }
                }
                8 => {
                    let _ = write!(line, " ts {} {}", number(options, 2), number(options, 6));
                }
                _ => {}
            }
            options = options.get(len..).unwrap_or(&[]);
        }
        line.push('\n');
        book.lines += &line;
    }
}
