#!/usr/bin/env bash
# Feeds each fuzz target a bounded number of inputs. Needs no nightly compiler and no cargo-fuzz:
# libFuzzer wants the coverage counters that the stock compiler can plant, and a C++ compiler
# for libFuzzer itself. Without one the same bodies run in tests/hostile.rs (ci/test.sh), on
# seeded inputs.
#
# usage: ci/fuzz.sh [seconds per target, default 45] [target]
set -euo pipefail
cd "$(dirname "$0")/fuzz"

seconds=${1:-45}
targets=${2:-$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' Cargo.toml)}
runs=2000000

skip() {
  echo "fuzz: not run under libFuzzer: $*"
  echo "fuzz: the same bodies ran on seeded inputs in tests/hostile.rs"
  exit 0
}

cxx=${CXX:-$(command -v c++ || command -v g++ || command -v clang++ || true)}
[ -n "$cxx" ] || skip "no C++ compiler to build libFuzzer with"
host=$(rustc -vV | sed -n 's/^host: //p')
[ "${host%%-*}" = x86_64 ] || [ "${host%%-*}" = aarch64 ] || skip "no coverage counters on $host"

# What cargo-fuzz sets, less the sanitizer, which needs nightly; the crates have no unsafe code
# for it to look at.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg=fuzzing"
# A target directory of its own: other flags, other artefacts.
target_dir=${CARGO_TARGET_DIR:-$PWD/../../target}/fuzz
logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$logs"' EXIT
log=$logs/build
if ! cargo build --quiet --release --locked --target "$host" --target-dir "$target_dir" 2>"$log"; then
  cat "$log"
  # libFuzzer that does not build is the machine's business; targets that do not are ours.
  grep -q 'libfuzzer-sys\|failed to get\|failed to download' "$log" && skip "libFuzzer does not build here"
  exit 1
fi

# All at once: each is one thread.
declare -A pid
for target in $targets; do
  mkdir -p "corpus/$target" "artifacts/$target"
  "$target_dir/$host/release/$target" "corpus/$target" -runs=$runs -max_total_time="$seconds" \
    -max_len=3000 -len_control=0 -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="artifacts/$target/" -print_final_stats=1 >"$logs/$target" 2>&1 &
  pid[$target]=$!
done
failed=0
for target in $targets; do
  echo "== fuzz $target: $runs inputs or $seconds s"
  if wait "${pid[$target]}"; then
    grep -E '^(Done|stat::(number_of_executed_units|peak_rss_mb))|cov:' "$logs/$target" | tail -4
  else
    tail -60 "$logs/$target"
    echo "fuzz: $target failed; the input is in ci/fuzz/artifacts/$target"
    failed=1
  fi
done
[ $failed = 0 ] || exit 1
echo "fuzz: clean"
