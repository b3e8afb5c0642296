//! A congestion control that somebody looks at.
//!
//! Invariant: decides as the one inside; the observer hears and changes nothing. What the core
//! tells congestion control by a call of its own ([`Congestion::on_loss`] and others) is made an
//! event here, so that it is told once.

use super::{Ack, Algorithm, Congestion, Loss, Lost, PathModel};
use crate::tcp::config::Config;
use crate::tcp::event::{Event, Observer};
use phy::Instant;

/// `C`, and an observer `O` of each connection, made with [`Default`].
///
/// As large as the two; with `()` for an observer as `C` alone, and no more code than `C`'s.
#[derive(Debug, Clone)]
pub struct Observed<C, O> {
    control: C,
    observer: O,
}

impl<C, O> Observed<C, O> {
    /// Who looks.
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// The same, to be changed.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// What is looked at.
    pub fn control(&self) -> &C {
        &self.control
    }
}

impl<C: Congestion, O: Observer> Observed<C, O> {
    #[inline]
    fn tell(&mut self, now: Instant, event: Event) {
        if self.observer.watches() {
            self.observer.on_event(now, &event);
        }
    }

    #[inline]
    fn measured(&mut self, ack: &Ack) {
        if let Some(sample) = ack.rtt {
            self.tell(ack.now, Event::Rtt { sample });
        }
    }
}

impl<C: Congestion, O: Observer> Congestion for Observed<C, O> {
    fn new(now: Instant, mss: u16) -> Self {
        Self {
            control: C::new(now, mss),
            observer: O::default(),
        }
    }

    /// The observer stays.
    fn restart(&mut self, now: Instant, mss: u16) {
        self.control.restart(now, mss);
    }

    fn on_config(&mut self, config: &Config) {
        self.control.on_config(config);
    }

    fn on_initial_window(&mut self, segments: u8) {
        self.control.on_initial_window(segments);
    }

    #[inline]
    fn watches(&self) -> bool {
        self.control.watches() || self.observer.watches()
    }

    fn on_event(&mut self, now: Instant, event: &Event) {
        self.control.on_event(now, event);
        self.observer.on_event(now, event);
    }

    #[inline]
    fn window(&self) -> u32 {
        self.control.window()
    }

    fn threshold(&self) -> Option<u32> {
        self.control.threshold()
    }

    fn pacing_rate(&self) -> Option<u64> {
        self.control.pacing_rate()
    }

    fn owns_recovery(&self) -> bool {
        self.control.owns_recovery()
    }

    fn name(&self) -> &'static str {
        self.control.name()
    }

    fn path_model(&self) -> Option<PathModel> {
        self.control.path_model()
    }

    fn select(&mut self, now: Instant, algorithm: Algorithm) -> bool {
        self.control.select(now, algorithm)
    }

    #[inline]
    fn on_sent(&mut self, now: Instant, bytes: u32, in_flight: u32) {
        self.control.on_sent(now, bytes, in_flight);
    }

    #[inline]
    fn on_ack(&mut self, ack: &Ack) {
        self.measured(ack);
        self.control.on_ack(ack);
    }

    fn on_recovery(&mut self, ack: &Ack) {
        self.measured(ack);
        self.control.on_recovery(ack);
    }

    fn on_loss(&mut self, now: Instant, kind: Loss, in_flight: u32) {
        self.tell(now, Event::Loss { kind, in_flight });
        self.control.on_loss(now, kind, in_flight);
    }

    fn on_lost(&mut self, lost: &Lost) {
        let octets = lost.octets;
        self.tell(lost.now, Event::Lost { octets });
        self.control.on_lost(lost);
    }

    fn on_recovered(&mut self, now: Instant) {
        self.control.on_recovered(now);
    }

    fn on_undo(&mut self) {
        self.control.on_undo();
    }

    fn on_unused(&mut self, window: u32) {
        self.control.on_unused(window);
    }

    fn on_mtu(&mut self, mss: u16) {
        self.control.on_mtu(mss);
    }
}

#[cfg(test)]
mod tests {
    use crate::tcp::Tcb;
    use crate::tcp::congestion::{Congestion, Cubic, Observed, Reno};
    use phy::Instant;

    #[test]
    fn nobody_takes_no_room() {
        assert_eq!(size_of::<Tcb<Observed<Reno, ()>>>(), size_of::<Tcb<Reno>>());
        let plain = Reno::new(Instant::ZERO, 1000);
        let looked_at = Observed::<Cubic, ()>::new(Instant::ZERO, 1000);
        assert!(!plain.watches() && !looked_at.watches());
        assert_eq!((looked_at.name(), looked_at.window()), ("cubic", 10_000));
    }
}
