//! What is different from run to run before anything happens: hosts, buffers, the path.

use core::time::Duration;

use netstrata::phy::FaultConfig;
use netstrata::tcp::{Config, Cookies, Ecn, Limits, MemoryLimits, MtuProbing};

use super::draw::{Draws, pick, skewed};

/// What a model knew when a seed failed in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    First,
    /// Things that few applications do.
    Rare,
    /// Things that seldom befall hosts.
    Odd,
}

/// Everything about a run that does not change in it.
#[derive(Debug, Clone)]
pub struct Case {
    pub draws: Draws,
    /// Sockets in rings of fixed size and a table of fixed size.
    pub lent: bool,
    /// The cable does checksums and segmentation.
    pub offload: bool,
    pub mtu: usize,
    /// Frames the cable queues.
    pub queue: usize,
    /// What happens to what each host sends.
    pub faults: [FaultConfig; 2],
    pub configs: [Config; 2],
    pub limits: [Limits; 2],
    /// Octets of receive and send buffers of each host's sockets.
    pub buffers: [(usize, usize); 2],
    /// Buffers grow by themselves instead.
    pub grows: bool,
    /// Octets each end of a connection writes at most.
    pub budget: usize,
    /// Connections.
    pub flows: usize,
    /// What applications and network do.
    pub steps: usize,
    /// The path may be silent for a while.
    pub blackouts: bool,
    /// Forged ICMP errors and segments come.
    pub noise: bool,
    /// A router in the middle may carry less than the links, and say so, or not.
    pub narrow: bool,
    pub black_hole: bool,
    /// Connections begin with text where they may.
    pub fast_open: bool,
    /// In the end the path becomes perfect; otherwise it stays as bad as it was.
    pub healed: bool,
    /// Applications also do what few of them do, and memory may be short. Seeds that were kept
    /// before there was that go on without.
    pub rare: bool,
    /// What seldom befalls hosts befalls these; seeds kept before there was that go on without.
    pub odd: bool,
}

const MILLI: Duration = Duration::from_millis(1);

fn fault(draws: Draws, side: &str) -> FaultConfig {
    let mut seed = draws.of(&format!("fault {side}"));
    let mut fault = FaultConfig::new().with_seed(seed.draw());
    if draws.chance("perfect", 10) {
        return fault;
    }
    let part = |seed: &mut crate::support::Seed, often: usize, most: usize| {
        if seed.below(100) < often {
            skewed(seed, most) as u32
        } else {
            0
        }
    };
    fault = fault.with_mark(part(&mut draws.of(&format!("marks {side}")), 20, 300_000));
    fault = fault.with_loss(part(&mut seed, 60, 300_000));
    fault = fault.with_reorder(part(&mut seed, 40, 300_000));
    fault = fault.with_duplicate(part(&mut seed, 30, 200_000));
    fault = fault.with_corrupt(part(&mut seed, 30, 100_000));
    let delay = match seed.below(6) {
        0 => 0,
        1 => seed.below(1000),
        2 | 3 => seed.below(20_000),
        _ => seed.below(300_000),
    };
    fault = fault.with_delay(Duration::from_micros(delay as u64));
    if seed.below(3) == 0 {
        let jitter = seed.below(delay + 1) as u64 / 2;
        fault = fault.with_jitter(Duration::from_micros(jitter));
    }
    let rate = pick(
        &mut seed,
        &[0, 0, 0, 0, 100_000, 1_000_000, 10_000_000, 100_000_000],
    );
    let queue = pick(&mut seed, &[3, 10, 50, 1000, 1000, 1000]);
    fault.with_rate(rate).with_queue(queue)
}

