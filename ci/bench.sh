#!/usr/bin/env bash
# The same work on netstrata, on smoltcp and on the machine's own limit, in turn, in one run;
# prints a Markdown table, which BENCHMARKS.md keeps. Rows with taps need root.
#
# usage: ci/bench.sh [ROUNDS] [ROW ...]        e.g. ci/bench.sh 5 P1 "P2 out"
set -euo pipefail
cd "$(dirname "$0")/bench"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../../target}/bench
cargo build --quiet --release
model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
echo "$(nproc) x ${model:-unknown}, Linux $(uname -r), $(rustc --version | cut -d' ' -f1,2)"
echo
exec "$CARGO_TARGET_DIR/release/netstrata-bench" "$@"
