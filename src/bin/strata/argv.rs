//! The spellings of the stack that this command grew out of, brought into clap's form.
//!
//! Its programs took Go's flags: one dash or two, `-flag value` or `-flag=value`. Invariant:
//! arguments that are not one of those spellings pass unchanged, and nothing after `--` or after
//! `lab` (whose arguments are commands of others) is touched.

use std::ffi::{OsStr, OsString};

/// The subcommands, so that their arguments can be told from the options in front of them.
const COMMANDS: [&str; 8] = [
    "ping",
    "tcpclient",
    "tcpserver",
    "perf",
    "dump",
    "ids",
    "plot",
    "lab",
];

/// Rewrites the arguments of the process, program name included:
///
/// | typed | means |
/// | --- | --- |
/// | `-i IF`, `--i IF`, `-i=IF` | `--iface IF`; but `-i 0.2` of `ping` and `perf` is an interval |
/// | `-dest A`, `-port P`, `-debug` | `--dest A`, `--port P`, `--debug` |
/// | `-addr A` | `--dest A`, whom to talk to; with a prefix (`A/24`) our own: `--addr A/24` |
/// | `commands`, `flags [COMMAND]` | `help [COMMAND]` |
pub fn rewrite(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    let mut command: Option<&'static str> = None;
    let mut rest = args.peekable();
    while let Some(arg) = rest.next() {
        let Some(text) = arg.to_str() else {
            out.push(arg);
            continue;
        };
        if text == "--" || command == Some("lab") {
            out.push(arg);
            out.extend(rest);
            break;
        }
        if command.is_none() {
            if let Some(known) = COMMANDS.iter().find(|known| **known == text) {
                command = Some(known);
                out.push(arg);
                continue;
            }
            if out.len() == 1 && matches!(text, "commands" | "flags") {
                out.push("help".into());
                continue;
            }
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let new = match name {
            "-i" | "--i" => {
                let value = value.as_deref().or(rest.peek().map(OsString::as_os_str));
                if matches!(command, Some("ping" | "perf")) && value.is_some_and(is_number) {
                    "--interval"
                } else {
                    "--iface"
                }
            }
            "-dest" => "--dest",
            "-port" => "--port",
            "-debug" => "--debug",
            "-addr" => {
                let value = value.as_deref().or(rest.peek().map(OsString::as_os_str));
                let ours = value.is_some_and(|v| v.to_string_lossy().contains('/'));
                if ours { "--addr" } else { "--dest" }
            }
            _ => {
                out.push(arg);
                continue;
            }
        };
        out.push(new.into());
        // Go writes booleans as -debug=true; a value that is not "false" changes nothing.
        match value {
            Some(value) if new == "--debug" && value == "false" => {
                out.pop();
            }
            Some(_) if new == "--debug" => {}
            Some(value) => out.push(value),
            // The value of an option is never an option of its own.
            None if new != "--debug" => out.extend(rest.next()),
            None => {}
        }
    }
    out
}

/// Interfaces do not begin with a digit as a rule; intervals do.
fn is_number(value: &OsStr) -> bool {
    value
        .to_str()
        .is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    fn rewrite(line: &str) -> String {
        let words = line.split(' ').map(Into::into);
        let out: Vec<_> = super::rewrite(words)
            .into_iter()
            .map(|w| w.into_string().unwrap())
            .collect();
        out.join(" ")
    }

    #[test]
    fn seed_spellings() {
        for (typed, means) in [
            (
                "s ping -i veth1 -dest 10.0.0.2 -debug",
                "s ping --iface veth1 --dest 10.0.0.2 --debug",
            ),
            (
                "s tcpclient -i=veth1 -addr=10.0.0.2 -port=80",
                "s tcpclient --iface veth1 --dest 10.0.0.2 --port 80",
            ),
            (
                "s tcpserver --i veth1 -port 80 -debug=false",
                "s tcpserver --iface veth1 --port 80",
            ),
            ("s -i veth1 dump", "s --iface veth1 dump"),
            ("s commands", "s help"),
            ("s flags dump", "s help dump"),
        ] {
            assert_eq!(rewrite(typed), means);
        }
    }

    #[test]
    fn what_is_not_one_passes_unchanged() {
        for line in [
            "s dump -nni eth0 port 80 and host 10.0.0.1",
            "s ping --addr 10.0.0.1/24 10.0.0.2 -c 3",
            "s lab exec host1 prog -i x -port 3",
            "s dump -- -i x",
            "s",
        ] {
            assert_eq!(rewrite(line), line);
        }
    }

    #[test]
    fn one_letter_two_meanings() {
        assert_eq!(rewrite("s ping -i 0.2 A"), "s ping --interval 0.2 A");
        assert_eq!(rewrite("s perf -s -i 1"), "s perf -s --interval 1");
        assert_eq!(rewrite("s ping -i eth0 A"), "s ping --iface eth0 A");
        assert_eq!(rewrite("s ping -i"), "s ping --iface");
        assert_eq!(
            rewrite("s tcpclient -addr 10.0.0.1/24"),
            "s tcpclient --addr 10.0.0.1/24"
        );
    }
}
