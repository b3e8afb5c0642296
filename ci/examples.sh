#!/usr/bin/env bash
# Runs every example on the in-memory cable, and holds it to the output that its own head shows,
# numbers aside, and to a line with the numbers that matter.
set -euo pipefail
cd "$(dirname "$0")/.."

# As the tests build them, which has them ready.
cargo build --quiet --workspace --features cli --examples
dir=${CARGO_TARGET_DIR:-target}/debug/examples
failed=0

# Other ports and times are no other output.
blur() { sed -E 's/[0-9]+(\.[0-9]+)?/N/g; s/=N(ns|µs|ms|s)/=N/g'; }

# What the head of an example says that it prints.
promised() {
  local file=examples/$1.rs
  [ -f "$file" ] || file=examples/$1/main.rs
  sed -nE '/^\/\/! \$ cargo run --example/,/^\/\/! ```/ { /cargo run|```/d; s/^\/\/! ?//p }' "$file"
}

# example, expected exit code, a line it must print (extended regular expression), arguments
try() {
  local name=$1 code=$2 line=$3 out got=0
  shift 3
  out=$(timeout 60 "$dir/$name" "$@" 2>&1) || got=$?
  if [ "$got" != "$code" ] || ! grep -qE "^$line\$" <<<"$out"; then
    printf 'examples: %s %s\n  ended with %s, not %s, or without the line: %s\n%s\n' \
      "$name" "$*" "$got" "$code" "$line" "$out"
    failed=1
  fi
  [ $# -gt 0 ] || diff <(promised "$name" | blur) <([ -z "$out" ] || blur <<<"$out") ||
    { echo "examples: $name prints (>) other than its head says (<)"; failed=1; }
}

far='192\.168\.69\.2'
try ping 0 '4 sent, 4 answered'
try ping 0 '14 octets from 127\.0\.0\.1: seq=4 ttl=64 time=.*' --phy loopback
try ping 1 '4 sent, 0 answered' 192.168.69.77
try echo 0 "CLOSE-WAIT 192\.168\.69\.1:7 -> $far:[0-9]+"
try fetch 0 'Hello from the end of the cable\.'
try fetch 0 'HTTP/1\.1 200 OK' http://192.168.69.2:80/any/path
try fetch 1 'Error: connection refused' 192.168.69.2:81
try vlan 0 "VLAN 6 reaches $far: false"
try firewall 0 '3 packets passed, 1 dropped'
try beacon 0 "heard \{$far\}"
try congestion 0 'vegas: 4\.[0-9] s, round trips of 2[0-9] ms, 0 segments lost'
try shards 0 'stack 1 of 2: 2 connections, 2000000 octets, 0 frames for others'
try shards 0 'stack 2 of 3: 2 connections, 2000000 octets, 0 frames for others' --queues 3
try shards 1 'Error: loopback cannot be shared by several stacks: .*' --phy loopback
try snapshot 0 '0010  0a 00 00 02 18 07 ff 83 .*'
try bare 0 '' # it says nothing

# What is wrong is said in one line.
try ping 1 'Error: --phy: expected cable, .*' --phy token-ring
try echo 1 'Error: no address for .*' --phy tap:none

INSTA_UPDATE=no cargo test --quiet --workspace --features cli --example snapshot >/dev/null || failed=1

# Every example is tried above, is short, and shows its command and what that prints.
for file in examples/*.rs examples/*/*.rs; do
  n=$(wc -l <"$file")
  [ "$n" -lt 120 ] || { echo "examples: $file has $n lines"; failed=1; }
done
for file in examples/*.rs examples/*/main.rs; do
  name=${file#examples/} name=${name%.rs} name=${name%/main}
  grep -q "^try $name " "$0" || { echo "examples: $name is not tried"; failed=1; }
  grep -q "^//! \$ cargo .* --example $name" "$file" || { echo "examples: $file shows no command"; failed=1; }
done

[ "$failed" = 0 ] && echo "examples: all ran"
exit "$failed"
