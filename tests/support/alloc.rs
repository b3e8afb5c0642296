//! An allocator that counts, per thread, what is asked of it. A test program that contains this
//! module uses it for everything:
//!
//! ```ignore
//! #[path = "support/alloc.rs"]
//! mod alloc;
//!
//! let (result, counts) = alloc::count(|| work());
//! assert_eq!(counts.allocations, 0);
//! ```
#![allow(unsafe_code, dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What one thread asked of the allocator.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Calls that gave memory, growing in place or elsewhere included.
    pub allocations: u64,
    /// Calls that took memory back.
    pub frees: u64,
    /// Octets given less octets taken back.
    pub octets: i64,
    /// Octets that growing may have had to move.
    pub moved: u64,
}

thread_local! {
    static COUNTS: Cell<Counts> = const {
        Cell::new(Counts { allocations: 0, frees: 0, octets: 0, moved: 0 })
    };
}

/// Runs `f`; returns what it returns, and what this thread asked of the allocator meanwhile.
pub fn count<R>(f: impl FnOnce() -> R) -> (R, Counts) {
    let before = COUNTS.get();
    let result = f();
    let after = COUNTS.get();
    let counts = Counts {
        allocations: after.allocations - before.allocations,
        frees: after.frees - before.frees,
        octets: after.octets - before.octets,
        moved: after.moved - before.moved,
    };
    (result, counts)
}

fn note(allocations: u64, frees: u64, octets: i64) {
    note_moved(allocations, frees, octets, 0);
}

fn note_moved(allocations: u64, frees: u64, octets: i64, moved: u64) {
    // A thread at its end has no counters any more; nobody asks for them.
    let _ = COUNTS.try_with(|c| {
        let mut counts = c.get();
        counts.allocations += allocations;
        counts.frees += frees;
        counts.octets += octets;
        counts.moved += moved;
        c.set(counts);
    });
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract;
// counting neither allocates (the thread-local is initialised at compile time and needs no
// destructor) nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, 0, layout.size() as i64);
        // SAFETY: the caller's promise about `layout`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, 0, layout.size() as i64);
        // SAFETY: the caller's promise about `layout`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, 1, -(layout.size() as i64));
        // SAFETY: the caller's promise that `pointer` came from here with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let old = layout.size();
        note_moved(1, 0, size as i64 - old as i64, old as u64);
        // SAFETY: the caller's promise that `pointer` came from here with this `layout`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