fn config(draws: Draws, side: &str) -> Config {
    let plain = Config::default();
    if draws.chance("plain", 20) {
        return plain;
    }
    let on = |name: &str, percent| draws.chance(&format!("{name} {side}"), percent);
    let mut seed = draws.of(&format!("config {side}"));
    let rto_min = pick(&mut seed, &[200, 200, 1, 50, 1000]);
    let rto_max = pick(&mut seed, &[120, 120, 60, 2]);
    Config {
        timestamps: on("timestamps", 75),
        sack: on("sack", 75),
        dsack: on("dsack", 80),
        window_scaling: on("scaling", 75),
        receive_buffer_max: pick(
            &mut seed,
            &[15_728_640, 15_728_640, 65_535, 200_000, 1 << 30],
        ),
        receive_buffer: draws.pick(
            &format!("receive buffer {side}"),
            &[540_000, 540_000, 4096, 65_536],
        ),
        send_buffer: draws.pick(
            &format!("send buffer {side}"),
            &[262_144, 262_144, 4096, 16_384],
        ),
        ecn: draws.pick(
            &format!("ecn {side}"),
            &[Ecn::Answer, Ecn::Off, Ecn::Offer, Ecn::Accurate],
        ),
        fastopen_client: draws.chance("fast open", 30),
        fastopen_server: draws.chance("fast open", 30),
        fastopen_client_no_cookie: on("no cookie sent", 10),
        fastopen_server_no_cookie: on("no cookie wanted", 10),
        mtu_probing: draws.pick(
            &format!("probing {side}"),
            &[MtuProbing::BlackHole, MtuProbing::Always],
        ),
        frto: on("frto", 80),
        pacing: on("pacing", 20),
        slow_start_after_idle: on("idle restart", 30),
        user_timeout_option: draws.chance("user timeouts told", 10),
        tail_probes: on("probes", 80),
        require_timestamps: on("require", 90),
        dup_threshold: pick(&mut seed, &[3, 3, 3, 1, 8]),
        rto_min: MILLI * rto_min,
        rto_max: MILLI * 1000 * rto_max,
        // Few repetitions of a short timeout are over before a late acknowledgment comes.
        retries: if rto_min < 200 {
            15
        } else {
            pick(&mut seed, &[15, 15, 15, 5])
        },
        quick_acks: pick(&mut seed, &[16, 16, 0, 1, 255]),
        ack_delay_max: MILLI * pick(&mut seed, &[200, 200, 500, 40, 1]),
        time_wait: MILLI * 1000 * pick(&mut seed, &[60, 60, 1, 240]),
        trim_after: MILLI * pick(&mut seed, &[1000, 1000, 1, 60_000]),
        ..plain
    }
}

/// Little memory for all connections of a host together.
fn memory(draws: Draws, side: &str) -> MemoryLimits {
    let plain = MemoryLimits::default();
    if !draws.chance("tight", 40) {
        return plain;
    }
    let mut seed = draws.of(&format!("memory {side}"));
    let high = pick(&mut seed, &[1 << 20, 300_000, 100_000, 20_000]);
    MemoryLimits {
        low: high / 4,
        pressure: high / 2,
        high,
        listener: pick(&mut seed, &[high, high / 4]),
        patience: MILLI * pick(&mut seed, &[1000, 10, 30_000]),
    }
}

fn limits(draws: Draws, side: &str, bounded: bool) -> Limits {
    let memory = if bounded {
        memory(draws, side)
    } else {
        MemoryLimits::default()
    };
    let plain = Limits {
        memory,
        ..Limits::default()
    };
    if draws.chance("no limits", 50) {
        return plain;
    }
    let mut seed = draws.of(&format!("limits {side}"));
    Limits {
        handshakes: pick(&mut seed, &[plain.handshakes, 1, 3]),
        time_wait: pick(&mut seed, &[plain.time_wait, 1, 0]),
        orphans: pick(&mut seed, &[plain.orphans, 1, 0]),
        cookies: pick(
            &mut seed,
            &[Cookies::WhenFull, Cookies::Never, Cookies::Always],
        ),
        ..plain
    }
}

