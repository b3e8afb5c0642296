#!/usr/bin/env bash
# Single steps, timed by criterion (ci/micro): prints a Markdown table of medians. With `--write`
# the table of BENCHMARKS.md is replaced.
#
# usage: ci/micro.sh [--write] [ARGUMENT OF CRITERION ...]     e.g. ci/micro.sh --measurement-time 5
set -euo pipefail
cd "$(dirname "$0")/.."
write=
if [ "${1:-}" = --write ]; then write=1; shift; fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/micro
# MICRO_KEPT: make the table of what was timed before.
[ -n "${MICRO_KEPT:-}" ] ||
  cargo bench --quiet --manifest-path ci/micro/Cargo.toml -- --noplot \
    --warm-up-time 0.5 --measurement-time 1 "$@" >&2

ns() { # FOLDER: the median, with three digits, as criterion keeps it
  local file="$CARGO_TARGET_DIR/criterion/$1/new/estimates.json"
  [ -f "$file" ] || { printf ' '; return; }
  sed -E 's/.*"median":\{"confidence_interval":\{[^}]*\},"point_estimate":([0-9.eE+-]+).*/\1/' "$file" |
    awk '{ if ($1 >= 100) printf "%.0f", $1; else if ($1 >= 10) printf "%.1f", $1; else printf "%.2f", $1 }'
}

table() {
  local name len step
  echo "$(grep -m1 '^model name' /proc/cpuinfo | cut -d: -f2- | sed 's/^ //'), $(rustc --version | cut -d' ' -f1,2); nanoseconds, medians."
  echo
  echo "| header | read | written | verified |"
  echo "| --- | ---: | ---: | ---: |"
  for name in ethernet vlan arp ipv4; do
    echo "| $name | $(ns ${name}_parse) | $(ns ${name}_emit) | |"
  done
  echo "| icmpv4, echo of 56 octets | $(ns "icmpv4_parse echo of 56 octets") | $(ns "icmpv4_emit echo of 56 octets") | with it |"
  echo "| udp, 64 octets | $(ns udp_parse) | $(ns "udp_emit with 64 octets") | $(ns "udp_verify with 64 octets") |"
  echo "| tcp, timestamps | $(ns tcp_parse), options $(ns tcp_options) | $(ns "tcp_emit with timestamps") | $(ns tcp_verify) |"
  echo
  echo "| octets | checksum | copy and checksum |"
  echo "| ---: | ---: | ---: |"
  for len in 20 40 64 128 576 1460 65535; do
    echo "| $len | $(ns "checksum/$len") | $(ns "copy and checksum/$len") |"
  done
  echo
  echo "| beside so many sockets | 100 | 10,000 | 1,000,000 |"
  echo "| --- | ---: | ---: | ---: |"
  for step in "index/lookup" "index/lookup of a stranger" "index/insert and remove" "wheel/arm"; do
    echo "| $step | $(ns "$step/100") | $(ns "$step/10000") | $(ns "$step/1000000") |"
  done
  step="wheel/arm and expire"
  echo "| wheel, 10 µs of expiring and arming again | $(ns "$step/100") | $(ns "$step/10000") | $(ns "$step/1000000") |"
}

made=$(table)
echo "$made"
if [ -n "$write" ]; then
  MADE=$made awk '
    /^<!-- \/single steps -->$/ { skip = 0 }
    !skip { print }
    /^<!-- single steps -->$/ { print ENVIRON["MADE"]; skip = 1 }' BENCHMARKS.md >BENCHMARKS.md.new
  mv BENCHMARKS.md.new BENCHMARKS.md
fi
