//! What the figures were measured on, in one sentence.

use std::fs::read_to_string;
use std::process::Command;

/// The value of the first line of `text` that begins with `key`.
fn line(text: &str, key: &str) -> Option<String> {
    let found = text.lines().find(|line| line.starts_with(key))?;
    Some(found.split_once(':')?.1.trim().to_owned())
}

fn caches() -> String {
    let at = |n: usize, what: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{n}/{what}");
        read_to_string(path).map(|text| text.trim().to_owned())
    };
    let each = (0..8).filter_map(|n| {
        let (level, kind, size) = (at(n, "level"), at(n, "type"), at(n, "size"));
        let (level, kind, size) = (level.ok()?, kind.ok()?, size.ok()?);
        (kind != "Instruction").then(|| format!("L{level} {size}"))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The processor, its caches, how it is clocked, the kernel and the compiler.
pub fn describe() -> String {
    let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = line(&cpu, "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let flags = line(&cpu, "flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|it| it == flag);
    let kind = if has("hypervisor") {
        "virtual cores"
    } else {
        "cores"
    };
    let vector = ["avx512f", "avx2", "sse2"].into_iter().find(|it| has(it));
    let governor = read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    let governor = match governor {
        Ok(name) => format!("governor {}", name.trim()),
        Err(_) => "governor unknown".into(),
    };
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|asked| String::from_utf8_lossy(&asked.stdout).into_owned());
    let rustc = rustc.unwrap_or_default();
    let rustc: Vec<_> = rustc.split(' ').take(2).collect();
    format!(
        "{cores} {kind} of {model} ({}; {}; {governor}), Linux {}, {}",
        vector.unwrap_or("no vectors"),
        caches(),
        kernel.trim(),
        rustc.join(" "),
    )
}
