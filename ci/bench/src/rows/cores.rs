//! Work shared out over two stacks on two threads, beside one that does all of it. No bar: the
//! machine decides how much two cores can do.

use std::io;

use crate::cores;
use crate::row::{Contestant, Head, Row};

fn two_stacks(amount: f64, run: fn(usize) -> io::Result<f64>) -> io::Result<Vec<Contestant>> {
    let at = move |stacks| {
        Contestant::new(
            if stacks == 2 {
                "netstrata"
            } else {
                "one stack"
            },
            move || Ok(amount / run(stacks)?),
        )
    };
    Ok(vec![at(2), at(1)])
}

fn head(id: &'static str, what: &'static str, unit: &'static str) -> Head {
    Head {
        id,
        what,
        unit,
        more: true,
        bars: &[],
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            head: head(
                "cores bulk",
                "bulk TCP in memory, on two cables by two threads",
                "Gbit/s",
            ),
            make: || two_stacks(cores::IN_MEMORY as f64 * 8.0 / 1e9, cores::bulk),
        },
        Row {
            head: head(
                "cores connections",
                "connections 1,000 at once, on two cables by two threads",
                "thousand/s",
            ),
            make: || two_stacks(cores::CHURN as f64 / 1000.0, cores::churn),
        },
        Row {
            head: head(
                "cores tap",
                "8 connections of the kernel over a tap of two queues",
                "Gbit/s",
            ),
            make: || two_stacks(cores::FROM_KERNEL as f64 * 8.0 / 1e9, cores::from_kernel),
        },
    ]
}