impl Case {
    /// The case of a seed, as a model of this age drew it.
    pub fn new(seed: u64, age: Age) -> Self {
        let draws = Draws(seed);
        let rare = age > Age::First && draws.chance("rare", 60);
        let odd = age > Age::Rare && draws.chance("odd", 40);
        let mut sizes = draws.of("buffers");
        let mut buffer = || {
            pick(
                &mut sizes,
                &[
                    1 << 20,
                    1 << 20,
                    16_384,
                    65_536,
                    65_535,
                    300_000,
                    20_000,
                    4096,
                    1500,
                    536,
                    100,
                    7,
                    1,
                ],
            )
        };
        let large = draws.chance("large buffers", 40);
        let mut pair = || {
            if large {
                (1 << 20, 1 << 20)
            } else {
                (buffer(), buffer())
            }
        };
        let buffers = [pair(), pair()];
        let faults = [fault(draws, "east"), fault(draws, "west")];
        let mut mtus = draws.of("mtu");
        let mtu = match mtus.below(10) {
            0..6 => 1500,
            6 => 576,
            7 => 100 + mtus.below(500),
            8 => 9000,
            _ => 68 + 40 + mtus.below(20_000),
        };
        let least = buffers.iter().map(|b| b.0.min(b.1)).min().unwrap_or(1);
        let piece = least.min(mtu - 60);
        let most = draws.pick("segments", &[3, 30, 100, 400]) * piece;
        let blackouts = draws.chance("blackouts", 30);
        let healed = draws.chance("healed", 50);
        let probes = !draws.chance("plain", 20);
        let configs = [config(draws, "east"), config(draws, "west")];
        let lent = draws.chance("lent", 30);
        let bounded = rare && !lent;
        Self {
            draws,
            lent,
            offload: draws.chance("offload", 40),
            mtu,
            queue: draws.pick("queue", &[1024, 1024, 1024, 1, 3, 20]),
            faults,
            configs,
            limits: [
                limits(draws, "east", bounded),
                limits(draws, "west", bounded),
            ],
            buffers,
            grows: draws.chance("grows", 40),
            budget: most.clamp(1, 250_000),
            flows: draws.pick("flows", &[1, 1, 1, 2, 3, 8]),
            steps: 5 + draws.of("steps").below(60),
            blackouts,
            noise: draws.chance("noise", 30),
            narrow: draws.chance("narrow", 20) && mtu > 700,
            black_hole: probes && draws.chance("black hole", 50),
            fast_open: draws.chance("fast open", 30),
            healed,
            rare,
            odd,
        }
    }

    /// Is memory short?
    pub fn tight(&self) -> bool {
        let plain = MemoryLimits::default();
        self.limits.iter().any(|limits| limits.memory != plain)
    }

    /// The worse direction's part of frames lost, damaged ones included, in parts per million.
    pub fn loss(&self) -> u32 {
        let of = |f: &FaultConfig| f.loss + f.corrupt;
        of(&self.faults[0]).max(of(&self.faults[1]))
    }

    /// May connections fail by themselves on such a path?
    pub fn may_fail(&self, established: bool) -> bool {
        let few = self.configs.iter().any(|c| c.retries < 10);
        // What is on its way over a long path is in the queue, too.
        let queues = |f: &FaultConfig| f.rate > 0 || !f.delay.is_zero();
        // A crowd that repeats its SYNs together fills one of ten, each time again.
        let short = self.faults.iter().any(|f| f.queue < 50 && queues(f));
        let slow = self.faults.iter().any(|f| f.rate == 100_000);
        let told = self.configs.iter().any(|c| c.user_timeout_option);
        self.blackouts
            || told
            || self.tight()
            || self.loss() > 150_000
            || (few || !established) && (self.loss() > 10_000 || short || slow)
    }

    /// How long a connection may stand still.
    pub fn patience(&self) -> Duration {
        let slowest = self.configs.iter().map(|c| c.rto_max).max();
        let slowest = slowest.unwrap_or(Duration::from_secs(120));
        let few = if self.healed { 3 } else { 20 };
        slowest * few + Duration::from_secs(60)
    }
}
