//! What the command line asks for.

use netstrata::tcp::Algorithm;

/// See `ci/matrix.sh`.
#[derive(Debug)]
pub struct Asked {
    pub quick: bool,
    pub full: bool,
    pub verbose: bool,
    pub jobs: usize,
    pub repeat: usize,
    pub seconds: f64,
    /// Octets of each run, where given.
    pub size: Option<u64>,
    pub budget: Option<f64>,
    pub ways: String,
    pub notes: Option<String>,
    pub slow: f64,
    pub only: Option<String>,
    pub except: Option<String>,
    pub cc: Algorithm,
}

/// Reads it.
pub fn read() -> Result<Asked, String> {
    let mut asked = Asked {
        quick: false,
        full: false,
        verbose: false,
        jobs: 1,
        repeat: 1,
        seconds: 8.0,
        size: None,
        budget: None,
        ways: "linux,out,in".into(),
        notes: None,
        slow: 0.0,
        only: None,
        except: None,
        cc: Algorithm::Cubic,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} what?"));
        let bad = |e: &dyn std::fmt::Display| format!("{word}: {e}");
        match word.as_str() {
            "--quick" => asked.quick = true,
            "--full" => asked.full = true,
            "--verbose" => asked.verbose = true,
            "--jobs" => asked.jobs = value()?.parse().map_err(|e| bad(&e))?,
            "--repeat" => asked.repeat = value()?.parse().map_err(|e| bad(&e))?,
            "--seconds" => asked.seconds = value()?.parse().map_err(|e| bad(&e))?,
            "--size" => asked.size = Some(value()?.parse().map_err(|e| bad(&e))?),
            "--budget" => asked.budget = Some(value()?.parse().map_err(|e| bad(&e))?),
            "--ways" => asked.ways = value()?,
            "--notes" => asked.notes = Some(value()?),
            "--slow" => asked.slow = value()?.parse().map_err(|e| bad(&e))?,
            "--except" => asked.except = Some(value()?),
            "--only" => asked.only = Some(value()?),
            "--cc" => asked.cc = value()?.parse().map_err(|e| bad(&e))?,
            _ => return Err(format!("what is {word}?")),
        }
    }
    Ok(asked)
}
