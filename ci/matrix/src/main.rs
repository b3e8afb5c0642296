//! TCP of this stack against the Linux kernel, and the kernel against itself, over the same bad
//! wire: goodput of each, and their ratio.
//!
//! A cell is a path. For each, octets that both ends can compute go from our stack to a kernel
//! (`out`), from a kernel to our stack (`in`), and from a kernel to a kernel (`linux`), and every
//! octet is compared. The wire is [`phy::Fault`] in user space in all three; both ends run CUBIC
//! unless told otherwise, chosen before they connect. See `ci/matrix.sh` for the words.

mod asked;
mod cell;
mod kernel;
mod lab;
mod notes;
mod ours;
mod run;
mod table;
mod turns;
mod wire;

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use asked::Asked;
use cell::Cell;
use lab::{FAR, Kernel, NEAR};
use ours::Part;
use run::{Run, Task};
use table::Row;
use turns::Turns;

/// The contests over one path that are asked for, at the same time where the path is slow.
fn contest(task: &Task<'_>, ways: &str, alone: bool) -> io::Result<[Run; 3]> {
    let run = |way: &str| {
        if !ways.split(',').any(|wanted| wanted == way) {
            return Ok(Run::default());
        }
        match way {
            "out" => run::mixed(task, Part::Sends),
            "in" => run::mixed(task, Part::Receives),
            _ => run::linux(task),
        }
    };
    if alone {
        return Ok([run("linux")?, run("out")?, run("in")?]);
    }
    std::thread::scope(|scope| {
        let others = ["linux", "out"].map(|way| scope.spawn(move || run(way)));
        let into = run("in")?;
        let [linux, out] = others.map(|run| run.join().expect("no panic"));
        Ok([linux?, out?, into])
    })
}

/// Octets for a path, and how long they may take.
fn amount(cell: &Cell, asked: &Asked) -> io::Result<(u64, Duration)> {
    const ALL: u64 = 50_000_000;
    let patience = |seconds: f64| Duration::from_secs_f64(seconds * 6.0 + 30.0);
    if let Some(octets) = asked.size {
        return Ok((octets, patience(asked.seconds)));
    }
    if !asked.full {
        let octets = cell.octets(asked.seconds, ALL);
        return Ok((octets, patience(asked.seconds)));
    }
    let Some(budget) = asked.budget else {
        return Ok((ALL, Duration::from_secs(7 * 24 * 3600)));
    };
    // What the kernel carries in that time, as far as two tries tell.
    let limit = Duration::from_secs_f64(budget / 8.0);
    let mut tries = Vec::new();
    for seed in [3, 4] {
        tries.push(run::linux(&Task {
            cell,
            octets: cell.octets(budget / 40.0, ALL / 10),
            limit,
            seed,
            cc: asked.cc,
            notes: None,
        })?);
    }
    let rate = table::rate_of(&tries);
    let octets = ((rate * budget * 0.7) as u64).clamp(50_000, ALL);
    Ok((octets, patience(budget)))
}

fn main() {
    let asked = asked::read().unwrap_or_else(|why| {
        eprintln!("matrix: {why}");
        std::process::exit(2);
    });
    if !nix::unistd::geteuid().is_root() {
        eprintln!("matrix: needs root for network namespaces");
        std::process::exit(2);
    }
    let mut cells = if asked.quick {
        Cell::quick()
    } else {
        Cell::all()
    };
    if let Some(only) = &asked.only {
        cells.retain(|cell| only.split(',').any(|word| cell.name().contains(word)));
    }
    if let Some(except) = &asked.except {
        cells.retain(|cell| !except.split(',').any(|word| cell.name().contains(word)));
    }
    match Kernel::new(NEAR, FAR) {
        Ok((kernel, _)) => table::head(&kernel, &asked.cc.to_string(), asked.repeat),
        Err(e) => {
            eprintln!("matrix: no network namespaces: {e}");
            std::process::exit(2);
        }
    }
    let turns = Turns::new(asked.jobs.max(1));
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for cell in &cells {
            let (turns, rows, asked) = (&turns, &rows, &asked);
            scope.spawn(move || match measure(cell, asked, turns) {
                Ok(row) => {
                    let mut rows = rows.lock().expect("no panic");
                    table::line(&row, asked.verbose);
                    rows.push(row);
                }
                Err(e) => eprintln!("{}: {e}", cell.name()),
            });
        }
    });
    let rows = rows.into_inner().expect("no panic");
    table::foot(&rows);
    if rows.len() < cells.len() {
        std::process::exit(1);
    }
}

/// All runs over one path, each in its turn.
fn measure(cell: &Cell, asked: &Asked, turns: &Turns) -> io::Result<Row> {
    let share = cell.share(turns.all());
    let alone = cell.rate > 100;
    let (octets, limit) = turns.take(share, || amount(cell, asked))?;
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 0..asked.repeat as u64 {
            let results = &results;
            scope.spawn(move || {
                let task = Task {
                    cell,
                    octets,
                    limit,
                    seed: 7 + n,
                    cc: asked.cc,
                    notes: asked.notes.as_deref().map(|folder| (folder, asked.slow)),
                };
                let runs = turns.take(share, || contest(&task, &asked.ways, alone));
                results.lock().expect("no panic").push(runs);
            });
        }
    });
    let mut row = Row::new(cell, octets);
    for runs in results.into_inner().expect("no panic") {
        let [linux, out, into] = runs?;
        row.linux.push(linux);
        row.out.push(out);
        row.into.push(into);
    }
    Ok(row)
}
