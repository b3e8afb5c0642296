//! The cells: what the path does, and how much is sent over it.

use core::time::Duration;

use phy::FaultConfig;

/// Octets of text in a full segment with timestamps over Ethernet of MTU 1500.
const MSS: f64 = 1448.0;
/// Octets of the frame around them.
const FRAME: f64 = 1514.0;

/// One path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Frames lost each way, percent.
    pub loss: f64,
    /// Round-trip time, milliseconds, half of it each way.
    pub rtt: u64,
    /// Megabits per second.
    pub rate: u64,
    /// Percent of frames that later ones overtake.
    pub reorder: f64,
    /// Percent of frames that come twice.
    pub duplicate: f64,
    /// Percent of frames with a bit flipped.
    pub corrupt: f64,
    /// Frames the bottleneck queues; `None` for what a round trip carries, 100 to 1000.
    pub queue: Option<usize>,
    /// Octets of `SO_SNDBUF` and `SO_RCVBUF` at both ends; `None` for what each does by itself.
    pub buffer: Option<usize>,
}

const PLAIN: Cell = Cell {
    loss: 0.0,
    rtt: 10,
    rate: 100,
    reorder: 0.0,
    duplicate: 0.0,
    corrupt: 0.0,
    queue: None,
    buffer: None,
};

impl Cell {
    /// All cells, slow paths first: what they show depends least on the processor.
    pub fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for (loss, rtt) in [(0.0, 10), (1.0, 10), (0.0, 100), (1.0, 100)] {
            cells.push(Self {
                loss,
                rtt,
                rate: 10,
                ..PLAIN
            });
        }
        for loss in [0.0, 0.1, 1.0, 5.0, 10.0, 30.0] {
            for rtt in [1, 10, 100, 300] {
                cells.push(Self { loss, rtt, ..PLAIN });
            }
        }
        for rtt in [10, 100] {
            for percent in [1.0, 10.0] {
                cells.push(Self {
                    reorder: percent,
                    rtt,
                    ..PLAIN
                });
            }
            cells.push(Self {
                duplicate: 2.0,
                rtt,
                ..PLAIN
            });
            cells.push(Self {
                corrupt: 0.5,
                rtt,
                ..PLAIN
            });
            cells.push(Self {
                loss: 0.5,
                reorder: 2.0,
                duplicate: 1.0,
                corrupt: 0.1,
                rtt,
                ..PLAIN
            });
        }
        for (queue, rtt) in [(10, 10), (50, 100), (2000, 10)] {
            cells.push(Self {
                queue: Some(queue),
                rtt,
                ..PLAIN
            });
        }
        for (buffer, rtt) in [(65_536, 10), (65_536, 100), (16_384, 10)] {
            cells.push(Self {
                buffer: Some(buffer),
                rtt,
                ..PLAIN
            });
        }
        for (loss, rtt) in [(0.0, 1), (0.0, 10), (0.1, 10), (0.0, 100), (0.1, 1)] {
            cells.push(Self {
                loss,
                rtt,
                rate: 1000,
                ..PLAIN
            });
        }
        cells
    }

    /// Few cells that show most.
    pub fn quick() -> Vec<Self> {
        let wanted = |cell: &Self| {
            let plain = cell.queue.is_none() && cell.buffer.is_none();
            let tidy = cell.reorder == 0.0 && cell.duplicate == 0.0 && cell.corrupt == 0.0;
            let grid = [
                (0.0, 10),
                (0.0, 100),
                (0.1, 100),
                (1.0, 10),
                (1.0, 100),
                (5.0, 10),
            ];
            let on_grid = grid.contains(&(cell.loss, cell.rtt)) && tidy && plain;
            cell.rate == 100 && (on_grid || cell.reorder == 1.0 || cell.queue == Some(50))
        };
        Self::all().into_iter().filter(wanted).collect()
    }

    /// Frames that the line holds while it carries a round trip.
    fn flight(&self) -> usize {
        (self.rate * 1000 * self.rtt / 8 / 1514) as usize
    }

    /// Frames that the bottleneck queues.
    pub fn queue_frames(&self) -> usize {
        self.queue.unwrap_or(self.flight().clamp(100, 1000))
    }

    /// What the path does in each direction. Frames under way count as queued.
    pub fn fault(&self, seed: u64) -> FaultConfig {
        let ppm = |percent: f64| (percent * 10_000.0) as u32;
        FaultConfig::new()
            .with_loss(ppm(self.loss))
            .with_reorder(ppm(self.reorder))
            .with_duplicate(ppm(self.duplicate))
            .with_corrupt(ppm(self.corrupt))
            .with_delay(Duration::from_micros(self.rtt * 500))
            .with_rate(self.rate * 1_000_000)
            .with_queue(self.flight() / 2 + self.queue_frames())
            .with_seed(seed)
    }

    /// Octets per second that the path is good for: its rate, and what a sender in steady
    /// state gets past losses (Padhye, Firoiu, Towsley, Kurose 1998, with every segment
    /// acknowledged and an RTO of 200 ms at least).
    pub fn limit(&self) -> f64 {
        let line = self.rate as f64 * 125_000.0 * MSS / FRAME;
        let p = (self.loss + self.corrupt) / 100.0;
        let rtt = self.rtt as f64 / 1000.0;
        let line = match self.buffer {
            // Each side takes twice as much; of the kernel's about half is for text.
            Some(octets) => line.min(octets as f64 / rtt),
            None => line,
        };
        if p == 0.0 {
            return line;
        }
        let fast = rtt * (2.0 * p / 3.0).sqrt();
        let timeout = (rtt + 0.2) * (3.0 * (3.0 * p / 8.0).sqrt()).min(1.0) * p;
        line.min(MSS / (fast + timeout * (1.0 + 32.0 * p * p)))
    }

    /// How many of `all` shares of the processor it wants: all where the path is fast.
    pub fn share(&self, all: usize) -> usize {
        let megabits = self.limit() / 125_000.0;
        match (self.rate, megabits) {
            (101.., _) => all,
            (_, 20.0..) => all.div_ceil(4),
            _ => 1,
        }
    }

    /// Octets to send so that a run takes about `seconds`, at most `most`.
    pub fn octets(&self, seconds: f64, most: u64) -> u64 {
        let octets = self.limit() * seconds;
        (octets as u64).clamp(100_000, most)
    }

    /// A line of words.
    pub fn name(&self) -> String {
        let mut name = format!("{:>4} Mbit/s {:>3} ms", self.rate, self.rtt);
        let mut part = |percent: f64, what: &str| {
            if percent > 0.0 {
                name += &format!(" {what} {percent}%");
            }
        };
        part(self.loss, "loss");
        part(self.reorder, "reorder");
        part(self.duplicate, "duplicate");
        part(self.corrupt, "corrupt");
        if let Some(queue) = self.queue {
            name += &format!(" queue {queue}");
        }
        if let Some(buffer) = self.buffer {
            name += &format!(" buffers {buffer}");
        }
        name
    }
}
