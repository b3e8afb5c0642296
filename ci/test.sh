#!/usr/bin/env bash
# Every test. Tools that some tests compare with are installed where that is allowed; a test
# that cannot run says so and why, on a line that begins with `skipped:`.
set -euo pipefail
cd "$(dirname "$0")/.."

want=(tcpdump:tcpdump socat:socat nc:netcat-openbsd ip:iproute2 ping:iputils-ping iptables:iptables python3:python3 curl:curl ethtool:ethtool iperf3:iperf3)
missing=()
for pair in "${want[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "== installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    { timeout 300 apt-get update -qq && timeout 300 apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null 2>&1 ||
      echo "could not install ${missing[*]}: the tests that need them will say so"
  else
    echo "not installed: ${missing[*]} (tests that need them will say so)"
  fi
fi

export INSTA_UPDATE=no
# Examples and the command are built with the tests, some of which run them.
cargo test --quiet --workspace --features cli --no-fail-fast
echo "== AF_XDP"
cargo test --quiet --package netstrata-phy --features xdp --lib
cargo test --quiet --features xdp --test kernel_xdp
echo "== without std"
cargo test --quiet --no-default-features --features alloc --lib
cargo test --quiet --no-default-features --lib
