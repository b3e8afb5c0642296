#!/usr/bin/env bash
# A gibibyte each way between us and the Linux kernel over tap, tun and a packet socket, with
# segmentation and checksums left to the kernel and without, and the same over a device that
# loses, reorders, repeats and corrupts frames: equal SHA-256 at both ends. Too long for every
# change; tests/kernel_tcp.rs has the short form. Needs root.
#
# usage: [STRATA=binary] ci/interop.sh [size as of head -c, default 1G] [device ...]
set -euo pipefail
cd "$(dirname "$0")/.."

size=${1:-1G}
shift || true
kinds=${*:-tap tun raw}
[ "$(id -u)" = 0 ] || { echo "interop: needs root for network namespaces"; exit 2; }
for tool in ip nc sha256sum; do
  command -v $tool >/dev/null || { echo "interop: needs $tool"; exit 2; }
done

strata=${STRATA:-${CARGO_TARGET_DIR:-target}/release/strata}
[ -n "${STRATA:-}" ] || cargo build --quiet --release --features cli
kernel=strata-$$-k
ours=strata-$$-o
dir=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  ip netns del $kernel 2>/dev/null || true
  ip netns del $ours 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT
head -c "$size" /dev/urandom >"$dir/data"
sent=$(sha256sum <"$dir/data")

# A server on our end; returns when it listens.
serve() {
  : >"$dir/log"
  ip netns exec "$place" "$strata" tcpserver --phy "$phy" --addr 10.77.0.2/24 --port 8888 \
    --count 1 "$@" >"$dir/out" 2>"$dir/log" &
  server=$!
  until grep -q Listening "$dir/log" "$dir/out"; do
    kill -0 $server 2>/dev/null || { cat "$dir/log" "$dir/out"; exit 1; }
    sleep 0.05
  done
}

# What a transfer came to; without a second argument the sum is that of what the server wrote.
verdict() {
  wait "$server" || { echo "interop: the server failed:"; cat "$dir/log" "$dir/out"; exit 1; }
  server=
  local got=${2:-$(sha256sum <"$dir/got")}
  [ "$got" = "$sent" ] || { echo "interop: $1: SHA-256 differs"; exit 1; }
  echo "$1: equal, $((SECONDS - start)) s; $(grep -h received "$dir/log" "$dir/out" | tail -1)"
}

for kind in $kinds; do
  ip netns add $kernel
  place=$kernel
  case $kind in
    tap | tun)
      ip -n $kernel tuntap add dev port0 mode $kind
      phy=$kind:port0
      ;;
    raw)
      ip netns add $ours
      ip -n $kernel link add port0 type veth peer name port1 netns $ours
      ip -n $ours link set port1 up
      place=$ours phy=raw:port1
      ;;
    *) echo "interop: tap, tun or raw"; exit 2 ;;
  esac
  ip -n $kernel addr add 10.77.0.1/24 dev port0
  ip -n $kernel link set port0 up
  for faults in "" "--offload off" "--loss 2% --reorder 2% --duplicate 1% --corrupt 0.5%"; do
    start=$SECONDS
    # shellcheck disable=SC2086
    serve --sink --file "$dir/got" $faults
    ip netns exec $kernel nc -N 10.77.0.2 8888 <"$dir/data" >/dev/null
    verdict "$kind, to us $faults"
    start=$SECONDS
    # shellcheck disable=SC2086
    serve --source --file "$dir/data" $faults
    got=$(ip netns exec $kernel nc -d 10.77.0.2 8888 | sha256sum)
    verdict "$kind, from us $faults" "$got"
  done
  ip netns del $kernel
  ip netns del $ours 2>/dev/null || true
done
