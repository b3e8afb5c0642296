//! A row: one piece of work, whoever does it, and what is asked of us.

use std::io;

use crate::stats::Samples;

/// A turn at a row: makes one figure.
type Turn = Box<dyn FnMut() -> io::Result<f64>>;
/// The same path once more, not timed, with contents compared.
type Proof = Box<dyn FnMut() -> io::Result<()>>;

/// Who does the work.
pub struct Contestant {
    pub name: &'static str,
    turn: Turn,
    proof: Option<Proof>,
    /// Why it cannot take part.
    absent: Option<&'static str>,
}

impl Contestant {
    pub fn new(name: &'static str, turn: impl FnMut() -> io::Result<f64> + 'static) -> Self {
        Self {
            name,
            turn: Box::new(turn),
            proof: None,
            absent: None,
        }
    }

    /// With a run of the same path that compares contents.
    pub fn proved(mut self, proof: impl FnMut() -> io::Result<()> + 'static) -> Self {
        self.proof = Some(Box::new(proof));
        self
    }

    /// One that is not here.
    pub fn absent(name: &'static str, why: &'static str) -> Self {
        let mut it = Self::new(name, || Ok(f64::NAN));
        it.absent = Some(why);
        it
    }
}

/// What is asked of our figure. More is better or less is, as the row says; a bar is met by
/// reaching it.
#[derive(Debug, Clone, Copy)]
pub enum Bar {
    /// So many times the figure of another contestant.
    Of(&'static str, f64),
    /// A plain number of the row's unit.
    Value(f64),
}

/// What a row is about.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub id: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    /// More is better.
    pub more: bool,
    pub bars: &'static [Bar],
}

/// One line of the table; making its contestants takes the memory they need.
pub struct Row {
    pub head: Head,
    pub make: fn() -> io::Result<Vec<Contestant>>,
}

/// One contestant's figures.
#[derive(Debug, Clone)]
pub struct Figures {
    pub name: String,
    pub median: f64,
    pub least: f64,
    pub most: f64,
    /// Our figure divided by this one: the median over the rounds, so that drift of the machine
    /// cancels out.
    pub ratio: f64,
    pub note: String,
}

/// Contents were compared.
pub const VERIFIED: &str = "verified";

impl Row {
    /// Every contestant in turn, `rounds` times, after one round that does not count.
    pub fn measure(&self, rounds: usize) -> io::Result<Vec<Figures>> {
        let mut all = (self.make)()?;
        let mut notes = vec![String::new(); all.len()];
        for (contestant, note) in all.iter_mut().zip(&mut notes) {
            if let Some(why) = contestant.absent {
                *note = why.into();
            } else if let Some(proof) = &mut contestant.proof {
                proof().map_err(|error| named(contestant.name, error))?;
                *note = VERIFIED.into();
            }
        }
        let mut columns = vec![Samples::default(); all.len()];
        for round in 0..=rounds {
            for (contestant, samples) in all.iter_mut().zip(&mut columns) {
                if contestant.absent.is_some() {
                    continue;
                }
                let figure = (contestant.turn)().map_err(|e| named(contestant.name, e))?;
                if round > 0 {
                    samples.push(figure);
                }
            }
        }
        let ours = columns.first().cloned().unwrap_or_default();
        let each = all.iter().zip(&columns).zip(notes);
        Ok(each
            .map(|((contestant, samples), note)| Figures {
                name: contestant.name.into(),
                median: samples.median(),
                least: samples.min(),
                most: samples.max(),
                ratio: ours.ratio(samples),
                note,
            })
            .collect())
    }
}

fn named(name: &str, error: io::Error) -> io::Error {
    io::Error::other(format!("{name}: {error}"))
}

impl Head {
    /// How far our figure is beyond a bar: 1 is the bar itself; `None` if whom it speaks of is
    /// not there.
    pub fn beyond(&self, bar: &Bar, all: &[Figures]) -> Option<f64> {
        let part = match bar {
            Bar::Value(value) => all.first()?.median / value,
            Bar::Of(name, times) => all.iter().find(|it| it.name == *name)?.ratio / times,
        };
        let beyond = if self.more { part } else { 1.0 / part };
        beyond.is_finite().then_some(beyond)
    }

    /// The same for the bar that is farthest from being met.
    pub fn hardest(&self, all: &[Figures]) -> Option<f64> {
        let each = self.bars.iter().filter_map(|bar| self.beyond(bar, all));
        each.min_by(f64::total_cmp)
    }

    /// The bars in words.
    pub fn asked(&self) -> String {
        let least = if self.more { "at least" } else { "at most" };
        let each = self.bars.iter().map(|bar| match bar {
            Bar::Of(name, times) => format!("{least} {times} x {name}"),
            Bar::Value(value) => format!("{least} {value} {}", self.unit),
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
#[test]
fn bars_point_the_right_way() {
    let figures = |name: &str, median, ratio| Figures {
        name: name.into(),
        median,
        least: median,
        most: median,
        ratio,
        note: String::new(),
    };
    let all = [figures("netstrata", 30.0, 1.0), figures("peer", 20.0, 1.5)];
    let head = |more, bars| Head {
        id: "x",
        what: "",
        unit: "ns",
        more,
        bars,
    };
    let more = head(true, &[Bar::Of("peer", 1.0), Bar::Value(60.0)]);
    assert_eq!(more.hardest(&all), Some(0.5));
    assert_eq!(more.asked(), "at least 1 x peer; at least 60 ns");
    let less = head(false, &[Bar::Of("peer", 3.0), Bar::Value(60.0)]);
    assert_eq!(less.hardest(&all), Some(2.0));
    let nobody = head(true, &[Bar::Of("nobody", 1.0)]);
    assert_eq!(nobody.hardest(&all), None);
}
