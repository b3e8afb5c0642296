#!/usr/bin/env bash
# Every example on the in-memory cable, to its end. They are built as the tests are, which has
# them ready. `bare` is linked and run by ci/bare.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

examples=$(for f in examples/*.rs; do basename "$f" .rs; done | grep -vx bare || true)
[ -n "$examples" ] || { echo "examples: none"; exit 1; }
# shellcheck disable=SC2046
cargo build --quiet --features cli $(printf -- '--example %s ' $examples)
dir=${CARGO_TARGET_DIR:-target}/debug/examples
for name in $examples; do
  echo "== example $name"
  if ! out=$(timeout 120 "$dir/$name" --phy cable </dev/null 2>&1); then
    printf '%s\n' "$out" | tail -40
    echo "examples: $name failed"
    exit 1
  fi
  printf '%s\n' "$out" | tail -4
done
echo "examples: all ended well"
