//! A [`Flight`] on the heap only while it is needed.
//!
//! Invariant: reading never makes it; what it says outlives a pause only if something was learned
//! of the path. For the control block's own use.

use super::congestion::Delivery;
use super::flight::Flight;
use super::records::MOST;
use core::ops::{Deref, DerefMut};

/// A [`Flight`] that takes memory only while it says something; without an allocator it is
/// always there.
#[derive(Debug, Default)]
pub struct Lazy(Kept);

#[cfg(feature = "alloc")]
type Kept = Option<alloc::boxed::Box<Flight>>;
#[cfg(not(feature = "alloc"))]
type Kept = Flight;

/// Nothing in flight.
#[cfg(feature = "alloc")]
static NOTHING: Flight = Flight::new();

impl Lazy {
    /// Octets are about to be sent, within `limit` records, on a connection that delivered
    /// `delivered` so far.
    #[inline]
    pub(super) fn begin(&mut self, limit: u16, delivered: u32) {
        if self.limit == 0 {
            self.make(limit, delivered);
        }
    }

    #[cold]
    fn make(&mut self, limit: u16, delivered: u32) {
        self.limit = limit.clamp(8, MOST);
        // What follows a pause is no measure of the path.
        self.delivery = Delivery::new(delivered, delivered > 0);
    }

    /// Octets of memory it takes besides itself.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        #[cfg(feature = "alloc")]
        return self
            .0
            .as_ref()
            .map_or(0, |flight| size_of::<Flight>() + flight.records.memory());
        #[cfg(not(feature = "alloc"))]
        0
    }

    /// Gives the memory back, if nothing is in flight and nothing was learned that is worth it.
    pub(super) fn trim(&mut self) {
        if self.records.is_empty() && self.rack.knows_nothing() {
            *self = Self::default();
        }
    }

    /// Nothing will be in flight any more: what was learned of the path stays for who asks.
    pub(super) fn end(&mut self) {
        #[cfg(feature = "alloc")]
        if self.0.is_none() {
            return;
        }
        **self = self.learned();
    }
}

impl Deref for Lazy {
    type Target = Flight;
    #[inline]
    fn deref(&self) -> &Flight {
        #[cfg(feature = "alloc")]
        return self.0.as_deref().unwrap_or(&NOTHING);
        #[cfg(not(feature = "alloc"))]
        &self.0
    }
}

impl DerefMut for Lazy {
    #[inline]
    fn deref_mut(&mut self) -> &mut Flight {
        #[cfg(feature = "alloc")]
        return self
            .0
            .get_or_insert_with(|| alloc::boxed::Box::new(Flight::new()));
        #[cfg(not(feature = "alloc"))]
        &mut self.0
    }
}
