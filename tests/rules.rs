//! The tables of requirements (`rfc9293.md`, `tcp_rules.md`, `profile.md`) against the sources:
//! every test they name exists, and every requirement and row is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Rows of the tables of a page, without their titles: the cells of each.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let inner = line.trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let lines: Vec<&str> = page.lines().collect();
    let is_row = |line: &str| line.starts_with('|') && !line.starts_with("| ---");
    let mut rows = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let title = lines
            .get(n + 1)
            .is_some_and(|next| next.starts_with("| ---"));
        if is_row(line) && !title {
            rows.push(cells(line));
        }
    }
    rows
}

/// Tests that a cell names, `path: name` between back-quotes.
fn tests(cell: &str) -> Vec<(String, String)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|text| text.split_once(": "));
    named
        .map(|(file, name)| (file.into(), name.into()))
        .collect()
}

/// Is there such a test?
fn exists(file: &str, name: &str) -> bool {
    let text = read(&format!("{file}.rs"));
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if marked && line.starts_with("fn ") {
            if line.starts_with(&format!("fn {name}(")) {
                return true;
            }
            marked = false;
        }
    }
    false
}

/// Does a test show a whole exchange: is there a snapshot in it? What it calls does not count.
fn shows(file: &str, name: &str) -> bool {
    let text = read(&format!("{file}.rs"));
    let begins = |line: &&str| line.trim_start().starts_with(&format!("fn {name}("));
    let mut lines = text.lines().skip_while(|line| !begins(line));
    let head = lines.next().unwrap_or_default();
    let end = head.replace(head.trim_start(), "}");
    lines
        .take_while(|line| **line != end)
        .any(|line| line.contains("snapshot!("))
}

/// Requirements that no exchange of segments shows: numbers that nobody can guess, and IP's.
const NO_EXCHANGE: [&str; 4] = ["MUST-8", "MUST-9", "SHLD-1", "MUST-50"];

fn all_exist(page: &str) -> Vec<Vec<String>> {
    let rows = rows(&read(page));
    assert!(!rows.is_empty(), "{page} has tables");
    for cells in &rows {
        for (file, name) in tests(cells.last().expect("a cell")) {
            assert!(exists(&file, &name), "{page}: no test {name} in {file}.rs");
        }
    }
    rows
}

#[test]
fn rfc9293() {
    let rows = all_exist("tests/rfc9293.md");
    let named: BTreeSet<&str> = rows.iter().map(|cells| cells[0].as_str()).collect();
    for (kind, last) in [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)] {
        for n in 1..=last {
            let id = format!("{kind}-{n}");
            assert!(named.contains(id.as_str()), "{id} is missing");
        }
    }
    // A line without a test is one that asks nothing of us, or that we say no to.
    for cells in &rows {
        let must = cells[1] == "must" || cells[1] == "must not";
        let none = tests(&cells[4]).is_empty();
        let said = ["as above", "no:"]
            .iter()
            .any(|no| cells[3].starts_with(no));
        assert!(!(must && none) || said, "{} has no test", cells[0]);
        let bound = must || cells[1].starts_with("should");
        let shown = tests(&cells[4]).iter().any(|(f, name)| shows(f, name));
        let free = none || said || NO_EXCHANGE.contains(&cells[0].as_str());
        assert!(!bound || shown || free, "{} shows no exchange", cells[0]);
    }
}

#[test]
fn other_rfcs() {
    let rows = all_exist("tests/tcp_rules.md");
    for cells in &rows {
        assert!(!tests(&cells[2]).is_empty(), "no test: {}", cells[1]);
        let shown = tests(&cells[2]).iter().any(|(f, name)| shows(f, name));
        assert!(shown, "shows no exchange: {}", cells[1]);
    }
}

#[test]
fn profile() {
    for cells in all_exist("tests/profile.md") {
        let tests = tests(cells.last().expect("a cell"));
        let named = tests.iter().any(|(_, name)| name.starts_with("profile_"));
        assert!(named, "no profile test: {}", cells[0]);
    }
}
