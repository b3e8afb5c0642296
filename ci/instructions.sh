#!/usr/bin/env bash
# Instructions that a piece of work costs, both hosts, copies and checksums included: the
# difference of two lengths of the same run under callgrind. Compares with ci/instructions.txt and
# fails where a figure grew by more than 3 %; `--write` keeps the new figures.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "skipped: instructions are counted by valgrind, which is not installed"; exit 0; }

kept=$PWD/ci/instructions.txt
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/bench
cargo build --quiet --release --manifest-path ci/bench/Cargo.toml
bench=$CARGO_TARGET_DIR/release/netstrata-bench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

total() { # KIND THOUSANDS
  valgrind --tool=callgrind --callgrind-out-file="$scratch/out" "$bench" count "$1" "$2" >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; exit 1; }
  sed -n 's/^\(summary\|totals\): //p' "$scratch/out" | head -1
}

failed=0
for kind in segments datagrams connections; do
  few=$(total $kind 2) many=$(total $kind 6)
  each=$(((many - few) / 4000))
  before=$(sed -n "s/^$kind //p" "$kept" 2>/dev/null || true)
  echo "$kind $each (kept: ${before:-none})"
  echo "$kind $each" >>"$scratch/figures"
  [ -z "$before" ] || [ $((each * 100)) -le $((before * 103)) ] || failed=1
done
if [ "${1:-}" = --write ]; then
  cp "$scratch/figures" "$kept"
elif [ $failed = 1 ]; then
  echo "a figure grew by more than 3 %: make it cheaper, or say why and run ci/instructions.sh --write"
  exit 1
fi
