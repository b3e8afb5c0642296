//! Programs that must not compile, and what is said about them.
//!
//! Each file in `tests/errors` begins with what rustc must say: a line `//~ error…` is how the
//! first line of an error begins, and every error must begin like one of them; the text of a
//! line `//~ note: …` must occur somewhere. No more is compared, so that a newer compiler may
//! draw its arrows as it likes.
#![cfg(feature = "std")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo put what the programs use: each crate's library, and the folder of the rest.
struct Libraries {
    of: BTreeMap<String, PathBuf>,
    deps: PathBuf,
}

impl Libraries {
    const USED: [&str; 3] = ["netstrata", "phy", "rand_core"];

    /// Asks cargo, which has built all of it before it ran this test.
    fn find() -> Self {
        let features = match (cfg!(feature = "cli"), cfg!(feature = "xdp")) {
            (true, true) => "std,cli,xdp",
            (true, false) => "std,cli",
            (false, true) => "std,xdp",
            (false, false) => "std",
        };
        let out = Command::new(env!("CARGO"))
            .args([
                "build",
                "--offline",
                "--quiet",
                "--message-format=json",
                "--workspace",
            ])
            .args(["--test", "errors", "--features", features])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "cargo build: {said}");
        let mut of = BTreeMap::new();
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            let Some((name, file)) = artifact(line) else {
                continue;
            };
            if Self::USED.contains(&name) {
                of.insert(name.to_owned(), PathBuf::from(file));
            }
        }
        let deps = of["phy"].parent().expect("in a folder").to_owned();
        // The library itself is linked one folder up, the others are only among the rest.
        let deps = match deps.ends_with("deps") {
            true => deps,
            false => deps.join("deps"),
        };
        Self { of, deps }
    }

    /// What rustc says about a program, which it must refuse.
    fn refuse(&self, program: &Path) -> String {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
        rustc.args(["--edition", "2024", "--crate-type", "bin"]);
        rustc.args(["--emit", "metadata", "--error-format", "human"]);
        rustc.args(["--color", "never", "-A", "warnings", "-o", "/dev/null"]);
        rustc
            .arg("-L")
            .arg(format!("dependency={}", self.deps.display()));
        for (name, file) in &self.of {
            rustc
                .arg("--extern")
                .arg(format!("{name}={}", file.display()));
        }
        let out = rustc.arg(program).output().expect("rustc runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{}: it compiles", program.display());
        said
    }
}

/// Name and library of a crate that cargo built, from a line of its JSON.
fn artifact(line: &str) -> Option<(&str, &str)> {
    let field = |key: &str, text: &str| text.find(key).map(|at| at + key.len());
    let target = line.get(field("\"target\":{", line)?..)?;
    let name = target.get(field("\"name\":\"", target)?..)?;
    let files = line.get(field("\"filenames\":[", line)?..)?;
    let files = files.split(']').next()?;
    let file = files
        .split(',')
        .map(|file| file.trim_matches('"'))
        .find(|file| file.ends_with(".rlib"))?;
    Some((name.split('"').next()?, file))
}

/// The first line of each error.
fn errors(said: &str) -> Vec<&str> {
    let first = |line: &&str| line.starts_with("error") && !line.starts_with("error: aborting");
    said.lines().filter(first).collect()
}

#[test]
fn what_must_not_compile_is_refused_in_plain_words() {
    let libraries = Libraries::find();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut programs: Vec<_> = folder
        .read_dir()
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|x| x == "rs"))
        .collect();
    programs.sort();
    assert!(!programs.is_empty());
    let mut wrong = String::new();
    for program in &programs {
        let text = std::fs::read_to_string(program).expect("a program");
        let expected = |kind: &'static str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix("//~ "));
            lines.filter(move |line| line.starts_with(kind))
        };
        let said = libraries.refuse(program);
        let errors = errors(&said);
        let foreseen = |error: &&str| expected("error").any(|start| error.starts_with(start));
        let missing = |start: &str| !errors.iter().any(|error| error.starts_with(start));
        let unsaid = |note: &str| !said.contains(note.trim_start_matches("note: "));
        let right = expected("error").count() > 0
            && errors.iter().all(foreseen)
            && !expected("error").any(missing)
            && !expected("note: ").any(unsaid);
        if !right {
            wrong += &format!("=== {}\n{said}\n", program.display());
        }
    }
    assert!(wrong.is_empty(), "rustc says something else:\n{wrong}");
}
