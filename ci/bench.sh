#!/usr/bin/env bash
# The same work on netstrata, on its peers and on the machine's own limit, in turn, in one run;
# prints a Markdown table. With `--write` the figures are kept, and the table of BENCHMARKS.md and
# its chart are made from all that are kept. Rows with taps need root; lwIP takes part where
# liblwip-dev and a C compiler are installed, iperf3 and ethtool where they are.
#
# usage: ci/bench.sh [--write] [ROUNDS] [ROW ...]        e.g. ci/bench.sh 5 P1 "P2 out"
set -euo pipefail
cd "$(dirname "$0")/bench"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../../target}/bench
cargo build --quiet --release

# lwIP is loaded when its rows run, twice, each with a copy of its globals (src/lwip.rs).
includes=$(pkg-config --cflags lwip 2>/dev/null || echo -I/usr/include/lwip)
object=$CARGO_TARGET_DIR/lwip_host.so
# shellcheck disable=SC2086
if why=$("${CC:-cc}" -O2 -shared -fPIC $includes lwip/host.c -o "$object" -llwip 2>&1); then
  export NETSTRATA_LWIP=$object
else
  echo "no lwIP here (apt install liblwip-dev): ${why%%$'\n'*}" >&2
fi
exec "$CARGO_TARGET_DIR/release/netstrata-bench" "$@"
