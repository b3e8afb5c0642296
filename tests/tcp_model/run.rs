//! A seed from beginning to end.

use core::time::Duration;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use netstrata::socket::{ReadBuf, RecvBuf, Rx, SendBuf, SlabSockets, Tx, WriteBuf};

use super::case::{Age, Case};
use super::rings::{Kind, Rings};
use super::watch::Watch;
use super::world::World;

/// What a run was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Octets that arrived.
    pub octets: u64,
    /// Packets sent.
    pub packets: u64,
    /// Virtual time.
    pub time: Duration,
    /// Ends of connections that ended orderly, and all.
    pub clean: u64,
    pub ends: u64,
}

fn live<K: Kind>(case: Case, watch: Rc<RefCell<Watch>>) -> Outcome
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    let steps = case.steps;
    let hush = case.draws.chance("hush", 30);
    let mut world = World::<K>::new(case, watch);
    let start = world.pair.now;
    world.begin();
    for _ in 0..steps {
        world.step();
    }
    if hush {
        world.hush();
    }
    world.finish();
    let clean = |e: &&super::ends::End<K>| e.error.is_none() && e.ended;
    let outcome = Outcome {
        octets: world.ends.iter().map(|e| e.got).sum(),
        clean: world.ends.iter().filter(clean).count() as u64,
        ends: world.ends.len() as u64,
        ..Outcome::default()
    };
    world.close_all();
    Outcome {
        packets: world.watch.borrow().sent.iter().sum(),
        time: world.pair.now - start,
        ..outcome
    }
}

/// Runs a seed.
///
/// # Errors
/// All there is to say about what went wrong.
pub fn run(seed: u64, trace: bool, age: Age) -> Result<Outcome, String> {
    let watch = Rc::new(RefCell::new(Watch::default()));
    watch.borrow_mut().trace = trace;
    let case = Case::new(seed, age);
    if trace {
        println!("{case:#?}");
    }
    let seen = watch.clone();
    let shown = case.clone();
    let result = catch_unwind(AssertUnwindSafe(|| {
        if case.lent {
            live::<Rings>(case, watch)
        } else {
            live::<SlabSockets>(case, watch)
        }
    }));
    result.map_err(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        // A panic in the middle of a packet leaves the observer borrowed.
        let log = seen
            .try_borrow()
            .map_or_else(|_| "(no log)".into(), |watch| watch.report());
        format!(
            "{shown:#?}\n{log}\nseed {seed:#x} failed: {}\n\
             again: STRATA_SEED={seed:#x} cargo test --test tcp_model replay -- --nocapture\n",
            why.unwrap_or_default()
        )
    })
}
