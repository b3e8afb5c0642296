#!/usr/bin/env bash
# Instructions that a piece of work costs outside copies and checksums: the difference of two
# lengths of the same run under callgrind. Compares with ci/instructions.txt and fails where a
# figure grew by more than 3 %; `--write` keeps the new figures.
#
# The same on every x86-64 machine: the run is replayed in virtual time with fixed secrets, the
# checksum is one that asks no processor what it can, and what the C library copies is left out.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: instructions are not counted: $*"; exit 0; }
[ "$(uname -m)" = x86_64 ] || skip "the kept figures are of x86-64"
if ! command -v valgrind >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || skip "no valgrind, and it takes root to install it"
  echo "== installing valgrind"
  export DEBIAN_FRONTEND=noninteractive
  { timeout 300 apt-get update -qq && timeout 300 apt-get install -y -qq --no-install-recommends valgrind; } >/dev/null 2>&1 ||
    skip "valgrind could not be installed"
fi

kept=$PWD/ci/instructions.txt
# Other flags, other artefacts: a directory of its own.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/count RUSTFLAGS="--cfg counted"
cargo build --quiet --release --no-default-features --bin count --manifest-path ci/bench/Cargo.toml
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Sums what functions cost themselves, but for those that copy and those that sum.
own='
  /^fn=/ { skip = /checksum_simd|__mem(cpy|move|set)|mem(cpy|move|set)_/ }
  /^calls=/ { getline; next }
  /^[0-9+*-]/ && !skip { sum += $NF }
  END { print sum + 0 }'

total() { # KIND THOUSANDS FUNCTION: what is done within the function, or everything
  local out=$scratch/$1.$2.${3:-all}
  valgrind --tool=callgrind --callgrind-out-file="$out" --compress-strings=no --compress-pos=no \
    ${3:+--toggle-collect="*$3*"} "$CARGO_TARGET_DIR/release/count" "$1" "$2" >"$out.log" 2>&1 ||
    { cat "$out.log" >&2; return 1; }
  awk "$own" "$out"
}

count() { # NAME KIND [FUNCTION]
  local few many
  few=$(total "$2" 2 "${3:-}") && many=$(total "$2" 6 "${3:-}") &&
    echo "$1 $(((many - few) / 4000))" >"$scratch/figure.$1"
}

jobs=(
  "send segments sending_host"
  "receive segments receiving_host"
  "datagram datagrams"
  "connection connections"
)
# Two at a time.
for ((i = 0; i < ${#jobs[@]}; i += 2)); do
  # shellcheck disable=SC2086
  count ${jobs[i]} & first=$!
  # shellcheck disable=SC2086
  count ${jobs[i + 1]}
  wait $first
done

compiler=$(rustc --version | cut -d' ' -f1,2)
failed=0
for job in "${jobs[@]}"; do
  name=${job%% *}
  each=$(sed "s/.* //" "$scratch/figure.$name")
  before=$(sed -n "s/^$name //p" "$kept")
  case $name in send | receive) bar=" (bar 400)" ;; *) bar= ;; esac
  printf '%-11s %6d instructions, kept %s%s\n' "$name" "$each" "${before:-none}" "$bar"
  [ -z "$before" ] || [ $((each * 100)) -le $((before * 103)) ] || failed=1
done
if [ "${1:-}" = --write ]; then
  { echo "$compiler"; for job in "${jobs[@]}"; do cat "$scratch/figure.${job%% *}"; done; } >"$kept"
elif [ "$(head -1 "$kept")" != "$compiler" ]; then
  echo "not compared: the kept figures are of $(head -1 "$kept"), this is $compiler"
elif [ $failed = 1 ]; then
  echo "a figure grew by more than 3 %: make it cheaper, or say why and run ci/instructions.sh --write"
  exit 1
fi
